"""What both signature dialects check alike, before and beside the cryptography: fields, host, digests, times."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from federation.digests import check_content_digest, check_digest
from federation.requests import (
    LONGEST_CLAIM,
    LONGEST_LIFE,
    USUAL_LIFE,
    Dialect,
    Reason,
    SignedRequest,
    host_of,
)

CRITICAL_FIELDS = frozenset(
    (
        b"signature",
        b"host",
        b"date",
        b"digest",
        b"content-digest",
        b"content-type",
        b"content-length",
        b"content-encoding",
    )
)
"""Fields of which two would let two readers pick different ones."""

_BODILESS = ("GET", "HEAD")
_USUAL, _LONGEST, _CLAIM = (int(life.total_seconds()) for life in (USUAL_LIFE, LONGEST_LIFE, LONGEST_CLAIM))


class Presented(msgspec.Struct, frozen=True):
    """A signature as read from a request: its shape and coverage are acceptable, its key is still to be found.

    key_id   whatever the sender wrote: check its scheme and host against the policy before fetching anything.
    The rest is what `verify` needs so that nothing is parsed twice.
    """

    dialect: Dialect
    key_id: str
    signature: bytes
    algorithm: str | None
    covered: tuple[str, ...]
    created: int | None
    expires: int | None
    nonce: str | None
    fields: dict[bytes, bytes]
    parameters: str
    lines: tuple[bytes, ...]


def find_fields(headers: Sequence[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], set[bytes]]:
    """Return the fields by name, repeated ones joined as RFC 9110 §5.2 says, and the names that were repeated."""
    fields: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in headers:
        if name in fields:
            repeated.add(name)
            fields[name] = fields[name].strip(b" \t") + b", " + value.strip(b" \t")
        else:
            fields[name] = value
    return fields, repeated


def has_body_to_sign(request: SignedRequest) -> bool:
    """Tell whether the signature must cover a digest."""
    return bool(request.body) or request.method not in _BODILESS


def is_for_us(fields: dict[bytes, bytes], origin: str) -> bool:
    """Tell whether the Host names this server: a request signed for another is a replay."""
    host = fields.get(b"host", b"").decode("latin-1").strip(" \t").lower()
    ours = host_of(origin)
    # Some senders write the default port out.
    return host == ours or host == f"{ours}:{443 if origin.startswith('https:') else 80}"


def check_bodies(request: SignedRequest, fields: dict[bytes, bytes], *, needs: bytes | None) -> Reason | None:
    """Return None when each digest field that is there is the body's, and the one that is needed is there."""
    if fields.get(b"content-encoding", b"identity").strip(b" \t").lower() != b"identity":
        # The digest is over the bytes as sent; a decoder between here and the reader would make it another body.
        return Reason.ENCODED_BODY
    if needs is not None and needs not in fields:
        return Reason.DIGEST_MISSING
    for name, check in ((b"digest", check_digest), (b"content-digest", check_content_digest)):
        field = fields.get(name)
        if field is not None:
            wrong = check(field, request.body)
            if wrong is not None:
                return wrong
    return None


def check_times(
    times: Sequence[int],
    expires: int | None,
    *,
    now: datetime,
    window: timedelta,
    is_expiry_signed: bool = True,
) -> Reason | None:
    """Return None while a signature holds: from the latest of its times to its end, and the window beside either.

    Its end is what it says itself, at most LONGEST_LIFE after the earliest of its times; else USUAL_LIFE after that.
    is_expiry_signed   an expiry beside the signature, which anybody could have written there, only brings the end nearer.
    """
    if not times:
        return Reason.NO_TIME
    current, slack, earliest = now.timestamp(), window.total_seconds(), min(times)
    if max(times) > current + slack:
        return Reason.FUTURE
    end = earliest + _USUAL
    if expires is not None:
        if expires - earliest > _CLAIM:
            return Reason.OVERLONG
        if is_expiry_signed or expires < end:
            end = min(expires, earliest + _LONGEST)
    if current > end + slack:
        return Reason.EXPIRED if end == expires else Reason.STALE
    return None
