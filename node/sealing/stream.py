"""The payload of an age file: STREAM, chunks of 64 KiB under ChaCha20-Poly1305.

Works over iterables and holds one chunk at a time. Plaintext of earlier chunks is handed on before the last one is
checked: whoever reads must throw it away when an error follows.
Spec: C2SP age §"Payload".
"""

from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from node.sealing.errors import PayloadAltered

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
NONCE_BYTES = 16


def encrypt_chunks(key: bytes, plaintext: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a payload; the plaintext may come in pieces of any size."""
    cipher = ChaCha20Poly1305(key)
    for counter, (piece, is_last) in enumerate(_pieces(plaintext, CHUNK_BYTES)):
        yield cipher.encrypt(_nonce(counter, is_last=is_last), piece, None)


class ChunkWriter:
    """The same payload for whoever is handed the plaintext piece by piece; holds one chunk at a time."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._counter = 0
        self._pending = bytearray()

    def write(self, piece: bytes) -> bytes:
        """Return the ciphertext that is complete by now, often none."""
        self._pending += piece
        sealed: list[bytes] = []
        # A full chunk waits for the next byte: until then it may be the last one.
        while len(self._pending) > CHUNK_BYTES:
            sealed.append(self._next(bytes(self._pending[:CHUNK_BYTES]), is_last=False))
            del self._pending[:CHUNK_BYTES]
        return b"".join(sealed)

    def close(self) -> bytes:
        """Return the last chunk."""
        return self._next(bytes(self._pending), is_last=True)

    def _next(self, piece: bytes, *, is_last: bool) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._counter, is_last=is_last), piece, None)
        self._counter += 1
        return sealed


def decrypt_chunks(key: bytes, ciphertext: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plaintext of a payload, chunk by chunk.

    Raises PayloadAltered: changed, cut short, lengthened, or with an empty last chunk behind others.
    """
    cipher = ChaCha20Poly1305(key)
    for counter, (piece, is_last) in enumerate(_pieces(ciphertext, CHUNK_BYTES + TAG_BYTES)):
        # An empty last chunk is allowed only where there is nothing else: one plaintext, one way to chunk it.
        if is_last and len(piece) == TAG_BYTES and counter > 0:
            raise PayloadAltered("the last chunk is empty")
        try:
            yield cipher.decrypt(_nonce(counter, is_last=is_last), piece, None)
        except InvalidTag as error:
            raise PayloadAltered(f"chunk {counter} does not hold") from error


def sealed_size(plaintext_bytes: int) -> int:
    """Return how long the payload of a plaintext is, without header and nonce."""
    return plaintext_bytes + TAG_BYTES * max(1, -(-plaintext_bytes // CHUNK_BYTES))


def plaintext_size(payload_bytes: int) -> int:
    """Return how long the plaintext of a payload is. Raises PayloadAltered where no plaintext has that payload."""
    chunks = max(1, -(-payload_bytes // (CHUNK_BYTES + TAG_BYTES)))
    size = payload_bytes - TAG_BYTES * chunks
    if size < 0 or sealed_size(size) != payload_bytes:
        raise PayloadAltered("no payload has this length")
    return size


def _nonce(counter: int, *, is_last: bool) -> bytes:
    return counter.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Cut an iterable of bytes into pieces of exactly `size`, the last one shorter or full, and say which is last."""
    pending = bytearray()
    for chunk in chunks:
        rest = memoryview(chunk)
        # A full piece waits until one more byte is there: only then is it known not to be the last.
        while len(pending) + len(rest) > size:
            taken = size - len(pending)
            if pending:
                pending += rest[:taken]
                yield bytes(pending), False
                pending.clear()
            else:
                yield bytes(rest[:taken]), False
            rest = rest[taken:]
        pending += rest
    yield bytes(pending), True
