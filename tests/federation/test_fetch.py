"""Fetching: nothing of an answer is used that does not speak for the address it was found at."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from federation import allowance, fetch, retrieval
from federation.errors import (
    BadAnswer,
    FetchError,
    Forbidden,
    Mismatch,
    NotListed,
    NotThere,
    Oversized,
    Unavailable,
    Unreachable,
)
from federation.fetch import Fetcher, fetch_actor, fetch_document, fetch_key_owner
from federation.negotiation import Spoken
from federation.requests import SignedRequest, Verified
from federation.retrieval import Retrieval
from tests.federation.requests_to_us import judge
from tests.federation.town import ACTIVITY, Reply, Town, a_document, moved
from tests.rig.keys import ed25519_key, rsa_key
from vocab.actors import Actor

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SIGNER = rsa_key("a").signer("https://node.example/actor#main-key")
ALICE = "https://victim.example/users/alice"
MALLORY = "https://evil.example/users/mallory"
AS = "https://www.w3.org/ns/activitystreams"


def an_actor(actor_id: str = ALICE, **more: object) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": actor_id,
        "type": "Person",
        "preferredUsername": actor_id.rsplit("/", 1)[1],
        "inbox": f"{actor_id}/inbox",
        "publicKey": {
            "id": f"{actor_id}#main-key",
            "owner": actor_id,
            "publicKeyPem": rsa_key("b").public.pem,
        },
        **more,
    }


def a_note(note_id: str = "https://victim.example/notes/1") -> dict[str, Any]:
    return {"@context": AS, "id": note_id, "type": "Note", "attributedTo": ALICE, "content": "Fictional"}


NOTE = a_note()["id"]


async def got(town: Town, url: str = NOTE) -> dict[str, object]:
    async with town.client() as http:
        return await fetch_document(Retrieval(http, SIGNER, NOW), url)


# ---- documents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "text/plain",
        "application/octet-stream",
        "application/ld+json",
        'application/ld+json; profile="https://www.w3.org/ns/other"',
        'application/ld+json; profile="https://www.w3.org/ns/activitystreams-other"',
        'text/plain; profile="https://www.w3.org/ns/activitystreams"',
        "text/html; application/activity+json",
        "application/activity+jsonx",
        "",
    ],
)
async def test_a_file_that_is_not_served_as_a_document_is_none(content_type: str | None) -> None:
    town = Town({NOTE: a_document(a_note(), content_type=content_type)})

    with pytest.raises(BadAnswer, match="media type"):
        await got(town)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/activity+json",
        "Application/Activity+JSON; charset=utf-8",
        'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
        'application/ld+json; charset=utf-8; profile="https://www.w3.org/ns/activitystreams https://b.example/"',
    ],
)
async def test_the_two_media_types_are_read_however_they_are_spelt(content_type: str) -> None:
    assert await got(Town({NOTE: a_document(a_note(), content_type=content_type)})) == a_note()


async def test_who_leaves_the_profile_out_is_asked_once_more_by_the_short_name() -> None:
    """Django REST framework takes the longest of what is asked for, and answers by its own name for it."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_long = "application/ld+json" in request.headers["accept"]
        return a_document(a_note(), content_type="application/ld+json" if is_long else ACTIVITY)

    town = Town({NOTE: answer})

    assert await got(town) == a_note()
    assert [request.headers["accept"] for request in town.requests] == [retrieval.ACCEPT.decode(), ACTIVITY]
    for request in town.requests:
        assert isinstance(judge(as_signed(request), signer=SIGNER, origin="https://victim.example"), Verified)


async def test_what_still_names_no_profile_is_a_file_of_anybodys_and_asked_for_twice_at_most() -> None:
    town = Town({NOTE: a_document(a_note(), content_type="application/ld+json")})

    with pytest.raises(BadAnswer, match="media type"):
        await got(town)

    assert town.asked == [NOTE, NOTE]


def test_two_media_types_are_none() -> None:
    assert not retrieval.is_activity_type([b"application/activity+json", b"application/activity+json"])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404), NotThere),
        (httpx.Response(410), NotThere),
        (httpx.Response(403), BadAnswer),
        (httpx.Response(501), BadAnswer),
        (httpx.Response(204), BadAnswer),
        (a_document(["a list"]), BadAnswer),
        (a_document({"type": "Note"}), BadAnswer),
        (a_document({"id": 1, "type": "Note"}), BadAnswer),
        (a_document({"id": "", "type": "Note"}), BadAnswer),
        (
            httpx.Response(200, content=b"<html>", headers={"content-type": "application/activity+json"}),
            BadAnswer,
        ),
        (
            httpx.Response(
                200, content=b'{"id":"a","id":"b"}', headers={"content-type": "application/activity+json"}
            ),
            BadAnswer,
        ),
        (
            httpx.Response(
                200, content=b" " * 1_048_577, headers={"content-type": "application/activity+json"}
            ),
            Oversized,
        ),
        (httpx.Response(302), BadAnswer),
    ],
)
async def test_an_answer_that_cannot_be_used_is_refused(
    answer: httpx.Response, error: type[FetchError]
) -> None:
    with pytest.raises(error) as caught:
        await got(Town({NOTE: answer}))
    assert caught.value.url


async def test_gone_is_told_from_not_there() -> None:
    for status, gone in ((404, False), (410, True)):
        with pytest.raises(NotThere) as caught:
            await got(Town({NOTE: httpx.Response(status)}))
        assert caught.value.gone is gone


async def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await got(Town())


async def test_a_document_that_names_another_id_is_fetched_from_there_and_only_from_there() -> None:
    forged = an_actor(ALICE, inbox="https://evil.example/in", name="Forged")
    town = Town({"https://evil.example/x": a_document(forged), ALICE: a_document(an_actor())})

    document = await got(town, "https://evil.example/x")

    assert document == an_actor()
    assert town.asked == ["https://evil.example/x", ALICE]


async def test_a_document_that_names_another_id_twice_is_refused() -> None:
    town = Town(
        {
            "https://evil.example/x": a_document(a_note("https://victim.example/redirect")),
            "https://victim.example/redirect": a_document(a_note("https://victim.example/other")),
        }
    )

    with pytest.raises(Mismatch):
        await got(town, "https://evil.example/x")
    assert len(town.asked) == 2


async def test_an_id_that_is_redirected_away_is_refused() -> None:
    fake = "https://evil.example/fake"
    town = Town(
        {
            "https://victim.example/redirect": moved(fake),
            fake: a_document(a_note()),
            NOTE: moved(fake),
        }
    )

    with pytest.raises(Mismatch):
        await got(town, "https://victim.example/redirect")


async def test_an_id_that_leads_on_to_another_is_refused() -> None:
    old = "https://victim.example/old"
    town = Town(
        {"https://evil.example/x": a_document(a_note(old)), old: moved(NOTE), NOTE: a_document(a_note())}
    )

    with pytest.raises(Mismatch):
        await got(town, "https://evil.example/x")


async def test_an_id_with_a_fragment_is_not_the_document() -> None:
    town = Town(
        {
            "https://evil.example/x": a_document(a_note(f"{NOTE}#part")),
            NOTE: a_document(a_note(f"{NOTE}#part")),
        }
    )

    with pytest.raises(Mismatch):
        await got(town, "https://evil.example/x")


async def test_an_id_with_a_fragment_is_found_in_the_document_before_it_by_that_id_alone() -> None:
    part = f"{NOTE}#part"
    town = Town({NOTE: a_document(a_note(part)), "https://evil.example/x": moved(NOTE)})

    assert await got(town, part) == a_note(part)
    assert town.asked == [NOTE]
    for other in (NOTE, f"{NOTE}#other", "https://evil.example/x#part"):
        with pytest.raises(Mismatch):
            await got(town, other)


async def test_a_redirect_is_followed_to_where_the_id_is() -> None:
    town = Town({"https://victim.example/@alice/1": moved("/notes/1"), NOTE: a_document(a_note())})

    assert await got(town, "https://victim.example/@alice/1") == a_note()


async def test_four_redirects_are_one_too_many() -> None:
    hops = {f"https://evil.example/{n}": moved(f"https://evil.example/{n + 1}", 307) for n in range(20)}
    town = Town(dict(hops))

    with pytest.raises(Oversized, match="redirects"):
        await got(town, "https://evil.example/0")
    assert len(town.asked) == 4


async def test_a_redirect_to_itself_ends() -> None:
    town = Town({NOTE: moved(NOTE)})

    with pytest.raises(Oversized):
        await got(town)


@pytest.mark.parametrize(
    "location",
    [
        "http://victim.example/notes/1",
        "ftp://evil.example/",
        "https://u@evil.example/",
        "data:application/json,{}",
        "\\\\evil",
        "https://[evil.example/",
        "//evil.example]/",
    ],
)
async def test_a_redirect_away_from_https_or_to_no_address_is_refused(location: str) -> None:
    town = Town({NOTE: moved(location)})

    with pytest.raises(Forbidden):
        await got(town)
    assert town.asked == [NOTE]


async def test_a_server_that_must_not_be_asked_is_not_asked_because_another_leads_there() -> None:
    other = "https://blocked.example/notes/1"
    town = Town({NOTE: moved(other), other: a_document(a_note(other))})

    async def permit(url: str) -> None:
        if url == other:
            raise Forbidden("not there", url=url)

    async with town.client() as http:
        with pytest.raises(Forbidden):
            await fetch_document(Retrieval(http, SIGNER, NOW, permit), NOTE)
    assert town.asked == [NOTE]


@pytest.mark.parametrize("encoding", ["gzip", "x-unknown"])
async def test_an_encoded_answer_is_refused(encoding: str) -> None:
    answer = a_document(a_note())
    answer.headers["content-encoding"] = encoding

    with pytest.raises(FetchError):
        await got(Town({NOTE: answer}))


# ---- signatures ------------------------------------------------------------------------------------------------------


def as_signed(request: httpx.Request) -> SignedRequest:
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    return SignedRequest(request.method, request.url.raw_path, headers)


async def test_every_request_is_signed_for_where_it_goes() -> None:
    other = "https://other.example/notes/1?a=b"
    town = Town({NOTE: moved(other), other: a_document(a_note(other))})

    await got(town)

    for request, origin in zip(
        town.requests, ("https://victim.example", "https://other.example"), strict=True
    ):
        outcome = judge(as_signed(request), signer=SIGNER, origin=origin)
        assert isinstance(outcome, Verified)
        assert outcome.key_id == SIGNER.key_id
        assert "application/activity+json" in request.headers["accept"]


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("url", [NOTE, f"{NOTE}?page=1"])
async def test_a_refused_signature_is_tried_once_in_another_spelling(url: str, status: int) -> None:
    def second_time_only(request: httpx.Request) -> httpx.Response:
        return a_document(a_note(url)) if len(town.requests) == 2 else httpx.Response(status)

    town = Town({url: second_time_only})

    assert await got(town, url) == a_note(url)
    first, second = town.requests
    assert "signature-input" not in first.headers
    assert ("signature-input" in second.headers) == ("?" not in url)
    for request in town.requests:
        assert isinstance(judge(as_signed(request), signer=SIGNER, origin="https://victim.example"), Verified)


class OneDialect:
    """A server that reads one of the two ways to sign and no other, with or without a query."""

    def __init__(self, *, is_newer: bool, wish: str = "") -> None:
        self.is_newer, self.wish = is_newer, wish

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if ("signature-input" in request.headers) != self.is_newer:
            return httpx.Response(401, headers={"accept-signature": self.wish} if self.wish else {})
        return a_document(a_note(str(request.url)))


async def test_a_server_that_reads_the_newer_dialect_alone_is_asked_in_it_first_from_then_on() -> None:
    page = f"{NOTE}?page=1"
    town = Town(dict.fromkeys((NOTE, page), OneDialect(is_newer=True)))
    fetcher = Fetcher(town.client())

    with pytest.raises(BadAnswer):
        # The second knock at an address with a query leaves the query out: who reads that is more often met.
        await fetcher.document_now(page, signer=SIGNER, now=NOW)
    await fetcher.document_now(NOTE, signer=SIGNER, now=NOW)
    known = len(town.requests)
    found = await fetcher.document(f"{NOTE}?page=1#x", signer=SIGNER, now=NOW)

    assert found["id"] == page
    assert known == 4
    assert ["signature-input" in request.headers for request in town.requests[known:]] == [True]


@pytest.mark.parametrize("wish", ["", 'sig1=("@method" "@target-uri");created'])
async def test_a_server_that_gives_the_newer_dialect_up_is_asked_in_the_older_one_again(wish: str) -> None:
    """Also when it asks for just what it was given."""
    server = OneDialect(is_newer=True, wish=wish)
    town = Town({NOTE: server})
    fetcher = Fetcher(town.client())

    await fetcher.document_now(NOTE, signer=SIGNER, now=NOW)
    server.is_newer = False
    for _ in range(2):
        await fetcher.document_now(NOTE, signer=SIGNER, now=NOW)

    asked = ["signature-input" in request.headers for request in town.requests]
    assert asked == [False, True, True, False, False]


async def test_a_server_that_refuses_both_dialects_is_remembered_for_neither() -> None:
    town = Town({NOTE: httpx.Response(401)})
    fetcher = Fetcher(town.client())

    for _ in range(2):
        with pytest.raises(BadAnswer):
            await fetcher.document_now(NOTE, signer=SIGNER, now=NOW)

    assert ["signature-input" in request.headers for request in town.requests] == [False, True, False, True]


def test_the_memory_of_dialects_is_bounded() -> None:
    spoken = Spoken()
    for number in range(5000):
        spoken.learn(f"https://{number}.example", is_newer=True)

    assert not spoken.is_newer_first("https://0.example")
    assert spoken.is_newer_first("https://4999.example")


async def test_a_refusal_of_both_spellings_is_final() -> None:
    town = Town({NOTE: httpx.Response(401)})

    with pytest.raises(BadAnswer) as caught:
        await got(town)
    assert caught.value.status == 401
    assert len(town.requests) == 2


async def test_without_a_signer_nothing_is_signed() -> None:
    town = Town({NOTE: a_document(a_note())})
    async with town.client() as http:
        await fetch_document(Retrieval(http, None, NOW), NOTE)

    assert "signature" not in town.requests[0].headers


# ---- actors and keys -------------------------------------------------------------------------------------------------


async def actor_of(document: dict[str, Any]) -> Actor:
    async with Town({str(document["id"]): a_document(document)}).client() as http:
        return await fetch_actor(Retrieval(http, SIGNER, NOW), str(document["id"]))


async def test_an_actor_is_read_with_its_keys() -> None:
    multikey = {
        "id": f"{ALICE}#ed25519-key",
        "type": "Multikey",
        "controller": ALICE,
        "publicKeyMultibase": ed25519_key("alice").public.multibase,
    }

    actor = await actor_of(
        an_actor(assertionMethod=[multikey], endpoints={"sharedInbox": "https://victim.example/inbox"})
    )

    assert [key.id for key in actor.keys] == [f"{ALICE}#main-key", f"{ALICE}#ed25519-key"]
    assert actor.shared_inbox == "https://victim.example/inbox"


async def test_what_is_no_actor_is_refused() -> None:
    with pytest.raises(BadAnswer, match="not an actor"):
        await actor_of(a_note())


async def test_an_inbox_on_another_server_is_refused() -> None:
    with pytest.raises(Mismatch, match="inbox"):
        await actor_of(an_actor(MALLORY, inbox="https://victim.example/inbox"))


async def test_collections_and_shared_inboxes_of_others_are_left_out() -> None:
    actor = await actor_of(
        an_actor(
            MALLORY,
            endpoints={"sharedInbox": "https://node.example/inbox"},
            outbox="https://victim.example/outbox",
            followers=f"{ALICE}/followers",
            following="https://node.example/following",
            featured="https://victim.example/featured",
        )
    )

    assert (actor.shared_inbox, actor.outbox, actor.followers, actor.following, actor.featured) == (None,) * 5


@pytest.mark.parametrize(
    "key",
    [
        {"id": f"{ALICE}#main-key", "owner": MALLORY, "publicKeyPem": "x"},
        {"id": f"{MALLORY}#main-key", "owner": ALICE, "publicKeyPem": "x"},
        [
            {"id": f"{MALLORY}#main-key", "owner": MALLORY, "publicKeyPem": "good"},
            {"id": f"{MALLORY}#main-key", "owner": MALLORY, "publicKeyPem": "other"},
        ],
    ],
    ids=["of another server", "of another owner", "one id for two keys"],
)
async def test_a_key_that_is_not_plainly_its_own_does_not_count(key: object) -> None:
    assert (await actor_of(an_actor(MALLORY, publicKey=key))).keys == ()


async def key_owner(town: Town, key_id: str) -> Actor:
    async with town.client() as http:
        return await fetch_key_owner(Retrieval(http, SIGNER, NOW), key_id)


async def test_the_owner_of_a_key_in_its_own_document_is_one_fetch_away() -> None:
    town = Town({ALICE: a_document(an_actor())})

    assert (await key_owner(town, f"{ALICE}#main-key")).id == ALICE
    assert town.asked == [ALICE]


async def test_a_key_whose_id_is_the_actors_is_found() -> None:
    key = {"id": ALICE, "owner": ALICE, "publicKeyPem": rsa_key("b").public.pem}

    assert (await key_owner(Town({ALICE: a_document(an_actor(publicKey=key))}), ALICE)).id == ALICE


async def test_a_key_with_a_document_of_its_own_is_confirmed_by_its_owner() -> None:
    key_id = f"{ALICE}/main-key"
    key = {"id": key_id, "owner": ALICE, "publicKeyPem": rsa_key("b").public.pem}
    stub = {"@context": AS, "id": ALICE, "type": "Person", "preferredUsername": "alice", "publicKey": key}
    town = Town({key_id: a_document(stub), ALICE: a_document(an_actor(publicKey=key))})

    actor = await key_owner(town, key_id)

    assert actor.key(key_id) is not None
    assert town.asked == [key_id, ALICE]


async def test_a_key_that_claims_an_owner_elsewhere_is_refused_without_asking_there() -> None:
    key = {
        "@context": AS,
        "id": "https://evil.example/k1",
        "type": "Key",
        "owner": ALICE,
        "publicKeyPem": "x",
    }
    town = Town({"https://evil.example/k1": a_document(key), ALICE: a_document(an_actor())})

    with pytest.raises(Mismatch):
        await key_owner(town, "https://evil.example/k1")
    assert town.asked == ["https://evil.example/k1"]


async def test_a_key_document_with_another_id_is_refused() -> None:
    key = {"@context": AS, "id": f"{ALICE}#main-key", "owner": ALICE, "publicKeyPem": "x"}
    town = Town({"https://evil.example/k1": a_document(key)})

    with pytest.raises(Mismatch):
        await key_owner(town, "https://evil.example/k1")


async def test_a_key_its_owner_does_not_list_is_refused() -> None:
    stray = "https://victim.example/keys/1"
    key = {"@context": AS, "id": stray, "owner": ALICE, "publicKeyPem": "x"}
    town = Town({stray: a_document(key), ALICE: a_document(an_actor())})

    with pytest.raises(Mismatch, match="does not list"):
        await key_owner(town, stray)
    with pytest.raises(Mismatch, match="does not list"):
        await key_owner(Town({ALICE: a_document(an_actor())}), f"{ALICE}#another-key")


KEYS = "https://victim.example/keys"


def a_key(key_id: str = f"{KEYS}/2", owner: str = ALICE, **more: object) -> dict[str, Any]:
    return {"@context": AS, "id": key_id, "owner": owner, "publicKeyPem": rsa_key("b").public.pem, **more}


def a_multikey(key_id: str = f"{KEYS}/3", owner: str = ALICE) -> dict[str, Any]:
    multibase = ed25519_key("alice").public.multibase
    return {
        "@context": "https://www.w3.org/ns/cid/v1",
        "id": key_id,
        "type": "Multikey",
        "controller": owner,
        "publicKeyMultibase": multibase,
    }


@pytest.mark.parametrize(
    "listed",
    [
        {"publicKey": f"{KEYS}/2", "assertionMethod": f"{KEYS}/3"},
        {"publicKey": [f"{KEYS}/2"], "assertionMethod": [f"{KEYS}/3", f"{KEYS}/gone"]},
        {"assertionMethod": [f"{KEYS}/2", f"{KEYS}/3", f"{KEYS}/2"]},
    ],
    ids=["strings", "lists", "beside a shown one"],
)
async def test_keys_that_an_actor_lists_by_their_address_are_asked_for_there(listed: dict[str, Any]) -> None:
    town = Town(
        {
            ALICE: a_document(an_actor(**listed)),
            f"{KEYS}/2": a_document(a_key()),
            f"{KEYS}/3": a_document(a_multikey()),
        }
    )

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)
    for key_id, material in (
        (f"{KEYS}/2", rsa_key("b").public.pem),
        (f"{KEYS}/3", ed25519_key("alice").public.multibase),
    ):
        town.requests.clear()
        actor = await key_owner(town, key_id)
        key = actor.key(key_id)
        assert actor == fetched
        assert key is not None
        assert material in (key.spki_pem, key.multibase)
        assert town.asked.count(key_id) == 1


@pytest.mark.parametrize(
    ("key_id", "document"),
    [
        (f"{KEYS}/2", a_key(owner=MALLORY)),
        (f"{KEYS}/2", a_key(owner="https://victim.example/users/bob")),
        (f"{KEYS}/2", a_key(f"{KEYS}/3")),
        (f"{KEYS}/2", a_key(owner="")),
        (f"{KEYS}/2", a_key(revoked="soon")),
        (f"{KEYS}/2", a_note(f"{KEYS}/2")),
        (f"{KEYS}/2", {"@context": AS, "id": f"{KEYS}/2", "publicKey": a_key()}),
        (f"{KEYS}/2", {"@context": AS, "id": ALICE, "publicKey": a_key()}),
        (f"{KEYS}/2#k", a_key(f"{KEYS}/2#k")),
        ("https://evil.example/keys/2", a_key("https://evil.example/keys/2")),
        (f"{KEYS.replace('https', 'http')}/2", a_key(f"{KEYS.replace('https', 'http')}/2")),
    ],
    ids=[
        "another's",
        "a neighbour's",
        "another id",
        "nobody's",
        "ended some day",
        "no key",
        "a key within",
        "a stub of its owner",
        "a fragment",
        "another server's",
        "without encryption",
    ],
)
async def test_a_linked_key_that_is_not_plainly_the_owners_does_not_count(
    key_id: str, document: dict[str, Any]
) -> None:
    actor = an_actor(publicKey=key_id, assertionMethod=[key_id])
    town = Town({ALICE: a_document(actor), key_id.partition("#")[0]: a_document(document)})

    async with town.client() as http:
        assert (await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)).keys == ()
    with pytest.raises(FetchError):
        await key_owner(town, key_id)


async def test_the_actors_id_stands_for_the_only_rsa_key_also_where_that_is_linked() -> None:
    town = Town({ALICE: a_document(an_actor(publicKey=f"{KEYS}/2")), f"{KEYS}/2": a_document(a_key())})

    assert (await key_owner(town, ALICE)).key(ALICE) == (await key_owner(town, f"{KEYS}/2")).key(f"{KEYS}/2")
    town.answers[f"{KEYS}/2"] = httpx.Response(503)
    with pytest.raises(Unreachable):
        await key_owner(town, ALICE)
    town.answers[f"{KEYS}/2"] = httpx.Response(404)
    with pytest.raises(NotListed):
        await key_owner(town, ALICE)


async def test_a_linked_key_that_leads_on_or_is_not_there_does_not_count() -> None:
    actor = a_document(an_actor(assertionMethod=[f"{KEYS}/2", f"{KEYS}/gone"]))
    town = Town({ALICE: actor, f"{KEYS}/2": moved(f"{KEYS}/9"), f"{KEYS}/9": a_document(a_key(f"{KEYS}/9"))})

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)
    assert [key.id for key in fetched.keys] == [f"{ALICE}#main-key"]
    # Nobody is led by an actor's keys to somebody who has no part in it.
    assert f"{KEYS}/9" not in town.asked


async def test_a_key_whose_address_leads_elsewhere_does_not_count_whatever_id_is_shown_there() -> None:
    elsewhere = "https://evil.example/keys/2"
    town = Town(
        {
            ALICE: a_document(an_actor(assertionMethod=[f"{KEYS}/2"])),
            f"{KEYS}/2": moved(elsewhere),
            elsewhere: a_document(a_key(f"{KEYS}/2")),
        }
    )

    with pytest.raises(Mismatch):
        await key_owner(town, f"{KEYS}/2")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_linked_key_that_cannot_be_had_just_now_is_told_from_one_that_is_not_there(
    status: int,
) -> None:
    actor = a_document(an_actor(assertionMethod=[f"{KEYS}/2", f"{KEYS}/3", f"{KEYS}/gone"]))
    town = Town(
        {
            ALICE: actor,
            f"{KEYS}/2": httpx.Response(status),
            f"{KEYS}/3": a_document(a_multikey()),
            f"{KEYS}/gone": httpx.Response(404),
        }
    )

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)
    assert [key.id for key in fetched.keys] == [f"{ALICE}#main-key", f"{KEYS}/3"]
    assert fetched.linked_keys == (f"{KEYS}/2",)


async def test_a_key_that_is_shown_is_not_asked_for_and_of_linked_ones_few() -> None:
    below = f"{ALICE}/keys/2"
    shown = an_actor(
        publicKey=a_key(below), assertionMethod=[below, *(f"{KEYS}/{number}" for number in range(10, 30))]
    )
    town = Town({ALICE: a_document(shown)})

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)
    assert [key.id for key in fetched.keys] == [below]
    assert len(town.asked) == 1 + fetch.MAX_LINKED_KEYS
    assert below not in town.asked


@pytest.mark.parametrize("document", [a_key(f"{KEYS}/2"), None], ids=["it says so itself", "it is not there"])
async def test_a_key_that_is_shown_and_lies_beside_its_actor_is_asked_whose_it_is(
    document: dict[str, Any] | None,
) -> None:
    """A neighbour could show it as well."""
    town = Town({ALICE: a_document(an_actor(publicKey=a_key(f"{KEYS}/2")))})
    if document is not None:
        town.answers[f"{KEYS}/2"] = a_document(document)

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)

    assert [key.id for key in fetched.keys] == ([] if document is None else [f"{KEYS}/2"])
    assert f"{KEYS}/2" in town.asked


@pytest.mark.parametrize(
    ("key_id", "is_asked"),
    [
        ("https://other.example/keys/2", False),
        (f"{ALICE}/keys#2", False),
        (f"{ALICE}2/main-key", True),
    ],
    ids=["on another server", "within a document below", "of a neighbour whose name begins alike"],
)
async def test_a_key_that_an_actor_shows_is_not_theirs_for_that(key_id: str, is_asked: bool) -> None:
    town = Town({ALICE: a_document(an_actor(publicKey=a_key(key_id)))})
    if not is_asked:
        town.answers[key_id.partition("#")[0]] = a_document(a_key(key_id))

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW), ALICE)

    assert fetched.keys == ()
    assert town.asked == [ALICE, *([key_id] if is_asked else [])]


async def test_a_server_that_must_not_be_asked_is_not_asked_for_linked_keys_either() -> None:
    asked: list[str] = []

    async def permit(url: str) -> None:
        asked.append(url)
        if url != ALICE:
            raise Forbidden("not there", url=url)

    town = Town(
        {ALICE: a_document(an_actor(assertionMethod=f"{KEYS}/3")), f"{KEYS}/3": a_document(a_multikey())}
    )

    async with town.client() as http:
        fetched = await fetch_actor(Retrieval(http, SIGNER, NOW, permit), ALICE)
    assert [key.id for key in fetched.keys] == [f"{ALICE}#main-key"]
    assert asked == [ALICE, f"{KEYS}/3"]
    assert town.asked == [ALICE]


# ---- once at a time --------------------------------------------------------------------------------------------------


async def test_a_thousand_requests_for_one_key_cost_one_fetch() -> None:
    town = Town({ALICE: a_document(an_actor())})
    async with town.client() as http:
        fetcher = Fetcher(http)
        key_id = f"{ALICE}#main-key"
        owners = await asyncio.gather(
            *(fetcher.key_owner(key_id, signer=SIGNER, now=NOW) for _ in range(1000))
        )

    assert {owner.id for owner in owners} == {ALICE}
    assert len(town.asked) == 1


async def test_keys_that_are_not_there_are_asked_for_so_often_and_no_more() -> None:
    town = Town()
    async with town.client() as http:
        fetcher = Fetcher(http)
        for number in range(2 * allowance.OF_ONE_ORIGIN):
            with pytest.raises(FetchError):
                await fetcher.key_owner(f"{ALICE}{number}#main-key", signer=SIGNER, now=NOW)

    # The one beyond is the one that is let through each second.
    assert len(town.asked) == allowance.OF_ONE_ORIGIN + 1


async def test_a_key_takes_so_long_and_no_longer_wherever_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "KEY_SECONDS", 0.1)

    async def on_and_on(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.06)
        return httpx.Response(302, headers={"location": f"{request.url}x"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(on_and_on)) as http:
        with pytest.raises(Unreachable, match="no key in"):
            await Fetcher(http).key_owner(f"{ALICE}#main-key", signer=SIGNER, now=NOW)


async def test_a_key_that_is_not_listed_is_refused_when_its_owner_was_asked_and_not_from_memory() -> None:
    town = Town({ALICE: a_document(an_actor())})
    async with town.client() as http:
        fetcher = Fetcher(http)
        for later, error in ((0, NotListed), (14, Unreachable), (15, NotListed)):
            with pytest.raises(error):
                await fetcher.key_owner(
                    f"{ALICE}#invented", signer=SIGNER, now=NOW + timedelta(seconds=later)
                )

    assert len(town.asked) == 2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
async def test_what_may_pass_is_told_from_what_stays(status: int) -> None:
    with pytest.raises(Unavailable) as caught:
        await got(Town({NOTE: httpx.Response(status)}))
    assert caught.value.retry_at is None

    with pytest.raises(Unavailable) as caught:
        await got(Town({NOTE: httpx.Response(status, headers={"retry-after": "120"})}))
    assert caught.value.retry_at == NOW + timedelta(seconds=120)


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (None, 15),
        (httpx.Response(503), 15),
        (httpx.Response(429, headers={"retry-after": "90"}), 90),
        (httpx.Response(503, headers={"retry-after": "86400"}), 300),
        (httpx.Response(404), 300),
        (httpx.Response(403, headers={"retry-after": "5"}), 300),
    ],
)
async def test_what_may_pass_is_remembered_for_a_moment_and_what_stays_for_longer(
    reply: httpx.Response | None, seconds: int
) -> None:
    town = Town({} if reply is None else {NOTE: reply})
    async with town.client() as http:
        fetcher = Fetcher(http)
        for later in (0, seconds - 1):
            with pytest.raises(FetchError):
                await fetcher.document(NOTE, signer=None, now=NOW + timedelta(seconds=later))
        assert len(town.asked) == 1

        town.answers[NOTE] = a_document(a_note())
        assert await fetcher.document(NOTE, signer=None, now=NOW + timedelta(seconds=seconds)) == a_note()


async def test_a_failure_is_remembered_for_a_while() -> None:
    town = Town({NOTE: httpx.Response(404)})
    async with town.client() as http:
        fetcher = Fetcher(http)
        for seconds in (0, 1, 299):
            with pytest.raises(NotThere) as caught:
                await fetcher.document(NOTE, signer=SIGNER, now=NOW + timedelta(seconds=seconds))
            assert caught.value.url == NOTE
        assert len(town.asked) == 1

        town.answers[NOTE] = a_document(a_note())
        assert await fetcher.document(NOTE, signer=SIGNER, now=NOW + timedelta(seconds=301)) == a_note()
        assert await fetcher.document(NOTE, signer=SIGNER, now=NOW) == a_note()


async def test_failures_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FAILURES_REMEMBERED", 2)
    town = Town()
    async with town.client() as http:
        fetcher = Fetcher(http)
        for number in (1, 2, 3, 1):
            with pytest.raises(Unreachable):
                await fetcher.actor(f"https://evil.example/{number}", signer=SIGNER, now=NOW)

    assert len(town.asked) == 4


async def test_whoever_gives_up_waiting_does_not_stop_the_others() -> None:
    release = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return a_document(a_note())

    async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as http:
        fetcher = Fetcher(http)
        one = asyncio.create_task(fetcher.document(NOTE, signer=SIGNER, now=NOW))
        two = asyncio.create_task(fetcher.document(NOTE, signer=SIGNER, now=NOW))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        release.set()

        assert await two == a_note()
        with pytest.raises(asyncio.CancelledError):
            await one


async def test_what_strangers_names_redirect_to_is_counted_where_it_leads() -> None:
    """A name below one's own costs nothing: each may be asked a hundred times, and each could lead to the same server."""
    many = allowance.OF_ONE_ORIGIN + 20
    leading: dict[str, Reply] = {
        f"https://n{number}.evil{number}.example/x": moved(f"https://victim.example/{number}")
        for number in range(many)
    }
    town = Town(leading | {f"https://victim.example/{number}": httpx.Response(404) for number in range(many)})

    async with town.client() as http:
        fetcher = Fetcher(http)
        for url in leading:
            with pytest.raises(FetchError):
                await fetcher.document(url, signer=SIGNER, now=NOW)

    # One more is let through in each second, and this was one.
    assert sum("victim" in url for url in town.asked) == allowance.OF_ONE_ORIGIN + 1


async def test_who_moved_within_a_site_redirects_without_end() -> None:
    many = allowance.OF_ONE_ORIGIN + 20
    answers: dict[str, Reply] = {}
    for number in range(many):
        answers[f"https://home.example/{number}"] = moved(f"https://www.home.example/{number}")
        answers[f"https://www.home.example/{number}"] = a_document(
            {"id": f"https://www.home.example/{number}", "type": "Note"}
        )
    town = Town(answers)

    async with town.client() as http:
        fetcher = Fetcher(http)
        for number in range(many):
            await fetcher.document(f"https://home.example/{number}", signer=SIGNER, now=NOW)

    assert len(town.asked) == 2 * many
