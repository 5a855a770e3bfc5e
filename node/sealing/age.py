"""Sealing and opening files in age v1, each with exactly one hybrid recipient.

The rules of the house stand here: what we seal has one recipient, and what we open or take in has one as well.
`open_stream` knows the format without those rules.
Spec: C2SP age.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.sealing.errors import MalformedHeader, NotForThisKey, NotHybrid
from node.sealing.header import Header, check_mac, parse_header, read_header, write_header
from node.sealing.recipients import FILE_KEY_BYTES, HYBRID_STANZA, Unwrap, check_stanza, unwrapper, wrap
from node.sealing.stream import NONCE_BYTES, ChunkWriter, decrypt_chunks, encrypt_chunks, plaintext_size


@dataclass(frozen=True)
class SealedHeader:
    """What can be told of a sealed file without its key.

    header_bytes     length of the header.
    plaintext_bytes  length of what is inside, with its padding.
    """

    header_bytes: int
    plaintext_bytes: int


def seal(plaintext: bytes, recipient: str) -> bytes:
    """Return `plaintext` sealed to one hybrid recipient. Raises InvalidRecipient."""
    return b"".join(seal_stream([plaintext], recipient))


def seal_stream(plaintext: Iterable[bytes], recipient: str) -> Iterator[bytes]:
    """Seal a stream as it flows; memory stays at one chunk. Raises InvalidRecipient before anything is read."""
    file_key = secrets.token_bytes(FILE_KEY_BYTES)
    header = write_header([wrap(file_key, recipient)], file_key)
    return _write(header, file_key, plaintext)


class SealWriter:
    """Seals to one hybrid recipient what is handed over piece by piece: `start`, any number of `write`, `close`.

    Raises InvalidRecipient when it is made.
    """

    def __init__(self, recipient: str) -> None:
        file_key = secrets.token_bytes(FILE_KEY_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._start = write_header([wrap(file_key, recipient)], file_key) + nonce
        self._chunks = ChunkWriter(_payload_key(file_key, nonce))

    def start(self) -> bytes:
        """Return header and nonce, which come before everything else."""
        return self._start

    def write(self, piece: bytes) -> bytes:
        """Return the ciphertext that is complete by now."""
        return self._chunks.write(piece)

    def close(self) -> bytes:
        """Return the end of the file."""
        return self._chunks.close()


def open_sealed(sealed: bytes, identity: str) -> bytes:
    """Return the plaintext of a file sealed to exactly this identity.

    Raises MalformedHeader, NotHybrid, NotForThisKey, HeaderAltered, PayloadAltered, InvalidIdentity.
    """
    return b"".join(open_sealed_stream([sealed], identity))


def open_sealed_stream(sealed: Iterable[bytes], identity: str) -> Iterator[bytes]:
    """Open a stream as it flows. What was made of it must be thrown away when it ends in an error."""
    header, rest = read_header(sealed)
    _require_one_hybrid(header)
    return _read(header, rest, unwrapper(identity))


def open_stream(sealed: Iterable[bytes], unwrap: Unwrap) -> Iterator[bytes]:
    """Open any age v1 file whose key `unwrap` finds, whoever else it may be for: the format without the rules of the house."""
    header, rest = read_header(sealed)
    return _read(header, rest, unwrap)


def inspect(sealed: bytes) -> SealedHeader:
    """Check a sealed file as far as that goes without its key: version, one hybrid stanza, a length that can be.

    Raises MalformedHeader, NotHybrid, PayloadAltered.
    """
    return inspect_start(sealed, total_bytes=len(sealed))


def inspect_start(start: bytes, *, total_bytes: int) -> SealedHeader:
    """Check a sealed file of which only the start is at hand, and its whole length is known."""
    header = parse_header(start)
    _require_one_hybrid(header)
    payload_bytes = total_bytes - header.size - NONCE_BYTES
    if payload_bytes < 0:
        raise MalformedHeader("the nonce is cut short")
    return SealedHeader(header.size, plaintext_size(payload_bytes))


def require_hybrid_only(start: bytes) -> int:
    """Say for how many a file is sealed, when all of them are hybrid: what the stock tool makes of a list of recipients.

    start  the file's beginning, its whole header at least. Raises MalformedHeader, NotHybrid.
    """
    header = parse_header(start)
    if any(stanza.type != HYBRID_STANZA for stanza in header.stanzas):
        raise NotHybrid("a stanza that is not hybrid")
    for stanza in header.stanzas:
        check_stanza(stanza)
    return len(header.stanzas)


def _require_one_hybrid(header: Header) -> None:
    match header.stanzas:
        case (stanza,) if stanza.type == HYBRID_STANZA:
            check_stanza(stanza)
        case _:
            raise NotHybrid("not exactly one hybrid stanza")


def _write(header: bytes, file_key: bytes, plaintext: Iterable[bytes]) -> Iterator[bytes]:
    nonce = secrets.token_bytes(NONCE_BYTES)
    yield header + nonce
    yield from encrypt_chunks(_payload_key(file_key, nonce), plaintext)


def _read(header: Header, rest: Iterator[bytes], unwrap: Unwrap) -> Iterator[bytes]:
    # Header and nonce are judged now, at the call; the payload when it is read.
    file_key = unwrap(header.stanzas)
    if file_key is None:
        raise NotForThisKey("no stanza is for this identity")
    if len(file_key) != FILE_KEY_BYTES:
        raise MalformedHeader("a file key of the wrong length")
    check_mac(header, file_key)
    start = b""
    while len(start) < NONCE_BYTES:
        chunk = next(rest, None)
        if chunk is None:
            raise MalformedHeader("the nonce is cut short")
        start += chunk
    key = _payload_key(file_key, start[:NONCE_BYTES])
    return decrypt_chunks(key, _after(start[NONCE_BYTES:], rest))


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _payload_key(file_key: bytes, nonce: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=nonce, info=b"payload").derive(file_key)
