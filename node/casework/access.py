"""Who holds the keys of an alert or a case, and how a colleague is given them.

A grant is two things at once: a wrap, which only the giver's browser can make because the server holds no key, and a
statement signed with the giver's own key, kept beside the audit record and named in it by its hash. Only who holds a key can
give it on, and only to somebody whose role may have it.
What it protects, and what it does not: SECURITY.md.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Date, Integer, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.casework.cases import Case
from node.casework.history import note_step
from node.casework.requests import AccessRequest, answered, identity_request, last_day
from node.casework.triage import find_alert
from node.database import Row
from node.errors import Conflict, Invalid, NotAllowed, NotFound
from node.intake.alerts import RECOVERY, SOURCE, Alert, Compartment, Mode, Wrap
from node.intake.seals import require_wrap
from node.sealing.signing import holds
from node.staff.accounts import Staff, active_staff
from node.staff.permissions import Action, allowed, require
from vocab.canonical import canonical

NOT_YOURS_TO_GIVE = "Only somebody who can open this can give access to it."
NOT_FOR_THEM = "The roles of this person do not include what they would be given."
# A clock that is wrong by a day must not keep anybody from giving access.
DAY_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWrap:
    """One key on its way to one person, with the giver's signature over what they did.

    until  last day, for what is given for a time only.
    day    as the giver's browser knows it.
    """

    compartment: str
    epoch: int
    holder: str
    sealed: bytes
    day: date
    signature: str
    until: date | None = None


class Grant(Row):
    """A signed statement that somebody gave somebody a key. Never updated, never deleted.

    id  SHA-256 of the canonical statement with its signature: the audit record names it.
    """

    __tablename__ = "grants"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    of: Mapped[str] = mapped_column(String(32), index=True)
    compartment: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(Integer)
    holder: Mapped[str] = mapped_column(String(26))
    given_by: Mapped[str] = mapped_column(String(26))
    given_on: Mapped[date] = mapped_column(Date)
    until: Mapped[date | None] = mapped_column(Date)
    statement: Mapped[dict[str, Any]]


def statement_of(origin: str, of: str, wrap: GivenWrap, *, recipient: str, given_by: str) -> dict[str, Any]:
    """What the giver signs: canonical JSON, the same in the browser.

    recipient  of the person it is given to, so that a later key under the same name is another statement.
    given_by   key id of the giver.
    """
    return {
        "v": 1,
        "type": "access-grant",
        "node": origin,
        "case": of,
        "compartment": wrap.compartment,
        "epoch": wrap.epoch,
        "holder": wrap.holder,
        "recipient": hashlib.sha256(recipient.encode()).hexdigest(),
        "wrap": hashlib.sha256(wrap.sealed).hexdigest(),
        "until": None if wrap.until is None else wrap.until.isoformat(),
        "day": wrap.day.isoformat(),
        "granted_by": given_by,
    }


async def give_alert(
    session: AsyncSession, alert_id: str, wraps: Sequence[GivenWrap], *, origin: str, by: Staff, now: datetime
) -> Alert:
    """Give colleagues keys of an alert: its dialogue, and who they are to somebody who keeps identities.

    Raises NotAllowed, NotFound, Conflict, Invalid, TooLarge.
    """
    require(by.roles, Action.READ_ALERTS)
    alert = await find_alert(session, alert_id, for_update=True)
    if alert.mode == Mode.AGE:
        raise Invalid(
            "no compartments",
            public="This file was sealed to its readers by hand and cannot be passed on here.",
        )
    for wrap in wraps:
        if wrap.until is not None or wrap.compartment not in {Compartment.DIALOGUE, Compartment.IDENTITY}:
            raise Invalid("not a key of an alert", public="An alert has a dialogue and an identity part.")
    await give(session, alert.id, wraps, origin=origin, by=by, now=now)
    return alert


async def give_case(
    session: AsyncSession, case_id: str, wraps: Sequence[GivenWrap], *, origin: str, by: Staff, now: datetime
) -> Case:
    """Give colleagues the keys of a case's internal records. Raises NotAllowed, NotFound, Conflict, Invalid, TooLarge."""
    require(by.roles, Action.READ_CASES)
    case = await session.get(Case, case_id, with_for_update=True)
    if case is None:
        raise NotFound("no such case")
    for wrap in wraps:
        if wrap.until is not None or wrap.compartment != Compartment.INTERNAL:
            raise Invalid("not a key of a case", public="A case has internal records only.")
    people = await give(session, case.id, wraps, origin=origin, by=by, now=now)
    for person in people:
        await note_step(session, case, "access-given", by=by, now=now, reason=person.name)
    return case


async def give(
    session: AsyncSession, of: str, wraps: Sequence[GivenWrap], *, origin: str, by: Staff, now: datetime
) -> list[Staff]:
    """Keep these wraps and the signed grants; returns who got something. The caller looked at alert or case.

    Raises NotAllowed (the giver does not hold it, or the other may not), Conflict (held already), Invalid, TooLarge.
    """
    staff = {one.id: one for one in await active_staff(session)}
    custodians = {one.id for one in staff.values() if one.is_custodian}
    held = {
        (wrap.compartment, wrap.epoch, wrap.holder)
        for wrap in await session.scalars(select(Wrap).where(Wrap.of == of))
    }
    given: dict[str, Staff] = {}
    grants: list[Grant] = []
    for wrap in wraps:
        if (wrap.compartment, wrap.epoch, by.id) not in held:
            raise NotAllowed("the giver does not hold it", public=NOT_YOURS_TO_GIVE)
        person = staff.get(wrap.holder)
        if person is None or not may_hold(person, wrap, custodians=custodians):
            raise NotAllowed("the role does not include it", public=NOT_FOR_THEM)
        place = (wrap.compartment, wrap.epoch, person.id)
        if place in held:
            raise Conflict("held already", public="This person has access already.")
        held.add(place)
        statement = signed(origin, of, wrap, to=person, by=by, now=now)
        grants.append(keep(session, of, wrap, statement=statement, by=by, now=now))
        given[person.id] = person
    await session.flush()
    for grant in grants:
        await audit.record(session, actor=by.id, action="access.given", subject=grant.id, now=now)
    for holder in given:
        await answered(session, of, holder=holder, by=by, now=now)
    return list(given.values())


async def grant_identity(
    session: AsyncSession,
    request_id: str,
    wraps: Sequence[GivenWrap],
    *,
    days: int,
    origin: str,
    by: Staff,
    now: datetime,
) -> AccessRequest:
    """A custodian lets somebody see who a source is, for some days. Never their own request.

    wraps  for whoever does not hold the key yet; a custodian who asks holds it, and needs the decision only.
    Raises NotAllowed, NotFound, WrongState, Conflict, Invalid, TooLarge.
    """
    request = await identity_request(session, request_id, by=by)
    until = last_day(days, now=now)
    request.grant(by=by.id, now=now, until=until)
    held = await session.scalar(
        select(Wrap).where(
            Wrap.of == request.of, Wrap.compartment == Compartment.IDENTITY, Wrap.holder == request.asked_by
        )
    )
    for wrap in wraps:
        if (wrap.compartment, wrap.holder) != (Compartment.IDENTITY, request.asked_by) or wrap.until != until:
            raise Invalid(
                "not what was asked for", public="Only what was asked for is given, until the day granted."
            )
    if bool(wraps) == (held is not None):
        raise Invalid("no wrap, or one too many", public="The key is given to whoever does not hold it yet.")
    await give(session, request.of, wraps, origin=origin, by=by, now=now)
    await audit.record(session, actor=by.id, action="identity.granted", subject=request.id, now=now)
    return request


def may_hold(person: Staff, wrap: GivenWrap, *, custodians: set[str]) -> bool:
    """Whether the roles of somebody include this compartment.

    Identities go to custodians where any are named; to anybody else for a time only, which `node.casework.requests` rules.
    """
    match wrap.compartment:
        case Compartment.INTERNAL:
            return allowed(person.roles, Action.READ_CASES)
        case Compartment.IDENTITY:
            return person.is_handler and (wrap.until is not None or not custodians or person.id in custodians)
        case _:
            return person.is_handler


def signed(origin: str, of: str, wrap: GivenWrap, *, to: Staff, by: Staff, now: datetime) -> dict[str, Any]:
    """The statement with its signature, once it holds. Raises Invalid, TooLarge."""
    require_wrap(wrap.sealed)
    if abs(wrap.day - now.date()) > DAY_TOLERANCE:
        raise Invalid(
            "signed on another day",
            public="The clock of this device is wrong by more than a day. Set it, then try again.",
        )
    statement = statement_of(origin, of, wrap, recipient=to.age, given_by=by.ed25519)
    if not holds(statement, wrap.signature, by.ed25519):
        raise Invalid(
            "the grant is not signed by its giver", public="The signature of the grant does not hold."
        )
    return statement | {"signature": wrap.signature}


def grant_id(statement: dict[str, Any]) -> str:
    """The hash that stands for a signed statement."""
    return hashlib.sha256(canonical(statement)).hexdigest()


async def holders_of(session: AsyncSession, of: str) -> dict[str, list[str]]:
    """Compartment → ids of the staff who hold any key of it."""
    rows = await session.execute(
        select(Wrap.compartment, Wrap.holder)
        .where(Wrap.of == of, Wrap.holder.not_in([SOURCE, RECOVERY]))
        .distinct()
        .order_by(Wrap.compartment, Wrap.holder)
    )
    found: dict[str, list[str]] = {}
    for compartment, holder in rows:
        found.setdefault(compartment, []).append(holder)
    return found


async def kept_for_recovery(session: AsyncSession, of: str) -> list[str]:
    """The compartments whose keys the organisation's recovery key can open."""
    found = await session.scalars(
        select(Wrap.compartment)
        .where(Wrap.of == of, Wrap.holder == RECOVERY)
        .distinct()
        .order_by(Wrap.compartment)
    )
    return list(found)


async def grants_of(session: AsyncSession, of: str) -> list[Grant]:
    """Every grant of an alert or a case, oldest day first."""
    return list(await session.scalars(select(Grant).where(Grant.of == of).order_by(Grant.given_on, Grant.id)))


def keep(
    session: AsyncSession, of: str, wrap: GivenWrap, *, statement: dict[str, Any], by: Staff, now: datetime
) -> Grant:
    """Add a wrap and its grant; who may give it to whom, the caller asked."""
    session.add(
        Wrap(
            of=of,
            compartment=wrap.compartment,
            holder=wrap.holder,
            epoch=wrap.epoch,
            until=wrap.until,
            sealed=wrap.sealed,
        )
    )
    grant = Grant(
        id=grant_id(statement),
        of=of,
        compartment=wrap.compartment,
        epoch=wrap.epoch,
        holder=wrap.holder,
        given_by=by.id,
        given_on=now.date(),
        until=wrap.until,
        statement=statement,
    )
    session.add(grant)
    return grant


async def export_for_recovery(session: AsyncSession) -> list[Wrap]:
    """Every wrap of the recovery key."""
    found = await session.scalars(
        select(Wrap).where(Wrap.holder == RECOVERY).order_by(Wrap.of, Wrap.compartment, Wrap.epoch)
    )
    return list(found)


async def take_recovered(
    session: AsyncSession, recovered: Sequence[tuple[str, str, int, bytes]], *, holder: Staff, now: datetime
) -> int:
    """Keep wraps that the recovery key made for somebody, as (of, compartment, epoch, sealed); returns how many were new.

    Each use is an entry of the audit record, and so is each key that was given. What the person holds already is left as it is,
    and what their roles do not include is left out. Raises Invalid, TooLarge.
    """
    custodians = {one.id for one in await active_staff(session) if one.is_custodian}
    known = {
        (wrap.of, wrap.compartment, wrap.epoch)
        for wrap in await session.scalars(select(Wrap).where(Wrap.holder == RECOVERY))
    }
    held = {
        (wrap.of, wrap.compartment, wrap.epoch)
        for wrap in await session.scalars(select(Wrap).where(Wrap.holder == holder.id))
    }
    await audit.record(session, actor="node", action="recovery.used", subject=holder.id, now=now)
    count = 0
    for of, compartment, epoch, sealed in recovered:
        if (of, compartment, epoch) not in known:
            raise Invalid("a wrap that was never sealed to the recovery key")
        require_wrap(sealed)
        given = GivenWrap(
            compartment=compartment,
            epoch=epoch,
            holder=holder.id,
            sealed=sealed,
            day=now.date(),
            signature="",
        )
        if (of, compartment, epoch) in held or not may_hold(holder, given, custodians=custodians):
            continue
        held.add((of, compartment, epoch))
        session.add(
            Wrap(of=of, compartment=compartment, holder=holder.id, epoch=epoch, until=None, sealed=sealed)
        )
        await audit.record(session, actor="node", action=f"{compartment}.recovered", subject=of, now=now)
        count += 1
    return count
