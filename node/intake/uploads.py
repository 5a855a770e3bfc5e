"""Parts of sealed files on their way in: kept as blobs, claimed by their alert, forgotten a day later when none comes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from node.blobs import Blobs
from node.errors import Conflict, Invalid, Throttled, TooLarge
from node.intake.alerts import Attachment, UploadPart
from node.outbox import enqueue
from node.sealing import inspect_start
from node.sealing.errors import SealingError

MAX_PART_BYTES = 4 * 1024 * 1024
# Two gigabytes and what sealing adds; more bytes than these a column of PostgreSQL does not count.
MAX_PARTS = 511
MAX_FILE_BYTES = MAX_PARTS * MAX_PART_BYTES
MAX_FILES = 10
# With its alert and with every message after it.
MAX_FILES_OF_ALERT = 60
# What strangers may leave lying here before the next sweep.
MAX_WAITING_BYTES = 8 * 1024 * 1024 * 1024
PURGE = "purge-uploads"


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One attachment as an alert names it. `size` and `sha256` are of the ciphertext."""

    upload: str
    parts: int
    size: int
    sha256: str


async def keep_part(
    session: AsyncSession, *, upload: str, part: int, blob: str, size: int, now: datetime
) -> int:
    """Note a part whose bytes are in the blobs already; the same part again is harmless. Returns how many bytes wait by now.

    Raises Conflict (other bytes under the same name), TooLarge, Throttled (too much is waiting to be claimed).
    """
    if part >= MAX_PARTS or size > MAX_PART_BYTES:
        raise TooLarge("too many or too large parts")
    if not size:
        raise Invalid("an empty part", public="A part has at least one byte.")
    known = await session.get(UploadPart, (upload, part))
    total = select(func.coalesce(func.sum(UploadPart.size), 0)).where(UploadPart.alert_id.is_(None))
    waiting = int(await session.scalar(total) or 0)
    if known is None:
        waiting += size
        if waiting > MAX_WAITING_BYTES:
            raise Throttled("too many bytes wait to be claimed", retry_after=3600)
        known = UploadPart(upload=upload, part=part, blob=blob, size=size, received_on=now.date())
        try:
            async with session.begin_nested():
                session.add(known)
        except IntegrityError:
            raise Conflict("two requests brought the same part") from None
        await enqueue(
            session,
            PURGE,
            {},
            lane=PURGE,
            key=f"{PURGE}/{now.date()}",
            now=_midnight(now),
            not_before=_midnight(now) + timedelta(days=2),
        )
    if known.blob != blob:
        raise Conflict("other bytes for a part that is here")
    return waiting


async def check_files(session: AsyncSession, blobs: Blobs, files: Sequence[SealedFile]) -> None:
    """Read the files as they arrived: sealed to one hybrid recipient each, and whole.

    Meant for a reading session before the alert's transaction, because it may read many bytes: what costs nothing is asked first,
    and the session's connection is given back before the first byte is read. Raises Invalid, TooLarge.
    """
    if not files:
        return
    require_distinct(files)
    found = [(file, await _waiting_blobs(session, file)) for file in files]
    # Who waits for a turn must not keep others from the database.
    await session.close()
    for file, names in found:
        async with blobs.turns:
            await _require_whole(blobs, file, names)


def require_distinct(files: Sequence[SealedFile]) -> None:
    """Raises TooLarge for too many files in one sending, Invalid for one that is named twice."""
    if len(files) > MAX_FILES:
        raise TooLarge("too many attachments", public=f"An alert carries at most {MAX_FILES} files.")
    if len({file.upload for file in files}) != len(files):
        raise Invalid("an upload is named twice", public="A file is named twice.")


async def claim(session: AsyncSession, files: Sequence[SealedFile], *, alert_id: str) -> None:
    """Tie the parts of these files to their alert. Raises Invalid when a part is missing or belongs elsewhere."""
    held = await session.scalar(select(func.count()).where(Attachment.alert_id == alert_id)) or 0
    if files and held + len(files) > MAX_FILES_OF_ALERT:
        raise TooLarge("too many files", public=f"An exchange carries at most {MAX_FILES_OF_ALERT} files.")
    require_distinct(files)
    for file in files:
        parts = (
            await session.scalars(
                select(UploadPart)
                .where(UploadPart.upload == file.upload)
                .order_by(UploadPart.part)
                .with_for_update()
            )
        ).all()
        whole = [part.part for part in parts] == list(range(file.parts))
        if not whole or sum(part.size for part in parts) != file.size or any(part.alert_id for part in parts):
            raise _not_whole()
        for part in parts:
            part.alert_id = alert_id
        session.add(
            Attachment(
                alert_id=alert_id, upload=file.upload, parts=file.parts, size=file.size, sha256=file.sha256
            )
        )


async def part_blobs(session: AsyncSession, alert_id: str, upload: str) -> list[str]:
    """The blobs of one attachment, in order; empty when the alert has none of that name."""
    names = await session.scalars(
        select(UploadPart.blob)
        .where(UploadPart.alert_id == alert_id, UploadPart.upload == upload)
        .order_by(UploadPart.part)
    )
    return list(names)


async def names_blob(session: AsyncSession, blob: str) -> bool:
    """Whether any part consists of these bytes."""
    return bool(await session.scalar(select(func.count()).where(UploadPart.blob == blob)))


async def forget_unclaimed(session: AsyncSession, *, now: datetime) -> list[str]:
    """Drop parts of an earlier day that no alert claimed.

    Returns the blobs nothing names any more, for the caller to delete after the commit. Safe to repeat.
    """
    old = (
        await session.scalars(
            select(UploadPart).where(
                UploadPart.alert_id.is_(None), UploadPart.received_on < now.date() - timedelta(days=1)
            )
        )
    ).all()
    for part in old:
        await session.delete(part)
    await session.flush()
    blobs = {part.blob for part in old}
    still = set(await session.scalars(select(UploadPart.blob).where(UploadPart.blob.in_(blobs))))
    return sorted(blobs - still)


async def _waiting_blobs(session: AsyncSession, file: SealedFile) -> list[str]:
    """The blobs of a file in order, when its parts and its size are as it is named."""
    parts = (
        await session.execute(
            select(UploadPart.part, UploadPart.blob, UploadPart.size)
            .where(UploadPart.upload == file.upload)
            .order_by(UploadPart.part)
        )
    ).all()
    if [part for part, _, _ in parts] != list(range(file.parts)) or sum(
        size for _, _, size in parts
    ) != file.size:
        raise _not_whole()
    return [blob for _, blob, _ in parts]


async def _require_whole(blobs: Blobs, file: SealedFile, names: Sequence[str]) -> None:
    whole = hashlib.sha256()
    is_first = True
    for name in names:
        async for chunk in blobs.stream(name):
            if is_first:
                _require_sealed_start(chunk, file.size)
            is_first = False
            whole.update(chunk)
    if whole.hexdigest() != file.sha256:
        raise _not_whole()


def _midnight(now: datetime) -> datetime:
    # Days, not times: the job table must not tell when somebody began to send.
    return datetime.combine(now.date(), time(), UTC)


def _not_whole() -> Invalid:
    return Invalid("an upload is not complete", public="A file did not arrive whole. Send it again.")


def _require_sealed_start(start: bytes, size: int) -> None:
    try:
        inspect_start(start, total_bytes=size)
    except SealingError as error:
        raise Invalid(str(error), public=error.public) from error
