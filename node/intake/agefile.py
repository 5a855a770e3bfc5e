"""A file sealed with the stock age tool to the published list of recipients, taken in as an alert of its own kind.

It carries no receipt and no keys of its source: nobody can answer it, and its source has no way back. What can be told from
outside is checked: every recipient is hybrid, and there are as many as there are readers, so that nobody is the only one.
Spec: C2SP age §"Header".
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.errors import Invalid
from node.intake import uploads
from node.intake.alerts import Alert, AlertState, Mode
from node.intake.manifest import IntakeManifest
from node.intake.receive import notify_desk
from node.intake.uploads import SealedFile
from node.sealing.age import require_hybrid_only
from node.sealing.errors import SealingError

MAGIC = b"age-encryption.org/v1\n"


def recipients_of(manifest: IntakeManifest) -> list[str]:
    """Whom such a file is sealed to: every reader, and the recovery key where there is one."""
    recovery = manifest.terms()["recovery"]
    return [handler.age for handler in manifest.handlers()] + ([recovery] if recovery else [])


def require_for_all(start: bytes, recipients: Sequence[str]) -> None:
    """Raises Invalid unless this beginning of a file is sealed to as many hybrid recipients as there are readers."""
    try:
        count = require_hybrid_only(start)
    except SealingError as error:
        raise Invalid(str(error), public=error.public) from error
    if count != len(recipients):
        raise Invalid("not sealed to every reader", public="Seal the file to every key in the list.")


async def receive_age_file(
    session: AsyncSession, file: SealedFile, manifest: IntakeManifest, *, now: datetime
) -> tuple[Alert, bool]:
    """Store an alert that is this file; returns it, and whether it is new. The same bytes again are the same alert.

    Raises Invalid when a part of the file is missing.
    """
    known = await session.scalar(
        select(Alert).where(Alert.request_sha256 == file.sha256, Alert.mode == Mode.AGE).limit(1)
    )
    if known is not None:
        return known, False
    alert = Alert(
        id=secrets.token_hex(16),
        # Nobody has the token of this mailbox.
        mailbox=secrets.token_hex(32),
        request_sha256=file.sha256,
        manifest_sha256=manifest.sha256,
        source_age="",
        source_ed25519="",
        dialogue="",
        identity="",
        received_on=now.date(),
        state=AlertState.RECEIVED,
        mode=Mode.AGE,
    )
    session.add(alert)
    await session.flush()
    await uploads.claim(session, [file], alert_id=alert.id)
    await notify_desk(session, now=now)
    return alert, True
