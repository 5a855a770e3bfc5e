"""Filters as addresses: what a reader chose can be sent to another reader."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from node.entries.search import Filter
from tests.rig.publications import a_case
from vocab.cases import write_case
from vocab.objects import read_object
from vocab.samples import cases
from web.pages.addresses import FACETS, query_of, with_query
from web.pages.filters import say

LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20)


@given(st.fixed_dictionaries(dict.fromkeys(FACETS, LETTERS)))
def test_a_filter_survives_its_address(chosen: dict[str, str]) -> None:
    wanted = Filter.parse(chosen)

    assert Filter.parse(dict(query_of(wanted))) == wanted


@given(st.sampled_from(FACETS), LETTERS)
def test_any_value_can_be_said(facet: str, value: str) -> None:
    for language in ("en", "fr", "es"):
        say(facet, value, language)


def test_an_address_keeps_what_it_had() -> None:
    assert with_query("/cases?a=1#top", [("b", "2"), ("c", "")]) == "/cases?a=1&b=2#top"


def test_hashtags_lead_to_the_same_list_where_their_addresses_are_shown_in_small_letters() -> None:
    """snac 2.75 and 2.96 do that."""
    origin, now = "https://a.example", datetime(2026, 3, 9, tzinfo=UTC)
    documents = [
        write_case(
            a_case(number), id=f"{origin}/cases/{number}", actor=f"{origin}/actors/cases", published=now
        )
        for number in range(len(cases()))
    ]
    tags = [tag for document in documents for tag in read_object(document).tags if tag.type == "Hashtag"]
    addresses = [tag.href or "" for tag in tags]

    assert any("state=" in address for address in addresses)
    for address in addresses:
        assert wanted_at(address.lower()) == wanted_at(address)


def wanted_at(address: str) -> Filter:
    return Filter.parse(dict(parse_qsl(urlsplit(address).query)))
