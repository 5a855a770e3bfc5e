"""Replies and featured cases: nothing of others is shown unasked, and only the words that somebody of the desk has read."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from node.publishing.publications import Publication
from node.publishing.publish import publish
from tests.rig.alerts import a_member, a_person, b64
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, AS, PUBLIC

API = "/api/v1/desk"
ROLES = {"Eva": ["editor"], "Paul": ["publisher"], "Vera": ["verifier"], "Olga": ["administrator"]}
NOTE = "https://stranger.example/notes/1"


@dataclass
class Browser:
    """One person's browser at node a."""

    client: httpx.AsyncClient

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.client.get(API + path, params=query)

    async def send(self, path: str, body: Any = None, method: str = "POST") -> httpx.Response:
        headers = {"origin": "https://a.example", "content-type": "application/json"}
        return await self.client.request(
            method, API + path, content=json.dumps(body or {}).encode(), headers=headers
        )


@pytest.fixture
async def desk(town: Town) -> AsyncIterator[dict[str, Browser]]:
    """The people of node a, signed in."""
    node = town["a"].node
    browsers = {}
    async with node.database.begin() as session:
        for name, roles in ROLES.items():
            await a_member(session, name, roles)
    for name in ROLES:
        browsers[name] = Browser(town.visitor("a"))
        answer = await browsers[name].send("/session", {"name": name, "auth": b64(a_person(name).auth)})
        assert answer.status_code == 200, answer.text
    yield browsers
    for browser in browsers.values():
        await browser.client.aclose()


def a_reply(stranger: Stranger, url: str, content: str = "<p>I saw it, too.</p>") -> dict[str, Any]:
    note = {
        "@context": AS,
        "id": NOTE,
        "type": "Note",
        "attributedTo": stranger.id,
        "inReplyTo": url,
        "published": "2026-11-21T11:00:00Z",
        "content": content,
        "to": [PUBLIC],
    }
    stranger.documents["/notes/1"] = note
    return note


async def publish_known(town: Town) -> Publication:
    """A case that the desk's addresses can name."""
    node = town["a"].node
    async with node.database.begin() as session:
        return await publish(
            session,
            node.settings,
            node.keyring,
            case_id="c" * 32,
            case=a_case(),
            drafted_by="drafter",
            approved_by="approver",
            now=node.clock.now(),
        )


async def arrive(town: Town, stranger: Stranger, kind: str, note: Any, number: int = 1) -> None:
    assert (await stranger.post("a", stranger.activity(kind, note, number=number))).status_code == 202
    await town.settle()


async def at(town: Town, url: str) -> httpx.Response:
    async with town.visitor("a") as visitor:
        return await visitor.get(url, headers={"accept": ACTIVITY_JSON})


async def listed(town: Town, url: str) -> tuple[list[str], list[str]]:
    replies, context = (await at(town, f"{url}/replies")).json(), (await at(town, f"{url}/context")).json()
    return replies["first"]["items"], context["orderedItems"]


async def test_replies_are_for_editors_and_publishers(town: Town, desk: dict[str, Browser]) -> None:
    for name in ("Vera", "Olga"):
        assert (await desk[name].get("/replies")).status_code == 403
        assert (await desk[name].get("/replies/text", id=NOTE)).status_code == 403
        assert (await desk[name].send("/replies/show", {"id": NOTE, "sha256": "0" * 64})).status_code == 403
        assert (await desk[name].send("/replies/hide", {"id": NOTE})).status_code == 403
    async with town.visitor("a") as visitor:
        assert (await visitor.get(f"{API}/replies")).status_code == 401


async def test_a_reply_is_shown_when_somebody_has_read_it_and_not_before(
    town: Town, desk: dict[str, Browser]
) -> None:
    stranger, eva = Stranger(town), desk["Eva"]
    url = (await publish_case(town["a"].node)).url
    await arrive(town, stranger, "Create", a_reply(stranger, url, "<p>Me, too<script>x</script></p>"))

    assert await listed(town, url) == ([], [url])
    (line,) = (await eva.get("/replies")).json()
    assert (line["id"], line["case"], line["state"]) == (NOTE, url, "waiting")
    read = (await eva.get("/replies/text", id=NOTE)).json()
    assert read["content"] == "<p>Me, too</p>"
    assert read["author"] == "A stranger (fictional)"
    shown = await eva.send("/replies/show", {"id": NOTE, "sha256": read["sha256"]})
    assert shown.json()["state"] == "shown"
    assert await listed(town, url) == ([NOTE], [url, NOTE])
    assert (await eva.get("/replies")).json() == []

    await desk["Paul"].send("/replies/hide", {"id": NOTE})
    assert await listed(town, url) == ([], [url])
    assert [line["state"] for line in (await eva.get("/replies", state="hidden")).json()] == ["hidden"]


async def test_a_reply_that_was_written_to_us_alone_can_be_read_and_not_shown(
    town: Town, desk: dict[str, Browser]
) -> None:
    stranger, eva = Stranger(town), desk["Eva"]
    url = (await publish_case(town["a"].node)).url
    note = a_reply(stranger, url, "<p>For you alone (fictional)</p>")
    note["to"] = [town["a"].settings.main_actor]
    await arrive(town, stranger, "Create", note)

    read = (await eva.get("/replies/text", id=NOTE)).json()
    refused = await eva.send("/replies/show", {"id": NOTE, "sha256": read["sha256"]})

    assert (read["public"], read["content"]) == (False, "<p>For you alone (fictional)</p>")
    assert refused.status_code == 403
    assert await listed(town, url) == ([], [url])


async def test_words_that_nobody_has_read_are_not_shown(town: Town, desk: dict[str, Browser]) -> None:
    stranger, eva = Stranger(town), desk["Eva"]
    url = (await publish_case(town["a"].node)).url
    await arrive(town, stranger, "Create", a_reply(stranger, url))
    read = (await eva.get("/replies/text", id=NOTE)).json()
    changed = a_reply(stranger, url, "<p>Something vile</p>")

    refused = await eva.send("/replies/show", {"id": NOTE, "sha256": read["sha256"]})

    assert refused.status_code == 409
    read = (await eva.get("/replies/text", id=NOTE)).json()
    await eva.send("/replies/show", {"id": NOTE, "sha256": read["sha256"]})
    assert (await listed(town, url))[0] == [NOTE]
    await arrive(town, stranger, "Update", changed)
    assert (await listed(town, url))[0] == []
    mallory = Stranger(town, "evil.example", "mallory", key="other")
    await eva.send("/replies/show", {"id": NOTE, "sha256": read["sha256"]})
    await arrive(town, mallory, "Update", changed)
    assert (await listed(town, url))[0] == [NOTE]
    await arrive(town, stranger, "Delete", NOTE)
    assert (await listed(town, url))[0] == []


@pytest.mark.parametrize("change", ["name", "position", "published"])
async def test_what_stands_beside_the_words_is_shown_as_it_was_read_or_not_at_all(
    town: Town, desk: dict[str, Browser], change: str
) -> None:
    stranger, eva = Stranger(town), desk["Eva"]
    url = (await publish_case(town["a"].node)).url
    note = a_reply(stranger, url)
    await arrive(town, stranger, "Create", note)
    read = (await eva.get("/replies/text", id=NOTE)).json()
    match change:
        case "name":
            renamed = stranger.actor(name=town["a"].settings.organisation)
            stranger.documents["/users/sam"] = renamed
            await arrive(town, stranger, "Update", renamed, number=2)
        case "position":
            note["srt:position"] = "endorsement"
        case _:
            note["published"] = "2020-01-01T00:00:00Z"

    refused = await eva.send("/replies/show", {"id": NOTE, "sha256": read["sha256"]})

    assert refused.status_code == 409
    assert (await listed(town, url))[0] == []
    again = (await eva.get("/replies/text", id=NOTE)).json()
    assert [name for name in ("author", "position", "published") if again[name] != read[name]] == [
        "author" if change == "name" else change
    ]
    assert (await eva.send("/replies/show", {"id": NOTE, "sha256": again["sha256"]})).status_code == 200
    async with town.visitor("a") as visitor:
        page = (await visitor.get(url)).text
    assert again["author"] in page


@pytest.mark.parametrize(
    ("says", "shown"),
    [("acct:sam@example.org", "sam@example.org"), ("acct:eve@example.org", "sam@stranger.example")],
)
async def test_who_wrote_a_reply_is_shown_under_the_handle_that_both_domains_confirm(
    town: Town, desk: dict[str, Browser], says: str, shown: str
) -> None:
    stranger = Stranger(town)
    link = {"rel": "self", "type": ACTIVITY_JSON, "href": stranger.id}
    stranger.documents["/.well-known/webfinger"] = {"subject": "acct:sam@example.org", "links": [link]}
    domain = Stranger(town, "example.org", key="other")
    domain.documents["/.well-known/webfinger"] = {"subject": says, "links": [link]}
    url = (await publish_case(town["a"].node)).url
    await arrive(town, stranger, "Create", a_reply(stranger, url))

    read = (await desk["Eva"].get("/replies/text", id=NOTE)).json()

    assert read["handle"] == shown


@pytest.mark.parametrize(
    "wrong", [{"attributedTo": "https://stranger.example/users/other"}, {"inReplyTo": None}, None]
)
async def test_what_is_not_that_reply_any_more_cannot_be_read(
    town: Town, desk: dict[str, Browser], wrong: dict[str, Any] | None
) -> None:
    stranger = Stranger(town)
    url = (await publish_case(town["a"].node)).url
    note = a_reply(stranger, url)
    await arrive(town, stranger, "Create", note)
    stranger.documents["/notes/1"] = None if wrong is None else note | wrong

    answer = await desk["Eva"].get("/replies/text", id=NOTE)

    assert answer.status_code == 404
    assert (await desk["Eva"].get("/replies/text", id="https://stranger.example/notes/2")).status_code == 404


async def test_the_case_says_where_its_conversation_is_and_a_case_of_nobody_has_none(town: Town) -> None:
    url = (await publish_case(town["a"].node)).url

    document = (await at(town, url)).json()

    assert document["context"] == f"{url}/context"
    assert document["replies"] == f"{url}/replies"
    assert (await at(town, document["context"])).json()["attributedTo"] == document["attributedTo"]
    for part in ("context", "replies"):
        assert (await at(town, f"https://a.example/cases/none/{part}")).status_code == 404


async def test_a_case_is_put_first_and_taken_back_and_followers_are_told(
    town: Town, desk: dict[str, Browser]
) -> None:
    stranger = Stranger(town)
    await stranger.post("a", stranger.activity("Follow", town["a"].settings.main_actor))
    publication = await publish_known(town)
    await town.settle()
    path, featured = f"/cases/{publication.case_id}/feature", f"{town['a'].settings.main_actor}/featured"

    assert (await desk["Vera"].send(path)).status_code == 403
    assert (await desk["Eva"].send("/cases/" + "0" * 32 + "/feature")).status_code == 404
    for _ in range(2):
        assert (await desk["Eva"].send(path)).status_code == 204
    await town.settle()
    assert (await at(town, featured)).json()["orderedItems"] == [publication.url]
    assert (await desk["Vera"].get("/featured")).json() == [publication.url]
    assert (await desk["Paul"].send(path, method="DELETE")).status_code == 204
    assert (await desk["Paul"].send(path, method="DELETE")).status_code == 404
    await town.settle()

    assert (await at(town, featured)).json()["orderedItems"] == []
    told = [one for one in stranger.received if one["type"] in {"Add", "Remove"}]
    assert [(one["type"], one["object"], one["target"]) for one in told] == [
        ("Add", publication.url, featured),
        ("Remove", publication.url, featured),
    ]
    for one in told:
        assert (await at(town, one["id"])).json() == one


async def test_the_desk_sees_where_a_case_has_got_to(town: Town, desk: dict[str, Browser]) -> None:
    stranger = Stranger(town)
    await stranger.post("a", stranger.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    publication = await publish_known(town)

    before = (await desk["Vera"].get(f"/cases/{publication.case_id}/deliveries")).json()
    await town.settle()
    after = (await desk["Vera"].get(f"/cases/{publication.case_id}/deliveries")).json()

    assert before["counts"] == {"has": 0, "waiting": 1, "never": 0}
    assert after["counts"] == {"has": 1, "waiting": 0, "never": 0}
    assert after["deliveries"][0]["host"] == stranger.host
    assert (await desk["Olga"].get(f"/cases/{publication.case_id}/deliveries")).status_code == 403
    assert (await desk["Vera"].get("/cases/" + "0" * 32 + "/deliveries")).status_code == 404
