"""Actors and their collections. Followers and following show counts only: who follows an organisation can be at risk."""

import json
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from node.entries.search import standing
from node.errors import NotFound
from node.hub.members import member_document
from node.peers.blocklists import blocklist_document
from node.peers.follows import count_followers, count_following
from node.peers.ours import LocalActor, actor_document, aliases_of, local_actor
from node.peers.sending import Sent, as_read, count_sent, last_told, sent_activity, sent_by
from node.peers.synchronising import PATH, followers_from, origin_of
from node.publishing.featured import featured_cases
from node.runtime import Node
from vocab.properties import present, written
from vocab.terms import COLLECTION_CONTEXT
from web.fediverse.answers import activity_answer, wants_activity
from web.fediverse.signed import caller, private, shown, tells
from web.security import OPEN

PAGE = 10
# Of the cases that stand, so much is in a page as it was signed: most of those of a page, and still one document to whoever reads it.
WHOLE_BYTES = 245_760


class _Addressed(msgspec.Struct):
    """For whom an activity of ours is, and where it leads, as its signed bytes say it; the rest of them is passed over."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    target: str | None = None


_ADDRESSED = msgspec.json.Decoder(_Addressed)


def routes() -> list[Route]:
    """Where other servers find our actors."""
    of = "/actors/{name}"
    return [
        shown(of, actor, also_page=True),
        shown(f"{of}/outbox", outbox, takes=("page", "after")),
        shown(f"{of}/followers", followers),
        Route(f"{of}/{PATH}", followers_of_a_server),
        shown(f"{of}/following", following),
        shown(f"{of}/featured", featured),
        shown(f"{of}/blocklist", blocklist, takes=("page",)),
        shown(f"{of}/members", members, takes=("page",)),
        shown("/activities/{id}", activity),
    ]


async def actor(request: Request) -> Response:
    """The actor's document; people are sent to what it publishes. Never needs a signature: keys must be readable."""
    node, ours = _ours(request)
    if not wants_activity(request):
        if ours.facet:
            return RedirectResponse(
                f"/cases?{ours.facet[0]}={ours.facet[1]}", 303, headers={"Vary": "Accept"}
            )
        return RedirectResponse("/", 303, headers={"Vary": "Accept"})
    async with node.database.read() as session:
        aliases = await aliases_of(session, ours.id)
    document = actor_document(node.settings, node.keyring, ours, published=node.keyring.born, aliases=aliases)
    return activity_answer(document)


async def outbox(request: Request) -> Response:
    """What the actor sent to everyone, newest first, in pages."""
    node, ours = _ours(request)
    at = f"{ours.id}/outbox"
    async with node.database.read() as session:
        if "page" not in request.query_params:
            total = await count_sent(session, ours.id)
            return activity_answer(_collection(at, total, first=f"{at}?page=1", outboxOf=ours.id), max_age=30)
        after = _seen(node, request.query_params.get("after", ""))
        if (its_own := _page_of(at, after)).partition("?")[2] != request.url.query:
            # A page has one address, as everything that has an id.
            return RedirectResponse(its_own, 301, headers={"Vary": "Accept", **OPEN})
        sent = await sent_by(session, ours.id, after=after, limit=PAGE + 1)
        shown_here = await standing(session, [item.object_id for item in sent])
        whole = await last_told(session, shown_here)
    items = _items(sent[:PAGE], whole=whole)
    tells(request, *(item["object"]["id"] for item in items if isinstance(item["object"], dict)))
    page: dict[str, Any] = {
        "@context": COLLECTION_CONTEXT,
        "id": its_own,
        "type": "OrderedCollectionPage",
        "partOf": at,
        # Who trusts this need not ask for each case that is here whole.
        "srt:upToDate": True,
        "orderedItems": items,
    }
    if len(sent) > PAGE:
        page["next"] = _page_of(at, (sent[PAGE - 1].sent_at, sent[PAGE - 1].id))
    return activity_answer(page, max_age=30)


async def followers(request: Request) -> Response:
    """How many follow; who they are is nobody's business."""
    node, ours = _ours(request)
    async with node.database.read() as session:
        total = await count_followers(session, ours.id)
    return activity_answer(_collection(ours.followers, total, followersOf=ours.id))


async def followers_of_a_server(request: Request) -> Response:
    """Who follows from the server that asks, and signs (FEP-8fcf): its own people, which it knows anyway."""
    node, ours = _ours(request)
    origin = origin_of(await caller(request))
    async with node.database.read() as session:
        ids = await followers_from(session, ours.id, origin)
    return private(activity_answer({**_collection(f"{ours.id}/{PATH}", len(ids)), "orderedItems": ids}))


async def following(request: Request) -> Response:
    """How many we follow."""
    node, ours = _ours(request)
    async with node.database.read() as session:
        total = await count_following(session, ours.id)
    return activity_answer(_collection(f"{ours.id}/following", total, followingOf=ours.id))


async def featured(request: Request) -> Response:
    """The cases that the desk has put first."""
    node, ours = _ours(request)
    cases: list[str] = []
    if ours.id == node.settings.main_actor:
        async with node.database.read() as session:
            cases = await featured_cases(session)
    return activity_answer({**_collection(f"{ours.id}/featured", len(cases)), "orderedItems": cases})


async def blocklist(request: Request) -> Response:
    """The hosts that a hub blocks or limits, signed, for those who follow its list. A node's decisions are its own."""
    node, ours = _ours(request)
    page = _page_of_list(request, node, ours)
    async with node.database.read() as session:
        document = await blocklist_document(
            session, node.settings, node.keyring, page=page, now=node.clock.now()
        )
    return activity_answer(document)


async def members(request: Request) -> Response:
    """The member organisations of a hub, signed."""
    node, ours = _ours(request)
    page = _page_of_list(request, node, ours)
    async with node.database.read() as session:
        document = await member_document(
            session, node.settings, node.keyring, page=page, now=node.clock.now()
        )
    return activity_answer(document)


async def activity(request: Request) -> Response:
    """One public activity of ours, byte for byte as it was sent."""
    node: Node = request.app.state.node
    at = f"{node.settings.origin}/activities/{request.path_params['id']}"
    async with node.database.read() as session:
        sent = await sent_activity(session, at)
    if sent is None or not sent.is_public:
        raise NotFound("no such public activity")
    if sent.type in ("Create", "Update") and sent.object_id.startswith(f"{node.settings.origin}/cases/"):
        tells(request, sent.object_id)
    return activity_answer(as_read(sent, node.keyring))


def _page_of_list(request: Request, node: Node, ours: LocalActor) -> int | None:
    """Which page of a hub's list is asked for; None for the list itself. Raises NotFound."""
    if not node.settings.is_hub or ours.id != node.settings.main_actor:
        raise NotFound("no list here")
    page = request.query_params.get("page")
    # As its id says it: `01` would be the first once more, under another address.
    if page is not None and not re.fullmatch("[1-9][0-9]{0,3}", page, re.ASCII):
        raise NotFound("no such page")
    return int(page) if page else None


def _ours(request: Request) -> tuple[Node, LocalActor]:
    node: Node = request.app.state.node
    found = local_actor(node.settings, request.path_params["name"])
    if found is None:
        raise NotFound("no such actor")
    return node, found


def _collection(id: str, total: int, **more: object) -> dict[str, Any]:
    return {
        "@context": COLLECTION_CONTEXT,
        "id": id,
        "type": "OrderedCollection",
        "totalItems": total,
        **more,
    }


def _items(sent: Sequence[Sent], *, whole: Collection[str]) -> list[dict[str, Any]]:
    """The activities of a page; those that are to be whole as they were signed, for as long as there is room."""
    # snac 2.96 shows a new follower those that embed what they brought, and asks for none; who wants all of them asks anyway.
    items: list[dict[str, Any]] = []
    room = WHOLE_BYTES
    for one in sent:
        is_whole = one.id in whole and len(one.body) <= room
        if is_whole:
            room -= len(one.body)
        items.append(json.loads(one.body) if is_whole else _reference(one))
    return items


def _reference(sent: Sent) -> dict[str, Any]:
    """An activity by its members; its object, which is at home elsewhere or at an address of its own, by its id."""
    said = _ADDRESSED.decode(sent.body)
    return present(
        {
            "id": sent.id,
            "type": sent.type,
            "actor": sent.actor,
            "published": written(sent.sent_at),
            "to": list(said.to),
            "cc": list(said.cc),
            "object": sent.object_id,
            "target": said.target,
        }
    )


def _page_of(outbox: str, after: tuple[datetime, str] | None) -> str:
    """The address of the first page, or of the one after a moment and an activity."""
    if after is None:
        return f"{outbox}?page=1"
    moment, last = after
    seen = f"{moment.timestamp():.6f}_{last.rsplit('/', 1)[1]}"
    return f"{outbox}?{urlencode({'page': 1, 'after': seen})}"


def _seen(node: Node, text: str) -> tuple[datetime, str] | None:
    """Where the reader is: moment and id of the last activity on the page before."""
    moment, _, name = text.partition("_")
    try:
        return datetime.fromtimestamp(float(moment), UTC), f"{node.settings.origin}/activities/{name}"
    except (ValueError, OverflowError, OSError):
        return None
