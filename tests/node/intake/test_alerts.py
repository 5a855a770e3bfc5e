"""The lifecycle of an alert, move by move."""

from typing import Any

import pytest

from node.errors import WrongState
from node.intake.alerts import BY_THE_DESK, MOVES, Alert, AlertState, ClosedFor

S = AlertState


def an_alert_in(state: AlertState, **changes: Any) -> Alert:
    return Alert(id="0" * 32, state=state, **changes)


def test_what_ended_stays_ended() -> None:
    assert MOVES[S.CLOSED] == frozenset()
    assert set(MOVES) == set(AlertState)


@pytest.mark.parametrize(
    ("before", "after"),
    [(S.RECEIVED, S.OPEN), (S.OPEN, S.OPEN), (S.NEEDS_ANSWER, S.NEEDS_ANSWER), (S.CLOSED, S.CLOSED)],
)
def test_taking_up_opens_what_has_just_arrived(before: AlertState, after: AlertState) -> None:
    alert = an_alert_in(before)

    alert.take_up()

    assert alert.state == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (S.RECEIVED, S.NEEDS_ANSWER),
        (S.OPEN, S.NEEDS_ANSWER),
        (S.NEEDS_ANSWER, S.NEEDS_ANSWER),
        (S.PUBLISHED, S.PUBLISHED),
        (S.CLOSED, S.CLOSED),
    ],
)
def test_a_question_waits_for_an_answer_unless_all_is_over(before: AlertState, after: AlertState) -> None:
    alert = an_alert_in(before)

    alert.ask()

    assert alert.state == after


@pytest.mark.parametrize("state", list(AlertState))
def test_a_source_may_always_write(state: AlertState) -> None:
    alert = an_alert_in(state)

    alert.answer()

    assert alert.state == (S.OPEN if state is S.NEEDS_ANSWER else state)


@pytest.mark.parametrize("state", [S.CLOSED, S.PUBLISHED])
def test_no_case_is_opened_on_what_is_over(state: AlertState) -> None:
    with pytest.raises(WrongState):
        an_alert_in(state).attach_case("c" * 32)


def test_an_alert_has_one_case() -> None:
    alert = an_alert_in(S.RECEIVED)
    alert.attach_case("c" * 32)

    assert alert.state == S.OPEN
    with pytest.raises(WrongState):
        alert.attach_case("d" * 32)


@pytest.mark.parametrize("reason", ["not-upheld", "withdrawn", "", "boring"])
def test_the_desk_closes_for_its_own_reasons_only(reason: str) -> None:
    with pytest.raises(WrongState):
        an_alert_in(S.OPEN).dismiss(reason)


def test_an_alert_with_a_case_is_not_dismissed() -> None:
    with pytest.raises(WrongState):
        an_alert_in(S.OPEN, case_id="c" * 32).dismiss("spam")


@pytest.mark.parametrize("reason", sorted(BY_THE_DESK))
def test_a_dismissed_alert_keeps_its_reason(reason: str) -> None:
    alert = an_alert_in(S.RECEIVED)

    alert.dismiss(reason)

    assert (alert.state, alert.closed_for) == (S.CLOSED, reason)


def test_nothing_is_published_from_an_alert_nobody_took_up() -> None:
    with pytest.raises(WrongState):
        an_alert_in(S.RECEIVED).publish()
    with pytest.raises(WrongState):
        an_alert_in(S.CLOSED).publish()


def test_publishing_a_correction_and_closing_twice_change_nothing() -> None:
    alert = an_alert_in(S.OPEN)

    alert.publish()
    alert.publish()
    alert.close(ClosedFor.WITHDRAWN)
    alert.close(ClosedFor.NOT_UPHELD)

    assert (alert.state, alert.closed_for) == (S.CLOSED, "withdrawn")
