"""Dissent, requests for correction, endorsements: two people here say it of another's case, and both nodes show it."""

from typing import Any

import pytest

from federation.proofs import Proven, check
from node.entries.entries import Entry
from node.errors import NotAllowed, NotFound, WrongState
from node.peers.directory import proving_keys
from node.publishing.positions import draft_position, end_position, positions_on, publish_position
from node.publishing.reactions import Reaction, read_reply, show_reply
from tests.rig.publications import publish_case
from tests.rig.town import Town
from tests.web.pages.test_replies import Browser, desk
from vocab.objects import read_object
from vocab.positions import LABELS, label, read_position
from vocab.terms import ACTIVITY_JSON

__all__ = ["desk"]

TEXT = "We read the same decisions.\n\nThey say something else."
WORDS = "They say something else."


async def a_case_of_b(town: Town) -> str:
    """A case of b that a follows."""
    await town.befriend("a", "b")
    url = (await publish_case(town["b"].node)).url
    await town.settle()
    return url


async def read(town: Town, site: str, address: str, accept: str = "text/html") -> Any:
    async with town.visitor(site, headers={"Accept": accept}) as http:
        return await http.get(address)


async def said(desk: dict[str, Browser], url: str, kind: str = "dissent") -> str:
    draft = {"case": url, "kind": kind, "language": "en", "text": TEXT}
    answer = await desk["Eva"].send("/positions", draft)
    assert answer.status_code == 200, answer.text
    drafted: str = answer.json()["id"]
    answer = await desk["Paul"].send(f"/positions/{drafted}/publish")
    assert answer.status_code == 200, answer.text
    return drafted


@pytest.mark.parametrize("kind", LABELS)
async def test_both_nodes_show_what_one_says_of_the_others_case(
    town: Town, desk: dict[str, Browser], kind: str
) -> None:
    url = await a_case_of_b(town)
    copy = f"/cases/b.example/{url.rpartition('/')[2]}"

    drafted = await said(desk, url, kind)
    await town.settle()
    await shown_at(town, "b", f"https://a.example/positions/{drafted}")

    for site, address in (("a", copy), ("b", url)):
        page = (await read(town, site, address)).text
        assert label(kind, "en") in page, site
        assert WORDS in page, site
        assert "Organisation A (fictional)" in page, site
        assert f"https://a.example/positions/{drafted}" in page, site


async def shown_at(town: Town, site: str, id: str) -> None:
    """The desk of a site has read a reply and agrees to show it."""
    node = town[site].node
    text = await read_reply(node, id)
    async with node.database.begin() as session:
        waiting = await session.get(Reaction, id)
        assert waiting is not None
        assert waiting.position == text.position
        await show_reply(session, id, text, by="somebody", now=node.clock.now())


async def test_it_is_a_signed_reply_that_anybody_can_read(town: Town, desk: dict[str, Browser]) -> None:
    url = await a_case_of_b(town)
    drafted = await said(desk, url)
    await town.settle()

    answer = await read(town, "a", f"/positions/{drafted}", ACTIVITY_JSON)
    document = answer.json()
    person = await read(town, "a", f"/positions/{drafted}")
    keys, _ = await proving_keys(town["b"].node, town["a"].settings.main_actor)
    async with town["a"].node.database.read() as session:
        case = await session.get(Entry, url)

    assert case is not None
    assert isinstance(check(document, keys, now=town.clock.now()), Proven)
    assert not isinstance(
        check(document | {"srt:position": "endorsement"}, keys, now=town.clock.now()), Proven
    )
    assert document["srt:caseHash"] == case.sha256
    assert read_position(document) == "dissent"
    note = read_object(document)
    assert (note.type, note.in_reply_to, note.summary) == ("Note", (url,), None)
    assert "<strong>Dissent: " in str(note.content)
    assert "https://b.example/actors/cases" in document["cc"]
    assert document["context"] == f"{url}/context"
    assert person.headers["location"] == f"/cases/b.example/{url.rpartition('/')[2]}#voices"


async def test_what_is_taken_back_is_gone_from_both(town: Town, desk: dict[str, Browser]) -> None:
    url = await a_case_of_b(town)
    drafted = await said(desk, url)
    await town.settle()
    await shown_at(town, "b", f"https://a.example/positions/{drafted}")

    assert (await desk["Paul"].send(f"/positions/{drafted}", method="DELETE")).status_code == 200
    await town.settle()

    stone = await read(town, "a", f"/positions/{drafted}", ACTIVITY_JSON)
    assert (stone.status_code, stone.json()["type"], stone.json()["formerType"]) == (410, "Tombstone", "Note")
    for site, address in (("a", f"/cases/b.example/{url.rpartition('/')[2]}"), ("b", url)):
        assert WORDS not in (await read(town, site, address)).text
    assert (await desk["Paul"].send(f"/positions/{drafted}", method="DELETE")).status_code == 409


async def test_a_draft_is_seen_by_the_desk_only_and_can_be_dropped(
    town: Town, desk: dict[str, Browser]
) -> None:
    url = await a_case_of_b(town)
    draft = {"case": url, "kind": "dissent", "language": "en", "text": TEXT}
    drafted = (await desk["Eva"].send("/positions", draft)).json()["id"]

    listed = (await desk["Vera"].get("/positions")).json()
    outside = await read(town, "a", f"/positions/{drafted}", ACTIVITY_JSON)
    dropped = await desk["Paul"].send(f"/positions/{drafted}", method="DELETE")
    late = await desk["Paul"].send(f"/positions/{drafted}/publish")

    assert [(row["state"], row["kind"]) for row in listed] == [("draft", "dissent")]
    assert outside.status_code == 404
    assert dropped.json()["state"] == "dropped"
    assert late.status_code == 409
    assert (await desk["Vera"].get("/positions")).json() == []


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"kind": "verdict"}, 400),
        ({"language": "xx"}, 400),
        ({"text": "  "}, 400),
        ({"text": "x" * 5_001}, 400),
        ({"case": "https://b.example/cases/none"}, 404),
        ({"title": "more"}, 400),
    ],
)
async def test_what_is_not_plainly_a_position_is_refused(
    town: Town, desk: dict[str, Browser], changed: dict[str, str], status: int
) -> None:
    url = await a_case_of_b(town)
    draft = {"case": url, "kind": "dissent", "language": "en", "text": TEXT} | changed

    assert (await desk["Eva"].send("/positions", draft)).status_code == status


async def test_nobody_publishes_alone_or_without_the_right(town: Town, desk: dict[str, Browser]) -> None:
    url = await a_case_of_b(town)
    draft = {"case": url, "kind": "dissent", "language": "en", "text": TEXT}
    drafted = (await desk["Eva"].send("/positions", draft)).json()["id"]
    node = town["a"].node

    for name in ("Eva", "Vera", "Olga"):
        assert (await desk[name].send(f"/positions/{drafted}/publish")).status_code == 403
    assert (await desk["Paul"].send("/positions", draft)).status_code == 403
    assert (await desk["Olga"].send("/positions", draft)).status_code == 403
    async with node.database.begin() as session:
        row = await draft_position(
            session,
            node.settings,
            case_url=url,
            kind="dissent",
            language="en",
            text=TEXT,
            by="x",
            now=town.clock.now(),
        )
        await session.flush()
        with pytest.raises(NotAllowed):
            await publish_position(session, node.settings, node.keyring, row.id, by="x", now=town.clock.now())
        with pytest.raises(NotFound):
            await end_position(session, node.settings, node.keyring, "none", by="x", now=town.clock.now())
        assert await positions_on(session, url) == []


def NOW(town: Town) -> Any:
    return town.clock.now()


async def test_a_case_that_changed_meanwhile_has_to_be_read_again(town: Town) -> None:
    url = await a_case_of_b(town)
    own = (await publish_case(town["a"].node)).url
    node = town["a"].node
    async with node.database.begin() as session:
        with pytest.raises(NotFound):
            await draft_position(
                session,
                node.settings,
                case_url=own,
                kind="dissent",
                language="en",
                text=TEXT,
                by="x",
                now=town.clock.now(),
            )
        row = await draft_position(
            session,
            node.settings,
            case_url=url,
            kind="dissent",
            language="en",
            text=TEXT,
            by="x",
            now=town.clock.now(),
        )
        await session.flush()
        case = await session.get(Entry, url)
        assert case is not None
        case.sha256 = "0" * 64
        with pytest.raises(WrongState):
            await publish_position(session, node.settings, node.keyring, row.id, by="y", now=town.clock.now())
