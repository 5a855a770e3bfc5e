"""The language of a page: what was asked, then what the browser prefers, then the operator's first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.locale import choose, translations

OFFERED = ("en", "fr", "es")


@pytest.mark.parametrize(
    ("asked", "accept", "language"),
    [
        (None, None, "en"),
        (None, "", "en"),
        ("de", "fr", "fr"),  # not offered: as if not asked
        ("../fr", None, "en"),
        (None, "de-DE, fr-CH;q=0.8, es;q=0.9", "es"),
        (None, "fr-CH", "fr"),
        (None, "fr;q=0, es;q=0.1", "es"),
        (None, "*", "en"),
        (None, "fr;q=nonsense, es", "es"),
        (None, "de, *;q=0.5", "en"),
        ("es", "fr", "es"),
    ],
)
def test_the_language_is_chosen(asked: str | None, accept: str | None, language: str) -> None:
    assert choose(asked, accept, OFFERED).language == language


def test_a_language_stays_in_the_links_only_when_it_was_asked_for() -> None:
    assert choose("fr", None, OFFERED).asked
    assert not choose(None, "fr", OFFERED).asked


def test_an_operator_who_offers_one_language_gets_it() -> None:
    assert choose("en", "en", ("fr",)).language == "fr"
    assert choose(None, None, ("uk",)).language == "en"  # no catalog: the language of the sources


@given(st.text(max_size=200), st.text(max_size=20))
def test_no_header_breaks_the_choice(accept: str, asked: str) -> None:
    assert choose(asked, accept, OFFERED).language in OFFERED


def test_a_catalog_is_read_and_an_unknown_language_speaks_the_sources() -> None:
    assert translations("fr").gettext("Cases") == "Cas"
    assert translations("es").gettext("Cases") == "Casos"
    assert translations("zz").gettext("Cases") == "Cases"
