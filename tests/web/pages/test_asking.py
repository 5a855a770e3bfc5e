"""What the forms ask, in three languages."""

import pytest

from vocab import charter, lists, states
from web.pages.asking import context


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_every_right_stands_under_a_theme(language: str) -> None:
    found = {
        provision.key
        for theme in context(language)["charter"].themes()
        for article in theme.articles
        for provision in article.provisions
    }

    assert found == {one.key for one in charter.provisions()}


@pytest.mark.parametrize("name", ["violation_types", "civic_space_restrictions", "groups"])
def test_the_shelves_hold_every_entry_once(name: str) -> None:
    shelves = context("fr")["lists"].shelves(name, "fr")

    held = [item.id for _, items in shelves for item in items]
    assert sorted(held) == sorted(item.id for item in lists.items(name))
    assert all(heading for heading, _ in shelves) or len(shelves) == 1


@pytest.mark.parametrize(("language", "first"), [("en", "Albania"), ("fr", "Albanie"), ("es", "Albania")])
def test_states_are_sorted_as_they_are_read(language: str, first: str) -> None:
    found = context(language)["states_sorted"]

    assert found[0].name(language) == first
    assert len(found) == len(states.states())


def test_a_question_that_depends_on_another_says_on_which() -> None:
    form = context("en")["form"]

    assert form.field("violation_types").show_if.key == "kind"
    assert form.field("discrimination_grounds").show_if.values == ("true",)
    assert form.field("title").show_if is None
    assert len(form.sha256) == 64


def test_languages_are_named_in_the_readers_own() -> None:
    names = {code: name for code, name, _ in context("fr")["languages_written"]}

    assert names["de"] == "allemand"
    assert {"en", "fr", "es", "uk", "tr"} <= set(names)
