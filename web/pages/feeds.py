"""Feeds of whatever can be filtered: Atom (RFC 4287, withdrawn entries as RFC 6721 tombstones) and JSON Feed 1.1.

An entry keeps the id of its case for ever; a correction is the same entry with a later `updated`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.etree import ElementTree

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.entries.entries import IS_NOT_SHOWN, WITHDRAWN, Entry
from node.entries.search import Card, Filter, card, newest
from node.runtime import Node
from web import locale
from web.pages.addresses import query_of, with_query
from web.pages.filters import say
from web.pages.rendering import speech_of
from web.pages.wording import machine, spoken

PER_FEED: Final = 50
ATOM: Final = "http://www.w3.org/2005/Atom"
TOMBSTONES: Final = "http://purl.org/atompub/tombstones/1.0"
XML: Final = "http://www.w3.org/XML/1998/namespace"
JSON_FEED: Final = "https://jsonfeed.org/version/1.1"
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
HEADERS: Final = {
    "Cache-Control": "public, max-age=300",
    "Vary": "Accept-Language",
    "Access-Control-Allow-Origin": "*",
}


@dataclass(frozen=True, slots=True)
class Feed:
    """What both formats say of a list of cases."""

    title: str
    address: str
    home: str
    author: str
    language: str
    updated: datetime
    cards: tuple[Card, ...]
    withdrawn: tuple[Card, ...]


def routes() -> list[Route]:
    """`/feeds/cases.atom` and `.json`, with any filter of the list of cases as query."""
    return [Route("/feeds/cases.atom", atom_feed), Route("/feeds/cases.json", json_feed)]


async def atom_feed(request: Request) -> Response:
    """The cases as Atom."""
    feed = await _feed(request, "atom")
    return Response(write_atom(feed), media_type="application/atom+xml", headers=HEADERS)


async def json_feed(request: Request) -> Response:
    """The cases as JSON Feed."""
    body = json.dumps(write_json(await _feed(request, "json")), ensure_ascii=False).encode()
    return Response(body, media_type="application/feed+json", headers=HEADERS)


def write_atom(feed: Feed) -> bytes:
    """A feed in Atom."""
    ElementTree.register_namespace("", ATOM)
    ElementTree.register_namespace("at", TOMBSTONES)
    root = ElementTree.Element(f"{{{ATOM}}}feed", {f"{{{XML}}}lang": feed.language})
    _text(root, "id", feed.address)
    _text(root, "title", feed.title)
    _text(root, "updated", machine(feed.updated))
    _link(root, "self", feed.address, "application/atom+xml")
    _link(root, "alternate", feed.home, "text/html")
    _text(_text(root, "author"), "name", feed.author)
    for shown in feed.cards:
        _entry(root, shown, feed.language)
    for gone in feed.withdrawn:
        when = gone.withdrawn_at or gone.published_at
        ElementTree.SubElement(
            root, f"{{{TOMBSTONES}}}deleted-entry", {"ref": _plain(gone.url), "when": machine(when)}
        )
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def write_json(feed: Feed) -> dict[str, object]:
    """A feed in JSON Feed. The format has no word for what was withdrawn: it is left out."""
    return {
        "version": JSON_FEED,
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        "language": feed.language,
        "authors": [{"name": feed.author}],
        "items": [item for shown in feed.cards for item in _item(shown, feed.language)],
    }


async def _feed(request: Request, kind: str) -> Feed:
    node: Node = request.app.state.node
    wanted = Filter.parse(request.query_params)
    language = speech_of(request).language
    async with node.database.read() as session:
        cards = await newest(session, wanted, limit=PER_FEED)
        gone = await withdrawn(session) if not wanted.facets() else ()
    settings = node.settings
    named = [say(facet, value, language) for facet, value in query_of(wanted)]
    # The id of a feed may not change with the reader's browser: the language stands in it only when it was asked for.
    asked = [("lang", language)] if speech_of(request).asked else []
    return Feed(
        title=" · ".join([*named, settings.organisation]),
        address=with_query(f"{settings.origin}/feeds/cases.{kind}", [*query_of(wanted), *asked]),
        home=with_query(f"{settings.origin}/cases", [*query_of(wanted), *asked]),
        author=settings.organisation,
        language=language,
        updated=_newest((*cards, *gone)) or node.clock.now(),
        cards=cards,
        withdrawn=gone,
    )


async def withdrawn(session: AsyncSession) -> tuple[Card, ...]:
    """What was withdrawn, the latest first."""
    gone = select(Entry).where(IS_NOT_SHOWN, Entry.state == WITHDRAWN)
    gone = gone.order_by(Entry.withdrawn_at.desc()).limit(PER_FEED)
    return tuple(card(row) for row in await session.scalars(gone))


def _newest(cards: Iterable[Card]) -> datetime | None:
    return max((one.withdrawn_at or one.updated_at or one.published_at for one in cards), default=None)


def _entry(root: ElementTree.Element, shown: Card, language: str) -> None:
    case = shown.case
    title = spoken(case.title, original=case.language, wanted=language) if case else None
    if case is None or title is None:
        return
    entry = _text(root, "entry")
    entry.set(f"{{{XML}}}lang", title.language)
    _text(entry, "id", shown.url)
    _text(entry, "title", _marked(title.text, case.fictional, language))
    _text(entry, "published", machine(shown.published_at))
    _text(entry, "updated", machine(shown.updated_at or shown.published_at))
    _link(entry, "alternate", shown.url, "text/html")
    _link(entry, "alternate", shown.url, "application/activity+json")
    _text(_text(entry, "author"), "name", shown.publisher_name)
    for facet, value in (
        ("state", case.state),
        *(("article", str(n)) for n in case.articles),
        ("kind", case.kind),
    ):
        ElementTree.SubElement(
            entry, f"{{{ATOM}}}category", {"term": f"{facet}:{value}", "label": say(facet, value, language)}
        )
    _text(entry, "rights", case.licence)
    summary = spoken(case.summary, original=case.language, wanted=language)
    if summary:
        _text(entry, "summary", summary.text)


def _item(shown: Card, language: str) -> list[dict[str, object]]:
    case = shown.case
    title = spoken(case.title, original=case.language, wanted=language) if case else None
    if case is None or title is None:
        return []
    summary = spoken(case.summary, original=case.language, wanted=language)
    item: dict[str, object] = {
        "id": shown.url,
        "url": shown.url,
        "title": _marked(title.text, case.fictional, language),
        "content_text": summary.text if summary else title.text,
        "date_published": machine(shown.published_at),
        "language": title.language,
        "authors": [{"name": shown.publisher_name, "url": shown.publisher_origin}],
        "tags": [say("kind", case.kind, language), say("state", case.state, language)]
        + [say("article", str(number), language) for number in case.articles],
    }
    if shown.updated_at:
        item["date_modified"] = machine(shown.updated_at)
    return [item]


def _marked(title: str, is_fictional: bool, language: str) -> str:
    if not is_fictional:
        return title
    words = locale.translations(language)
    return f"[{words.gettext('Fictional')}] {title}"


def _text(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, f"{{{ATOM}}}{name}")
    child.text = _plain(text) if text is not None else None
    return child


def _link(parent: ElementTree.Element, rel: str, href: str, kind: str) -> None:
    ElementTree.SubElement(parent, f"{{{ATOM}}}link", {"rel": rel, "href": _plain(href), "type": kind})


def _plain(text: str) -> str:
    # XML 1.0 §2.2 has no place for these, escaped or not; a remote text may hold one, and no reader would open the feed.
    return _NOT_IN_XML.sub("", text)
