"""Parts on their way: what strangers may leave lying here has a limit, and a shared blob is not lost."""

from datetime import datetime, timedelta

import pytest

from node.database import Database
from node.errors import Conflict, Invalid, Throttled, TooLarge
from node.intake import uploads
from node.intake.uploads import MAX_PART_BYTES, MAX_PARTS, forget_unclaimed, keep_part, names_blob

ONE, TWO = "1" * 32, "2" * 32
BLOB, OTHER = "a" * 64, "b" * 64


async def test_other_bytes_under_a_known_name_are_refused(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        await keep_part(session, upload=ONE, part=0, blob=BLOB, size=9, now=now)
        await keep_part(session, upload=ONE, part=0, blob=BLOB, size=9, now=now)
        with pytest.raises(Conflict):
            await keep_part(session, upload=ONE, part=0, blob=OTHER, size=9, now=now)


@pytest.mark.parametrize(
    ("part", "size", "kind"),
    [(MAX_PARTS, 1, TooLarge), (0, MAX_PART_BYTES + 1, TooLarge), (0, 0, Invalid)],
)
async def test_a_part_that_cannot_be_is_refused(
    database: Database, now: datetime, part: int, size: int, kind: type[Exception]
) -> None:
    async with database.begin() as session:
        with pytest.raises(kind):
            await keep_part(session, upload=ONE, part=part, blob=BLOB, size=size, now=now)


async def test_strangers_do_not_fill_the_disk(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_WAITING_BYTES", 10)
    async with database.begin() as session:
        await keep_part(session, upload=ONE, part=0, blob=BLOB, size=9, now=now)
        with pytest.raises(Throttled):
            await keep_part(session, upload=TWO, part=0, blob=OTHER, size=2, now=now)
        await keep_part(session, upload=ONE, part=0, blob=BLOB, size=9, now=now)


async def test_bytes_that_another_upload_shares_are_kept(database: Database, now: datetime) -> None:
    later = now + timedelta(days=2)
    async with database.begin() as session:
        await keep_part(session, upload=ONE, part=0, blob=BLOB, size=9, now=now)
        await keep_part(session, upload=ONE, part=1, blob=OTHER, size=9, now=now)
        await keep_part(session, upload=TWO, part=0, blob=BLOB, size=9, now=later)

        assert await forget_unclaimed(session, now=later) == [OTHER]
        assert await names_blob(session, BLOB)
        assert not await names_blob(session, OTHER)
