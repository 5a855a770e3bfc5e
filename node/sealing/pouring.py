"""A file sealed while it flows, without knowing beforehand how long it is: for doors that are handed it piece by piece.

What comes out is what `attachments.seal_file` makes; memory stays at one chunk. The parts are cut by the caller.
"""

import hashlib
import secrets

from node.sealing.age import SealWriter
from node.sealing.attachments import PART_BYTES, Attachment
from node.sealing.envelope import Document, padded_size

ZEROS = bytes(64 * 1024)


class Pouring:
    """One file on its way: `write` its pieces, then `close`; both return ciphertext."""

    def __init__(self, name: str, media_type: str, recipient: str, *, upload: str | None = None) -> None:
        """upload  its random name; made here where none is given. Raises InvalidRecipient."""
        self.upload = upload or secrets.token_hex(16)
        self._name, self._media_type = name, media_type
        self._writer = SealWriter(recipient)
        self._plain, self._cipher = hashlib.sha256(), hashlib.sha256()
        self._size = self._sealed = 0
        self._begun = False

    def write(self, piece: bytes) -> bytes:
        """Return the ciphertext that is complete by now."""
        self._plain.update(piece)
        self._size += len(piece)
        return self._out(self._writer.write(piece))

    def close(self) -> bytes:
        """Fill up to the padded size, and return the rest of the ciphertext."""
        left = padded_size(self._size) - self._size
        sealed: list[bytes] = []
        while left:
            zeros = ZEROS[:left]
            sealed.append(self._writer.write(zeros))
            left -= len(zeros)
        return self._out(b"".join(sealed) + self._writer.close())

    @property
    def attachment(self) -> Attachment:
        """What the submission says of it, once closed."""
        return Attachment(self.upload, self._name, self._media_type, self._size, self._plain.hexdigest())

    @property
    def wire(self) -> Document:
        """What the server is told of it, once closed."""
        return {
            "upload": self.upload,
            "parts": -(-self._sealed // PART_BYTES),
            "size": self._sealed,
            "sha256": self._cipher.hexdigest(),
        }

    def _out(self, sealed: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            sealed = self._writer.start() + sealed
        self._cipher.update(sealed)
        self._sealed += len(sealed)
        return sealed
