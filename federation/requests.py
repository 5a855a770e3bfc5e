"""The signed request and the outcomes of checking it: the values both signature dialects share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

STRANGER_WINDOW = timedelta(hours=1)
"""How far a stranger's clock may be off, either way. Clocks in the field are bad; less loses real peers."""

OWN_WINDOW = timedelta(minutes=5)
"""How far the clock of a server of this network that we follow, such as a member of a hub, may be off."""

USUAL_LIFE = timedelta(minutes=5)
"""How long a signature holds that names no end of its own, before the window for clocks (as Mastodon has it)."""

LONGEST_LIFE = timedelta(hours=12)
"""How long a signature holds at most, whatever end it names (as Mastodon has it)."""

LONGEST_CLAIM = timedelta(days=30)
"""A signature that claims more than this was made to be kept and used again: refused."""


class Dialect(StrEnum):
    """The ways to sign a request."""

    CAVAGE = "cavage"
    """draft-cavage-http-signatures-12 with RSA: what most servers speak."""
    RFC9421 = "rfc9421"
    """HTTP Message Signatures with RSA."""
    RFC9421_ED25519 = "rfc9421-ed25519"
    """HTTP Message Signatures with Ed25519: a tenth of the work for who signs."""


class Reason(StrEnum):
    """Why a signature or a proof is refused: logged and counted, never told in detail."""

    MISSING = "missing"
    MALFORMED = "malformed"
    DUPLICATE = "duplicate"
    THIN_COVERAGE = "thin-coverage"
    UNKNOWN_COMPONENT = "unknown-component"
    SEVERAL_SIGNATURES = "several-signatures"
    ALGORITHM = "algorithm"
    DIGEST_MISSING = "digest-missing"
    DIGEST_MISMATCH = "digest-mismatch"
    ENCODED_BODY = "encoded-body"
    OTHER_HOST = "other-host"
    NO_TIME = "no-time"
    STALE = "stale"
    FUTURE = "future"
    EXPIRED = "expired"
    OVERLONG = "overlong"
    WRONG_KEY = "wrong-key"
    BAD_SIGNATURE = "bad-signature"
    UNKNOWN_SUITE = "unknown-suite"
    WRONG_PURPOSE = "wrong-purpose"
    CONTEXT = "context"
    STRUCTURE = "structure"


# Made for each request that comes in: a frozen dataclass takes ten times as long to make.
class SignedRequest(msgspec.Struct, frozen=True):
    """A request as it came in, before anything is decoded.

    path_with_query   as on the request line, percent-encoding untouched: b"/inbox?page=1".
    headers           in order, names in lower case, as ASGI gives them.
    """

    method: str
    path_with_query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """It does not hold. `detail` is for the operator's log only and never holds key or body."""

    reason: Reason
    detail: str = ""


class Verified(msgspec.Struct, frozen=True):
    """The request was signed by the holder of `key_id` for this server, now."""

    key_id: str
    dialect: Dialect
    created: datetime


@lru_cache(maxsize=16)
def host_of(origin: str) -> str:
    """Return the Host that a request to `origin` carries: lower case, without a default port."""
    scheme, _, rest = origin.partition("://")
    host = rest.split("/", 1)[0].lower()
    for suffix, default in ((":443", "https"), (":80", "http")):
        if scheme == default and host.endswith(suffix):
            return host[: -len(suffix)]
    return host
