"""The hub's pages: its front, one page per State and per right, and its members. Nothing here ranks anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.entries.entries import CORRECTED
from node.entries.search import Card, Coverage, Filter, Listing, coverage, search
from node.errors import NotFound
from node.peers.follows import accepted_by
from node.runtime import Node
from node.settings import Settings
from vocab import charter, states
from vocab.dataset import load
from vocab.states import State
from web.pages.feeds import withdrawn
from web.pages.publications import FRESH, asked_for
from web.pages.rendering import render, speech_of

LATEST = 6
WEEK = timedelta(days=7)
SILENT_AFTER = timedelta(days=45)
LOOKED_AT = 50  # newest cases among which those changed this week are looked for


@dataclass(frozen=True, slots=True)
class Tile:
    """One State in the map of equal squares and in its table."""

    code: str
    name: str
    column: int
    row: int
    cases: int
    is_active: bool
    is_member: bool


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation whose cases are gathered here, or were: a former member's cases stay."""

    host: str
    name: str
    origin: str
    last_published_at: datetime | None
    cases: int
    is_active: bool
    is_member: bool


def routes(settings: Settings) -> list[Route]:
    """The hub's pages; none on a node."""
    if not settings.is_hub:
        return []
    return [
        Route("/", hub_front),
        Route("/states", state_list),
        Route("/states/{code}", state_page),
        Route("/articles", article_list),
        Route("/articles/{number}", article_page),
        Route("/nodes", member_list),
    ]


async def hub_front(request: Request) -> Response:
    """What the cases rest on, the latest of them, and what changed."""
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.read() as session:
        newest = await search(session, Filter(), per_page=LOOKED_AT)
        rests_on = await coverage(session, now=now)
        gone = await withdrawn(session)
    latest = Listing(
        newest.items[:LATEST], newest.total, 1, max(1, -(-newest.total // LATEST)), newest.counts
    )
    return render(
        request,
        "hub/front.html",
        headers=FRESH,
        latest=latest,
        changed=_changed(newest.items, since=now - WEEK),
        gone=tuple(card for card in gone if card.withdrawn_at and card.withdrawn_at >= now - WEEK),
        coverage=rests_on,
        tiles=tiles(newest, rests_on, language=speech_of(request).language),
        wanted=Filter(),
    )


async def state_list(request: Request) -> Response:
    """Every State, by name."""
    node: Node = request.app.state.node
    async with node.database.read() as session:
        everything = await search(session, Filter(), per_page=1)
        rests_on = await coverage(session, now=node.clock.now())
    shown = tiles(everything, rests_on, language=speech_of(request).language)
    return render(request, "hub/states.html", headers=FRESH, tiles=shown, coverage=rests_on)


async def state_page(request: Request) -> Response:
    """What a State has signed up to, and its cases."""
    node: Node = request.app.state.node
    code = str(request.path_params["code"]).upper()
    if not states.is_state(code):
        raise NotFound("no such State")
    wanted = Filter(state=code, page=asked_for(request).page)
    async with node.database.read() as session:
        listing = await search(session, wanted)
        rests_on = await coverage(session, now=node.clock.now())
    return render(
        request,
        "hub/state.html",
        headers=FRESH,
        state=states.state(code),
        listing=listing,
        wanted=wanted,
        is_active=code in rests_on.states,
        as_of=load(states.FILE)["$meta"]["charter_status_as_of"],
    )


async def article_list(request: Request) -> Response:
    """The rights of the Charter, by theme."""
    themes = tuple(
        (theme, tuple(charter.article(number) for number in theme.articles)) for theme in charter.themes()
    )
    return render(request, "hub/articles.html", headers=FRESH, themes=themes)


async def article_page(request: Request) -> Response:
    """What one right asks of a State, and its cases."""
    node: Node = request.app.state.node
    try:
        article = charter.article(request.path_params["number"])
    except KeyError:
        raise NotFound("no such article") from None
    wanted = Filter(article=str(article.number), page=asked_for(request).page)
    async with node.database.read() as session:
        listing = await search(session, wanted)
    return render(request, "hub/article.html", headers=FRESH, article=article, listing=listing, wanted=wanted)


async def member_list(request: Request) -> Response:
    """The organisations, by name, and where each takes alerts."""
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.read() as session:
        rests_on = await coverage(session, now=now)
        joined = {one.host: one.name for one in await accepted_by(session, node.settings.main_actor)}
    return render(
        request,
        "hub/nodes.html",
        headers=FRESH,
        members=members(joined, rests_on, scheme=node.settings.origin.partition("://")[0], now=now),
    )


def members(
    joined: Mapping[str, str], rests_on: Coverage, *, scheme: str, now: datetime
) -> tuple[Member, ...]:
    """Members and former members by name.

    joined   names of the members by host: those the hub follows and that accepted.
    """
    published = {host: (name, last, cases) for host, name, last, cases in rests_on.nodes}
    found = []
    for host in joined.keys() | published.keys():
        name, last, cases = published.get(host, (joined.get(host, host), None, 0))
        found.append(
            Member(
                host=host,
                name=joined.get(host) or name,
                origin=f"{scheme}://{host}",
                last_published_at=last,
                cases=cases,
                is_active=last is None or now - last <= SILENT_AFTER,
                is_member=host in joined,
            )
        )
    return tuple(sorted(found, key=lambda member: member.name.casefold()))


def tiles(listing: Listing, rests_on: Coverage, *, language: str) -> tuple[Tile, ...]:
    """Every State by name, with its place on the map, its cases in a listing of everything, and whether a node is active."""
    counted = dict(listing.counts.get("state", ()))
    shown = (_tile(state, counted, rests_on, language) for state in states.states())
    return tuple(sorted(shown, key=lambda tile: tile.name.casefold()))


def _tile(state: State, counted: dict[str, int], rests_on: Coverage, language: str) -> Tile:
    column, row = state.tile
    return Tile(
        code=state.code,
        name=state.name(language),
        column=column,
        row=row,
        cases=counted.get(state.code, 0),
        is_active=state.code in rests_on.states,
        is_member=state.is_member,
    )


def _changed(cards: tuple[Card, ...], *, since: datetime) -> tuple[Card, ...]:
    return tuple(
        card for card in cards if card.state == CORRECTED and card.updated_at and card.updated_at >= since
    )
