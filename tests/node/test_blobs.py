"""Blobs: whole or not there, named by what they hold, and silent about when they came."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.blobs import Blobs
from node.errors import NoRoom, NotFound


async def test_the_same_bytes_are_kept_once_under_their_hash(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)

    first = await blobs.put(b"ciphertext")
    second = await blobs.put(iter([b"cipher", b"text"]))

    assert first == second
    assert await blobs.get(first) == b"ciphertext"
    assert [chunk async for chunk in blobs.stream(first)] == [b"ciphertext"]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


async def test_a_file_does_not_tell_when_it_came(tmp_path: Path) -> None:
    name = await Blobs(tmp_path).put(b"ciphertext")

    assert (tmp_path / name[:2] / name).stat().st_mtime == 0


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 64])
async def test_what_is_no_name_or_not_there_is_refused(tmp_path: Path, name: str) -> None:
    blobs = Blobs(tmp_path)

    with pytest.raises(NotFound):
        await blobs.get(name)


async def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        await Blobs(tmp_path).put(broken())

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_full_disk_is_named_and_keeps_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoRoom):
        await Blobs(tmp_path).put(broken())

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = await blobs.put(b"x")

    await blobs.delete(name)
    await blobs.delete(name)

    with pytest.raises(NotFound):
        await blobs.get(name)
