"""The rule of the case: no one person makes anything public, whatever the order of moves."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.casework.cases import FROM, STANDARDS, Case, CaseState, Move, Outcome, fields_sha256
from node.errors import Conflict, Invalid, NodeError, NotAllowed, WrongState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TEXT = {"title": {"en": "A fictional case"}}


def a_case(state: CaseState = CaseState.VERIFYING, **changes: Any) -> Case:
    """A case in this state, as its people would have brought it there: ana proposed, boris confirmed, eva wrote."""
    case = Case.open(id="0" * 32, alert_id="1" * 32, internal="age1pq1fictional", by="ana", now=NOW)
    reached = list(CaseState).index(state)
    if reached >= 1:
        case.propose("P3", by="ana", now=NOW, checked=True)
    if reached >= 2:
        case.confirm(by="boris", now=NOW)
    if reached >= 3:
        case.write(TEXT, by="eva", now=NOW)
    if reached >= 4:
        case.submit(by="eva", now=NOW)
    if reached >= 5:
        case.approve(by="paul", now=NOW, sha256=fields_sha256(TEXT))
    if state in {CaseState.WITHDRAWAL_PROPOSED, CaseState.WITHDRAWN}:
        case.withdraw("safety", by="eva", now=NOW)
    if state == CaseState.WITHDRAWN:
        case.approve(by="paul", now=NOW)
    if state == CaseState.CLOSED:
        case = a_case(CaseState.ASSESSED)
        case.standard = "N1"
        case.confirm(by="boris", now=NOW)
    for key, value in changes.items():
        setattr(case, key, value)
    assert case.state == state
    return case


def make(case: Case, move: Move, *, by: str = "zoe") -> None:
    """That move, with what it needs besides a person."""
    match move:
        case Move.PROPOSE:
            case.propose("P4", by=by, now=NOW, checked=True)
        case Move.CONFIRM:
            case.confirm(by=by, now=NOW)
        case Move.RETURN:
            case.send_back(by=by, now=NOW)
        case Move.DRAFT:
            case.write(TEXT, by=by, now=NOW)
        case Move.SUBMIT:
            case.submit(by=by, now=NOW)
        case Move.APPROVE:
            case.approve(by=by, now=NOW, sha256=case.draft_sha256)
        case Move.REJECT:
            case.reject(by=by, now=NOW)
        case Move.CORRECT:
            case.correct(TEXT, by=by, now=NOW)
        case Move.WITHDRAW:
            case.withdraw("safety", by=by, now=NOW)
        case Move.RECORD:
            raise AssertionError("a record is not a move of the row")


MOVES = [move for move in Move if move is not Move.RECORD]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", list(CaseState))
def test_a_move_is_made_from_its_own_states_only(state: CaseState, move: Move) -> None:
    case = a_case(state)

    if state in FROM[move]:
        make(case, move)
    else:
        with pytest.raises(WrongState):
            make(case, move)
        assert case.state == state


def test_the_proposer_does_not_confirm() -> None:
    with pytest.raises(NotAllowed):
        a_case(CaseState.ASSESSED).confirm(by="ana", now=NOW)


def test_the_proposer_does_not_send_the_finding_back_alone() -> None:
    with pytest.raises(NotAllowed):
        a_case(CaseState.ASSESSED).send_back(by="ana", now=NOW)


def test_the_writer_does_not_approve() -> None:
    case = a_case(CaseState.IN_REVIEW)

    with pytest.raises(NotAllowed):
        case.approve(by="eva", now=NOW, sha256=case.draft_sha256)
    assert not case.is_public


def test_who_wrote_last_does_not_approve_what_another_began() -> None:
    case = a_case(CaseState.DRAFTING)
    case.write(TEXT | {"summary": {"en": "changed"}}, by="paul", now=NOW)
    case.submit(by="eva", now=NOW)

    with pytest.raises(NotAllowed):
        case.approve(by="paul", now=NOW, sha256=case.draft_sha256)


def test_the_only_checker_does_not_approve() -> None:
    case = a_case(CaseState.IN_REVIEW, confirmed_by="paul", proposed_by="paul")

    with pytest.raises(NotAllowed):
        case.approve(by="paul", now=NOW, sha256=case.draft_sha256)


def test_who_proposes_a_withdrawal_does_not_approve_it() -> None:
    with pytest.raises(NotAllowed):
        a_case(CaseState.WITHDRAWAL_PROPOSED).approve(by="eva", now=NOW)


@pytest.mark.parametrize("sha256", [None, "", "0" * 64, fields_sha256(TEXT | {"summary": {"en": "older"}})])
def test_an_approval_names_exactly_the_text_that_was_read(sha256: str | None) -> None:
    case = a_case(CaseState.IN_REVIEW)

    with pytest.raises(Conflict):
        case.approve(by="paul", now=NOW, sha256=sha256)
    assert case.state == CaseState.IN_REVIEW


@pytest.mark.parametrize("standard", ["P0", "P1", "P6", "", "p3"])
def test_a_standard_that_nobody_proposes_is_refused(standard: str) -> None:
    with pytest.raises(Invalid):
        a_case().propose(standard, by="ana", now=NOW, checked=True)


def test_a_finding_without_a_check_is_refused() -> None:
    with pytest.raises(WrongState):
        a_case().propose("P3", by="ana", now=NOW, checked=False)


@pytest.mark.parametrize("standard", ["N1", "N2"])
def test_what_is_not_upheld_ends_when_it_is_confirmed(standard: str) -> None:
    case = a_case(CaseState.ASSESSED, standard=standard)

    case.confirm(by="boris", now=NOW)

    assert case.state == CaseState.CLOSED
    with pytest.raises(WrongState):
        case.write(TEXT, by="eva", now=NOW)


def test_a_reasonable_suspicion_is_not_written_up() -> None:
    case = a_case(CaseState.ASSESSED, standard="P2")
    case.confirm(by="boris", now=NOW)

    with pytest.raises(WrongState):
        case.write(TEXT, by="eva", now=NOW)
    case.send_back(by="ana", now=NOW)
    assert (case.state, case.standard, case.checkers) == (CaseState.VERIFYING, None, frozenset())


def test_the_way_of_a_case_into_public_and_out_again() -> None:
    case = a_case(CaseState.IN_REVIEW)

    assert case.approve(by="paul", now=NOW, sha256=case.draft_sha256) is Outcome.PUBLISH
    corrected = TEXT | {"summary": {"en": "Corrected."}}
    case.correct(corrected, by="eva", now=NOW)
    assert case.public == TEXT
    assert case.approve(by="paul", now=NOW, sha256=fields_sha256(corrected)) is Outcome.CORRECT
    assert case.public == corrected
    case.withdraw("safety", by="paul", now=NOW)
    assert case.approve(by="eva", now=NOW) is Outcome.WITHDRAW
    assert not case.is_public


def test_a_rejected_correction_leaves_what_is_public() -> None:
    case = a_case(CaseState.PUBLISHED)
    case.correct(TEXT | {"summary": {"en": "Worse."}}, by="eva", now=NOW)

    case.reject(by="paul", now=NOW)

    assert case.state == CaseState.PUBLISHED
    assert case.public == case.draft == TEXT
    assert case.draft_sha256 == fields_sha256(TEXT)


def test_a_rejected_withdrawal_leaves_what_is_public() -> None:
    case = a_case(CaseState.WITHDRAWAL_PROPOSED)

    case.reject(by="paul", now=NOW)

    assert (case.state, case.withdrawal_by) == (CaseState.PUBLISHED, None)
    assert case.is_public


def test_a_rejected_text_goes_back_to_its_writers() -> None:
    case = a_case(CaseState.IN_REVIEW)

    case.reject(by="paul", now=NOW)

    assert case.state == CaseState.DRAFTING


@dataclass
class Hands:
    """Who touched what stands behind the present state: the test's own memory, kept apart from the row's."""

    proposed: str = ""
    confirmed: str = ""
    wrote: str = ""
    withdrew: str = ""


class CaseMachine(RuleBasedStateMachine):
    """Three people make moves in any order the states allow; what the states forbid is tried above, one by one."""

    people = st.sampled_from(["ana", "boris", "eva"])
    texts = st.sampled_from([{"title": {"en": f"Text {number}"}} for number in range(3)])

    def __init__(self) -> None:
        super().__init__()
        self.case = a_case()
        self.hands = Hands()
        self.actors: set[str] = set()

    @initialize(
        state=st.sampled_from(
            [CaseState.VERIFYING, CaseState.CONFIRMED, CaseState.DRAFTING, CaseState.PUBLISHED]
        )
    )
    def begin(self, state: CaseState) -> None:
        """Start somewhere along the way: a long way is seldom walked by chance."""
        self.case = a_case(state)
        if state != CaseState.VERIFYING:
            self.hands = Hands(proposed="ana", confirmed="boris", wrote="eva")
            self.actors = {"ana", "boris"}

    def attempt(self, move: Move, by: str, make_it: Any) -> bool:
        """Make the move; it must be refused exactly when `why_not` says so, and then change nothing."""
        before = (self.case.state, self.case.public, self.case.standard, self.case.checkers)
        why = self.case.why_not(move, by=by)
        try:
            make_it()
        except NodeError:
            assert (self.case.state, self.case.public, self.case.standard, self.case.checkers) == before
            return False
        assert why is None
        self.actors.add(by)
        return True

    @precondition(lambda self: self.case.state in FROM[Move.PROPOSE])
    @rule(by=people, standard=st.sampled_from(sorted(STANDARDS)))
    def propose(self, by: str, standard: str) -> None:
        if self.attempt(Move.PROPOSE, by, lambda: self.case.propose(standard, by=by, now=NOW, checked=True)):
            self.hands.proposed, self.hands.confirmed = by, ""

    @precondition(lambda self: self.case.state in FROM[Move.CONFIRM])
    @rule(by=people)
    def confirm(self, by: str) -> None:
        if self.attempt(Move.CONFIRM, by, lambda: self.case.confirm(by=by, now=NOW)):
            self.hands.confirmed = by

    @precondition(lambda self: self.case.state in FROM[Move.RETURN])
    @rule(by=people)
    def send_back(self, by: str) -> None:
        if self.attempt(Move.RETURN, by, lambda: self.case.send_back(by=by, now=NOW)):
            self.hands.proposed = self.hands.confirmed = ""

    @precondition(lambda self: self.case.state in FROM[Move.DRAFT])
    @rule(by=people, text=texts)
    def write(self, by: str, text: dict[str, Any]) -> None:
        if self.attempt(Move.DRAFT, by, lambda: self.case.write(text, by=by, now=NOW)):
            self.hands.wrote = by

    @precondition(lambda self: self.case.state in FROM[Move.SUBMIT])
    @rule(by=people)
    def submit(self, by: str) -> None:
        self.attempt(Move.SUBMIT, by, lambda: self.case.submit(by=by, now=NOW))

    @precondition(lambda self: self.case.state in FROM[Move.CORRECT])
    @rule(by=people, text=texts)
    def correct(self, by: str, text: dict[str, Any]) -> None:
        if self.attempt(Move.CORRECT, by, lambda: self.case.correct(text, by=by, now=NOW)):
            self.hands.wrote = by

    @precondition(lambda self: self.case.state in FROM[Move.WITHDRAW])
    @rule(by=people)
    def withdraw(self, by: str) -> None:
        if self.attempt(Move.WITHDRAW, by, lambda: self.case.withdraw("safety", by=by, now=NOW)):
            self.hands.withdrew = by

    @precondition(lambda self: self.case.state in FROM[Move.REJECT])
    @rule(by=people)
    def reject(self, by: str) -> None:
        self.attempt(Move.REJECT, by, lambda: self.case.reject(by=by, now=NOW))

    @precondition(lambda self: self.case.state in FROM[Move.APPROVE])
    @rule(by=people, text=texts, knows=st.booleans())
    def approve(self, by: str, text: dict[str, Any], knows: bool) -> None:
        sha256 = self.case.draft_sha256 if knows else fields_sha256(text)
        draft = self.case.draft
        is_text = self.case.state == CaseState.IN_REVIEW
        if self.attempt(Move.APPROVE, by, lambda: self.case.approve(by=by, now=NOW, sha256=sha256)):
            if is_text:
                # Two people for the facts, two for the words, and the words are those whose hash was named.
                assert self.hands.proposed != self.hands.confirmed
                assert self.hands.proposed
                assert self.hands.confirmed
                assert by != self.hands.wrote
                assert {self.hands.proposed, self.hands.confirmed} != {by}
                assert fields_sha256(draft or {}) == sha256
                assert self.case.public == draft
            else:
                assert by != self.hands.withdrew

    @precondition(lambda self: self.case.state in {CaseState.CLOSED, CaseState.WITHDRAWN})
    @rule(by=people, move=st.sampled_from(MOVES))
    def try_after_the_end(self, by: str, move: Move) -> None:
        """What ended stays ended."""
        assert not self.attempt(move, by, lambda: make(self.case, move, by=by))

    @invariant()
    def what_is_public_was_never_one_persons_work(self) -> None:
        if self.case.is_public:
            assert len(self.actors) >= 2
            assert len(self.case.checkers) == 2

    @invariant()
    def what_is_not_upheld_is_never_public(self) -> None:
        assert not (self.case.is_public and self.case.standard not in {"P3", "P4", "P5"})

    @precondition(lambda self: self.case.state == CaseState.IN_REVIEW)
    @invariant()
    def a_text_in_review_has_a_writer(self) -> None:
        assert self.case.drafted_by == self.hands.wrote


TestCaseMachine = CaseMachine.TestCase
TestCaseMachine.settings = settings(max_examples=150, stateful_step_count=40)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(MOVES), max_size=30))
def test_no_sequence_of_moves_publishes_a_case_with_one_person(moves: list[Move]) -> None:
    case = a_case()

    for move in moves:
        with contextlib.suppress(NodeError):
            make(case, move, by="ana")

    assert not case.is_public
    assert case.state in {CaseState.VERIFYING, CaseState.ASSESSED}
