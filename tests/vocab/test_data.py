"""The domain data holds together: every number named in its SOURCES.md, every reference, every label."""

import json
import re
from importlib import resources
from typing import Any

import pytest

from vocab import charter, crosswalk, form, lists, samples, states
from vocab.dataset import load
from vocab.texts import Texts

LANGUAGES = ("en", "fr", "es")
SPECIAL = {item.id for item in lists.items("groups") if item.is_special_category}


def test_the_revised_charter_has_31_articles_and_98_provisions() -> None:
    assert [item.number for item in charter.articles()] == list(range(1, 32))
    assert len({item.key for item in charter.provisions()}) == len(charter.provisions()) == 98


def test_the_charter_of_1961_has_72_provisions_and_its_protocol_4() -> None:
    keys = [item.key for item in charter.provisions(charter.ORIGINAL)]

    assert len(keys) == len(set(keys)) == 76
    assert sum(key.startswith("AP") for key in keys) == 4


def test_the_map_between_the_charters_reads_the_same_both_ways() -> None:
    for provision in charter.provisions():
        for key in provision.counterparts:
            assert charter.is_provision(key, charter.ORIGINAL)
    for provision in charter.provisions(charter.ORIGINAL):
        for key in provision.counterparts:
            assert provision.key in charter.provision(key).counterparts


def test_every_provision_has_a_title_in_three_languages_and_a_summary() -> None:
    for provision in charter.provisions():
        assert all(provision.title.get(language) for language in LANGUAGES)
        assert provision.summary["en"]
    for provision in charter.provisions(charter.ORIGINAL):
        assert provision.title.best("en")


def test_provisions_and_articles_are_named_as_they_are_cited() -> None:
    assert charter.provision("31.2").label("en") == "Art. 31§2 – Reduction of homelessness"
    assert charter.provision("8.1", charter.ORIGINAL).reference == "Art. 8§1 (1961)"
    assert charter.provision("AP4", charter.ORIGINAL).article == 23
    assert charter.article(31).label("fr") == "Art. 31 – Droit au logement"
    assert charter.article("31") is charter.article(31)
    assert charter.themes_of(3) == ("employment-training-labour", "health-social-security-protection")
    assert charter.theme("migration").label("es") == "Migración"


@pytest.mark.parametrize("key", ["32", "31.9", "", "x", "AP1"])
def test_an_unknown_provision_is_a_key_error(key: str) -> None:
    assert not charter.is_provision(key)
    with pytest.raises(KeyError):
        charter.provision(key)


def test_unknown_articles_themes_charters_and_states_are_key_errors() -> None:
    for ask in (
        lambda: charter.article(32),
        lambda: charter.article("E"),
        lambda: charter.theme("x"),
        lambda: charter.provisions("1988"),
        lambda: states.state("XX"),
        lambda: lists.items("x"),
        lambda: lists.item("groups", "x"),
        lambda: form.form().field("x"),
        lambda: crosswalk.article(32),
    ):
        with pytest.raises(KeyError):
            ask()


def test_every_article_is_in_a_theme_and_in_one_thematic_group() -> None:
    grouped = [number for group in charter.thematic_groups() for number in group.articles]

    assert sorted(grouped) == list(range(1, 32))
    assert all(charter.themes_of(number) for number in range(1, 32))


def test_46_members_42_bound_16_with_complaints_27_in_the_eu() -> None:
    members = [state for state in states.states() if state.is_member]

    assert len(states.states()) == 47
    assert len(members) == 46
    assert sum(state.bound_by == "revised" for state in members) == 36
    assert sum(state.bound_by == "1961" for state in members) == 6
    assert sum(state.takes_collective_complaints for state in members) == 16
    assert [state.code for state in members if state.admits_national_ngos] == ["FI"]
    assert sum(state.is_eu_member for state in members) == 27
    assert all(state.bound_by != "none" for state in members if state.takes_collective_complaints)


def test_states_differ_in_code_and_place_on_the_map() -> None:
    for distinct in (
        {state.code for state in states.states()},
        {state.alpha3 for state in states.states()},
        {state.tile for state in states.states()},
    ):
        assert len(distinct) == 47


def test_states_are_named_in_three_languages() -> None:
    assert all(state.names.get(language) for state in states.states() for language in LANGUAGES)
    assert states.state("FR").name("fr") == "France"
    assert states.state("DE").name("uk") == "Germany"
    assert states.region_name(states.state("FR").region, "fr") == "Europe occidentale"


def test_what_a_state_accepted_is_never_guessed() -> None:
    assert states.state("FR").accepts("31.2") is True
    assert states.state("TR").accepts("5") is False
    assert states.state("AL").accepts("1.1") is None
    assert states.state("PL").accepts("1.1") is None
    assert states.state("CH").accepts("1.1") is False
    assert states.state("PL").charter == charter.ORIGINAL
    for state in load(states.FILE)["states"]:
        assert all(charter.is_provision(key) for key in state["accepted_provisions"]["except"])


def test_lists_have_distinct_ids_and_labels_in_three_languages() -> None:
    for name in lists.names():
        ids = [item.id for item in lists.items(name)]
        assert len(ids) == len(set(ids)) > 0
        for item in lists.items(name):
            assert all(item.names.get(language) for language in LANGUAGES), (name, item.id)
    assert lists.label("groups", "homeless", "es") == lists.item("groups", "homeless").label("es")
    assert set(lists.families("violation_types")) >= {item.family for item in lists.items("violation_types")}
    assert set(lists.families("civic_space_restrictions")) >= {
        item.family for item in lists.items("civic_space_restrictions")
    }
    assert lists.families("groups") == {}


def test_the_form_names_lists_that_exist_and_keeps_sealed_apart_from_public() -> None:
    whole = form.form()

    assert form.FORM is whole
    assert len(whole.sha256) == 64
    assert len({field.key for field in whole.fields}) == len(whole.fields)
    assert {field.section for field in whole.fields} == {section.id for section in whole.sections}
    for field in whole.fields:
        assert field.vocabulary is None or field.vocabulary in lists.names()
        assert all(field.names.get(language) for language in LANGUAGES)
        assert field.may_be_published == (field.visibility in ("public", "derived"))
    assert next(field.key for field in whole.of("sender")) == "sender_org_name"
    assert not whole.field("confidential_account").may_be_published
    assert whole.field("credit_choice").choices == ("named", "node-only", "anonymous")
    assert whole.field("title").label("es") == whole.field("title").names["es"]
    assert whole.sections[0].label("fr") == "Qui vous êtes"
    with pytest.raises(AttributeError):
        _ = form.NOTHING


def test_the_crosswalk_covers_every_article_and_refers_to_what_is_there() -> None:
    for number in range(1, 32):
        beside = crosswalk.article(number)
        rows = (*beside.icescr, *beside.sdg_goals, *beside.sdg_targets, *beside.epsr, *beside.eu_charter)
        assert rows
        assert all(row.title["en"] for row in rows)
    data = load(crosswalk.FILE)
    assert len(data["epsr_principles"]) == 20
    assert len(data["sdg_goals"]) == 17


def test_texts_fall_back_to_english_and_then_to_the_original() -> None:
    texts = Texts({"uk": "так", "en": "yes"})

    assert texts.best("uk") == "так"
    assert texts.best("uk-UA") == "так"
    assert texts.best("fr") == "yes"
    assert Texts({"uk": "так"}).best("fr") == "так"
    assert Texts().best("fr") == ""
    assert list(texts.first("en")) == ["en", "uk"]
    assert texts.first("fr") is texts
    assert texts == {"en": "yes", "uk": "так"}
    assert hash(texts) == hash(texts.first("en"))
    assert repr(texts) == "Texts({'uk': 'так', 'en': 'yes'})"


def test_every_file_is_utf_8_and_json() -> None:
    for item in resources.files("vocab").joinpath("data").iterdir():
        if item.name.endswith(".json"):
            json.loads(item.read_bytes().decode("utf-8"))


# ---- samples -------------------------------------------------------------------------------------------------------


def test_there_are_20_cases_3_appeals_12_resources_all_fictional() -> None:
    assert (len(samples.cases()), len(samples.appeals()), len(samples.resources())) == (20, 3, 12)
    for sample in (*samples.cases(), *samples.appeals(), *samples.resources(), *samples.nodes()):
        assert sample["fictional"] is True
    assert {sample["node"] for sample in samples.cases()} <= {node["host"] for node in samples.nodes()}
    assert len({sample["sealed"]["canary"] for sample in samples.cases()}) == 20


@pytest.mark.parametrize("sample", samples.cases(), ids=lambda sample: sample["id"])
def test_the_public_part_of_a_sample_gives_nobody_away(sample: dict[str, Any]) -> None:
    public = samples.fields(sample)
    written = json.dumps(public, ensure_ascii=False)
    special = bool(SPECIAL & set(sample["groups"]))

    assert "CANARY" not in written
    assert ".invalid" not in written
    assert "Invented Street" not in written
    assert not re.search(r"[\w.]+@[\w.]+", written)
    assert public["region"] is None or not (special or sample["scale"] in ("one", "2-9"))
    assert sample["published_at"][:10] >= sample["started_on"]
    for key in ("title", "summary", "verification_statement"):
        assert sample["language"] in sample[key]
        assert "en" in sample[key]
    for item in sample["related"]:
        assert item["id"] in {other["url"] for other in samples.cases()}
