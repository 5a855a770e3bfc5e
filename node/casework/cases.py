"""Case: the desk's work on one alert, and the rule that no one person can make anything public.

The rule stands in this row and nowhere else: whoever proposes a finding does not confirm it, whoever last wrote the public
text does not approve it, and the approval names the hash of exactly that text. Roles are looked at in `node.casework.desk`.
Spec: OHCHR, Commissions of Inquiry and Fact-Finding Missions: Guidance and Practice (2015), for the standards of proof.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Date, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.errors import Conflict, Invalid, NotAllowed, WrongState
from vocab.canonical import canonical


class CaseState(StrEnum):
    VERIFYING = "verifying"
    ASSESSED = "assessed"
    CONFIRMED = "confirmed"
    DRAFTING = "drafting"
    IN_REVIEW = "in-review"
    PUBLISHED = "published"
    WITHDRAWAL_PROPOSED = "withdrawal-proposed"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


class Move(StrEnum):
    RECORD = "record"
    PROPOSE = "propose"
    CONFIRM = "confirm"
    RETURN = "return"
    DRAFT = "draft"
    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    CORRECT = "correct"
    WITHDRAW = "withdraw"


VERIFYING, ASSESSED, CONFIRMED, DRAFTING, IN_REVIEW, PUBLISHED, WITHDRAWAL_PROPOSED, WITHDRAWN, CLOSED = (
    CaseState
)

FROM: dict[Move, frozenset[CaseState]] = {
    Move.RECORD: frozenset(CaseState) - {WITHDRAWN, CLOSED},
    Move.PROPOSE: frozenset({VERIFYING}),
    Move.CONFIRM: frozenset({ASSESSED}),
    Move.RETURN: frozenset({ASSESSED, CONFIRMED, DRAFTING}),
    Move.DRAFT: frozenset({CONFIRMED, DRAFTING}),
    Move.SUBMIT: frozenset({DRAFTING}),
    Move.APPROVE: frozenset({IN_REVIEW, WITHDRAWAL_PROPOSED}),
    Move.REJECT: frozenset({IN_REVIEW, WITHDRAWAL_PROPOSED}),
    Move.CORRECT: frozenset({PUBLISHED}),
    Move.WITHDRAW: frozenset({PUBLISHED}),
}

# P0 and P1 are where every case begins; nobody proposes them.
STANDARDS = frozenset({"P2", "P3", "P4", "P5", "N1", "N2"})
PUBLISHABLE = frozenset({"P3", "P4", "P5"})
NOT_UPHELD = frozenset({"N1", "N2"})

TOO_EARLY = "This is not possible in the present state of the case."
NOT_YOURS_TO_CONFIRM = "You proposed this finding; a second person confirms it."
NOT_YOURS_TO_RETURN = "You proposed this finding; a second person confirms or returns it."
NOT_YOURS_TO_APPROVE = "You wrote this text; a second person approves it."
NOT_YOURS_TO_WITHDRAW = "You proposed the withdrawal; a second person approves it."
NOT_ONE_CHECKER = "You are the only one who checked this case; somebody else approves it."
NOT_PUBLISHABLE = "A finding below reasonable grounds to believe (P3) is not published."
NO_CHECK = "Write down a check or an assessment first; a finding rests on it."


class Outcome(StrEnum):
    """What an approval sets free: the caller does it in the same transaction."""

    PUBLISH = "publish"
    CORRECT = "correct"
    WITHDRAW = "withdraw"


class Case(Row):
    """One case. The sealed records stand apart (`node.casework.records`); the draft is meant to be public, so it is not sealed."""

    __tablename__ = "cases"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 — SQLAlchemy reads it from the class

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), unique=True)
    state: Mapped[str] = mapped_column(String(20), index=True)
    internal: Mapped[str] = mapped_column(String(2100))
    opened_by: Mapped[str] = mapped_column(String(26))
    updated_on: Mapped[date] = mapped_column(Date)
    standard: Mapped[str | None] = mapped_column(String(2))
    proposed_by: Mapped[str | None] = mapped_column(String(26))
    confirmed_by: Mapped[str | None] = mapped_column(String(26))
    draft: Mapped[dict[str, Any] | None]
    draft_sha256: Mapped[str | None] = mapped_column(String(64))
    drafted_by: Mapped[str | None] = mapped_column(String(26))
    drafted_on: Mapped[date | None] = mapped_column(Date)
    clearances: Mapped[dict[str, Any] | None]
    public: Mapped[dict[str, Any] | None]
    withdrawal_by: Mapped[str | None] = mapped_column(String(26))
    withdrawal_reason: Mapped[str | None] = mapped_column(String(40))

    @classmethod
    def open(cls, *, id: str, alert_id: str, internal: str, by: str, now: datetime) -> "Case":
        """A new case on an alert."""
        return cls(
            id=id,
            alert_id=alert_id,
            state=VERIFYING,
            internal=internal,
            opened_by=by,
            updated_on=now.date(),
        )

    @property
    def checkers(self) -> frozenset[str]:
        """Who examined the facts: the one who proposed the finding and the one who confirmed it."""
        return frozenset(who for who in (self.proposed_by, self.confirmed_by) if who is not None)

    @property
    def is_public(self) -> bool:
        """Whether a text of this case stands in public now."""
        return self.public is not None

    def why_not(self, move: Move, *, by: str, checked: bool = True) -> str | None:
        """The sentence that says why this person cannot make this move now; None when they can.

        checked  whether this person has put a check or an assessment on record.
        """
        if self.state not in FROM[move]:
            return TOO_EARLY
        match move:
            case Move.PROPOSE if not checked:
                return NO_CHECK
            case Move.CONFIRM if by == self.proposed_by:
                return NOT_YOURS_TO_CONFIRM
            case Move.RETURN if self.state == ASSESSED and by == self.proposed_by:
                return NOT_YOURS_TO_RETURN
            case Move.DRAFT | Move.SUBMIT | Move.CORRECT if self.standard not in PUBLISHABLE:
                return NOT_PUBLISHABLE
            case Move.APPROVE if self.state == WITHDRAWAL_PROPOSED and by == self.withdrawal_by:
                return NOT_YOURS_TO_WITHDRAW
            case Move.APPROVE if self.state == IN_REVIEW and by == self.drafted_by:
                return NOT_YOURS_TO_APPROVE
            case Move.APPROVE if not self.checkers - {by}:
                return NOT_ONE_CHECKER
            case _:
                return None

    def propose(self, standard: str, *, by: str, now: datetime, checked: bool) -> None:
        """Propose what the facts amount to. Raises WrongState, Invalid."""
        if standard not in STANDARDS:
            raise Invalid("unknown standard", problems={"standard": "Choose one of the standards of proof."})
        self._require(Move.PROPOSE, by=by, checked=checked)
        self.standard, self.proposed_by, self.confirmed_by = standard, by, None
        self._go(ASSESSED, now=now)

    def confirm(self, *, by: str, now: datetime) -> None:
        """A second person stands behind the finding; a case that is not upheld ends here. Raises WrongState, NotAllowed."""
        self._require(Move.CONFIRM, by=by)
        self.confirmed_by = by
        self._go(CLOSED if self.standard in NOT_UPHELD else CONFIRMED, now=now)

    def send_back(self, *, by: str, now: datetime) -> None:
        """The finding does not hold yet: back to checking. Raises WrongState, NotAllowed."""
        self._require(Move.RETURN, by=by)
        self.standard = self.proposed_by = self.confirmed_by = None
        self._go(VERIFYING, now=now)

    def write(self, fields: Mapping[str, Any], *, by: str, now: datetime) -> None:
        """Keep the public text as it reads now. `fields` come from PublicCase, not from a request. Raises WrongState."""
        self._require(Move.DRAFT, by=by)
        self._keep(fields, by=by, now=now)
        self._go(DRAFTING, now=now)

    def submit(self, *, by: str, now: datetime) -> None:
        """Ask for a second person's approval of the text as it reads now. Raises WrongState."""
        self._require(Move.SUBMIT, by=by)
        if self.draft is None:
            raise WrongState("there is no text", public="Write the public text first.")
        self._go(IN_REVIEW, now=now)

    def approve(self, *, by: str, now: datetime, sha256: str | None = None) -> Outcome:
        """The second person's yes, to exactly the text with this hash, or to the withdrawal.

        Raises WrongState, NotAllowed, Conflict (the text is another one by now).
        """
        self._require(Move.APPROVE, by=by)
        if self.state == WITHDRAWAL_PROPOSED:
            self.public = None
            self._go(WITHDRAWN, now=now)
            return Outcome.WITHDRAW
        if sha256 is None or sha256 != self.draft_sha256:
            raise Conflict(
                "the text changed", public="The text is not the one you read. Read it again, then decide."
            )
        outcome = Outcome.CORRECT if self.is_public else Outcome.PUBLISH
        self.public = self.draft
        self._go(PUBLISHED, now=now)
        return outcome

    def reject(self, *, by: str, now: datetime) -> None:
        """The second person's no: the text goes back to its writers, what is public stays as it is. Raises WrongState."""
        self._require(Move.REJECT, by=by)
        if self.state == WITHDRAWAL_PROPOSED:
            self.withdrawal_by = self.withdrawal_reason = None
        if self.public is None:
            self._go(DRAFTING, now=now)
            return
        self.draft, self.draft_sha256 = self.public, fields_sha256(self.public)
        self._go(PUBLISHED, now=now)

    def correct(self, fields: Mapping[str, Any], *, by: str, now: datetime) -> None:
        """Propose a corrected text for what is public. Raises WrongState."""
        self._require(Move.CORRECT, by=by)
        self._keep(fields, by=by, now=now)
        self._go(IN_REVIEW, now=now)

    def withdraw(self, reason: str, *, by: str, now: datetime) -> None:
        """Propose to take the case out of public. Raises WrongState."""
        self._require(Move.WITHDRAW, by=by)
        self.withdrawal_by, self.withdrawal_reason = by, reason
        self._go(WITHDRAWAL_PROPOSED, now=now)

    def _require(self, move: Move, *, by: str, checked: bool = True) -> None:
        why = self.why_not(move, by=by, checked=checked)
        if why is None:
            return
        if why in {TOO_EARLY, NOT_PUBLISHABLE, NO_CHECK}:
            raise WrongState(f"{move} from {self.state}", public=why)
        raise NotAllowed(f"{move} by the same person", public=why)

    def _keep(self, fields: Mapping[str, Any], *, by: str, now: datetime) -> None:
        self.draft = dict(fields)
        self.draft_sha256 = fields_sha256(fields)
        self.drafted_by, self.drafted_on = by, now.date()

    def _go(self, state: CaseState, *, now: datetime) -> None:
        self.state, self.updated_on = state, now.date()


class CaseEvent(Row):
    """One step of a case: who, what, on which day, and why where a reason is due. Never updated, never deleted."""

    __tablename__ = "case_events"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    action: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(26))
    on: Mapped[date] = mapped_column(Date)
    reason: Mapped[str | None] = mapped_column(String(1000))


def fields_sha256(fields: Mapping[str, Any]) -> str:
    """The hash of a public text, which an approval names."""
    return hashlib.sha256(canonical(dict(fields))).hexdigest()
