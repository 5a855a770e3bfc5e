"""New keys for the compartments of open cases, after somebody left.

Deleting a wrap keeps somebody from fetching a key again; it does not make them forget it. So those who remain make a new key:
what is written from then on is sealed to it, what was written before stays under the old one. That undoes nothing: whoever
left may have kept what they could read until then.
What it protects, and what it does not: SECURITY.md.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Date, Integer, String, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.casework.access import GivenWrap, keep, may_hold, signed
from node.casework.cases import Case, CaseState
from node.casework.history import note_step
from node.casework.triage import find_alert
from node.database import Row
from node.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from node.intake.alerts import RECOVERY, SOURCE, Alert, AlertState, Compartment, Wrap
from node.intake.receive import SealedWrap
from node.intake.seals import require_hybrid, require_wrap
from node.staff.accounts import Staff, active_staff
from node.staff.permissions import Action, require

ENDED = frozenset({CaseState.CLOSED, CaseState.WITHDRAWN})


class CompartmentKey(Row):
    """A later key of a compartment. The first stands in the alert or the case itself."""

    __tablename__ = "compartment_keys"

    of: Mapped[str] = mapped_column(String(32), primary_key=True)
    compartment: Mapped[str] = mapped_column(String(16), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    recipient: Mapped[str] = mapped_column(String(2100))
    made_by: Mapped[str] = mapped_column(String(26))
    made_on: Mapped[date] = mapped_column(Date)


class RotationDue(Row):
    """A compartment somebody who left held a key of, until those who remain have made a new one."""

    __tablename__ = "rotations_due"

    of: Mapped[str] = mapped_column(String(32), primary_key=True)
    compartment: Mapped[str] = mapped_column(String(16), primary_key=True)
    who_left: Mapped[str] = mapped_column(String(26))
    since: Mapped[date] = mapped_column(Date)


async def ask_for_new_keys(session: AsyncSession, staff_id: str, *, now: datetime) -> int:
    """Note each open alert and case this person holds a key of; returns how many. To be called before their wraps go.

    Only dialogue and records: nothing is ever added to who a source is.
    """
    held = await session.execute(
        select(Wrap.of, Wrap.compartment)
        .where(Wrap.holder == staff_id, Wrap.compartment != Compartment.IDENTITY)
        .distinct()
    )
    count = 0
    for of, compartment in held.all():
        if not await _is_open(session, of, compartment):
            continue
        count += 1
        due = await session.get(RotationDue, (of, compartment))
        if due is None:
            session.add(RotationDue(of=of, compartment=compartment, who_left=staff_id, since=now.date()))
    return count


async def rotate(
    session: AsyncSession,
    of: str,
    compartment: Compartment,
    *,
    epoch: int,
    recipient: str,
    wraps: Sequence[GivenWrap],
    others: Sequence[SealedWrap],
    origin: str,
    by: Staff,
    now: datetime,
) -> None:
    """Take in a new key of a compartment: for everybody who holds the present one, and for nobody else.

    wraps   for members of staff, each with its signed grant; the maker among them.
    others  for the source, and for the recovery key where it holds the present one.
    Raises NotAllowed, NotFound, WrongState (no such next epoch, or closed), Conflict, Invalid, TooLarge.
    """
    require(by.roles, Action.READ_CASES if compartment is Compartment.INTERNAL else Action.READ_ALERTS)
    case = await _lock(session, of, compartment)
    if not await _is_open(session, of, compartment):
        raise WrongState("it is closed", public="This is closed; nothing more is written here.")
    present = await newest_epoch(session, of, compartment)
    if epoch != present + 1:
        raise Conflict("not the next epoch")
    holders = set(
        await session.scalars(
            select(Wrap.holder).where(Wrap.of == of, Wrap.compartment == compartment, Wrap.epoch == present)
        )
    )
    if by.id not in holders:
        raise NotAllowed("the maker does not hold the present key")
    require_hybrid(recipient)
    _check(wraps, others, compartment, epoch=epoch, holders=holders)
    staff = {one.id: one for one in await active_staff(session)}
    custodians = {one.id for one in staff.values() if one.is_custodian}
    for wrap in wraps:
        person = staff.get(wrap.holder)
        if person is None or not may_hold(person, wrap, custodians=custodians):
            raise NotAllowed("somebody who may not hold it")
        keep(session, of, wrap, statement=signed(origin, of, wrap, to=person, by=by, now=now), by=by, now=now)
    for other in others:
        session.add(
            Wrap(
                of=of,
                compartment=compartment,
                holder=other.holder,
                epoch=epoch,
                until=None,
                sealed=other.sealed,
            )
        )
    session.add(
        CompartmentKey(
            of=of,
            compartment=compartment,
            epoch=epoch,
            recipient=recipient,
            made_by=by.id,
            made_on=now.date(),
        )
    )
    await session.execute(
        delete(RotationDue).where(RotationDue.of == of, RotationDue.compartment == compartment)
    )
    if case is not None:
        await note_step(session, case, "new-key", by=by, now=now)
    await audit.record(session, actor=by.id, action=f"{compartment}.new-key", subject=of, now=now)


async def keys_of(session: AsyncSession, of: str) -> Sequence[CompartmentKey]:
    """The later keys of an alert's or a case's compartments, oldest first."""
    found = await session.scalars(
        select(CompartmentKey)
        .where(CompartmentKey.of == of)
        .order_by(CompartmentKey.compartment, CompartmentKey.epoch)
    )
    return found.all()


async def due_for(session: AsyncSession, of: str) -> Sequence[RotationDue]:
    """What waits for a new key here."""
    return (await session.scalars(select(RotationDue).where(RotationDue.of == of))).all()


async def newest_epoch(session: AsyncSession, of: str, compartment: str) -> int:
    """The number of the key that is sealed to now."""
    found = await session.scalar(
        select(func.max(CompartmentKey.epoch)).where(
            CompartmentKey.of == of, CompartmentKey.compartment == compartment
        )
    )
    return found or 1


def _check(
    wraps: Sequence[GivenWrap],
    others: Sequence[SealedWrap],
    compartment: Compartment,
    *,
    epoch: int,
    holders: set[str],
) -> None:
    given = [wrap.holder for wrap in wraps] + [other.holder for other in others]
    # The recovery key may have been retired since: then nobody has its recipient any more.
    if len(given) != len(set(given)) or not holders - {RECOVERY} <= set(given) <= holders:
        raise Invalid(
            "wraps are missing, doubled or for strangers",
            public="A new key is sealed to everybody who holds the present one, and to nobody else.",
        )
    if any((wrap.compartment, wrap.epoch, wrap.until) != (compartment, epoch, None) for wrap in wraps):
        raise Invalid("wraps of another key", public="These wraps are of another key.")
    for other in others:
        if other.compartment != compartment or other.holder not in {SOURCE, RECOVERY}:
            raise Invalid("wraps of another key", public="These wraps are of another key.")
        require_wrap(other.sealed)


async def _lock(session: AsyncSession, of: str, compartment: str) -> Case | None:
    if compartment != Compartment.INTERNAL:
        await find_alert(session, of, for_update=True)
        return None
    case = await session.get(Case, of, with_for_update=True)
    if case is None:
        raise NotFound("no such case")
    return case


async def _is_open(session: AsyncSession, of: str, compartment: str) -> bool:
    if compartment == Compartment.INTERNAL:
        case = await session.get(Case, of)
        return case is not None and case.state not in ENDED
    alert = await session.get(Alert, of)
    return alert is not None and alert.state != AlertState.CLOSED
