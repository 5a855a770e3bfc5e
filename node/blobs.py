"""Ciphertext files, named by the SHA-256 of their bytes, in the data directory. Nothing here is ever plaintext of a source."""

import asyncio
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from node.errors import NoRoom, NotFound

CHUNK_BYTES = 1 << 20
MAX_READERS = 2
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
NAME = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A directory of immutable files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Whoever reads gigabytes to judge them takes a turn: strangers do not make every core and the whole disk busy.
        self.turns = asyncio.Semaphore(MAX_READERS)

    async def put(self, parts: bytes | Iterable[bytes]) -> str:
        """Keep these bytes and return their SHA-256 in hex; keeping them twice is harmless. Raises NoRoom."""
        return await asyncio.to_thread(self._put, (parts,) if isinstance(parts, bytes) else parts)

    async def get(self, name: str) -> bytes:
        """All bytes of a small file. Raises NotFound."""
        return await asyncio.to_thread(self._path(name).read_bytes)

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """The bytes in chunks of a mebibyte. Raises NotFound."""
        file = await asyncio.to_thread(self._path(name).open, "rb")
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        finally:
            await asyncio.to_thread(file.close)

    async def delete(self, name: str) -> None:
        """Forget these bytes; forgetting what is not there is harmless."""
        path = self._place(name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def _place(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise NotFound("a blob is named by 64 hex characters")
        return self._directory / name[:2] / name

    def _path(self, name: str) -> Path:
        path = self._place(name)
        if not path.exists():
            raise NotFound(f"blob {name[:12]}… is not here")
        return path

    def _put(self, parts: Iterable[bytes]) -> str:
        try:
            return self._written(parts)
        except OSError as error:
            if error.errno in FULL:
                raise NoRoom("the disk is full") from error
            raise

    def _written(self, parts: Iterable[bytes]) -> str:
        self._directory.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        handle, temporary = tempfile.mkstemp(dir=self._directory)
        try:
            with os.fdopen(handle, "wb") as file:
                for part in parts:
                    digest.update(part)
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            place = self._place(digest.hexdigest())
            place.parent.mkdir(parents=True, exist_ok=True)
            # Its time would tell to the second when a source uploaded: every file has the same.
            os.utime(temporary, (0, 0))
            Path(temporary).replace(place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return place.name
