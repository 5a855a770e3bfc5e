"""Burning a mailbox: the source takes back everything of its own. The keys go first; then nothing else can be opened.

What stays is a day and that there was something; a case keeps its staff's own records, under another key.
"""

import secrets

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.intake.alerts import (
    Alert,
    AlertState,
    Attachment,
    ClosedFor,
    Consent,
    SealedObject,
    UploadPart,
    Wrap,
)
from node.intake.duty import forget_duty


async def burn(session: AsyncSession, alert: Alert) -> list[str]:
    """Delete the wraps, then every object, answer and file of an alert, and forget its receipt.

    Returns the blobs nothing names any more, for the caller to delete after the commit. Burnt twice is burnt.
    """
    await session.execute(delete(Wrap).where(Wrap.of == alert.id))
    await forget_duty(session, alert.id)
    for kind in (SealedObject, Consent, Attachment):
        await session.execute(delete(kind).where(kind.alert_id == alert.id))
    blobs = set(await session.scalars(select(UploadPart.blob).where(UploadPart.alert_id == alert.id)))
    await session.execute(delete(UploadPart).where(UploadPart.alert_id == alert.id))
    # Values nobody has: the receipt finds nothing, and the same request sent again is not known.
    alert.mailbox, alert.request_sha256 = secrets.token_hex(32), secrets.token_hex(32)
    alert.source_age = alert.source_ed25519 = alert.dialogue = alert.identity = ""
    alert.state, alert.closed_for = AlertState.CLOSED, ClosedFor.BURNT
    await session.flush()
    still = set(await session.scalars(select(UploadPart.blob).where(UploadPart.blob.in_(blobs))))
    return sorted(blobs - still)
