"""A sealed file that arrives as a stream: cut into parts as it comes, each kept like one that was sent on its own.

Ciphertext only: the beginning is looked at before the first byte is written.
"""

import asyncio
import hashlib
import shutil

from node.errors import Invalid, NodeError, Throttled, TooLarge
from node.intake import uploads
from node.intake.uploads import MAX_FILE_BYTES, MAX_PART_BYTES, SealedFile
from node.runtime import Node
from node.sealing.age import require_hybrid_only
from node.sealing.errors import NotHybrid, SealingError

# The database, and what staff write, must find room when strangers have filled the rest.
RESERVE_BYTES = 256 * 1024 * 1024


async def store_part(node: Node, *, upload: str, part: int, body: bytes) -> int:
    """Keep one part and its bytes; returns how many bytes wait to be claimed by now.

    Raises Throttled when the disk is nearly full, and what `uploads.keep_part` raises; then no bytes are left behind.
    """
    if await asyncio.to_thread(_free_bytes, node) < RESERVE_BYTES:
        raise Throttled("the disk is nearly full", retry_after=3600)
    blob = await node.blobs.put(body)
    try:
        async with node.database.begin() as session:
            return await uploads.keep_part(
                session, upload=upload, part=part, blob=blob, size=len(body), now=node.clock.now()
            )
    except NodeError:
        async with node.database.read() as session:
            is_named = await uploads.names_blob(session, blob)
        if not is_named:
            await node.blobs.delete(blob)
        raise


class Parts:
    """One file on its way in: `write` what comes, then `close`. Holds one part at a time."""

    def __init__(self, node: Node, upload: str, *, is_judged: bool = False) -> None:
        """is_judged  whether the caller has looked at its header; otherwise it must be for one hybrid recipient."""
        self._node, self._upload, self._is_judged = node, upload, is_judged
        self._pending = bytearray()
        self._parts = self._size = 0
        self._hash = hashlib.sha256()

    async def write(self, sealed: bytes) -> None:
        """Take in more ciphertext. Raises Invalid for what is not sealed, TooLarge, and what `store_part` raises."""
        self._pending += sealed
        self._size += len(sealed)
        self._hash.update(sealed)
        if self._size > MAX_FILE_BYTES:
            raise TooLarge("a file is too large")
        while len(self._pending) >= MAX_PART_BYTES:
            await self._store(bytes(self._pending[:MAX_PART_BYTES]))
            del self._pending[:MAX_PART_BYTES]

    async def close(self) -> SealedFile:
        """Keep the rest; returns the file as an alert names it."""
        if self._pending:
            await self._store(bytes(self._pending))
            self._pending.clear()
        return SealedFile(self._upload, self._parts, self._size, self._hash.hexdigest())

    async def _store(self, body: bytes) -> None:
        if not self._is_judged:
            _require_sealed(body)
            self._is_judged = True
        await store_part(self._node, upload=self._upload, part=self._parts, body=body)
        self._parts += 1


def _free_bytes(node: Node) -> int:
    return shutil.disk_usage(node.settings.data).free


def _require_sealed(start: bytes) -> None:
    try:
        count = require_hybrid_only(start)
    except SealingError as error:
        raise Invalid(str(error), public=error.public) from error
    if count != 1:
        raise Invalid("several recipients", public=NotHybrid.public)
