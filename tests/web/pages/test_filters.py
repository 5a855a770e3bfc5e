"""Filters as addresses: what a reader chose can be sent to another reader."""

from hypothesis import given
from hypothesis import strategies as st

from node.entries.search import Filter
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
