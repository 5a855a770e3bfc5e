"""The header of an age v1 file: parse it strictly, write it, check its MAC.

Strict means that every header has one spelling: no CR, no stray spaces, no padding, canonical base64, exact line
lengths. A lenient reader would let two programs see two different files in the same bytes.
Spec: C2SP age §"Header".
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.sealing.errors import HeaderAltered, MalformedHeader

VERSION_LINE = b"age-encryption.org/v1"
BODY_LINE_CHARACTERS = 64
MAC_BYTES = 32
MAX_HEADER_BYTES = 64 * 1024
"""Room for forty hybrid recipients; a bound against a header that never ends."""
SIP_BYTES = 4096

_STANZA_LINE = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)")


@dataclass(frozen=True)
class Stanza:
    """One recipient stanza: who may find the file key in `body`."""

    type: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class Header:
    """A parsed header.

    authenticated  the bytes its MAC is over, up to and with `---`.
    size           its length with the last line feed.
    """

    stanzas: tuple[Stanza, ...]
    mac: bytes
    authenticated: bytes
    size: int


def parse_header(data: bytes) -> Header:
    """Read the header at the start of `data`. Raises MalformedHeader."""
    return _parse(_lines([data[: MAX_HEADER_BYTES + 1]]))[0]


def read_header(chunks: Iterable[bytes]) -> tuple[Header, Iterator[bytes]]:
    """Read the header of a stream and return what follows it. Raises MalformedHeader."""
    source = _in_sips(chunks)
    header, rest = _parse(_lines(source))
    return header, _chain(rest, source)


def write_header(stanzas: Sequence[Stanza], file_key: bytes) -> bytes:
    """Return the header with its MAC."""
    lines = [VERSION_LINE]
    for stanza in stanzas:
        lines.append(" ".join(("->", stanza.type, *stanza.arguments)).encode("ascii"))
        body = encode_base64(stanza.body).encode("ascii")
        # A body ends with a line that is not full, be it an empty one.
        lines += [
            body[at : at + BODY_LINE_CHARACTERS] for at in range(0, len(body) + 1, BODY_LINE_CHARACTERS)
        ]
    authenticated = b"\n".join([*lines, b"---"])
    mac = _mac(file_key, authenticated).finalize()
    return authenticated + b" " + encode_base64(mac).encode("ascii") + b"\n"


def check_mac(header: Header, file_key: bytes) -> None:
    """Raise HeaderAltered unless the header is the one that was written with this file key."""
    try:
        _mac(file_key, header.authenticated).verify(header.mac)
    except InvalidSignature as error:
        raise HeaderAltered("the header's MAC does not hold") from error


def encode_base64(data: bytes) -> str:
    """Return base64 without padding, as headers use it."""
    return base64.b64encode(data).decode("ascii").rstrip("=")


def decode_base64(text: str) -> bytes:
    """Return the bytes of unpadded, canonical base64. Raises MalformedHeader for any other spelling."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedHeader("not base64") from error
    if encode_base64(data) != text:
        raise MalformedHeader("base64 with padding or stray bits")
    return data


def _mac(file_key: bytes, authenticated: bytes) -> HMAC:
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"header").derive(file_key)
    mac = HMAC(key, hashes.SHA256())
    mac.update(authenticated)
    return mac


def _parse(lines: Iterator[tuple[bytes, bytes]]) -> tuple[Header, bytes]:
    """Return the header and the bytes already read behind it."""
    line, rest = next(lines)
    if line != VERSION_LINE:
        raise MalformedHeader("not an age v1 file")
    seen = [line]
    stanzas: list[Stanza] = []
    while True:
        line, rest = next(lines)
        if line.startswith(b"---"):
            break
        match = _STANZA_LINE.fullmatch(line)
        if match is None:
            raise MalformedHeader("a stanza does not start as it must")
        kind, *arguments = match[1].decode("ascii").split(" ")
        seen.append(line)
        body: list[bytes] = []
        while True:
            line, rest = next(lines)
            if len(line) > BODY_LINE_CHARACTERS:
                raise MalformedHeader("a line of a stanza is too long")
            seen.append(line)
            body.append(_decode_line(line))
            if len(line) < BODY_LINE_CHARACTERS:
                break
        stanzas.append(Stanza(kind, tuple(arguments), b"".join(body)))
    if not stanzas:
        raise MalformedHeader("no stanza")
    mac = _decode_line(line[4:])
    if not line.startswith(b"--- ") or len(mac) != MAC_BYTES:
        raise MalformedHeader("the last line is not a MAC")
    authenticated = b"\n".join([*seen, b"---"])
    return Header(tuple(stanzas), mac, authenticated, len(authenticated) + len(line) - len(b"---") + 1), rest


def _decode_line(line: bytes) -> bytes:
    if not line.isascii():
        raise MalformedHeader("a byte that is not ASCII")
    return decode_base64(line.decode("ascii"))


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each line without its line feed, and the bytes at hand behind it. Never ends: it raises instead."""
    pending = b""
    read = 0
    for chunk in chunks:
        pending += chunk
        while (end := pending.find(b"\n")) >= 0:
            read += end + 1
            if read > MAX_HEADER_BYTES:
                raise MalformedHeader("the header is too long")
            line, pending = pending[:end], pending[end + 1 :]
            yield line, pending
        if read + len(pending) > MAX_HEADER_BYTES:
            raise MalformedHeader("the header is too long")
    raise MalformedHeader("the header is cut short")


def _in_sips(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield small pieces as long as a header may last, so that reading its lines never copies a large chunk."""
    taken = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while taken < MAX_HEADER_BYTES and len(view) > SIP_BYTES:
            yield bytes(view[:SIP_BYTES])
            view = view[SIP_BYTES:]
            taken += SIP_BYTES
        yield bytes(view)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
