"""One POST to one inbox, and what came of it: Delivered | Later | Gone | Refused. And when to try again.

A peer that answers 400 or 401, or 500 to RFC 9421, may only speak the other signature dialect: a delivery knocks twice, never
more, and the outcome says which knock was understood, so that the next one comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial

import httpx
import msgspec

from federation import cavage, client, signatures
from federation.connections import Answer
from federation.digests import BodyDigest
from federation.errors import FetchError, Forbidden
from federation.keys import Signer
from federation.negotiation import FIELD, Wish, read_wish
from federation.requests import Dialect

CONTENT_TYPE = b"application/activity+json"
MAX_ANSWER_BYTES = 65_536
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(hours=12)
LONGEST_RETRY_AFTER = timedelta(days=2)
SHORTEST_RETRY_AFTER = timedelta(seconds=5)

_DEMANDS_OTHER_SIGNATURE = (400, 401)
# 401 too: a peer that could not fetch our key just now says nothing else (Mastodon waits five minutes and asks anew). And what leads
# elsewhere for the time being: a site under repair shows a page that says so, and Mastodon sends again as well.
_PASSING = (302, 303, 307, 401, 408, 421, 425, 429)
_SECOND_KNOCK = {
    Dialect.CAVAGE: Dialect.RFC9421,
    Dialect.RFC9421: Dialect.CAVAGE,
    Dialect.RFC9421_ED25519: Dialect.CAVAGE,
}


class Delivered(msgspec.Struct, frozen=True):
    """The inbox took it; whether it will do anything with it, no answer tells."""

    status: int
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `when` is the peer's own wish (Retry-After); without one the caller's `backoff` decides."""

    reason: str
    when: datetime | None = None
    status: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """410: the inbox will not come back, and nothing more should be sent there."""

    reason: str = "gone"


@dataclass(frozen=True, slots=True)
class Refused:
    """The inbox will never take this, or we will never connect there."""

    reason: str
    status: int = 0


Outcome = Delivered | Later | Gone | Refused


async def post(
    http: httpx.AsyncClient,
    inbox: str,
    body: bytes,
    *,
    signer: Signer,
    now: datetime,
    dialect: Dialect | None = None,
    ed25519: Signer | None = None,
    digest: BodyDigest | None = None,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> Outcome:
    """Post the bytes of one activity to one inbox, signed; knock a second time in another dialect if need be.

    signer    the sending actor's RSA key: what every peer verifies.
    ed25519   the same actor's Ed25519 key, for peers known to take it: a tenth of the work.
    dialect   what this peer understood last; draft-cavage first for unknown ones.
    digest    of the body, made once for all recipients; computed here without it.
    more      further headers, covered by the signature.
    """
    digest = digest if digest is not None else BodyDigest.of(body)
    first = dialect or Dialect.CAVAGE
    if first is Dialect.RFC9421_ED25519 and ed25519 is None:
        first = Dialect.RFC9421
    knock = first
    try:
        answer = await _knock(http, inbox, body, _key(knock, signer, ed25519), digest, knock, now, more)
        if _demands_other_signature(answer.status, first):
            wish = read_wish(answer.header(FIELD), signer, ed25519, has_body=True)
            knock, key = _second(first, wish, signer, ed25519)
            again = await _knock(http, inbox, body, key, digest, knock, now, more, wish)
            answer = answer if _was_not_read(again.status, answer.status, knock, wish) else again
    except Forbidden as error:
        return Refused(str(error))
    except FetchError as error:
        return Later(str(error))
    return _outcome(answer, knock, now)


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after that many failed attempts: ten seconds, doubling, at most twelve hours.

    Twenty attempts span about five days; the first few are soon over, so that a restart costs seconds.
    """
    doublings = min(max(attempts - 1, 0), 16)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


async def _knock(
    http: httpx.AsyncClient,
    inbox: str,
    body: bytes,
    signer: Signer,
    digest: BodyDigest,
    dialect: Dialect,
    now: datetime,
    more: Sequence[tuple[bytes, bytes]],
    wish: Wish | None = None,
) -> Answer:
    sign = cavage.sign if dialect is Dialect.CAVAGE else partial(signatures.sign, wish=wish)
    headers = sign("POST", inbox, signer=signer, now=now, digest=digest, content_type=CONTENT_TYPE, more=more)
    headers.append((b"accept", CONTENT_TYPE))
    return await client.exchange(
        http, "POST", inbox, headers=headers, body=body, max_body_bytes=MAX_ANSWER_BYTES, needs_body=False
    )


def _demands_other_signature(status: int, first: Dialect) -> bool:
    # bovine 0.5.19 falls over a component that it does not know, and answers 500.
    return status in _DEMANDS_OTHER_SIGNATURE or (status == 500 and first is not Dialect.CAVAGE)


def _was_not_read(again: int, before: int, knock: Dialect, wish: Wish | None) -> bool:
    """Whether the second knock was in a dialect that they do not read: then the first answer is the one about the activity."""
    if again == 500 and knock is not Dialect.CAVAGE:
        # Who falls over the newer dialect has said before, in the older one, what there is to say of the activity.
        return True
    # 401 is said of a signature that was read, with a key of ours that they have kept, perhaps. ActivityRelay 0.3.5 answers 400 to RFC 9421:
    # what is sent after new keys would be given up at once.
    return (again, before) == (400, 401) and wish is None


def _second(
    first: Dialect, wish: Wish | None, signer: Signer, ed25519: Signer | None
) -> tuple[Dialect, Signer]:
    """How to knock again, and with which key: as the peer asked, unless that is what it refused; else in the other dialect."""
    if wish is not None:
        wished = Dialect.RFC9421 if wish.signer is signer else Dialect.RFC9421_ED25519
        if wished is not first or wish.is_more:
            return wished, wish.signer
    knock = _SECOND_KNOCK[first]
    return knock, _key(knock, signer, ed25519)


def _key(dialect: Dialect, signer: Signer, ed25519: Signer | None) -> Signer:
    return ed25519 if dialect is Dialect.RFC9421_ED25519 and ed25519 is not None else signer


def _outcome(answer: Answer, dialect: Dialect, now: datetime) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Delivered(status, dialect)
    if status == 410:
        return Gone()
    if status in _PASSING or (status >= 500 and status != 501):
        return Later(f"HTTP {status}", retry_after(answer, now), status)
    # A redirect for good too: an inbox that has moved is found in the actor, and none is followed.
    return Refused(f"HTTP {status}", status)


def retry_after(answer: Answer, now: datetime) -> datetime | None:
    """Read Retry-After (RFC 9110 §10.2.3), seconds or a date, within what is sensible."""
    text = answer.header("retry-after")
    if text is None:
        return None
    if text.isdecimal() and len(text) < 10:
        wait = timedelta(seconds=int(text))
    else:
        try:
            wait = parsedate_to_datetime(text) - now
        except (TypeError, ValueError, OverflowError):
            # A year, an hour or a zone of twenty digits overflows.
            return None
    return now + min(max(wait, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)
