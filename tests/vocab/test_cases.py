"""The public case: what may not be published is refused, and what is published reads back the same."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.proofs import attach
from tests.rig.keys import keyring
from vocab import activities, canonical, charter, form, jsonld, lists, markup, samples, states, terms
from vocab.cases import (
    InvalidCase,
    NotACase,
    PublicCase,
    Reach,
    coarse,
    facets,
    facts,
    fits,
    is_bare,
    kept_tombstone,
    reach,
    read_case,
    read_withdrawal,
    relations,
    write_case,
    write_tombstone,
)
from vocab.errors import NotAnObject
from vocab.markup import sanitised
from vocab.terms import PUBLIC

A = "https://a.example/actors/cases"
ID = "https://a.example/cases/0123456789abcdef"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
GTS = "https://gotosocial.org/ns#"
SAMPLES = {sample["id"]: sample for sample in samples.cases()}

PICTURE: dict[str, Any] = {
    "sha256": "0a" * 32,
    "media_type": "image/jpeg",
    "width": 1600,
    "height": 900,
    "path": f"/pictures/{'0a' * 32}.jpg",
    "alt": {"en": "A corridor with four doors (drawing)", "fr": "Un couloir (dessin)"},
}


def some_fields(**changes: object) -> dict[str, Any]:
    fields = {
        "kind": "violation",
        "language": "en",
        "title": {"en": "Families kept in single rooms (fictional)"},
        "summary": {
            "en": "Families with children stay for more than two years in one room without a kitchen. Invented."
        },
        "state": "IE",
        "provisions": ["16", "31.2"],
        "violation_types": ["availability"],
        "groups": ["homeless"],
        "scale": "100-999",
        "actors": ["local-authority"],
        "started_on": "2024-09",
        "verification": "corroborated",
        "verification_statement": {"en": "Minutes and figures compared with eleven separate interviews."},
        "standard": "P4",
        "status": "active",
        "status_date": "2026-09-30",
        "fictional": True,
    }
    return fields | changes


def a_case(**changes: object) -> PublicCase:
    return PublicCase.parse(some_fields(**changes))


def written(case: PublicCase, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"id": ID, "actor": A, "published": NOW, "cc": [f"{A}/followers"]}
    return jsonld.parse(jsonld.write(write_case(case, **(arguments | changes))))


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [field.key for field in form.form().fields if not field.may_be_published])
def test_no_sealed_or_inner_field_of_the_form_can_be_published(field: str) -> None:
    with pytest.raises(InvalidCase) as refusal:
        a_case(**{field: "SEALED-CANARY"})

    assert list(refusal.value.problems) == [field]
    assert "CANARY" not in str(refusal.value)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
def test_a_sample_with_its_sealed_part_is_refused_for_that_part(sample: dict[str, Any]) -> None:
    with pytest.raises(InvalidCase) as refusal:
        PublicCase.parse(samples.fields(sample) | {"sealed": sample["sealed"]})

    assert list(refusal.value.problems) == ["sealed"]
    assert "CANARY" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "rumour"}, "kind"),
        ({"kind": None}, "kind"),
        ({"language": "English"}, "language"),
        ({"language": "fr"}, "title"),
        ({"title": None}, "title"),
        ({"title": "Families"}, "title"),
        ({"title": {"en": "short"}}, "title"),
        ({"title": {"en": "x" * 151}}, "title"),
        ({"title": {"en": "two lines\nof a title"}}, "title"),
        ({"title": {"en": "a hidden \u2028 separator"}}, "title"),
        ({"title": {"English": "Families kept in rooms"}}, "title"),
        ({"summary": {"en": "too short"}}, "summary"),
        ({"summary": {"en": "x" * 5001}}, "summary"),
        ({"summary": {"en": "with a control \x00 character " * 4}}, "summary"),
        ({"content": {"en": "x" * 20_001}}, "content"),
        ({"state": "XX"}, "state"),
        ({"state": "ie"}, "state"),
        ({"other_states": ["IE"]}, "other_states"),
        ({"provisions": []}, "provisions"),
        ({"provisions": ["32"]}, "provisions"),
        ({"provisions": "16"}, "provisions"),
        ({"provisions": [item.key for item in charter.provisions()][:13]}, "provisions"),
        ({"provisions": ["31.2"], "charter": "1961"}, "provisions"),
        ({"charter": "1988"}, "charter"),
        ({"article_e": True}, "discrimination_grounds"),
        ({"discrimination_grounds": ["age"]}, "discrimination_grounds"),
        ({"article_e": "yes"}, "article_e"),
        ({"violation_types": []}, "violation_types"),
        ({"violation_types": ["theft"]}, "violation_types"),
        ({"civic_space_types": ["funding-cut"]}, "civic_space_types"),
        ({"good_practice_types": ["law-reform"]}, "good_practice_types"),
        ({"good_practice_source": "ngo"}, "good_practice_source"),
        ({"transferability": {"en": "A van."}}, "transferability"),
        ({"kind": "civic-space-restriction", "violation_types": None}, "civic_space_types"),
        ({"kind": "good-practice", "violation_types": None, "good_practice_types": ["law-reform"]}, "status"),
        ({"actors": []}, "actors"),
        ({"groups": []}, "groups"),
        ({"groups": [item.id for item in lists.items("groups")][:9]}, "groups"),
        ({"scale": "412"}, "scale"),
        ({"contexts": ["covid-19", "war-against-ukraine", "cost-of-living", "austerity"]}, "contexts"),
        ({"started_on": "2024-09-17"}, "started_on"),
        ({"started_on": "2024-13"}, "started_on"),
        ({"started_on": "0000"}, "started_on"),
        ({"started_on": 2024}, "started_on"),
        ({"started_on": "\u0662\u0660\u0662\u0664-01"}, "started_on"),
        ({"status_date": "\u0662\u0660\u0662\u0666-02-03"}, "status_date"),
        ({"language": "en-\u0660\u0660\u0661"}, "language"),
        ({"ended_on": "2023-01", "ongoing": False}, "ended_on"),
        ({"ended_on": "2025-01", "ongoing": True}, "ended_on"),
        ({"public_sources": ["javascript:alert(1)"]}, "public_sources"),
        ({"public_sources": ["https://a.example/ x"]}, "public_sources"),
        ({"public_sources": ["https://user:secret@a.example/"]}, "public_sources"),
        ({"public_sources": ["//a.example/"]}, "public_sources"),
        ({"standard": "P2"}, "standard"),
        ({"standard": "N1"}, "standard"),
        ({"verification": "reported"}, "verification"),
        ({"verification_statement": {"en": "Trust us."}}, "verification_statement"),
        ({"status": "withdrawn"}, "status"),
        ({"status": "published"}, "status"),
        ({"status": "resolved"}, "follow_ups"),
        ({"status_date": "2026-02-30"}, "status_date"),
        ({"status_date": "2026-09"}, "status_date"),
        ({"licence": "All rights reserved"}, "licence"),
        ({"authority_replies": [{"date": "2026-01-01", "type": "shrugged"}]}, "authority_replies"),
        ({"authority_replies": "none"}, "authority_replies"),
        ({"follow_ups": [{"date": "2026-01-01", "action": "petition", "text": {"en": "x"}, "who": "A. Person"}]}, "follow_ups"),
        ({"related": [{"id": ID, "relation": "cousin"}]}, "related"),
        ({"related": [{"id": "sample-01", "relation": "similar"}]}, "related"),
        ({"corrections": [{"date": "2026-01-01"}]}, "corrections"),
        ({"corrections": [{"date": "2026-01-01", "text": {"en": "x"}}] * 101}, "corrections"),
        ({"fictional": 1}, "fictional"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_may_not_be_published_is_refused_at_its_field(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidCase) as refusal:
        a_case(**changes)

    assert field in refusal.value.problems


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"region": "North", "groups": ["refugees"]}, "region"),
        ({"region": "North", "scale": "2-9"}, "region"),
        ({"region": "North", "scale": "one", "started_on": "2024"}, "region"),
        ({"scale": "one"}, "started_on"),
        ({"scale": "2-9", "groups": ["refugees"]}, "started_on"),
        ({"scale": "2-9", "groups": ["refugees"], "started_on": "2024", "ended_on": "2025-03", "ongoing": False}, "ended_on"),
        ({"scale": "2-9", "groups": ["children", "women", "homeless", "carers"]}, "groups"),
    ],
    ids=str,
)  # fmt: skip
def test_a_few_people_cannot_be_recognised_by_group_place_and_month(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidCase) as refusal:
        a_case(**changes)

    assert list(refusal.value.problems) == [field]


def test_a_restriction_of_an_organisation_may_name_the_month() -> None:
    assert a_case(
        kind="civic-space-restriction", violation_types=[], civic_space_types=["funding-cut"],
        groups=["civil-society-organisations"], scale="one",
    ).started_on == "2024-09"  # fmt: skip


def test_the_future_is_refused_when_today_is_known() -> None:
    fields = some_fields(started_on="2026-12", corrections=[{"date": "2026-12-01", "text": {"en": "x"}}])

    PublicCase.parse(fields)
    with pytest.raises(InvalidCase) as refusal:
        PublicCase.parse(fields, today=date(2026, 11, 21))

    assert set(refusal.value.problems) == {"started_on", "corrections"}


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidCase) as refusal:
        PublicCase.parse({})

    assert {
        "kind",
        "language",
        "title",
        "summary",
        "state",
        "provisions",
        "groups",
        "scale",
        "started_on",
    } <= set(refusal.value.problems)
    assert refusal.value.public


# ---- what is published ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_sample_is_a_public_case_and_survives_the_wire(sample: dict[str, Any]) -> None:
    case = PublicCase.parse(samples.fields(sample), today=date(2026, 11, 21))

    assert PublicCase.parse(json.loads(json.dumps(case.fields()))) == case
    document = written(case)
    assert read_case(document)[0] == case
    assert sample["sealed"]["canary"] not in json.dumps(document)
    assert len(jsonld.write(document)) < 64_000


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
def test_a_case_that_went_through_a_json_ld_processor_reads_the_same(sample: dict[str, Any]) -> None:
    case = PublicCase.parse(samples.fields(sample))

    assert read_case(jsonld.compact(written(case), terms.CONTEXT))[0] == case


def test_every_field_of_the_list_is_written_and_read() -> None:
    case = a_case(
        content={"en": "First.\n\nSecond <b>not bold</b> & \"quoted\"."},
        other_states=["FR", "ES"], region="West", article_e=True, discrimination_grounds=["age"], contexts=["austerity"],
        integrated_rights=["education"], actor_name="Sample council", ended_on="2026-01", ongoing=False,
        evidence_types=["testimony"], public_sources=["https://a.example/1?x=1&y=2"], domestic_steps={"en": "A complaint."},
        licence="CC0-1.0",
        authority_replies=[{"date": "2026-02-01", "type": "disputed", "text": {"en": "No."}, "source": "https://s.example/1"}],
        follow_ups=[{"date": "2026-03-01", "action": "petition", "text": {"en": "Sent."}, "link": "https://s.example/2"}],
        related=[{"id": "https://b.example/cases/1", "relation": "similar"}],
        corrections=[{"date": "2026-04-01", "text": {"en": "Sixteen, not fourteen.", "fr": "Seize."}}],
        content_warning={"en": "Violence", "fr": "Violence"}, image=PICTURE,
    )  # fmt: skip
    empty = {name for name, value in case.fields().items() if value in (None, [])}

    document = written(case)

    assert empty == {
        "civic_space_types",
        "good_practice_types",
        "good_practice_source",
        "transferability",
        "results_evidence",
    }
    assert read_case(document)[0] == case
    assert "srt:corrections" in document


def test_a_picture_travels_with_its_words_and_the_hash_of_its_bytes() -> None:
    document = written(a_case(image=PICTURE), history=f"{ID}/history")

    assert document["image"] == {
        "type": "Image",
        "mediaType": "image/jpeg",
        "url": f"https://a.example/pictures/{'0a' * 32}.jpg",
        "name": "A corridor with four doors (drawing)",
        "nameMap": {"en": "A corridor with four doors (drawing)", "fr": "Un couloir (dessin)"},
        "width": 1600,
        "height": 900,
        "digestMultibase": "uEiAKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCg",
    }
    assert document["history"] == f"{ID}/history"
    assert document["attachment"][0] == document["image"]
    compacted = jsonld.compact(document, terms.CONTEXT)
    assert read_case(compacted)[0] == a_case(image=PICTURE)


def test_a_picture_is_attached_before_what_is_linked() -> None:
    document = written(a_case(image=PICTURE, public_sources=["https://b.example/report"]))

    assert [item["type"] for item in document["attachment"]] == ["Image", "Link"]


def test_a_picture_that_is_only_attached_is_not_the_picture_of_a_case() -> None:
    document = written(a_case(image=PICTURE))
    del document["image"]

    assert read_case(document)[0].image is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://evil.example/pictures/x.jpg"},
        {"url": "https://a.example.evil.example/pictures/x.jpg"},
        {"url": "http://a.example/pictures/x.jpg"},
        {"url": "https://a.example/../../etc/passwd"},
        {"url": "https://a.example/x.jpg?to=https://evil.example"},
        {"url": "javascript:alert(1)"},
        {"url": "data:image/png;base64,AAAA"},
        {"url": ["https://a.example/x.jpg", "https://evil.example/x.jpg"]},
        {"mediaType": "image/svg+xml"},
        {"mediaType": None},
        {"type": "Document"},
        {"width": 50_000},
        {"height": 0},
        {"height": "900"},
        {"name": None, "nameMap": None},
        {"nameMap": {"fr": "Un couloir"}},
        {"nameMap": {"en": "two\nlines"}},
        {"digestMultibase": None},
        {"digestMultibase": "zQm"},
        {"digestMultibase": "u" + "A" * 46},
    ],
)
def test_a_picture_that_says_too_little_or_lies_elsewhere_is_none_and_the_case_is_read(
    wrong: dict[str, Any],
) -> None:
    document = written(a_case(image=PICTURE))
    document["image"] = {
        key: value for key, value in (document["image"] | wrong).items() if value is not None
    }

    case, _ = read_case(document)

    shown = case.image
    assert shown is None or shown.path.startswith("/x.jpg")
    assert case.title == a_case().title
    assert read_case(document | {"image": "https://a.example/x.jpg"})[0].image is None
    assert read_case(document | {"image": [document["image"], document["image"]]})[0].image is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"alt": None},
        {"alt": {"fr": "Un couloir (dessin)"}},
        {"alt": {"en": "x"}},
        {"sha256": "../../x"},
        {"path": "//evil.example/x.jpg"},
        {"path": "/../x.jpg"},
        {"path": "/x.jpg?y"},
        {"media_type": "image/svg+xml"},
        {"width": 12_001},
        {"width": True},
        {"url": "https://evil.example/"},
    ],
)
def test_a_picture_without_words_or_of_another_form_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidCase) as refusal:
        a_case(image=PICTURE | wrong)

    assert list(refusal.value.problems) == ["image"]


def test_whoever_may_see_a_case_may_like_answer_pass_on_and_quote_it() -> None:
    document = written(a_case())
    policy = document["interactionPolicy"]

    assert list(policy) == ["canLike", "canReply", "canAnnounce", "canQuote"]
    assert [allowed["automaticApproval"] for allowed in policy.values()] == [[PUBLIC]] * 4
    assert [allowed.get("always") for allowed in policy.values()] == [[PUBLIC], [PUBLIC], [PUBLIC], None]
    [expanded] = jsonld.expand(document)
    for name in (*policy, "always", "automaticApproval"):
        assert f"{GTS}{name}" in json.dumps(expanded)
    assert "interactionPolicy" not in written(a_case(), to=[f"{A}/followers"])


def test_a_content_warning_stands_before_everything_and_makes_the_article_sensitive() -> None:
    case = a_case(content_warning={"en": "Violence against children"})

    document = written(case)

    assert document["summary"].startswith(
        "Content warning: Violence against children. Fictional example. State: "
    )
    for shown in (document["content"], document["preview"]["content"]):
        assert "<p>Content warning: Violence against children<br>Fictional example<br>State: " in shown
    assert document["sensitive"] is True
    assert read_case(document)[0] == case
    assert "sensitive" not in written(a_case())
    assert "Content warning" not in written(a_case())["content"]


def test_the_article_has_the_lowest_common_shape() -> None:
    document = written(PublicCase.parse(samples.fields(SAMPLES["sample-04"])), updated=NOW)

    assert document["@context"][0] == terms.AS
    assert document["type"] == "Article"
    assert document["attributedTo"] == A
    assert document["published"] == document["updated"] == "2026-11-21T09:00:00Z"
    assert document["to"] == [PUBLIC]
    assert document["cc"] == [f"{A}/followers"]
    assert len(document["name"]) <= 150
    assert list(document["contentMap"]) == ["uk", "en"]
    assert document["content"] == document["contentMap"]["uk"]
    assert document["url"] == document["id"] == ID
    assert document["preview"]["type"] == "Note"
    assert ID not in document["preview"]["content"]
    assert document["generator"] == {"type": "Application", "name": "Social Rights Tracker"}
    assert document["tag"][0] == {
        "type": "Hashtag",
        "name": "#SocialRights",
        "href": "https://a.example/cases",
    }
    assert document["attachment"][0]["type"] == "Link"
    assert canonical.canonical(document)


def test_no_plain_term_of_ours_is_lost_to_a_json_ld_processor() -> None:
    document = written(PublicCase.parse(samples.fields(SAMPLES["sample-02"])))

    [expanded] = jsonld.expand(document)

    ours = {key for key in document if key.startswith(("srt:", "schema:"))}
    assert {key.replace("srt:", terms.SRT).replace("schema:", terms.SCHEMA) for key in ours} <= set(expanded)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "sample-01",
            "Fictional example. State: Ireland. Right: Art. 16 – Social, legal and economic protection of the family · "
            "Art. 17§1 · Art. 30 (European Social Charter). Situation: Active (2026-09-30). "
            "Verification: Corroborated (P4, balance of probabilities).",
        ),
        (
            "sample-03",
            "Ejemplo ficticio. Estado: España. Derecho: Art. 13§1 – Asistencia adecuada para toda persona necesitada · "
            "Art. 30 (Carta Social Europea). Situación: Activo (2026-10-01). "
            "Verificación: Documentado (P3, motivos razonables para creer).",
        ),
        (
            "sample-17",
            "Fictional example. State: Sweden. Right: Art. 6§2 – Negotiation procedures · Art. 3§1 · Art. 22 "
            "(European Social Charter). Situation: Published (2026-06-01). Verification: Documented.",
        ),
    ],
)
def test_the_summary_says_state_right_status_and_how_it_was_checked(name: str, wanted: str) -> None:
    assert written(PublicCase.parse(samples.fields(SAMPLES[name])))["summary"] == wanted


@pytest.mark.parametrize("language", ["en", "fr", "es", "uk"])
def test_a_summary_is_one_line_of_plain_text_with_room_for_it_in_misskey(language: str) -> None:
    texts = {key: {language: next(iter(some_fields()[key].values()))} for key in ("title", "summary")}
    full = a_case(
        **texts,
        language=language,
        verification_statement={language: "Minutes and figures compared with eleven separate interviews."},
        content_warning={language: "<b>Death of a child</b> & a fire " * 6},
        provisions=[
            "16",
            "17.1",
            "30",
            "31.1",
            "31.2",
            "31.3",
            "11.1",
            "11.3",
            "13.1",
            "13.4",
            "12.4",
            "15.3",
        ],
        other_states=["FR", "BE", "DE", "IT", "ES", "PT", "GR", "GE", "MD", "BA"],
    )

    summary = written(full)["summary"]

    assert 400 < len(summary) <= 500
    assert not {"<", ">", "\n"} & set(summary)
    assert "‹b›Death of a child‹/b› & a fire " * 6 in f"{summary.replace('fire.', 'fire ')} "
    for what, which in facts(full, language):
        assert f"{what}\N{NO-BREAK SPACE}: {which[:20]}" in summary or f"{what}: {which[:20]}" in summary


def test_the_facts_can_be_asked_for_in_a_language() -> None:
    assert facts(a_case(other_states=["FR"]), "fr")[0] == ("État", "Irlande, France")


def test_a_fictional_case_says_so_first_everywhere_it_is_shown() -> None:
    document = written(a_case())

    assert document["summary"].startswith("Fictional example. ")
    assert document["content"].startswith("<p>Fictional example<br>")
    assert "Fictional" not in written(a_case(fictional=False))["summary"]


PARAGRAPHS = "\n\n".join(f"{number}. {'A sentence of an invented account. ' * 10}" for number in range(54))


@pytest.mark.parametrize("languages", [("en",), ("en", "fr")])
def test_a_long_case_is_written_so_that_misskey_takes_it_and_loses_none_of_its_terms(
    languages: tuple[str, ...],
) -> None:
    account = PARAGRAPHS[: 20_000 // len(languages)]
    case = a_case(
        title=dict.fromkeys(languages, "Families kept in single rooms (fictional)"),
        content=dict.fromkeys(languages, account),
    )

    document = written(case, context=f"{ID}/context", replies=f"{ID}/replies", history=f"{ID}/history")

    signer = keyring("a", born=NOW).signer(A, "ed25519")
    create = activities.create(
        f"{ID}/1", A, attach(document, signer, now=NOW), to=[PUBLIC], cc=[A], published=NOW
    )
    assert len(jsonld.write(attach(create, signer, now=NOW))) < 60_000
    assert list(document["contentMap"]) == list(languages)
    assert document["content"] == document["contentMap"]["en"]
    for language, html in document["contentMap"].items():
        assert html.count("<p>") > 10
        said = "The whole case: " if language == "en" else "Le cas en entier&nbsp;: "
        assert html.endswith(f"<p>{said}{markup.link(ID)}</p>")
        assert sanitised(html) == html
    assert read_case(document)[0] == case
    assert reach(case) is Reach.SHORTENED


def test_a_case_is_shown_whole_where_it_is_short_and_where_leaving_out_would_not_help() -> None:
    for content, replies in (("A short account. " * 200, 0), (PARAGRAPHS, 12)):
        reply = {"date": "2026-05-11", "type": "disputed", "text": {"en": "A long reply. " * 300}}
        case = a_case(content={"en": content}, authority_replies=[reply] * replies)

        assert "The whole case" not in written(case)["content"]
        assert reach(case) is (Reach.PARTIAL if replies else Reach.WHOLE)


def test_a_case_with_more_members_than_is_read_does_not_fit_however_short_it_is() -> None:
    texts = {f"{one}{other}": "Invented." for one in "abcdef" for other in "abcde"} | {"en": "Invented."}
    texts.pop("aa")
    step = {"date": "2026-05-11", "text": texts, "action": "letter-to-authority"}
    reply = {"date": "2026-05-11", "text": texts, "type": "disputed"}

    assert fits(a_case(follow_ups=[step] * 100))
    assert not fits(
        a_case(
            follow_ups=[step] * 100,
            authority_replies=[reply] * 100,
            corrections=[{"date": "2026-05-11", "text": texts}] * 100,
        )
    )


def test_the_place_is_a_state_or_the_region_that_was_allowed() -> None:
    assert written(a_case())["location"] == {"type": "Place", "name": "Ireland"}
    assert written(a_case(region="West"))["location"] == {"type": "Place", "name": "West, Ireland"}


@pytest.mark.parametrize(
    ("started_on", "ended_on", "wanted"),
    [
        ("2024-02", "2024-02", ("2024-02-01T00:00:00Z", "2024-02-29T23:59:59Z")),
        ("2023", "2025", ("2023-01-01T00:00:00Z", "2025-12-31T23:59:59Z")),
    ],
)
def test_a_period_is_written_from_its_first_to_its_last_moment(
    started_on: str, ended_on: str, wanted: tuple[str, str]
) -> None:
    document = written(a_case(started_on=started_on, ended_on=ended_on, ongoing=False))

    assert (document["startTime"], document["endTime"]) == wanted


def test_what_a_text_says_in_html_stays_a_text() -> None:
    evil = '<script>alert(1)</script><img src=x onerror="alert(1)"> & " \' end of the invented title'
    case = a_case(
        title={"en": evil},
        summary={"en": evil * 2},
        content={"en": evil},
        verification_statement={"en": evil},
    )
    document = written(case)

    for html in (document["summary"], document["content"], document["preview"]["content"]):
        assert "<script" not in html
        assert "<img" not in html
        assert sanitised(html) == html
    assert read_case(document)[0] == case


# ---- what is read --------------------------------------------------------------------------------------------------


def without(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize(
    "key",
    [
        "id",
        "type",
        "attributedTo",
        "published",
        "srt:kind",
        "srt:state",
        "srt:provision",
        "srt:verificationStatement",
    ],
)
def test_an_article_that_lacks_what_makes_a_case_is_refused_with_a_reason(key: str) -> None:
    with pytest.raises(NotACase, match=r"."):
        read_case(without(written(a_case()), key))


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "Note"},
        {"id": "urn:x:1"},
        {"attributedTo": [A, "https://b.example/"]},
        {"published": "yesterday"},
        {"srt:verification": "reported"},
        {"srt:region": "A street", "srt:scale": "one"},
        {"srt:provision": ["99"]},
        {"srt:corrections": [{"srt:date": "x"}]},
        {"srt:kind": {"a": 1}},
        {"nameMap": {"en": "<b>"}},
    ],
    ids=str,
)
def test_a_case_of_others_is_held_to_the_same_rules(changes: dict[str, object]) -> None:
    with pytest.raises(NotACase):
        read_case(written(a_case()) | changes)


def test_terms_that_are_not_known_are_passed_over() -> None:
    case = a_case(corrections=[{"date": "2026-04-01", "text": {"en": "x"}}])
    document = written(case)
    document |= {
        "srt:later": {"deep": [1]},
        "https://other.example/term": 1,
        "proof": {"type": "DataIntegrityProof"},
    }
    document["srt:group"].append("a-group-of-a-later-version")
    document["srt:corrections"][0]["srt:later"] = True
    document["type"] = ["Article", "https://other.example/Report"]

    assert read_case(document)[0] == case


def test_a_case_in_full_names_and_lists_reads_the_same() -> None:
    case = a_case(corrections=[{"date": "2026-04-01", "text": {"en": "x"}}])
    document = {
        key.replace("srt:", terms.SRT): value for key, value in without(written(case), "nameMap").items()
    }
    document[f"{terms.SRT}provision"] = {"@list": document[f"{terms.SRT}provision"]}
    document[f"{terms.SRT}violationType"] = case.violation_types[0]

    assert read_case(document)[0] == case


def test_what_surrounds_a_case_is_read_with_it() -> None:
    document = written(
        a_case(), url=f"{ID}/page", updated=NOW, context=f"{ID}/context", replies=f"{ID}/replies"
    )

    meta = read_case(document)[1]

    assert (meta.id, meta.actor, meta.url, meta.published, meta.updated) == (ID, A, f"{ID}/page", NOW, NOW)
    assert (meta.to, meta.cc, meta.context, meta.replies) == (
        (PUBLIC,),
        (f"{A}/followers",),
        f"{ID}/context",
        f"{ID}/replies",
    )


def test_a_withdrawn_case_says_when_and_not_whose_safety() -> None:
    stones = {
        reason.id: write_tombstone(id=ID, actor=A, published=NOW, deleted=NOW, reason=reason.id)
        for reason in lists.items("withdrawal_reasons")
    }

    assert stones["safety"] == stones["consent-withdrawn"]
    assert "safety" not in json.dumps(stones["safety"])
    assert "consent" not in json.dumps(stones["safety"])
    assert read_withdrawal(stones["factual-error"]).reason == "factual-error"
    assert read_withdrawal(stones["safety"]).text["fr"] == "Retiré par décision de l'éditeur."
    for stone in stones.values():
        assert (stone["type"], stone["formerType"], stone["deleted"]) == (
            "Tombstone",
            "Article",
            "2026-11-21T09:00:00Z",
        )
        assert read_withdrawal(stone).deleted == NOW
        assert jsonld.expand(stone)
    with pytest.raises(KeyError):
        write_tombstone(id=ID, actor=A, published=NOW, deleted=NOW, reason="boredom")


def test_the_tombstone_of_other_software_has_no_reason() -> None:
    plain = {"id": ID, "type": "Tombstone", "srt:withdrawal": {"srt:reason": ["x"], "srt:summary": 7}}

    assert read_withdrawal(plain).reason is None
    other = {**plain, "srt:withdrawal": {"srt:reason": "because-we-say-so"}}
    assert read_withdrawal(other).reason is None
    assert read_withdrawal({"id": ID, "type": "Tombstone"}).text == {}
    endless = {**plain, "srt:withdrawal": {"srt:summary": {"en": "Words without an end. " * 1000}}}
    assert read_withdrawal(endless).text == {}
    with pytest.raises(NotAnObject):
        read_withdrawal(written(a_case()))


@pytest.mark.parametrize("reason", [item.id for item in lists.items("withdrawal_reasons")])
def test_what_is_kept_of_a_tombstone_reads_as_it_did(reason: str) -> None:
    stone = write_tombstone(id=ID, actor=A, published=NOW, deleted=NOW, reason=reason)

    kept = kept_tombstone({**stone, "content": "Its words"}, id=ID)

    assert read_withdrawal(kept) == read_withdrawal(stone)
    assert "content" not in kept
    assert is_bare(stone)
    assert not is_bare({**stone, "content": "Its words"})


# ---- how it is found -----------------------------------------------------------------------------------------------


def test_a_case_is_found_by_state_right_group_kind_theme_language_and_standing() -> None:
    assert facets(PublicCase.parse(samples.fields(SAMPLES["sample-02"]))) == {
        ("state", "FR"), ("article", "16"), ("article", "17"), ("article", "30"), ("provision", "16"), ("provision", "17.2"),
        ("provision", "30"), ("group", "children"), ("group", "people-in-poverty"), ("group", "roma-and-travellers"),
        ("kind", "violation"), ("theme", "equality-inclusion"), ("theme", "families-children"), ("language", "fr"),
        ("language", "en"), ("verification", "corroborated"), ("status", "resolved"),
    }  # fmt: skip


def test_a_case_under_the_charter_of_1961_is_found_beside_its_neighbours() -> None:
    found = facets(a_case(charter="1961", provisions=["AP4", "8.1"], state="PL"))

    assert {("article", "23"), ("provision", "23"), ("article", "8"), ("provision", "8.1")} <= found


# ---- laws ----------------------------------------------------------------------------------------------------------


def subset(name: str, least: int, most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(
        st.sampled_from([item.id for item in lists.items(name)]), min_size=least, max_size=most, unique=True
    )


words = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"),
    min_size=80,
    max_size=150,
).filter(lambda text: len(text.strip()) >= 80)
by_language = st.dictionaries(st.sampled_from(["fr", "es", "uk", "sr-Latn", "pt-BR"]), words, max_size=2)
addresses = st.sampled_from(
    ["https://a.example/1", "http://b.onion/2?x=1&y=\u00e9", "https://c.example:8443/#3"]
)
days = st.dates(date(1990, 1, 1), date(2030, 1, 1)).map(date.isoformat)


@st.composite
def public_cases(draw: st.DrawFn) -> PublicCase:
    def texts() -> dict[str, str]:
        return {"en": draw(words), **draw(by_language)}

    grounds = draw(subset("discrimination_grounds", 0, 3))
    which = draw(st.sampled_from(charter.CHARTERS))
    return PublicCase.parse(
        some_fields(
            title=texts(), summary=texts(), content=texts(), verification_statement=texts(), domestic_steps=texts(),
            state=draw(st.sampled_from([state.code for state in states.states()])), charter=which,
            provisions=draw(st.lists(st.sampled_from([item.key for item in charter.provisions(which)]), min_size=1, max_size=12, unique=True)),
            article_e=bool(grounds), discrimination_grounds=grounds, violation_types=draw(subset("violation_types", 1, 8)),
            groups=draw(subset("groups", 1, 3)), scale=draw(st.sampled_from([item.id for item in lists.items("scale_bands")])),
            actors=draw(subset("responsible_actors", 1, 5)), evidence_types=draw(subset("evidence_types", 0, 12)),
            started_on=draw(st.sampled_from(["1999", "2024"])), standard=draw(st.sampled_from([None, "P3", "P4", "P5"])),
            public_sources=draw(st.lists(addresses, max_size=3)), fictional=draw(st.booleans()),
            related=[{"id": draw(addresses), "relation": draw(st.sampled_from(relations()))}],
            corrections=[{"date": draw(days), "text": texts()}],
            follow_ups=[{"date": draw(days), "action": "petition", "text": texts(), "link": draw(st.none() | addresses)}],
            authority_replies=[{"date": draw(days), "type": "none", "text": draw(st.sampled_from([None, {"en": "x"}]))}],
        )
    )  # fmt: skip


@given(public_cases())
def test_what_is_written_reads_back_as_the_same_case(case: PublicCase) -> None:
    document = written(case)

    assert read_case(document)[0] == case
    assert PublicCase.parse(case.fields()) == case
    assert sanitised(document["content"]) == document["content"]


@given(st.dictionaries(st.sampled_from([*some_fields(), "region", "ended_on", "related", "corrections"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)))  # fmt: skip
def test_no_value_breaks_the_reading(values: dict[str, Any]) -> None:
    try:
        PublicCase.parse(some_fields() | values)
    except InvalidCase as refusal:
        assert refusal.problems  # noqa: PT017  # either outcome is right; a third would fail the test


@given(st.fixed_dictionaries({
    "kind": st.sampled_from(["violation", "civic-space-restriction", "good-practice"]),
    "scale": st.sampled_from([item.id for item in lists.items("scale_bands")]),
    "groups": subset("groups", 1, 3), "region": st.sampled_from([None, "West"]), "started_on": days,
}))  # fmt: skip
def test_what_the_desk_starts_from_is_coarse_enough(answers: dict[str, Any]) -> None:
    draft = coarse(some_fields() | answers)

    try:
        PublicCase.parse(draft)
    except InvalidCase as refusal:
        assert not {"region", "started_on"} & set(refusal.problems)  # noqa: PT017  # other fields depend on the kind
