"""Request signatures of draft-cavage-http-signatures-12, the dialect most servers still speak: sign, read, verify.

Stricter inbound than the draft: what is signed must pin the request to this server, this path, this body and this
hour. The kind of key decides the algorithm, never the header (draft §2.2, Misskey CVE-2023-49079).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from federation import addresses
from federation.checks import (
    CRITICAL_FIELDS,
    Presented,
    check_bodies,
    check_times,
    find_fields,
    has_body_to_sign,
    is_for_us,
)
from federation.digests import BodyDigest
from federation.keys import Algorithm, Signer, VerifyingKey
from federation.requests import STRANGER_WINDOW, Dialect, Reason, Refused, SignedRequest, Verified

# How much of what signatures share is kept: an activity goes to many hosts within a second.
REMEMBERED = 256
MAX_FIELD_BYTES = 8192
MAX_COVERED = 32

# Blanks around "=" and a word without quotes are read as Mastodon reads them.
_PARAMETER = re.compile(
    r'[ \t]*([A-Za-z]+)[ \t]*=[ \t]*(?:"([^"]*)"|([0-9]{1,15})|([A-Za-z][A-Za-z0-9-]{0,30}))[ \t]*(?:,|$)'
)
_BARE_WORD = 4
_SECONDS = re.compile(r"[0-9]{1,15}")
# Old releases of node-http-signature write the name of the scheme into the field of its own as well.
_SCHEME = "Signature "
_ALGORITHMS = (None, "rsa-sha256", "hs2019")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE_BYTES = len("Sun, 06 Nov 1994 08:49:37 GMT")
_IMF_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def sign(
    method: str,
    url: str,
    *,
    signer: Signer,
    now: datetime,
    digest: BodyDigest | None = None,
    content_type: bytes | None = None,
    with_query: bool = True,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> list[tuple[bytes, bytes]]:
    """Return the headers that sign a request to `url`: host, date, digest and content type, signature.

    signer       RSA: other keys are not understood in this dialect.
    digest       of the body, for every request that has one; `content_type` goes with it.
    with_query   False for the few servers that leave the query out of `(request-target)`.
    more         further headers to be sent, and covered; names in lower case.
    """
    if signer.algorithm is not Algorithm.RSA:
        raise ValueError("this dialect is spoken with RSA keys")
    address = addresses.parse(url)
    target = address.target if with_query else address.target.partition("?")[0]
    sent = [(b"date", imf_date(now).encode("ascii"))]
    if digest is not None:
        sent.append((b"digest", digest.digest))
        if content_type is not None:
            sent.append((b"content-type", content_type))
    sent += more
    rest, field = _shared(tuple(sent), signer.key_id)
    base = f"(request-target): {method.lower()} {target}\nhost: {address.authority}\n".encode("ascii") + rest
    signature = field + b',signature="' + base64.b64encode(signer.sign(base)) + b'"'
    return [(b"host", address.authority.encode("ascii")), *sent, (b"signature", signature)]


@lru_cache(maxsize=REMEMBERED)
def _shared(covered: tuple[tuple[bytes, bytes], ...], key_id: str) -> tuple[bytes, bytes]:
    """What the signatures of one activity have in common wherever it goes: how their bases end, and how the field begins."""
    names = " ".join(("(request-target) host", *(name.decode("ascii") for name, _ in covered)))
    field = f'keyId="{key_id}",algorithm="rsa-sha256",headers="{names}"'.encode("ascii")
    return b"\n".join(map(b": ".join, covered)), field


def read_signature(request: SignedRequest) -> Presented | Refused:
    """Read the signature of a request, and refuse what needs no key to be refused: shape, coverage, digests."""
    fields, repeated = find_fields(request.headers)
    field = fields.get(b"signature")
    if field is None:
        # `Authorization: Signature` is in the draft too; nobody here sends it, and two places are one too many.
        return Refused(Reason.MISSING)
    if repeated & CRITICAL_FIELDS:
        return Refused(Reason.DUPLICATE, "a header that may come once")
    parameters = _parameters(field)
    if isinstance(parameters, Refused):
        return parameters

    key_id, encoded = parameters.get("keyId"), parameters.get("signature")
    if not key_id or not encoded:
        return Refused(Reason.MALFORMED, "keyId and signature are needed")
    algorithm = parameters.get("algorithm")
    if algorithm not in _ALGORITHMS:
        return Refused(Reason.ALGORITHM, algorithm or "")
    covered = _read_coverage(parameters.get("headers", "date"), algorithm, has_body_to_sign(request))
    if isinstance(covered, Refused):
        return covered
    try:
        signature = base64.b64decode(encoded, validate=True)
        created, expires = (_seconds(parameters.get(name)) for name in ("created", "expires"))
    except (binascii.Error, ValueError):
        return Refused(Reason.MALFORMED, "signature, created or expires")
    lines = _lines(covered, fields, created, expires)
    if isinstance(lines, Refused):
        return lines
    wrong = check_bodies(request, fields, needs=b"digest" if has_body_to_sign(request) else None)
    if wrong is not None:
        return Refused(wrong)
    return Presented(
        dialect=Dialect.CAVAGE,
        key_id=key_id,
        signature=signature,
        algorithm=algorithm,
        covered=covered,
        created=created if "(created)" in covered else None,
        expires=expires,
        nonce=None,
        fields=fields,
        parameters="",
        lines=lines,
    )


def verify(
    presented: Presented,
    request: SignedRequest,
    key: VerifyingKey,
    *,
    now: datetime,
    origin: str,
    window: timedelta = STRANGER_WINDOW,
) -> Verified | Refused:
    """Check a signature that `read_signature` gave, with the key its `key_id` names, for this server and this hour."""
    if presented.algorithm == "rsa-sha256" and key.algorithm is not Algorithm.RSA:
        return Refused(Reason.ALGORITHM, "rsa-sha256 with another kind of key")
    if not is_for_us(presented.fields, origin):
        return Refused(Reason.OTHER_HOST)
    times = [] if presented.created is None else [presented.created]
    if "date" in presented.covered:
        field = presented.fields[b"date"].strip(b" \t")
        # What is remembered is short: a stranger chooses the text.
        date = parse_imf_date(field.decode("latin-1")) if len(field) == _DATE_BYTES else None
        if date is None:
            return Refused(Reason.MALFORMED, "Date")
        times.append(date)
    off = check_times(
        times,
        presented.expires,
        now=now,
        window=window,
        is_expiry_signed="(expires)" in presented.covered,
    )
    if off is not None:
        return Refused(off)

    method = request.method.lower()
    target = request.path_with_query
    if not key.verify(presented.signature, _base(presented.lines, method, target)):
        # Some servers leave the query out of what they sign; for a GET that widens nothing (Mastodon does the same).
        path, mark, _ = target.partition(b"?")
        if request.method != "GET" or not mark:
            return Refused(Reason.BAD_SIGNATURE)
        if not key.verify(presented.signature, _base(presented.lines, method, path)):
            return Refused(Reason.BAD_SIGNATURE)
    return Verified(
        key_id=presented.key_id, dialect=Dialect.CAVAGE, created=datetime.fromtimestamp(min(times), UTC)
    )


def imf_date(moment: datetime) -> str:
    """Write an aware moment as an IMF-fixdate (RFC 9110 §5.6.7), in English whatever the locale."""
    return _imf_date(int(moment.timestamp()))


@lru_cache(maxsize=64)
def _imf_date(seconds: int) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} GMT"


@lru_cache(maxsize=1024)
def parse_imf_date(text: str) -> int | None:
    """Read an IMF-fixdate as seconds since 1970, or None. Other spellings are not sent by anyone who signs."""
    match = _IMF_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    try:
        return int(
            datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC).timestamp()
        )
    except ValueError:
        return None


def _parameters(field: bytes) -> dict[str, str] | Refused:
    if len(field) > MAX_FIELD_BYTES:
        return Refused(Reason.MALFORMED, "a Signature of that length")
    text = field.decode("latin-1")
    parameters: dict[str, str] = {}
    position = len(_SCHEME) if text.startswith(_SCHEME) else 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            return Refused(Reason.MALFORMED, "parameters")
        name, kind = match[1], match.lastindex or 0
        if name in parameters:
            return Refused(Reason.DUPLICATE, name)
        if kind == _BARE_WORD and name != "algorithm":
            return Refused(Reason.MALFORMED, "a word without quotes")
        parameters[name] = match[kind]
        position = match.end()
    return parameters


def _seconds(text: str | None) -> int | None:
    # Within quotes anything may stand, also what `int` reads and no clock can be compared with. Raises ValueError.
    if text is not None and _SECONDS.fullmatch(text) is None:
        raise ValueError("no moment")
    return None if text is None else int(text)


# A server covers the same headers in all that it sends.
@lru_cache(maxsize=256)
def _read_coverage(names: str, algorithm: str | None, has_body: bool) -> tuple[str, ...] | Refused:
    covered = tuple(names.lower().split())
    if len(covered) > MAX_COVERED or len(set(covered)) != len(covered):
        return Refused(Reason.DUPLICATE, "covered headers")
    if algorithm != "hs2019" and ("(created)" in covered or "(expires)" in covered):
        # draft §2.3: the times as parameters came with hs2019 and are an error with anything older.
        return Refused(Reason.ALGORITHM, "(created) and (expires) need hs2019")
    needed = ["(request-target)", "host"]
    if has_body:
        needed.append("digest")
    missing = [name for name in needed if name not in covered]
    if missing:
        return Refused(Reason.THIN_COVERAGE, " ".join(missing))
    if "date" not in covered and "(created)" not in covered:
        return Refused(Reason.NO_TIME)
    return covered


def _lines(
    covered: Iterable[str], fields: dict[bytes, bytes], created: int | None, expires: int | None
) -> tuple[bytes, ...] | Refused:
    """Return the lines to be signed; the one that names the target stays open, as b"" marks."""
    lines: list[bytes] = []
    for name in covered:
        if name == "(request-target)":
            lines.append(b"")
        elif name in ("(created)", "(expires)"):
            value = created if name == "(created)" else expires
            if value is None:
                return Refused(Reason.MALFORMED, name)
            lines.append(f"{name}: {value}".encode("ascii"))
        else:
            key = name.encode("latin-1")
            found = fields.get(key)
            if found is None:
                return Refused(Reason.MALFORMED, "a covered header is absent")
            if b"\n" in found or b"\r" in found:
                return Refused(Reason.MALFORMED, "a folded header")
            lines.append(key + b": " + found.strip(b" \t"))
    return tuple(lines)


def _base(lines: tuple[bytes, ...], method: str, target: bytes) -> bytes:
    first = b"(request-target): " + method.encode("latin-1") + b" " + target
    return b"\n".join(line or first for line in lines)
