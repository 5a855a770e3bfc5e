"""The search form over cases: what can be chosen, what is chosen, and how each choice is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass

from node.entries.search import Filter, Listing
from vocab import charter
from web.pages import wording
from web.pages.addresses import query_of, query_without, with_query

VOCABULARIES: Mapping[str, str] = {
    "kind": "case_kinds",
    "group": "groups",
    "verification": "verification_levels",
    "status": "situation_statuses",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One value that can be chosen; `count` is how many of the cases found carry it."""

    value: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Chip:
    """One choice that holds, and the address of the list without it."""

    words: str
    address: str


def say(facet: str, value: str, language: str) -> str:
    """What a value of a facet is called."""
    match facet:
        case "state":
            return wording.state_name(value.upper(), language)
        case "article":
            known = value.isdecimal() and any(str(item.number) == value for item in charter.articles())
            return charter.article(value).label(language) if known else value
        case "provision":
            return charter.provision(value).label(language) if charter.is_provision(value) else value
        case "theme":
            return next((item.label(language) for item in charter.themes() if item.id == value), value)
        case "language":
            return wording.language_name(value, language)
        case "q":
            return f"“{value}”"
        case _ if facet in VOCABULARIES:
            return wording.label(value, VOCABULARIES[facet], language)
        case _:
            return value


def options(
    everything: Listing, found: Listing, wanted: Filter, *, names: Mapping[str, str], language: str
) -> dict[str, tuple[Option, ...]]:
    """What can be chosen in each facet, by name, never by number.

    everything   a listing without filters: all values there are.
    found        the listing shown: how many of its cases carry each value.
    wanted       what is chosen: offered even where no case carries it, so that the form says what holds.
    names        names of the publishing organisations by host.
    """
    offered = {}
    for facet in ("kind", "state", "article", "theme", "group", "verification", "status", "language", "node"):
        here = dict(found.counts.get(facet, ()))
        values = {value for value, _ in everything.counts.get(facet, ())} | {getattr(wanted, facet)} - {""}
        choices = [
            Option(value, names.get(value, say(facet, value, language)), here.get(value, 0))
            for value in values
        ]
        offered[facet] = tuple(sorted(choices, key=lambda option: _order(facet, option)))
    return offered


def chips(wanted: Filter, *, names: Mapping[str, str], language: str, kept: str | None) -> tuple[Chip, ...]:
    """What is chosen, each with the way to take it back. `kept` is the language the address carries."""
    pairs = [("lang", kept)] if kept else []
    return tuple(
        Chip(
            names.get(value, say(facet, value, language)),
            with_query("/cases", [*query_without(wanted, facet), *pairs]),
        )
        for facet, value in query_of(wanted)
    )


def _order(facet: str, option: Option) -> tuple[int, str]:
    number = int(option.value) if facet == "article" and option.value.isdecimal() else 0
    return number, option.words.casefold()
