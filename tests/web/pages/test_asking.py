"""What the forms ask, in three languages."""

import pytest

from vocab import charter, lists, states
from vocab.sourceform import Purpose, bundled
from web.pages.asking import asked_in, context


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


def test_the_rights_of_1961_stand_apart_from_those_of_1988() -> None:
    found = context("es")["charter"].original()

    held = [provision.key for article in found for provision in article.provisions]
    assert held == [one.key for one in charter.provisions(charter.ORIGINAL)]
    assert [article.label for article in found][::19] == ["Art. 1 (1961)", "Art. 1 (1988)"]


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_every_question_of_a_source_is_asked_in_every_language(purpose: Purpose, language: str) -> None:
    asked = asked_in(bundled(purpose), language)

    assert all(one.label for one in asked.questions)
    assert all(label for one in asked.questions for _, label, _ in one.options)
    assert {one.kind for one in asked.questions} >= {"text", "one-of", "yes-no", "files", "any-of", "menu"}


def test_a_long_list_is_written_once() -> None:
    menus = {
        one.key: one.like for one in asked_in(bundled(Purpose.ALERT), "en").questions if one.kind == "menu"
    }

    assert (menus["state"], menus["sender_org_country"]) == ("", "state")
    assert (menus["language"], menus["sender_language"]) == ("", "language")
