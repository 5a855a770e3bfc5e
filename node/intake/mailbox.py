"""The mailbox a receipt opens: found by the hash of its token, read and written without an account.

A wrong token and an unknown one are the same thing here, and cost the same work.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from node.errors import Conflict, NotFound, WrongState
from node.intake import uploads
from node.intake.alerts import (
    DESK,
    SOURCE,
    Alert,
    Attachment,
    Compartment,
    SealedObject,
    Wrap,
)
from node.intake.receive import MAX_OBJECT_BYTES, notify_desk
from node.intake.seals import require_sealed
from node.intake.uploads import SealedFile

MAX_OBJECTS = 500


@dataclass(frozen=True, slots=True)
class Contents:
    """An alert with what one holder may have of it."""

    alert: Alert
    wraps: Sequence[Wrap]
    objects: Sequence[SealedObject]
    attachments: Sequence[Attachment]


async def open_mailbox(session: AsyncSession, token: bytes) -> Contents:
    """What the source's client shows. Raises NotFound for any token that is not a mailbox's."""
    alert = await find_alert(session, token)
    return await contents(session, alert, holder=SOURCE)


async def answer(
    session: AsyncSession,
    token: bytes,
    *,
    seq: int,
    sealed: bytes,
    files: Sequence[SealedFile] = (),
    now: datetime,
) -> None:
    """Add a message of the source and claim the files it brings.

    Raises NotFound, Conflict (the place is taken), Invalid, TooLarge, WrongState (it is blocked).
    """
    alert = await find_alert(session, token, for_update=True)
    if alert.is_blocked:
        raise WrongState("the mailbox is blocked", public="Nothing more can be added here.")
    await _append(session, alert, seq=seq, sealed=sealed, author=SOURCE, now=now)
    await uploads.claim(session, files, alert_id=alert.id)
    alert.answer()
    await notify_desk(session, now=now)


async def ask(
    session: AsyncSession,
    alert: Alert,
    *,
    seq: int,
    sealed: bytes,
    files: Sequence[SealedFile] = (),
    now: datetime,
) -> None:
    """Add a message of the desk and claim the files it brings. Raises Conflict (the place is taken), Invalid, TooLarge."""
    await _append(session, alert, seq=seq, sealed=sealed, author=DESK, now=now)
    await uploads.claim(session, files, alert_id=alert.id)
    alert.ask()


async def contents(session: AsyncSession, alert: Alert, *, holder: str) -> Contents:
    """An alert's ciphertext and the wraps of one holder. Identity objects go only to who holds their wrap."""
    wraps = (
        await session.scalars(
            select(Wrap)
            .where(Wrap.of == alert.id, Wrap.holder == holder)
            .order_by(Wrap.compartment, Wrap.epoch)
        )
    ).all()
    held = {wrap.compartment for wrap in wraps}
    objects = (
        await session.scalars(
            select(SealedObject)
            .where(SealedObject.alert_id == alert.id, SealedObject.compartment.in_(held))
            .order_by(SealedObject.compartment, SealedObject.seq)
        )
    ).all()
    attachments = (
        await session.scalars(
            select(Attachment).where(Attachment.alert_id == alert.id).order_by(Attachment.upload)
        )
    ).all()
    return Contents(alert, wraps, objects, attachments)


async def find_alert(session: AsyncSession, token: bytes, *, for_update: bool = False) -> Alert:
    """The alert a token opens, at the same cost for every token. Raises NotFound."""
    mailbox = hashlib.sha256(token).hexdigest()
    query = select(Alert).where(Alert.mailbox == mailbox)
    alert = await session.scalar(query.with_for_update() if for_update else query)
    # The index compares; this comparison keeps the answer from depending on how far it got.
    is_right = hmac.compare_digest(mailbox, alert.mailbox if alert is not None else "0" * 64)
    if alert is None or not is_right:
        # The same statements as for a mailbox that exists, so that a guess takes as long as a hit.
        await contents(session, Alert(id="0" * 32), holder=SOURCE)
        raise NotFound("no such mailbox")
    return alert


async def _append(
    session: AsyncSession, alert: Alert, *, seq: int, sealed: bytes, author: str, now: datetime
) -> None:
    require_sealed(sealed, "a message", max_bytes=MAX_OBJECT_BYTES)
    last = await session.scalar(
        select(func.max(SealedObject.seq)).where(
            SealedObject.alert_id == alert.id, SealedObject.compartment == Compartment.DIALOGUE
        )
    )
    if last is None or seq != last + 1:
        raise Conflict("the place in the dialogue is taken, or leaves a gap")
    if seq >= MAX_OBJECTS:
        raise WrongState("the dialogue is full", public="This dialogue is full. Send a new alert.")
    row = SealedObject(
        alert_id=alert.id,
        compartment=Compartment.DIALOGUE,
        seq=seq,
        author=author,
        posted_on=now.date(),
        sealed=sealed,
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Conflict("the place in the dialogue is taken") from None
