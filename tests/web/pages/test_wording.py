"""Dates, names and texts as the reader says them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.pages.wording import bare, endonym, label, language_name, machine, prose, right, say_day, spoken


def test_what_is_not_in_a_list_is_shown_as_it_is() -> None:
    assert label("from-a-newer-version", "groups", "en") == "from-a-newer-version"
    assert right("99.9") == "99.9"
    assert language_name("zz-unknown", "en") == "zz-unknown"


@pytest.mark.parametrize(
    ("value", "language", "expected"),
    [
        ("2026", "en", "2026"),
        ("2026-03", "en", "March 2026"),
        ("2026-03", "fr", "mars 2026"),
        ("2026-03-12", "en", "12 March 2026"),
        ("2026-03-12", "fr", "12 mars 2026"),
        ("2026-03-12", "es", "12 de marzo de 2026"),
        (datetime(2026, 3, 12, 23, 30, tzinfo=UTC), "en", "12 March 2026"),
    ],
)
def test_a_day_is_as_exact_as_it_was_given(value: str | datetime, language: str, expected: str) -> None:
    assert say_day(value, language) == expected


def test_a_moment_for_machines_is_in_utc() -> None:
    assert machine(datetime(2026, 3, 12, 9, tzinfo=UTC)) == "2026-03-12T09:00:00Z"
    assert machine("2026-03") == "2026-03"


def test_a_text_falls_back_to_its_original_then_to_english() -> None:
    def language(texts: dict[str, str], wanted: str) -> str | None:
        found = spoken(texts, original="uk", wanted=wanted)
        return found.language if found is not None else None

    texts = {"uk": "Пенсії", "en": "Pensions"}

    assert [language(texts, wanted) for wanted in ("en", "fr", "uk")] == ["en", "uk", "uk"]
    assert language({}, "fr") is None
    assert language({"en": "", "uk": "Пенсії"}, "en") == "uk"


def test_a_language_calls_itself_by_its_own_name() -> None:
    assert (endonym("uk"), language_name("uk", "fr")) == ("українська", "ukrainien")


def test_a_language_with_a_script_or_a_country_says_its_name() -> None:
    assert (endonym("sr-Latn"), endonym("pt-BR")) == ("srpski (latinica)", "português (Brasil)")
    assert language_name("pt-BR", "sr-Latn") not in ("pt-BR", endonym("pt-BR"))


def test_a_long_address_is_cut_and_loses_its_scheme() -> None:
    assert bare("https://fr.tracker.example/documents/sample-02") == "fr.tracker.example/documents/sample-02"
    assert len(bare("https://fr.tracker.example/" + "x" * 200)) == 60


def test_a_shortened_address_still_says_whose_it_is() -> None:
    """Who names a host after somebody else's hopes that its end is cut; who uses letters that look alike, that nobody can tell."""
    assert bare(f"https://victim.example.{'a' * 50}.evil.example/case").endswith("evil.example/…")
    assert bare("https://\u0430mnesty.example/case") == "xn--mnesty-2nf.example/case"
    assert bare("https://victim.example@evil.example/") == "evil.example"


@given(st.text(max_size=300))
def test_prose_never_lets_markup_through(text: str) -> None:
    html = str(prose(text))
    for tag in ("<p>", "</p>", "<br>"):
        html = html.replace(tag, "")
    assert "<" not in html
    assert ">" not in html
