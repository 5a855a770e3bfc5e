"""Content-Digest (RFC 9530) and the legacy Digest header (RFC 3230): make and match.

A body that is signed through its digest is only as good as the comparison: all known digests must match.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from federation import structured
from federation.requests import Reason

_KNOWN: dict[str, Callable[[bytes], bytes]] = {
    "sha-256": lambda body: hashlib.sha256(body).digest(),
    "sha-512": lambda body: hashlib.sha512(body).digest(),
}


@dataclass(frozen=True, slots=True)
class BodyDigest:
    """The digest of one body in both spellings: made once, sent to every recipient."""

    content_digest: bytes
    digest: bytes

    @classmethod
    def of(cls, body: bytes) -> "BodyDigest":
        """Digest `body` with SHA-256, the one algorithm that every peer reads."""
        text = base64.b64encode(hashlib.sha256(body).digest())
        return cls(content_digest=b"sha-256=:" + text + b":", digest=b"SHA-256=" + text)


def check_content_digest(field: bytes, body: bytes) -> Reason | None:
    """Return None when every known digest of a `Content-Digest` field is the body's, else the reason.

    Unknown algorithms are passed over; md5, sha-1 and their like count as unknown (RFC 9530 §5): alone, they prove
    nothing.
    """
    try:
        members = structured.parse_byte_dictionary(field)
    except structured.NotStructured:
        return Reason.MALFORMED
    return _compare(members, body)


def check_digest(field: bytes, body: bytes) -> Reason | None:
    """Return None when every known digest of a legacy `Digest` field is the body's, else the reason.

    Known as in `Content-Digest`: SHA-256, and SHA-512, which some sign alone (RFC 5843 §2). Others alone prove nothing.
    """
    members: dict[str, bytes] = {}
    for part in field.split(b","):
        name, equals, value = part.strip(b" \t").partition(b"=")
        algorithm = name.decode("latin-1").lower()
        if not equals or algorithm in members:
            return Reason.MALFORMED
        if algorithm not in _KNOWN:
            continue
        try:
            members[algorithm] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return Reason.MALFORMED
        if base64.b64encode(members[algorithm]) != value:
            return Reason.MALFORMED
    return _compare(members, body)


def _compare(members: dict[str, bytes], body: bytes) -> Reason | None:
    is_known = False
    for algorithm, value in members.items():
        make = _KNOWN.get(algorithm)
        if make is None:
            continue
        is_known = True
        if not hmac.compare_digest(make(body), value):
            return Reason.DIGEST_MISMATCH
    return None if is_known else Reason.DIGEST_MISSING
