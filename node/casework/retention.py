"""How long sealed records are kept, and how they end: keys first, then files, then rows. What stays is an audit entry without content.

An administrator sets a term per kind of record. Nothing ends that did not stand on the desk's list for NOTICE; a hold keeps a
record for as long as it stands. Without its wraps a record opens for nobody, whatever is left of it on a disk; backups hold wraps
until they are overwritten themselves.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from sqlalchemy import Date, ForeignKey, Integer, String, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit, outbox
from node.casework.cases import Case, CaseState
from node.casework.records import CaseRecord
from node.casework.requests import AccessRequest
from node.casework.rotation import CompartmentKey, RotationDue
from node.database import Row
from node.errors import Invalid, NotFound, WrongState
from node.intake.alerts import Alert, AlertState, Attachment, ClosedFor, SealedObject, UploadPart, Wrap
from node.outbox import Done, Outcome, Turn
from node.runtime import Node
from node.staff.accounts import NODE, Staff
from node.staff.permissions import Action, require

log = logging.getLogger(__name__)

JOB = "erase-records"
# What falls due stands on the list at least so long, however short the term.
NOTICE = timedelta(days=14)
LONGEST_DAYS = 36_500
MIN_REASON, MAX_REASON = 10, 1_000
AT_ONCE = 200
NIGHT = time(3)


class Kind(StrEnum):
    """What a term is set for, and from when it counts: the last day on which anything was done or said."""

    CLOSED_CASE = "closed-case"
    """Not upheld, or withdrawn from public."""
    PUBLISHED_CASE = "published-case"
    """The sealed record behind a public case. Its public text, and the right to withdraw it, stay."""
    CLOSED_ALERT = "closed-alert"
    """Closed by the desk without a case."""
    UNANSWERED_ALERT = "unanswered-alert"
    """No case, not closed, and nobody wrote."""
    BURNT_ALERT = "burnt-alert"
    """Its source deleted everything; what is left is a day."""


class RetentionTerm(Row):
    """For how many days one kind of record is kept."""

    __tablename__ = "retention_terms"

    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    days: Mapped[int] = mapped_column(Integer)
    set_by: Mapped[str] = mapped_column(String(26))
    set_on: Mapped[date] = mapped_column(Date)


class RetentionHold(Row):
    """Somebody keeps an alert, with its case, beyond its term, and says why. The reason is not sealed."""

    __tablename__ = "retention_holds"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    reason: Mapped[str] = mapped_column(String(MAX_REASON))
    held_by: Mapped[str] = mapped_column(String(26))
    held_on: Mapped[date] = mapped_column(Date)


class Erasure(Row):
    """A record whose keys are gone and whose files and rows follow. It is there only while that is not done."""

    __tablename__ = "erasures"

    alert_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    case_id: Mapped[str | None] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(20))
    begun_on: Mapped[date] = mapped_column(Date)


@dataclass(frozen=True, slots=True)
class Due:
    """A record that falls due.

    last_on  the last day on which anything was done or said.
    """

    alert_id: str
    case_id: str | None
    kind: Kind
    last_on: date
    due_on: date
    hold: RetentionHold | None


# ---- what people decide --------------------------------------------------------------------------------------------


async def set_term(session: AsyncSession, kind: Kind, days: int | None, *, by: Staff, now: datetime) -> None:
    """Keep this kind of record so long from now on; None keeps it without end. Raises NotAllowed, Invalid."""
    require(by.roles, Action.SET_TERMS)
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise Invalid("days", public=f"A term is a number of days between 1 and {LONGEST_DAYS}.")
    row = await session.get(RetentionTerm, kind)
    if row is not None and days == row.days:
        return
    if days is None:
        await session.execute(delete(RetentionTerm).where(RetentionTerm.kind == kind))
    else:
        # A changed term counts anew from today: its list is read before anything follows from it.
        await session.merge(RetentionTerm(kind=kind, days=days, set_by=by.id, set_on=now.date()))
        await _again(session, due=now, now=now)
    said = "without-end" if days is None else str(days)
    await audit.record(session, actor=by.id, action=f"term.{kind}:{said}"[:40], subject=kind, now=now)


async def terms(session: AsyncSession) -> dict[Kind, RetentionTerm]:
    """The terms that are set; a kind that is not named is kept without end."""
    return {Kind(term.kind): term for term in await session.scalars(select(RetentionTerm))}


async def hold(session: AsyncSession, alert_id: str, reason: str, *, by: Staff, now: datetime) -> None:
    """Keep an alert and its case beyond their term. Raises NotAllowed, NotFound, Invalid, WrongState (its keys are gone)."""
    require(by.roles, Action.HOLD_RECORDS)
    said = reason.strip()
    if not MIN_REASON <= len(said) <= MAX_REASON:
        raise Invalid("no reason", public="Say in a sentence why it has to be kept.")
    await _locked(session, alert_id)
    if await session.get(Erasure, alert_id) is not None:
        raise WrongState("its keys are gone", public="Its keys are destroyed already; nobody can open it.")
    await session.merge(RetentionHold(alert_id=alert_id, reason=said, held_by=by.id, held_on=now.date()))
    await audit.record(session, actor=by.id, action="record.held", subject=alert_id, now=now)


async def release(session: AsyncSession, alert_id: str, *, by: Staff, now: datetime) -> None:
    """Hold it no longer: its term counts again. Raises NotAllowed, NotFound."""
    require(by.roles, Action.HOLD_RECORDS)
    await _locked(session, alert_id)
    row = await session.get(RetentionHold, alert_id)
    if row is None:
        raise NotFound("it is not held")
    await session.delete(row)
    await audit.record(session, actor=by.id, action="record.released", subject=alert_id, now=now)


async def alert_of(session: AsyncSession, id: str) -> str:
    """The alert that an id of an alert or of a case names. Raises NotFound."""
    found = await session.scalar(select(Alert.id).where(or_(Alert.id == id, Alert.case_id == id)))
    if found is None:
        raise NotFound("no such alert or case")
    return found


async def holds(session: AsyncSession) -> list[RetentionHold]:
    """Every hold, oldest first."""
    found = select(RetentionHold).order_by(RetentionHold.held_on, RetentionHold.alert_id)
    return list(await session.scalars(found))


# ---- what falls due ------------------------------------------------------------------------------------------------


async def falling_due(session: AsyncSession, *, until: date, of: str | None = None) -> list[Due]:
    """What falls due up to that day, held or not, soonest first.

    of  only this alert.
    """
    said = (
        select(SealedObject.alert_id, func.max(SealedObject.posted_on).label("day"))
        .group_by(SealedObject.alert_id)
        .subquery()
    )
    closed = (
        select(audit.AuditEntry.subject, func.max(audit.AuditEntry.day).label("day"))
        .where(audit.AuditEntry.action.startswith("alert.closed:", autoescape=True))
        .group_by(audit.AuditEntry.subject)
        .subquery()
    )
    opens = exists().where(or_(Wrap.of == Alert.id, Wrap.of == Alert.case_id))
    found = (
        select(Alert, Case, said.c.day, closed.c.day, opens, RetentionHold)
        .outerjoin(Case, Case.alert_id == Alert.id)
        .outerjoin(said, said.c.alert_id == Alert.id)
        .outerjoin(closed, closed.c.subject == Alert.id)
        .outerjoin(RetentionHold, RetentionHold.alert_id == Alert.id)
        .where(Alert.id.not_in(select(Erasure.alert_id)))
        .execution_options(populate_existing=True)
    )
    if of is not None:
        found = found.where(Alert.id == of)
    set_terms = await terms(session)
    due: list[Due] = []
    for alert, case, said_on, closed_on, can_open, held in await session.execute(found):
        kind = kind_of(alert, case)
        term = None if kind is None else set_terms.get(kind)
        if kind is None or term is None or (kind is Kind.PUBLISHED_CASE and not can_open):
            continue
        days = (alert.received_on, said_on, closed_on, case.updated_on if case else None)
        last_on = max(day for day in days if day is not None)
        due_on = max(last_on + timedelta(days=term.days), term.set_on + NOTICE)
        if due_on <= until:
            due.append(Due(alert.id, case.id if case else None, kind, last_on, due_on, held))
    return sorted(due, key=lambda one: (one.due_on, one.alert_id))


def kind_of(alert: Alert, case: Case | None) -> Kind | None:
    """Which term counts for it; None while somebody works on it."""
    if case is not None:
        match CaseState(case.state):
            case CaseState.CLOSED | CaseState.WITHDRAWN:
                return Kind.CLOSED_CASE
            case CaseState.PUBLISHED:
                return Kind.PUBLISHED_CASE
            case _:
                return None
    if alert.state != AlertState.CLOSED:
        return Kind.UNANSWERED_ALERT
    return Kind.BURNT_ALERT if alert.closed_for == ClosedFor.BURNT else Kind.CLOSED_ALERT


# ---- the end -------------------------------------------------------------------------------------------------------


async def erase_records(node: Node, job: Turn) -> Outcome:
    """End what is due and not held, and look again tomorrow. May run twice, and goes on where it was stopped.

    For each record: its keys in one transaction; then its files; then its rows.
    """
    now = node.clock.now()
    async with node.database.read() as session:
        due = await falling_due(session, until=now.date())
    now_due = [one for one in due if one.hold is None]
    for one in now_due[:AT_ONCE]:
        async with node.database.begin() as session:
            await destroy_keys(session, one.alert_id, now=now)
    async with node.database.read() as session:
        begun = list(await session.scalars(select(Erasure)))
    for erasure in begun:
        async with node.database.read() as session:
            blobs = await _blobs_of(session, erasure.alert_id)
        for name in blobs:
            await node.blobs.delete(name)
        async with node.database.begin() as session:
            await _forget(session, erasure.alert_id, now=now)
    if begun:
        await node.database.cut_log()
        log.info("records.erased", extra={"records": len(begun)})
    async with node.database.begin() as session:
        if await terms(session):
            tomorrow = datetime.combine(now.date() + timedelta(days=1), NIGHT, now.tzinfo)
            rest = len(now_due) > AT_ONCE
            await _again(session, due=now + timedelta(minutes=1) if rest else tomorrow, now=now)
    return Done()


async def destroy_keys(session: AsyncSession, alert_id: str, *, now: datetime) -> bool:
    """Delete every wrap of an alert and its case, if it is due and nobody holds it: from then on it opens for nobody.

    Returns whether it was done; what is held, answered or gone meanwhile is left as it is.
    """
    try:
        await _locked(session, alert_id)
    except NotFound:
        return False
    found = await falling_due(session, until=now.date(), of=alert_id)
    if not found or found[0].hold is not None:
        return False
    due = found[0]
    await session.execute(delete(Wrap).where(Wrap.of.in_(_ids(due.alert_id, due.case_id))))
    session.add(Erasure(alert_id=due.alert_id, case_id=due.case_id, kind=due.kind, begun_on=now.date()))
    await session.flush()
    for subject in _ids(due.alert_id, due.case_id):
        await audit.record(session, actor=NODE, action="record.keys-destroyed", subject=subject, now=now)
    return True


async def _forget(session: AsyncSession, alert_id: str, *, now: datetime) -> None:
    """Delete the rows of a record whose keys and files are gone."""
    erasure = await session.get(Erasure, alert_id, with_for_update=True)
    if erasure is None:
        return
    ids = _ids(erasure.alert_id, erasure.case_id)
    for kind in (AccessRequest, CompartmentKey, RotationDue):
        await session.execute(delete(kind).where(kind.of.in_(ids)))
    if erasure.kind == Kind.PUBLISHED_CASE:
        # The case stands in public and can be withdrawn; what its source agreed to is part of that.
        for piece in (SealedObject, Attachment, UploadPart):
            await session.execute(delete(piece).where(piece.alert_id == alert_id))
        await session.execute(delete(CaseRecord).where(CaseRecord.case_id == erasure.case_id))
        alert = await _locked(session, alert_id)
        alert.mailbox, alert.request_sha256 = secrets.token_hex(32), secrets.token_hex(32)
    else:
        await session.execute(delete(Case).where(Case.alert_id == alert_id))
        await session.execute(delete(Alert).where(Alert.id == alert_id))
    await session.delete(erasure)
    for subject in ids:
        await audit.record(session, actor=NODE, action=f"erased.{erasure.kind}", subject=subject, now=now)


async def _blobs_of(session: AsyncSession, alert_id: str) -> list[str]:
    """The files that this alert names and no other does."""
    own = select(UploadPart.blob).where(UploadPart.alert_id == alert_id)
    others = select(UploadPart.blob).where(
        or_(UploadPart.alert_id != alert_id, UploadPart.alert_id.is_(None)), UploadPart.blob.in_(own)
    )
    return sorted(set(await session.scalars(own)) - set(await session.scalars(others)))


async def _again(session: AsyncSession, *, due: datetime, now: datetime) -> None:
    await outbox.enqueue(
        session, JOB, {}, lane="chore:retention", key=f"{JOB}:{due.isoformat()}", not_before=due, now=now
    )


async def _locked(session: AsyncSession, alert_id: str) -> Alert:
    alert = await session.get(Alert, alert_id, with_for_update=True)
    if alert is None:
        raise NotFound("no such alert")
    return alert


def _ids(alert_id: str, case_id: str | None) -> Sequence[str]:
    return (alert_id,) if case_id is None else (alert_id, case_id)
