"""What staff do with alerts: list them, read them, ask their sources, close them, or open a case.

Every use case asks the table of permissions first and the row after; none commits, none calls the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from node import audit
from node.casework.cases import Case
from node.casework.history import note_step
from node.casework.requests import may_open_identity
from node.errors import Conflict, Invalid, NotFound
from node.intake import duty, mailbox
from node.intake.alerts import RECOVERY, Alert, Attachment, Compartment, SealedObject, Wrap
from node.intake.receive import SealedWrap
from node.intake.seals import require_hybrid, require_wrap
from node.intake.uploads import SealedFile
from node.staff.accounts import Staff, active_staff
from node.staff.permissions import Action, allowed, require


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert in the desk's list. `size` is of its ciphertext."""

    alert: Alert
    size: int
    attachments: int


async def list_alerts(session: AsyncSession, *, by: Staff) -> list[AlertLine]:
    """Every alert, newest day first. Raises NotAllowed."""
    require(by.roles, Action.READ_ALERTS)
    sizes = (
        select(SealedObject.alert_id, func.sum(func.length(SealedObject.sealed)).label("size"))
        .group_by(SealedObject.alert_id)
        .subquery()
    )
    files = (
        select(Attachment.alert_id, func.count().label("files"), func.sum(Attachment.size).label("size"))
        .group_by(Attachment.alert_id)
        .subquery()
    )
    found = await session.execute(
        select(Alert, sizes.c.size, files.c.files, files.c.size)
        .outerjoin(sizes, sizes.c.alert_id == Alert.id)
        .outerjoin(files, files.c.alert_id == Alert.id)
        .order_by(Alert.received_on.desc(), Alert.id)
    )
    return [
        AlertLine(alert, int(size or 0) + int(more or 0), int(count or 0))
        for alert, size, count, more in found
    ]


async def read_alert(session: AsyncSession, alert_id: str, *, by: Staff, now: datetime) -> mailbox.Contents:
    """One alert with the reader's own wraps. Written into the audit. Raises NotAllowed, NotFound.

    Who the source is comes along only with a custodian's grant, also for custodians: they keep the key for others.
    """
    require(by.roles, Action.READ_ALERTS)
    alert = await find_alert(session, alert_id)
    await session.execute(delete(Wrap).where(Wrap.until < now.date()))
    await audit.record(session, actor=by.id, action="alert.read", subject=alert.id, now=now)
    found = await mailbox.contents(session, alert, holder=by.id)
    if await may_open_identity(session, alert.id, by=by, now=now):
        return found
    return replace(found, objects=[one for one in found.objects if one.compartment != Compartment.IDENTITY])


async def ask_source(
    session: AsyncSession,
    alert_id: str,
    *,
    seq: int,
    sealed: bytes,
    files: Sequence[SealedFile] = (),
    by: Staff,
    now: datetime,
) -> Alert:
    """Put a question into the mailbox, with files where it brings some. Raises NotAllowed, NotFound, Conflict, Invalid, TooLarge."""
    require(by.roles, Action.ANSWER_SOURCE)
    alert = await find_alert(session, alert_id, for_update=True)
    await mailbox.ask(session, alert, seq=seq, sealed=sealed, files=files, now=now)
    await duty.answered(session, alert.id, now=now)
    await audit.record(session, actor=by.id, action="alert.asked", subject=alert.id, now=now)
    return alert


async def close_alert(
    session: AsyncSession, alert_id: str, reason: str, *, by: Staff, now: datetime
) -> Alert:
    """Close an alert without a case. Raises NotAllowed, NotFound, WrongState."""
    require(by.roles, Action.CLOSE_ALERT)
    alert = await find_alert(session, alert_id, for_update=True)
    alert.dismiss(reason)
    await duty.set_aside(session, alert.id, now=now)
    await audit.record(session, actor=by.id, action=f"alert.closed:{reason}"[:40], subject=alert.id, now=now)
    return alert


async def open_case(
    session: AsyncSession,
    alert_id: str,
    *,
    case_id: str,
    internal: str,
    wraps: Sequence[SealedWrap],
    by: Staff,
    now: datetime,
) -> Case:
    """Open a case on an alert, with the wraps of its internal key for the people who will work on it.

    Raises NotAllowed, NotFound, WrongState (the alert has a case or is closed), Conflict, Invalid, TooLarge.
    """
    require(by.roles, Action.OPEN_CASE)
    alert = await find_alert(session, alert_id, for_update=True)
    require_hybrid(internal)
    await _check_holders(session, wraps, by=by)
    if await session.get(Case, case_id) is not None:
        raise Conflict("the id is another case's")
    alert.attach_case(case_id)
    case = Case.open(id=case_id, alert_id=alert.id, internal=internal, by=by.id, now=now)
    try:
        async with session.begin_nested():
            session.add(case)
    except IntegrityError:
        raise Conflict("somebody else opened a case on this alert") from None
    for wrap in wraps:
        session.add(
            Wrap(of=case.id, compartment=Compartment.INTERNAL, holder=wrap.holder, sealed=wrap.sealed)
        )
    await note_step(session, case, "opened", by=by, now=now)
    return case


async def find_alert(session: AsyncSession, alert_id: str, *, for_update: bool = False) -> Alert:
    """An alert by its id. Raises NotFound."""
    alert = await session.get(Alert, alert_id, with_for_update=for_update or None)
    if alert is None:
        raise NotFound("no such alert")
    return alert


async def _check_holders(session: AsyncSession, wraps: Sequence[SealedWrap], *, by: Staff) -> None:
    may_hold = {one.id for one in await active_staff(session) if allowed(one.roles, Action.READ_CASES)}
    holders = [wrap.holder for wrap in wraps]
    # The organisation's recovery key may hold it too: nobody at the desk gains anything by that.
    if len(holders) != len(set(holders)) or not set(holders) <= may_hold | {RECOVERY} or by.id not in holders:
        raise Invalid(
            "wraps for strangers, doubled, or none for the opener",
            public="The key of a case is sealed to whoever opens it and to other staff who work on cases, once each.",
        )
    for wrap in wraps:
        require_wrap(wrap.sealed)
