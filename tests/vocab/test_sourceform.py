"""What a form for sources may be: what has to stay, what is refused, and that its hash is its name."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from vocab.errors import InvalidForm
from vocab.sourceform import KEPT, Purpose, SourceForm, Why, bundled


def a_document(purpose: Purpose = Purpose.ALERT) -> Any:
    return json.loads(bundled(purpose).body)


def question(document: Any, key: str) -> Any:
    return next(one for step in document["steps"] for one in step["questions"] if one["key"] == key)


def without(document: Any, key: str) -> None:
    for step in document["steps"]:
        step["questions"] = [one for one in step["questions"] if one["key"] != key]


def problems_of(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidForm) as refused:
        SourceForm.parse(document)
    return refused.value.problems


@pytest.mark.parametrize("purpose", Purpose)
def test_the_forms_that_come_along_hold(purpose: Purpose) -> None:
    form = bundled(purpose)

    assert SourceForm.parse(json.loads(form.body)) == form
    assert all(set(one.label) == {"en", "fr", "es"} for one in form.questions)


def test_the_urgent_form_is_short_and_asks_for_two_answers() -> None:
    form = bundled(Purpose.URGENT)

    assert {one.key for one in form.questions if one.required} == {"urgency", "summary"}
    assert {"own_request", "risk_notes"} <= {one.key for one in form.questions}
    assert len(form.questions) < len(bundled(Purpose.ALERT).questions) / 2


@pytest.mark.parametrize("purpose", Purpose)
def test_what_checking_and_publishing_need_cannot_be_taken_out(purpose: Purpose) -> None:
    for key in KEPT[purpose]:
        document = a_document(purpose)
        # Alone in its step or a condition of others: whatever else breaks, this is said.
        without(document, key)
        assert problems_of(document)[key] == Why.MISSING


def change(which: str, /, **members: Any) -> Callable[[Any], None]:
    return lambda document: question(document, which).update(members)


@pytest.mark.parametrize(
    ("spoil", "place", "why"),
    [
        (change("summary", required=False), "summary", Why.MUST_BE_REQUIRED),
        (
            change("summary", show_if={"key": "kind", "values": ["violation"]}),
            "summary",
            Why.MUST_BE_ASKED,
        ),
        (change("region", label={}), "region", Why.NO_LABEL),
        (change("region", label={"en": "  "}), "region", Why.NO_LABEL),
        (change("region", label={"de": "Gegend"}), "region", Why.SHAPE),
        (change("region", hint={"en": "x" * 601}), "region", Why.TOO_LONG),
        (change("kind", options=[]), "kind", Why.NO_OPTIONS),
        (change("region", options=[{"value": "a", "label": {"en": "A"}}]), "region", Why.NO_OPTIONS),
        (change("kind", options=[{"value": "rumour", "label": {"en": "R"}}]), "kind", Why.BAD_OPTION),
        (change("kind", options=[{"value": "violation", "label": {"en": "V"}}] * 2), "kind", Why.BAD_OPTION),
        (change("kind", type="text"), "kind", Why.UNKNOWN),
        (change("region", key="shoe_size"), "shoe_size", Why.UNKNOWN),
        (change("region", key="receipt_code"), "receipt_code", Why.UNKNOWN),
        (change("region", key="own_x", type="html"), "own_x", Why.UNKNOWN),
        (change("region", key="own_x", type="choice"), "own_x", Why.NO_OPTIONS),
        (change("region", key="summary"), "summary", Why.TWICE),
        (change("region", show_if={"key": "groups", "values": ["x"]}), "region", Why.BAD_CONDITION),
        (change("region", show_if={"key": "kind", "values": ["rumour"]}), "region", Why.BAD_CONDITION),
        (change("region", show_if={"key": "summary", "values": ["x"]}), "region", Why.BAD_CONDITION),
        (change("region", show_if={"key": "region", "values": ["x"]}), "region", Why.BAD_CONDITION),
        (change("attachments", required=True), "attachments", Why.SHAPE),
        (lambda document: document["steps"][1].update(title={}), "step:1", Why.NO_LABEL),
        (lambda document: document["steps"][1].update(id="look"), "step:1", Why.SHAPE),
        (
            lambda document: document["steps"].append(document["steps"][0] | {"id": "x", "questions": []}),
            "step:11",
            Why.EMPTY_STEP,
        ),
        (lambda document: document.update(purpose="survey"), "", Why.SHAPE),
        (lambda document: document.update(extra=1), "", Why.SHAPE),
        (lambda document: document.update(steps=[]), "", Why.SHAPE),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_place(
    spoil: Callable[[Any], None], place: str, why: Why
) -> None:
    document = a_document()

    spoil(document)

    assert problems_of(document)[place] == why


@pytest.mark.parametrize("document", [None, [], {}, {"v": 1}, {"v": 1, "purpose": "alert", "steps": [1]}])
def test_what_is_no_form_at_all_is_refused(document: object) -> None:
    with pytest.raises(InvalidForm):
        SourceForm.parse(document)


def test_a_question_of_ones_own_and_other_words_make_another_form() -> None:
    document = a_document()
    document["steps"][0]["questions"].append(
        {
            "key": "own_mood",
            "type": "choice",
            "label": {"en": "How are you?"},
            "options": [{"value": "well", "label": {"en": "Well"}}],
            "show_if": {"key": "kind", "values": ["violation"]},
        }
    )

    form = SourceForm.parse(document)

    assert form.question("own_mood").vocabulary is None
    assert form.sha256 != bundled(Purpose.ALERT).sha256
    assert SourceForm.parse(json.loads(form.body)).sha256 == form.sha256
