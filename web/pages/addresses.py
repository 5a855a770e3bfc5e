"""Addresses of this site as templates write them: the reader's language kept, every filter a link, every list a feed."""

from collections.abc import Iterable
from dataclasses import fields
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from node.entries.search import Card, Filter
from web.locale import Speech

FACETS = tuple(item.name for item in fields(Filter) if item.name not in {"page", "own"})


def install(environment: Environment) -> None:
    """Give a template environment these addresses."""
    environment.globals.update(
        address=_address,
        cases_address=_cases_address,
        feed_address=_feed_address,
        handle=handle,
        in_language=_in_language,
        link=_link,
        page_address=_page_address,
    )


def with_query(address: str, pairs: Iterable[tuple[str, str]]) -> str:
    """An address with more in its query; what is empty is left out."""
    parts = urlsplit(address)
    joined = "&".join(filter(None, (parts.query, urlencode([pair for pair in pairs if pair[1]]))))
    return urlunsplit(parts._replace(query=joined))


def query_of(wanted: Filter) -> list[tuple[str, str]]:
    """A filter as it stands in an address, page left out; `Filter.parse` reads it back."""
    return [(name, getattr(wanted, name)) for name in FACETS if getattr(wanted, name)]


def query_without(wanted: Filter, facet: str) -> list[tuple[str, str]]:
    """The same without one of its choices."""
    return [(name, value) for name, value in query_of(wanted) if name != facet]


def case_address(card: Card) -> str:
    """Where a case is read here: its own page, our copy of another's, or its home when we cannot show a copy."""
    path = urlsplit(card.url).path
    if card.own:
        return path
    head, _, name = path.rpartition("/")
    host = urlsplit(card.url).netloc
    if head == "/cases" and name and card.url == f"{card.publisher_origin}{path}":
        return f"/cases/{quote(host)}/{quote(name)}"
    return card.url


def handle(actor: str) -> str:
    """How people write an actor of ours: `@cases@host`."""
    return f"@{actor.rpartition('/')[2]}@{urlsplit(actor).netloc}"


@pass_context
def _link(context: Context, address: str, **query: str | int | None) -> str:
    """An address on this site: `query` joined, and the language kept when the reader asked for one."""
    pairs = [(key, "" if value is None else str(value)) for key, value in query.items()]
    return with_query(address, [*pairs, *_kept(context)])


@pass_context
def _in_language(context: Context, language: str) -> str:
    """This same page in another language."""
    pairs = [(key, value) for key, value in context["query"] if key != "lang"]
    return with_query(context["path"], [*pairs, ("lang", language)])


@pass_context
def _address(context: Context, card: Card) -> str:
    found = case_address(card)
    return with_query(found, _kept(context)) if found.startswith("/") else found


@pass_context
def _cases_address(context: Context, facet: str, value: str | int) -> str:
    return with_query("/cases", [(facet, str(value)), *_kept(context)])


@pass_context
def _page_address(context: Context, wanted: Filter, page: int) -> str:
    number = [("page", str(page))] if page > 1 else []
    return with_query("/cases", [*query_of(wanted), *number, *_kept(context)])


@pass_context
def _feed_address(context: Context, wanted: Filter, kind: str) -> str:
    return with_query(f"/feeds/cases.{kind}", [*query_of(wanted), *_kept(context)])


def _kept(context: Context) -> list[tuple[str, str]]:
    speech: Speech = context["speech"]
    return [("lang", speech.language)] if speech.asked else []
