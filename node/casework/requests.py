"""What people of the desk ask one another: access to an alert or a case they cannot open, and to who a source is.

Who a source is stands in a compartment of its own. Where custodians are named, opening it takes a reason written down by a
named person and a custodian who grants it for some days: never one's own request, not even a custodian's. Where there is only
one custodian, somebody else who reads alerts decides about that person's requests, and gains no key by it.
What it protects, and what it does not: SECURITY.md.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Date, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.database import Row
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.ids import random_id
from node.intake.alerts import Compartment
from node.staff.accounts import Staff, active_staff
from node.staff.permissions import Action, require

MIN_REASON, MAX_REASON = 10, 1000
LONGEST_DAYS = 30
NOT_YOUR_OWN = "You asked for this yourself; another custodian decides."
NOT_A_CUSTODIAN = "Only a custodian of identities decides about this."


class RequestState(StrEnum):
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"


class AccessRequest(Row):
    """One person asks for one compartment. What was decided, by whom and until when stays written."""

    __tablename__ = "access_requests"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    of: Mapped[str] = mapped_column(String(32), index=True)
    compartment: Mapped[str] = mapped_column(String(16))
    asked_by: Mapped[str] = mapped_column(String(26), index=True)
    asked_on: Mapped[date] = mapped_column(Date)
    reason: Mapped[str | None] = mapped_column(String(MAX_REASON))
    state: Mapped[str] = mapped_column(String(10))
    decided_by: Mapped[str | None] = mapped_column(String(26))
    decided_on: Mapped[date | None] = mapped_column(Date)
    until: Mapped[date | None] = mapped_column(Date)
    refusal: Mapped[str | None] = mapped_column(String(MAX_REASON))

    def grant(self, *, by: str, now: datetime, until: date | None) -> None:
        """Somebody else says yes. Raises WrongState, NotAllowed."""
        self._decide(RequestState.GRANTED, by=by, now=now)
        self.until = until

    def refuse(self, reason: str, *, by: str, now: datetime) -> None:
        """Somebody else says no, and why. Raises WrongState, NotAllowed."""
        self._decide(RequestState.REFUSED, by=by, now=now)
        self.refusal = reason

    def is_live(self, *, now: datetime) -> bool:
        """Whether it was granted and its last day is not over."""
        return self.state == RequestState.GRANTED and (self.until is None or now.date() <= self.until)

    def _decide(self, state: RequestState, *, by: str, now: datetime) -> None:
        if self.state != RequestState.ASKED:
            raise WrongState("decided already", public="This request was decided already.")
        if by == self.asked_by:
            raise NotAllowed("one's own request", public=NOT_YOUR_OWN)
        self.state, self.decided_by, self.decided_on = state, by, now.date()


async def ask_for(
    session: AsyncSession, of: str, compartment: Compartment, reason: str | None, *, by: Staff, now: datetime
) -> AccessRequest:
    """Write down that somebody asks; asking again while it waits is the same request. The caller looked at alert or case.

    Raises NotAllowed, Invalid (an identity needs a reason).
    """
    require(by.roles, Action.READ_CASES if compartment is Compartment.INTERNAL else Action.READ_ALERTS)
    said = (reason or "").strip()
    if compartment is Compartment.IDENTITY and not MIN_REASON <= len(said) <= MAX_REASON:
        raise Invalid(
            "no reason", problems={"reason": "Say in a sentence why it must be known who the source is."}
        )
    waiting = await session.scalar(
        select(AccessRequest).where(
            AccessRequest.of == of,
            AccessRequest.compartment == compartment,
            AccessRequest.asked_by == by.id,
            AccessRequest.state == RequestState.ASKED,
        )
    )
    if waiting is not None:
        return waiting
    request = AccessRequest(
        id=random_id(),
        of=of,
        compartment=compartment,
        asked_by=by.id,
        asked_on=now.date(),
        reason=said or None,
        state=RequestState.ASKED,
    )
    session.add(request)
    await session.flush()
    await audit.record(session, actor=by.id, action=f"{compartment}.asked", subject=request.id, now=now)
    return request


async def refuse(
    session: AsyncSession, request_id: str, reason: str, *, by: Staff, now: datetime
) -> AccessRequest:
    """A custodian says no. Raises NotAllowed, NotFound, WrongState, Invalid."""
    request = await identity_request(session, request_id, by=by)
    if not reason.strip():
        raise Invalid("no reason", problems={"reason": "Say in one sentence why."})
    request.refuse(reason.strip()[:MAX_REASON], by=by.id, now=now)
    await audit.record(session, actor=by.id, action="identity.refused", subject=request.id, now=now)
    return request


async def identity_request(session: AsyncSession, request_id: str, *, by: Staff) -> AccessRequest:
    """A request about an identity, for a custodian to decide, or for whoever stands in. Raises NotAllowed, NotFound."""
    request = await session.get(AccessRequest, request_id, with_for_update=True)
    if not by.is_custodian and (request is None or not await _stands_in(session, request, by=by)):
        raise NotAllowed("not a custodian", public=NOT_A_CUSTODIAN)
    if request is None or request.compartment != Compartment.IDENTITY:
        raise NotFound("no such request")
    return request


async def _stands_in(session: AsyncSession, request: AccessRequest, *, by: Staff) -> bool:
    """Whether the only custodian asks, so that somebody else who reads alerts has to decide."""
    custodians = [one.id for one in await active_staff(session) if one.is_custodian]
    return by.is_handler and custodians == [request.asked_by]


def last_day(days: int, *, now: datetime) -> date:
    """The last day of a grant. Raises Invalid."""
    if not 1 <= days <= LONGEST_DAYS:
        raise Invalid("days", problems={"days": f"Between 1 and {LONGEST_DAYS} days."})
    return now.date() + timedelta(days=days)


async def may_open_identity(session: AsyncSession, alert_id: str, *, by: Staff, now: datetime) -> bool:
    """Whether somebody may see who a source is now: with a custodian's grant, or where no custodians are named."""
    if not any(one.is_custodian for one in await active_staff(session)):
        return True
    granted = await session.scalars(
        select(AccessRequest).where(
            AccessRequest.of == alert_id,
            AccessRequest.compartment == Compartment.IDENTITY,
            AccessRequest.asked_by == by.id,
            AccessRequest.state == RequestState.GRANTED,
        )
    )
    return any(request.is_live(now=now) for request in granted)


async def requests_of(session: AsyncSession, of: str) -> Sequence[AccessRequest]:
    """What was asked about an alert or a case, newest day first."""
    found = await session.scalars(
        select(AccessRequest)
        .where(AccessRequest.of == of)
        .order_by(AccessRequest.asked_on.desc(), AccessRequest.id)
    )
    return found.all()


async def answered(session: AsyncSession, of: str, *, holder: str, by: Staff, now: datetime) -> None:
    """Somebody was given access: what they asked for plainly is granted with it. Identities are decided one by one."""
    waiting = await session.scalars(
        select(AccessRequest).where(
            AccessRequest.of == of,
            AccessRequest.asked_by == holder,
            AccessRequest.compartment != Compartment.IDENTITY,
            AccessRequest.state == RequestState.ASKED,
        )
    )
    for request in waiting:
        request.grant(by=by.id, now=now, until=None)
