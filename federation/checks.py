"""What both signature dialects check alike, before and beside the cryptography: fields, host, digests, times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.digests import check_content_digest, check_digest
from federation.requests import LONGEST_LIFE, Dialect, Reason, SignedRequest, host_of

CRITICAL_FIELDS = frozenset(
    (
        b"signature",
        b"signature-input",
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


@dataclass(frozen=True, slots=True)
class Presented:
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
    times: Iterable[int], expires: int | None, *, now: datetime, window: timedelta
) -> Reason | None:
    """Return None when every signed time lies within the window around now, and nothing has expired.

    The window forgives clocks that are off; an expiry is the signer's own word and is taken as it stands.
    """
    current, slack = now.timestamp(), window.total_seconds()
    earliest: int | None = None
    for time in times:
        if time < current - slack:
            return Reason.STALE
        if time > current + slack:
            return Reason.FUTURE
        earliest = time if earliest is None else min(earliest, time)
    if earliest is None:
        return Reason.NO_TIME
    if expires is not None:
        if expires < current:
            return Reason.EXPIRED
        if expires - earliest > LONGEST_LIFE.total_seconds():
            return Reason.OVERLONG
    return None
