"""The publication gates: what keeps a text from going public, field by field."""

from typing import Any

import pytest

from node.casework.gates import Clearances, closed_gates
from tests.rig.alerts import case_fields
from vocab.publiccase import PublicCase

NOTHING = Clearances(consent=True)
REASON = "The office published this number itself."


def gates(
    *,
    standard: str | None = "P3",
    checkers: Any = ("ana", "boris"),
    clearances: Clearances = NOTHING,
    **fields: Any,
) -> dict[str, str]:
    return closed_gates(
        PublicCase.parse(case_fields(**fields)), standard=standard, checkers=checkers, clearances=clearances
    )


def test_a_text_that_holds_passes_every_gate() -> None:
    assert gates() == {}


@pytest.mark.parametrize("standard", [None, "P2", "N1", "N2"])
def test_a_finding_below_reasonable_grounds_is_not_published(standard: str | None) -> None:
    assert "standard" in gates(standard=standard)


def test_the_text_states_the_standard_that_was_confirmed() -> None:
    assert "standard" in gates(standard="P4")


@pytest.mark.parametrize(
    ("standard", "verification", "is_open"),
    [
        ("P3", "documented", True),
        ("P3", "corroborated", False),
        ("P3", "confirmed", False),
        ("P4", "documented", True),
        ("P4", "corroborated", True),
        ("P4", "confirmed", False),
        ("P5", "confirmed", True),
    ],
)
def test_the_text_claims_no_more_than_the_finding_carries(
    standard: str, verification: str, is_open: bool
) -> None:
    fields = case_fields(standard=standard, verification=verification)

    problems = closed_gates(
        PublicCase.parse(fields), standard=standard, checkers=["ana", "boris"], clearances=NOTHING
    )

    assert ("verification" not in problems) == is_open


@pytest.mark.parametrize("checkers", [(), ("ana",), ("ana", "ana")])
def test_one_checker_is_not_enough(checkers: tuple[str, ...]) -> None:
    assert "verification" in gates(checkers=checkers)


def test_a_good_practice_needs_no_standard_in_its_text() -> None:
    fields = case_fields(
        kind="good-practice",
        violation_types=[],
        actors=[],
        good_practice_types=["housing-first"],
        status="published",
        standard=None,
    )

    assert (
        closed_gates(PublicCase.parse(fields), standard="P3", checkers=["ana", "boris"], clearances=NOTHING)
        == {}
    )


@pytest.mark.parametrize("field", ["title", "summary", "content", "verification_statement", "domestic_steps"])
def test_personal_data_in_any_text_closes_the_gate(field: str) -> None:
    text = (
        "Ask Ana at ana.fictional@example.org, who counted the families in every one of these rooms herself."
    )

    fields: dict[str, Any] = {field: {"en": text}}

    problems = gates(**fields)

    assert "e-mail" in problems[field]


@pytest.mark.parametrize("language", ["fr", "uk"])
def test_personal_data_in_a_translation_closes_the_gate(language: str) -> None:
    summary = case_fields()["summary"] | {language: "Appelez le 06 12 34 56 78. " * 4}

    assert "summary" in gates(summary=summary)


def test_personal_data_in_a_reply_closes_the_gate() -> None:
    reply = {"date": "2026-04-01", "type": "explained", "text": {"en": "Write to office@authority.example."}}

    assert "authority_replies" in gates(authority_replies=[reply])


def test_a_person_may_clear_a_hit_with_a_reason() -> None:
    fields: dict[str, Any] = {"domestic_steps": {"en": "A letter went to the office at +353 1 234 5678."}}

    assert "domestic_steps" in gates(**fields)
    assert "domestic_steps" in gates(
        **fields, clearances=Clearances(consent=True, cleared={"domestic_steps": "ok"})
    )
    assert gates(**fields, clearances=Clearances(consent=True, cleared={"domestic_steps": REASON})) == {}


def test_a_named_company_is_asked_first() -> None:
    company: dict[str, Any] = {"actors": ["private-employer"], "actor_name": "Fictional Logistics Ltd"}

    assert "actor_name" in gates(**company)
    assert "reply_waiver" in gates(**company, clearances=Clearances(consent=True, reply_waiver="no"))
    assert (
        gates(
            **company, clearances=Clearances(consent=True, reply_waiver="Asking would tell them who spoke.")
        )
        == {}
    )
    assert gates(**company, authority_replies=[{"date": "2026-03-01", "type": "none", "text": None}]) == {}


def test_a_company_that_is_not_named_need_not_be_asked() -> None:
    assert gates(actors=["private-employer"]) == {}
    assert gates(actors=["local-authority"], actor_name="A fictional council") == {}


def test_what_was_cleared_is_said_in_one_line() -> None:
    clearances = Clearances(cleared={"summary": REASON}, reply_waiver="Asking would warn them.", consent=True)

    assert clearances.as_reason() == (
        f"summary: {REASON}; right of reply waived: Asking would warn them.; consent was read and covers this text"
    )
    assert Clearances().as_reason() is None


def test_a_text_whose_consent_nobody_read_is_not_published() -> None:
    assert set(gates(clearances=Clearances())) == {"consent"}
