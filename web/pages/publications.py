"""Cases for readers: the front of a node, the list with its filters, the page of a case, and the place of a withdrawn one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.entries.entries import asks_robots
from node.entries.search import Card, Coverage, Filter, coverage, document_at, entry_at, newest, search
from node.errors import NotFound
from node.peers.actors import host_of
from node.peers.hosts import shows_media_of
from node.peers.ours import announcer_of
from node.publishing.positions import positions_on
from node.publishing.publish import public_picture
from node.publishing.reactions import shown_replies
from node.runtime import Node
from node.settings import Settings
from vocab.cases import picture_address
from vocab.markup import plain_text
from vocab.publiccase import EXTENSIONS
from web.caching import unless_known
from web.pages import feeds
from web.pages.caseview import view_of
from web.pages.filters import chips, options
from web.pages.rendering import render, speech_of

LATEST = 6
ALIKE = 3
STALE_AFTER = timedelta(days=365)
# The bytes at an address never change; no longer than a page is kept all the same, because a case that is withdrawn takes its picture
# along. Who has it asks then whether it stands, and is answered without it. Other servers and previews of links may show it; as a page of
# its own it may do nothing.
OF_PICTURES: Mapping[str, str] = {
    "Cache-Control": "public, max-age=60, must-revalidate",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Disposition": "inline",
}
FRESH: Mapping[str, str] = {"Cache-Control": "public, max-age=60"}


@dataclass(frozen=True, slots=True)
class Voice:
    """What somebody says of a case, as plain words.

    position  a dissent, a request for correction, an endorsement; None for any other reply.
    """

    author: str
    url: str
    text: str
    on: datetime
    language: str | None
    position: str | None


def routes(settings: Settings) -> list[Route]:
    """Readers' pages of cases. `/cases/{id}` itself also answers servers, and is routed there."""
    front = [] if settings.is_hub else [Route("/", node_front)]
    return [
        *front,
        Route("/cases", case_list),
        Route("/cases/{host}/{id}", case_copy),
        Route("/pictures/{name}", picture),
        *feeds.routes(),
    ]


async def node_front(request: Request) -> Response:
    """Who we are, and the latest cases."""
    node: Node = request.app.state.node
    async with node.database.read() as session:
        latest = await search(session, Filter(own=True), per_page=LATEST)
        rests_on = await coverage(session, now=node.clock.now())
    return render(
        request, "readers/front.html", headers=FRESH, latest=latest, coverage=rests_on, wanted=Filter()
    )


async def case_list(request: Request) -> Response:
    """All cases, or those a reader asks for; every filter is a link."""
    node: Node = request.app.state.node
    wanted = asked_for(request)
    async with node.database.read() as session:
        listing = await search(session, wanted)
        everything = await search(session, Filter(), per_page=1) if wanted.facets() or wanted.q else listing
        rests_on = await coverage(session, now=node.clock.now())
    speech = speech_of(request)
    names = _names(rests_on)
    whole = wanted.page == 1 and not wanted.q
    return render(
        request,
        "readers/listing.html",
        announcer=announcer_of(node.settings, wanted.facets()) if whole else None,
        headers=FRESH,
        listing=listing,
        wanted=wanted,
        coverage=rests_on,
        options=options(everything, listing, wanted, names=names, language=speech.language),
        chips=chips(
            wanted, names=names, language=speech.language, kept=speech.language if speech.asked else None
        ),
    )


async def case_page(request: Request) -> Response:
    """A case published here."""
    node: Node = request.app.state.node
    return await _case(request, f"{node.settings.origin}/cases/{request.path_params['id']}")


async def case_copy(request: Request) -> Response:
    """Our copy of a case that another organisation published."""
    node: Node = request.app.state.node
    scheme = node.settings.origin.partition("://")[0]
    host, name = request.path_params["host"], request.path_params["id"]
    return await _case(request, f"{scheme}://{host}/cases/{name}")


async def picture(request: Request) -> Response:
    """The picture of a case that is public here. Only what we drew ourselves is there, under the hash of its bytes.

    Its type comes from our drawing and never from a file; nothing of others is fetched or passed on at any address of ours.
    """
    node: Node = request.app.state.node
    sha256, _, ending = request.path_params["name"].partition(".")
    async with node.database.read() as session:
        found = await public_picture(session, sha256)
    if found is None or EXTENSIONS[found.media_type] != ending:
        raise NotFound("no such picture")
    headers = {**OF_PICTURES, "ETag": f'"{sha256}"'}
    return unless_known(request, Response(found.body, media_type=found.media_type, headers=headers))


def asked_for(request: Request) -> Filter:
    """The filter in an address. `lang` is the language of the page, `language` that of the cases."""
    return Filter.parse(request.query_params)


async def _case(request: Request, url: str) -> Response:
    node: Node = request.app.state.node
    async with node.database.read() as session:
        card = await entry_at(session, url)
        if card is None:
            raise NotFound("no such case")
        if card.case is None:
            return _withdrawn(request, card)
        wanted = request.query_params.get("text", "")
        language = wanted if wanted in card.case.languages else speech_of(request).language
        view = view_of(card, card.case, language=language)
        others = await newest(session, view.alike, limit=ALIKE + 1)
        voices = await _voices(session, card, node.settings)
        asked = () if card.own else await _asked_of_robots(session, card)
        shows_media = card.own or await shows_media_of(session, host_of(card.url))
    return render(
        request,
        "readers/case.html",
        headers={**FRESH, "X-Robots-Tag": ", ".join(dict.fromkeys(("noarchive", *asked)))},
        card=card,
        view=view,
        is_stale=_is_stale(card.case.status_date, node.clock.now()),
        alike=_without(others, card),
        voices=voices,
        picture=picture_address(card.url, card.case.image) if card.case.image and shows_media else None,
    )


async def _asked_of_robots(session: AsyncSession, card: Card) -> tuple[str, ...]:
    """What the publisher of another's case asks of whoever indexes it (FEP-5e53), passed on with our copy of it."""
    found = await document_at(session, card.url)
    return asks_robots(found[0]) if found else ()


async def _voices(session: AsyncSession, card: Card, settings: Settings) -> tuple[Voice, ...]:
    """On a case of ours, replies that the desk agreed to show; on our copy of another's, what we say of it ourselves."""
    if card.own:
        return tuple(
            Voice(
                reply.author or reply.actor,
                reply.id,
                plain_text(reply.content or ""),
                reply.published_at or reply.received_at,
                None,
                reply.position,
            )
            for reply in await shown_replies(session, card.url)
        )
    return tuple(
        Voice(
            settings.organisation,
            own.url,
            own.text,
            own.published_at or own.drafted_at,
            own.language,
            own.kind,
        )
        for own in await positions_on(session, card.url)
    )


def _withdrawn(request: Request, card: Card) -> Response:
    return render(
        request,
        "readers/withdrawn.html",
        status=410,
        headers=FRESH,
        card=card,
    )


def _is_stale(looked_at: str, now: datetime) -> bool:
    return looked_at < (now - STALE_AFTER).date().isoformat()


def _without(others: tuple[Card, ...], card: Card) -> tuple[Card, ...]:
    return tuple(other for other in others if other.url != card.url)[:ALIKE]


def _names(rests_on: Coverage) -> dict[str, str]:
    return {host: name for host, name, _, _ in rests_on.nodes}
