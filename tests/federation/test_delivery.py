"""Delivery: two knocks and no more, and what each answer means."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from federation import delivery
from federation.delivery import Delivered, Gone, Later, Refused, backoff, post
from federation.digests import BodyDigest
from federation.requests import Dialect, SignedRequest, Verified
from tests.federation.requests_to_us import ED25519, RSA, judge
from tests.federation.town import Town

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INBOX = "https://node.example/inbox"
BODY = b'{"type":"Create"}'
OLD, NEW, QUICK = Dialect.CAVAGE, Dialect.RFC9421, Dialect.RFC9421_ED25519


def spoken(request: httpx.Request) -> Dialect:
    """The dialect a request was signed in; its signature must hold."""
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    signed = SignedRequest(request.method, request.url.raw_path, headers, request.content)
    signer = ED25519 if 'alg="ed25519"' in request.headers.get("signature-input", "") else RSA
    outcome = judge(signed, signer=signer)
    assert isinstance(outcome, Verified)
    return outcome.dialect


def understands(*dialects: Dialect, otherwise: int = 401) -> Town:
    """A town whose inbox takes these dialects."""
    return Town({INBOX: lambda request: httpx.Response(202 if spoken(request) in dialects else otherwise)})


async def posted(town: Town, inbox: str = INBOX, dialect: Dialect | None = None) -> delivery.Outcome:
    async with town.client() as http:
        return await post(http, inbox, BODY, signer=RSA, ed25519=ED25519, now=NOW, dialect=dialect)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Delivered(200, OLD)),
        (202, Delivered(202, OLD)),
        (204, Delivered(204, OLD)),
        (410, Gone()),
        (403, Refused("HTTP 403", 403)),
        (404, Refused("HTTP 404", 404)),
        (405, Refused("HTTP 405", 405)),
        (413, Refused("HTTP 413", 413)),
        (422, Refused("HTTP 422", 422)),
        (400, Refused("HTTP 400", 400)),
        (301, Refused("HTTP 301", 301)),
        (308, Refused("HTTP 308", 308)),
        (501, Refused("HTTP 501", 501)),
        (302, Later("HTTP 302", None, 302)),
        (303, Later("HTTP 303", None, 303)),
        (307, Later("HTTP 307", None, 307)),
        (401, Later("HTTP 401", None, 401)),
        (408, Later("HTTP 408", None, 408)),
        (429, Later("HTTP 429", None, 429)),
        (500, Later("HTTP 500", None, 500)),
        (502, Later("HTTP 502", None, 502)),
        (503, Later("HTTP 503", None, 503)),
    ],
)
async def test_each_answer_has_one_meaning(status: int, expected: delivery.Outcome) -> None:
    town = Town({INBOX: httpx.Response(status)})

    assert await posted(town) == expected
    assert len(town.requests) == (2 if status in (400, 401) else 1)


async def test_nobody_there_means_later() -> None:
    outcome = await posted(Town())

    assert isinstance(outcome, Later)
    assert outcome.when is None


@pytest.mark.parametrize("inbox", ["ftp://node.example/inbox", "https://u@node.example/", "words"])
async def test_where_we_never_connect_the_delivery_is_refused(inbox: str) -> None:
    town = Town()

    assert isinstance(await posted(town, inbox), Refused)
    assert not town.requests


@pytest.mark.parametrize(
    ("first", "taken", "knocks", "outcome"),
    [
        (None, OLD, [OLD], OLD),
        (None, NEW, [OLD, NEW], NEW),
        (OLD, NEW, [OLD, NEW], NEW),
        (NEW, NEW, [NEW], NEW),
        (NEW, OLD, [NEW, OLD], OLD),
        (QUICK, QUICK, [QUICK], QUICK),
        (QUICK, OLD, [QUICK, OLD], OLD),
    ],
)
async def test_the_other_dialect_is_tried_once(
    first: Dialect | None, taken: Dialect, knocks: list[Dialect], outcome: Dialect
) -> None:
    town = understands(taken)

    assert await posted(town, dialect=first) == Delivered(202, outcome)
    assert [spoken(request) for request in town.requests] == knocks


@pytest.mark.parametrize(
    ("first", "knocks"), [(OLD, [OLD]), (NEW, [NEW, OLD]), (QUICK, [QUICK, OLD])], ids=["old", "new", "quick"]
)
async def test_a_peer_that_falls_over_the_newer_dialect_is_told_in_the_older_one(
    first: Dialect, knocks: list[Dialect]
) -> None:
    """bovine 0.5.19 answers 500 to a component that it does not know; to the older dialect 500 means what it says."""
    town = understands(OLD, otherwise=500) if first is not OLD else understands(otherwise=500)

    outcome = await posted(town, dialect=first)

    assert [spoken(request) for request in town.requests] == knocks
    assert outcome == (Later("HTTP 500", None, 500) if first is OLD else Delivered(202, OLD))


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, Refused("HTTP 400", 400)), (401, Later("HTTP 401", None, 401))],
    ids=["not this activity", "not this signature, just now"],
)
async def test_who_falls_over_the_second_knock_meant_what_was_said_to_the_first(
    status: int, expected: delivery.Outcome
) -> None:
    """activitypub-express 4.4.2 answers 400 to what it will never take, and 500 to a signature by RFC 9421."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status if spoken(request) is OLD else 500)

    town = Town({INBOX: answer})

    assert await posted(town) == expected
    assert [spoken(request) for request in town.requests] == [OLD, NEW]


@pytest.mark.parametrize("first", [OLD, NEW], ids=["old", "new"])
async def test_who_finds_no_signature_in_the_second_knock_meant_what_was_said_to_the_first(
    first: Dialect,
) -> None:
    """ActivityRelay 0.3.5 keeps our old key for 48 hours, and answers 400 to a signature by RFC 9421."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401 if spoken(request) is first else 400)

    town = Town({INBOX: answer})

    assert await posted(town, dialect=first) == Later("HTTP 401", None, 401)
    assert [spoken(request) for request in town.requests] == [first, NEW if first is OLD else OLD]


async def test_a_peer_that_understands_neither_is_knocked_at_twice() -> None:
    town = understands()

    assert isinstance(await posted(town), Later)
    assert len(town.requests) == 2


async def test_a_final_answer_ends_the_knocking() -> None:
    town = understands(NEW, otherwise=403)

    assert await posted(town) == Refused("HTTP 403", 403)
    assert len(town.requests) == 1


async def test_without_the_quick_key_the_same_dialect_is_signed_with_rsa() -> None:
    town = understands(NEW)
    async with town.client() as http:
        assert await post(http, INBOX, BODY, signer=RSA, now=NOW, dialect=QUICK) == Delivered(202, NEW)


async def test_a_digest_made_once_is_sent_as_it_is() -> None:
    town = Town({INBOX: httpx.Response(202)})
    async with town.client() as http:
        await post(http, INBOX, BODY, signer=RSA, now=NOW, digest=BodyDigest(b"", b"SHA-256=given"))

    assert town.requests[0].headers["digest"] == "SHA-256=given"
    assert town.requests[0].headers["content-type"] == "application/activity+json"
    assert town.requests[0].content == BODY


@pytest.mark.parametrize(
    ("field", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta(seconds=5)),
        ("999999999", timedelta(days=2)),
        ("Sat, 21 Nov 2026 13:00:00 GMT", timedelta(hours=1)),
        ("Sat, 21 Nov 2020 13:00:00 GMT", timedelta(seconds=5)),
        ("soon", None),
        ("-5", None),
        ("99999999999999999999", None),
        ("Sat, 21 Nov 2026 13:00:00", None),
        (f"Sat, 21 Nov {10**20} 13:00:00 GMT", None),
        (f"Sat, {10**20} Nov 2026 13:00:00 GMT", None),
        (f"Sat, 21 Nov 2026 13:00:00 +{10**20}", None),
        ("٣", None),
    ],
)
async def test_a_wish_to_be_left_alone_is_kept_to_within_reason(field: str, wait: timedelta | None) -> None:
    headers = {"retry-after": field.encode()}
    town = Town({INBOX: httpx.Response(429, headers=[(b"retry-after", headers["retry-after"])])})

    outcome = await posted(town)

    assert isinstance(outcome, Later)
    assert outcome.when == (None if wait is None else NOW + wait)


def test_the_waiting_doubles_and_ends_at_half_a_day() -> None:
    waits = [backoff(attempts) for attempts in range(1, 21)]

    assert waits[:4] == [timedelta(seconds=seconds) for seconds in (10, 20, 40, 80)]
    assert waits[-1] == backoff(10_000) == timedelta(hours=12)
    assert backoff(0) == timedelta(seconds=10)
    assert waits == sorted(waits)
    assert timedelta(days=3) < sum(waits, timedelta()) < timedelta(days=6)
