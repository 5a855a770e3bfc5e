"""Who quotes, answers, likes or passes on a case of ours and asks first is given a stamp that others can check.

A stamp speaks for one thing of one author, and ends with its case.
"""

from typing import Any

import httpx
import pytest

from node.effects import stamping
from node.publishing import reactions
from node.publishing.publications import Publication
from node.publishing.publish import withdraw
from node.publishing.reactions import count_reactions, hide_reply, keep_reaction, shown_replies
from node.publishing.stamps import WORD_CHARACTERS, stamp_address
from tests.attacks.stage import Stage
from tests.node.effects.test_process import mallory
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, PUBLIC

__all__ = ["mallory"]

POST = "https://reader.example/posts/1"
US = "https://a.example/actors/cases"


@pytest.fixture
def reader(town: Town) -> Stranger:
    return Stranger(town, "reader.example", "rita", key="peer")


@pytest.fixture
async def case(town: Town) -> Publication:
    return await publish_case(town["a"].node)


async def ask(town: Town, by: Stranger, case: str, post: object = POST, number: int = 1) -> int:
    answer = await by.post("a", by.activity("QuoteRequest", case, instrument=post, number=number))
    await town.settle()
    return answer.status_code


async def stamp_of(town: Town, case: str, post: str = POST) -> httpx.Response:
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        return await http.get(stamp_address(town["a"].node.keyring, case, post))


@pytest.mark.parametrize("embedded", [False, True])
async def test_who_asks_is_given_a_stamp_that_anybody_can_check(
    town: Town, reader: Stranger, case: Publication, embedded: bool
) -> None:
    post: Any = {"id": POST, "type": "Note", "attributedTo": reader.id, "quote": case.url}

    await ask(town, reader, case.url, post if embedded else POST)

    (answer,) = reader.received
    assert (answer["type"], answer["actor"], answer["to"]) == ("Accept", US, [reader.id])
    assert answer["object"]["type"] == "QuoteRequest"
    assert answer["object"]["id"] == "https://reader.example/activities/quoterequest-1"
    assert answer["object"]["instrument"] == POST
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        found = await http.get(answer["result"])
    assert found.headers["content-type"] == ACTIVITY_JSON
    assert {name: value for name, value in found.json().items() if name != "@context"} == {
        "id": answer["result"],
        "type": "QuoteAuthorization",
        "attributedTo": US,
        "interactingObject": POST,
        "interactionTarget": case.url,
    }


async def test_a_case_says_that_it_may_be_quoted(town: Town, case: Publication) -> None:
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        document = (await http.get(case.url)).json()

    assert document["interactionPolicy"]["canQuote"] == {"automaticApproval": [PUBLIC]}


ASKED = {
    "QuoteRequest": ({"type": "Note", "quote": "{}"}, "quote", "QuoteAuthorization"),
    "ReplyRequest": ({"type": "Note", "inReplyTo": "{}"}, "reply", "ReplyAuthorization"),
    "LikeRequest": ({"type": "Like", "object": "{}"}, "like", "LikeAuthorization"),
    "AnnounceRequest": ({"type": "Announce", "object": "{}"}, "boost", "AnnounceAuthorization"),
}


def carried(kind: str, case: str, by: str, **other: object) -> dict[str, object]:
    instrument, _, _ = ASKED[kind]
    owner = "attributedTo" if kind in ("QuoteRequest", "ReplyRequest") else "actor"
    return {"id": POST, owner: by, **{key: text.format(case) for key, text in instrument.items()}, **other}


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("kind", ASKED)
async def test_who_asks_to_quote_answer_like_or_pass_on_is_given_a_stamp(
    town: Town, reader: Stranger, case: Publication, kind: str, embedded: bool
) -> None:
    _, kept, authorization = ASKED[kind]
    instrument: object = carried(kind, case.url, reader.id) if embedded else POST
    await reader.post("a", reader.activity(kind, case.url, instrument=instrument))
    await town.settle()

    (answer,) = reader.received
    assert (answer["type"], answer["object"]["type"], answer["object"]["instrument"]) == (
        "Accept",
        kind,
        POST,
    )
    found = (await stamp_of(town, case.url)).json()
    assert (found["id"], found["type"]) == (answer["result"], authorization)
    async with town["a"].node.database.read() as session:
        assert await count_reactions(session, case.url) == {kept: 1}
        assert await shown_replies(session, case.url) == []


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("QuoteRequest", {"attributedTo": "https://stranger.example/users/somebody-else"}),
        ("LikeRequest", {"actor": "https://evil.example/users/mallory"}),
        ("LikeRequest", {"object": "https://a.example/cases/none"}),
        ("ReplyRequest", {"attributedTo": "https://evil.example/users/mallory"}),
        ("ReplyRequest", {"inReplyTo": "https://a.example/cases/none"}),
    ],
)
async def test_what_a_request_carries_is_its_own_and_about_the_same_case(
    town: Town, reader: Stranger, case: Publication, kind: str, other: dict[str, object]
) -> None:
    instrument = carried(kind, case.url, reader.id, **other)
    await reader.post("a", reader.activity(kind, case.url, instrument=instrument))
    await town.settle()

    assert reader.received == []
    assert (await stamp_of(town, case.url)).status_code == 404


async def test_a_like_that_was_asked_for_and_then_comes_counts_once_and_goes_when_it_is_taken_back(
    town: Town, reader: Stranger, case: Publication
) -> None:
    like = reader.activity("Like", case.url)
    await reader.post("a", reader.activity("LikeRequest", case.url, instrument=like["id"], number=7))
    await reader.post("a", like)
    await town.settle()
    async with town["a"].node.database.read() as session:
        counted = await count_reactions(session, case.url)
    await reader.post("a", reader.activity("Undo", like, number=8))
    await town.settle()

    assert counted == {"like": 1}
    assert (await stamp_of(town, case.url, like["id"])).status_code == 404


async def test_there_is_no_stamp_that_nobody_was_given(
    town: Town, reader: Stranger, mallory: Stranger, case: Publication
) -> None:
    other = (await publish_case(town["a"].node)).url
    like = mallory.activity("Like", case.url)

    await ask(town, reader, case.url)
    await ask(town, mallory, case.url, POST)  # somebody else's post
    await mallory.post("a", like)
    await ask(town, mallory, case.url, like["id"], number=2)  # known as something else
    await ask(town, reader, other, POST, number=3)  # the same post for another case
    await town.settle()

    assert [(await stamp_of(town, url, post)).status_code for url, post in (
        (case.url, POST),
        (case.url, "https://evil.example/posts/1"),
        (case.url, ""),
        (other, POST),
        ("https://a.example/cases/none", POST),
    )] == [200, 404, 404, 404, 404]  # fmt: skip
    # Whoever was refused a quote has no stamp for one, whatever else is known under that id.
    assert (await stamp_of(town, case.url, like["id"])).json()["type"] == "LikeAuthorization"
    assert [item["type"] for item in mallory.received] == []
    assert len(reader.received) == 1


@pytest.mark.parametrize("kind", ["reply", "like", "boost", "quote"])
async def test_nobody_who_was_not_told_the_address_learns_who_answered_or_likes_a_case(
    town: Town, case: Publication, kind: str
) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        await keep_reaction(
            session,
            id=POST,
            kind=kind,
            actor="https://reader.example/users/rita",
            case_url=case.url,
            now=node.clock.now(),
        )
        if kind == "reply":
            await hide_reply(session, POST, by="somebody", now=node.clock.now())
    address = stamp_address(node.keyring, case.url, POST)
    bare, _, word = address.partition("&word=")
    other = stamp_address(node.keyring, case.url, f"{POST}1").partition("&word=")[2]
    elsewhere = stamp_address(town["b"].node.keyring, case.url, POST)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        unknown = await http.get(f"{bare}9&word={word}")
        refused = [
            await http.get(tried)
            for tried in (
                bare,
                f"{bare}&word=",
                f"{bare}&word={'0' * WORD_CHARACTERS}",
                f"{bare}&word=\u0161",
                f"{bare}&word={other}",
                elsewhere,
            )
        ]
        given = await http.get(address)

    assert {(one.status_code, one.text) for one in (*refused, unknown)} == {(404, unknown.text)}
    assert given.status_code == 200


async def test_a_neighbour_is_given_no_stamp_for_somebodys_post(
    town: Town, reader: Stranger, case: Publication
) -> None:
    neighbour = Stranger(town, reader.host, "nora", key="other")
    Stage(town).neighbours(reader, neighbour)

    await ask(town, reader, case.url)
    await ask(town, neighbour, case.url, number=2)

    assert (len(reader.received), neighbour.received) == (1, [])


async def test_who_is_too_much_of_one_site_is_given_no_stamp(
    town: Town, reader: Stranger, case: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_OF_A_SITE", 1)

    for number in (1, 2):
        await ask(town, reader, case.url, f"https://reader.example/posts/{number}", number)

    assert [one["object"]["instrument"] for one in reader.received] == [POST]


@pytest.mark.parametrize(
    "post",
    [None, "", "no address", f"{POST}/".ljust(2001, "x"), [POST, "https://reader.example/2"]],
)
async def test_a_request_without_one_post_is_accepted_and_has_no_effect(
    town: Town, reader: Stranger, case: Publication, post: object
) -> None:
    assert await ask(town, reader, case.url, post) == 202

    async with town["a"].node.database.read() as session:
        assert await count_reactions(session, case.url) == {}
    assert reader.received == []


async def test_a_stamp_ends_with_its_post_or_its_case_and_by_nobody_else(
    town: Town, reader: Stranger, mallory: Stranger, case: Publication
) -> None:
    await ask(town, reader, case.url)
    address = reader.received[0]["result"]
    await mallory.post("a", mallory.activity("Delete", POST))
    await mallory.post("a", mallory.activity("Delete", address, number=2))
    await town.settle()
    after_strangers = (await stamp_of(town, case.url)).status_code
    await reader.post("a", reader.activity("Delete", POST))
    await town.settle()
    after_its_author = (await stamp_of(town, case.url)).status_code

    second = "https://reader.example/posts/2"
    await ask(town, reader, case.url, second, number=2)
    node = town["a"].node
    town.clock.forward(minutes=1)
    async with node.database.begin() as session:
        await withdraw(
            session, node.settings, node.keyring, case_id=case.case_id, reason="factual-error",
            proposed_by="x", approved_by="y", now=node.clock.now(),
        )  # fmt: skip

    assert (after_strangers, after_its_author) == (200, 404)
    assert (await stamp_of(town, case.url, second)).status_code == 404


async def test_one_actor_quotes_a_case_only_so_often(
    town: Town, reader: Stranger, case: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamping, "MAX_ASKED", 2)
    other = Stranger(town, "other.example", key="other")

    for number in range(4):
        await ask(town, reader, case.url, f"https://reader.example/posts/{number}", number)
    await ask(town, reader, case.url, "https://reader.example/posts/1", 9)
    await ask(town, other, case.url, "https://other.example/posts/1")

    assert [one["type"] for one in reader.received] == ["Accept"] * 3
    async with town["a"].node.database.read() as session:
        assert await count_reactions(session, case.url) == {"quote": 3}
