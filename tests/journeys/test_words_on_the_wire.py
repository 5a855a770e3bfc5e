"""Whatever servers of ours send or serve, read as the strictest stranger would: no word undefined, no address half said, no value empty."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from node.peers.changing import announce_move
from node.peers.directory import find_actor
from node.peers.follows import unfollow
from node.peers.hosts import decide
from node.peers.ours import local_actor_at, local_actors, say_alias
from node.peers.reports import send_report
from node.publishing.featured import feature, unfeature
from node.publishing.positions import draft_position, end_position, publish_position
from node.publishing.publish import correct
from node.publishing.reactions import ReplyText, keep_reaction, show_reply
from node.publishing.stamps import stamp_address
from tests.rig.publications import a_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from tests.vocab.test_cases import PICTURE
from vocab.jsonld import expand
from vocab.positions import LABELS
from vocab.terms import ACTIVITY_JSON, AS, CONTEXT, PUBLIC
from web.fediverse.objects import FEW_REPLIES

UNDEFINED = "urn:undefined:"
RELATIVE = "https://relative.invalid/"
# ActivityStreams itself makes an address of the first, and its context may not be overridden (AS2 Core §2.1); of the second Mastodon
# does, with whose context others compact it.
RELATIVE_BY_OTHERS = frozenset({"formerType", "attributionDomains"})
MAY_BE_EMPTY = frozenset({"items", "orderedItems"})
MOMENTS = frozenset(
    {"created", "deleted", "endTime", "expires", "published", "revoked", "startTime", "updated"}
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
REQUESTS = ("QuoteRequest", "ReplyRequest", "LikeRequest", "AnnounceRequest")
Json = dict[str, Any]


def members(value: object) -> Iterator[tuple[str, Any]]:
    """Every member of a document, at any depth; contexts are read elsewhere."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "@context":
                yield name, inner
                yield from members(inner)
    elif isinstance(value, list):
        for item in value:
            yield from members(item)


def marked(value: Any) -> Any:
    """The document, with a meaning for what its contexts give none, and without what others make relative."""
    if isinstance(value, list):
        return [marked(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: marked(inner) for name, inner in value.items() if name not in RELATIVE_BY_OTHERS}
    if "@context" in value:
        given = value["@context"] if isinstance(value["@context"], list) else [value["@context"]]
        found["@context"] = [*given, {"@vocab": UNDEFINED}]
    return found


def unsaid(document: Json) -> set[str]:
    """Words of a document that its context does not define, and addresses in it that are none without another."""
    text = json.dumps(expand(marked(document), base=RELATIVE))
    return set(re.findall(f'"((?:{UNDEFINED}|{RELATIVE}|_:)[^"]*)"', text))


def unclean(document: Json) -> list[str]:
    """What strict readers in typed languages, or whoever looks for what is private, would trip over."""
    found = [name for name, _ in members(document) if name in {"bto", "bcc"}]
    for name, value in members(document):
        if value is None or (value in ("", [], {}) and name not in MAY_BE_EMPTY):
            found.append(f"{name} is empty")
        if name in MOMENTS and not MOMENT.fullmatch(str(value)):
            found.append(f"{name} is {value}")
        if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 2**53):
            found.append(f"{name} is no whole number that everybody reads")
        if name in {"to", "cc"} and not isinstance(value, list):
            found.append(f"{name} is no list")
        if name == "type" and not isinstance(value, str):
            found.append("several types")
    return found


@pytest.fixture
async def busy(town: Town) -> Town:
    """A town in which everything that servers of ours can say of a case, of others and of themselves was said."""
    node, hub, other = (town[name].node for name in ("a", "hub", "b"))
    reader = Stranger(town, "reader.example", "rita", key="peer")
    for follower in ("hub", "b"):
        await town.befriend(follower, "a")
    for number, followed in enumerate((node.settings.main_actor, PUBLIC, hub.settings.main_actor)):
        await reader.post("hub" if number else "a", reader.activity("Follow", followed, number=number))
    plain = await publish_case(node)
    rich = await publish_case(node, a_case(1, image=PICTURE, content_warning={"en": "Violence"}))
    gone = await publish_case(node, a_case(2))
    await town.settle()

    town.clock.forward(minutes=5)
    async with node.database.begin() as session:
        case = a_case(title={"en": "Another <title> & more"})
        two = {"drafted_by": "one", "approved_by": "two"}
        await correct(
            session,
            node.settings,
            node.keyring,
            case_id=plain.case_id,
            case=case,
            now=node.clock.now(),
            **two,
        )
    for change in (feature, unfeature, feature):
        async with node.database.begin() as session:
            await change(session, node.settings, node.keyring, rich.url, now=node.clock.now())
    await withdraw_case(node, gone)
    await town.settle()

    for number, kind in enumerate(REQUESTS):
        post = f"https://reader.example/posts/{number}"
        await reader.post("a", reader.activity(kind, plain.url, instrument=post, number=10 + number))
    for kind in LABELS:
        async with other.database.begin() as session:
            said = await draft_position(
                session,
                other.settings,
                case_url=plain.url,
                kind=kind,
                language="en",
                text="So <it> is",
                by="one",
                now=other.clock.now(),
            )
        async with other.database.begin() as session:
            await publish_position(
                session, other.settings, other.keyring, said.id, by="two", now=other.clock.now()
            )
    async with other.database.begin() as session:
        await end_position(session, other.settings, other.keyring, said.id, by="two", now=other.clock.now())
    await town.settle()

    for number in range(FEW_REPLIES + 1):
        note = f"https://reader.example/notes/{number}"
        said_by = ReplyText("Rita", "rita@reader.example", note, "<p>Yes</p>", None, "0" * 64, is_public=True)
        async with node.database.begin() as session:
            await keep_reaction(
                session, id=note, kind="reply", actor=reader.id, case_url=plain.url, now=node.clock.now()
            )
            await show_reply(session, note, said_by, by="somebody", now=node.clock.now())
    them = await find_actor(other, node.settings.main_actor)
    us = local_actor_at(other.settings, other.settings.main_actor)
    assert us is not None
    async with other.database.begin() as session:
        await send_report(
            session,
            other.settings,
            other.keyring,
            them=them,
            objects=[plain.url],
            text="No",
            now=other.clock.now(),
        )
        await unfollow(session, other.settings, other.keyring, us=us, them=them, now=other.clock.now())
    async with hub.database.begin() as session:
        for host, policy in (("bad.example", "block"), ("loud.example", "limit")):
            await decide(session, host, policy, reason="Why", now=hub.clock.now())
    async with node.database.begin() as session:
        here = node.settings.main_actor
        await say_alias(session, here, other.settings.main_actor, "also-known-as", now=node.clock.now())
    await announce_move(other, here)
    await town.settle()
    return town


async def served(town: Town) -> AsyncIterator[tuple[str, Json]]:
    """Every document that servers of ours show, by its address: found by following what is named from their actors."""
    for name in ("a", "b", "hub"):
        settings = town[name].settings
        some = [actor.id for actor in local_actors(settings)]
        waiting = [*some[:2], *some[-2:]]
        waiting += [f"{some[0]}/{path}" for path in ("blocklist", "members")] if settings.is_hub else []
        asked: set[str] = set()
        async with town.visitor(name, headers={"Accept": ACTIVITY_JSON}) as http:
            while waiting:
                address = waiting.pop()
                if address in asked or not address.startswith(f"{settings.origin}/"):
                    continue
                asked.add(address)
                answer = await http.get(address)
                if answer.headers.get("content-type") != ACTIVITY_JSON:
                    continue
                yield address, answer.json()
                waiting += [value for _, value in members(answer.json()) if isinstance(value, str)]
                waiting += [
                    item
                    for _, value in members(answer.json())
                    if isinstance(value, list)
                    for item in value
                    if isinstance(item, str)
                ]


async def everything(town: Town) -> list[tuple[str, Json]]:
    """What was sent to inboxes by servers of ours, and what they serve."""
    ours = {f"{town[name].origin}/" for name in ("a", "b", "hub")}
    sent = [json.loads(request.content) for request in town.wires.carried if request.method == "POST"]
    found = [(said["type"], said) for said in sent if said["actor"].startswith(tuple(ours))]
    found += [pair async for pair in served(town)]
    case = next(
        said["object"]["id"]
        for _, said in found
        if said.get("type") == "Update" and said["object"]["type"] == "Article"
    )
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        for number in range(len(REQUESTS)):
            asked = f"https://reader.example/posts/{number}"
            address = stamp_address(town["a"].node.keyring, case, asked)
            found.append((address, (await http.get(address)).json()))
    return found


def walked(documents: dict[str, Json]) -> dict[str, int]:
    """How many items are found in each collection that shows any, page by page."""
    counts = {}
    for at, document in documents.items():
        if "totalItems" not in document or not {"first", "orderedItems", "items"} & document.keys():
            continue
        counts[at], page = 0, document
        while page:
            counts[at] += len(page.get("orderedItems") or page.get("items") or ())
            following = page.get("first", page.get("next"))
            page = following if isinstance(following, dict) else documents.get(str(following), {})
    return counts


async def test_whatever_we_send_or_serve_is_defined_clean_and_as_long_as_it_says(busy: Town) -> None:
    documents = await everything(busy)

    assert [(at, unsaid(document)) for at, document in documents if unsaid(document)] == []
    assert [(at, unclean(document)) for at, document in documents if unclean(document)] == []
    kinds = {document["type"] for _, document in documents}
    assert kinds >= {
        *("Accept", "Add", "Announce", "Create", "Delete", "Flag", "Follow", "Move", "Remove"),
        *("Undo", "Update", "Application", "Group", "Organization", "Article", "Note", "Tombstone"),
        *("Collection", "CollectionPage", "OrderedCollection", "OrderedCollectionPage"),
        *(f"{kind.removesuffix('Request')}Authorization" for kind in REQUESTS),
    }
    assert [at for at, document in documents if "actor" in document and "to" not in document] == []
    counts = walked(dict(documents))
    assert {at: document["totalItems"] for at, document in documents if at in counts} == counts
    assert {at.rsplit("/", 1)[1] for at, count in counts.items() if count} == {
        *("outbox", "featured", "context", "history", "replies", "members", "blocklist")
    }


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"@context": AS, "type": "Note", "colour": "red"}, {"urn:undefined:colour"}),
        ({"@context": AS, "type": "Case"}, {"urn:undefined:Case"}),
        ({"@context": AS, "type": "Note", "url": "/cases/1"}, {"https://relative.invalid/cases/1"}),
        ({"@context": AS, "id": "_:b0", "type": "Note"}, {"_:b0"}),
        (
            {"@context": AS, "type": "Create", "object": {"@context": CONTEXT, "type": "Note", "x": 1}},
            {"urn:undefined:x"},
        ),
    ],
)
def test_what_a_context_leaves_out_is_found(document: Json, found: set[str]) -> None:
    assert unsaid(document) == found


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Note", "bcc": ["https://a.example/x"]},
        {"type": "Note", "summary": None},
        {"type": "Note", "tag": []},
        {"type": "Note", "object": {"content": ""}},
        {"type": "Note", "published": "2026-03-09T10:30:00.5Z"},
        {"type": "Note", "updated": "2026-03-09T10:30:00+00:00"},
        {"type": "Image", "width": 1.5},
        {"type": "Image", "size": 2**53},
        {"type": ["Note", "Article"]},
        {"type": "Note", "to": PUBLIC},
    ],
)
def test_what_strict_readers_trip_over_is_found(document: Json) -> None:
    assert len(unclean(document)) == 1
