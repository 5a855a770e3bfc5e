"""Alert and what belongs to it, as rows: sealed objects, wraps, attachments, parts on their way. And an alert's lifecycle.

Ids are random and the tables keep no hidden row number, so that nothing here tells in which order sources wrote.
"""

from datetime import date
from enum import StrEnum

from sqlalchemy import Date, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.errors import WrongState


class AlertState(StrEnum):
    RECEIVED = "received"
    OPEN = "open"
    NEEDS_ANSWER = "needs-answer"
    CLOSED = "closed"
    PUBLISHED = "published"


class Compartment(StrEnum):
    DIALOGUE = "dialogue"
    IDENTITY = "identity"
    INTERNAL = "internal"


class Mode(StrEnum):
    """By which door an alert came; it says so for ever."""

    SEALED = "sealed"
    """Sealed by the source's own device."""
    SERVER_SEALED = "server-sealed"
    """The server sealed it at once: for that moment it held the text, and the receipt."""
    STAFF_ENTERED = "staff-entered"
    """Told to a member of staff, who sealed it and handed the receipt over."""
    AGE = "age"
    """One file sealed with the stock age tool to every handler. No receipt, so no way back."""


class ClosedFor(StrEnum):
    """Why an alert was closed.

    `not-upheld` and `withdrawn` come from its case, `burnt` from its source, the others from the desk.
    """

    OUT_OF_SCOPE = "out-of-scope"
    DUPLICATE = "duplicate"
    SPAM = "spam"
    REFERRED = "referred"
    NOT_UPHELD = "not-upheld"
    WITHDRAWN = "withdrawn"
    BURNT = "burnt"


BY_THE_DESK = frozenset({ClosedFor.OUT_OF_SCOPE, ClosedFor.DUPLICATE, ClosedFor.SPAM, ClosedFor.REFERRED})

MOVES: dict[AlertState, frozenset[AlertState]] = {
    AlertState.RECEIVED: frozenset({AlertState.OPEN, AlertState.NEEDS_ANSWER, AlertState.CLOSED}),
    AlertState.OPEN: frozenset({AlertState.NEEDS_ANSWER, AlertState.CLOSED, AlertState.PUBLISHED}),
    AlertState.NEEDS_ANSWER: frozenset({AlertState.OPEN, AlertState.CLOSED, AlertState.PUBLISHED}),
    AlertState.PUBLISHED: frozenset({AlertState.CLOSED}),
    AlertState.CLOSED: frozenset(),
}

SOURCE, RECOVERY, DESK = "source", "recovery", "desk"
NO_ROW_NUMBER = {"sqlite_with_rowid": False}


class Alert(Row):
    """One sealed alert, found by the hash of the token its receipt derives to."""

    __tablename__ = "alerts"
    __table_args__ = NO_ROW_NUMBER

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    mailbox: Mapped[str] = mapped_column(String(64), unique=True)
    # Of the whole request: the same bytes again are the same alert.
    request_sha256: Mapped[str] = mapped_column(String(64))
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    source_age: Mapped[str] = mapped_column(String(2100))
    source_ed25519: Mapped[str] = mapped_column(String(64))
    dialogue: Mapped[str] = mapped_column(String(2100))
    identity: Mapped[str] = mapped_column(String(2100))
    received_on: Mapped[date] = mapped_column(Date, index=True)
    state: Mapped[str] = mapped_column(String(16))
    closed_for: Mapped[str | None] = mapped_column(String(16))
    case_id: Mapped[str | None] = mapped_column(String(32), unique=True)
    mode: Mapped[str] = mapped_column(String(16), default=Mode.SEALED)
    # The source may read on but no longer write. Decided by the desk, without reading.
    is_blocked: Mapped[bool] = mapped_column(default=False)

    def take_up(self) -> None:
        """The desk has begun to work on it."""
        if self.state == AlertState.RECEIVED:
            self._move(AlertState.OPEN)

    def ask(self) -> None:
        """The desk wrote to the source. After the end the words are kept and the state stays."""
        if self.state in {AlertState.RECEIVED, AlertState.OPEN}:
            self._move(AlertState.NEEDS_ANSWER)

    def answer(self) -> None:
        """The source wrote. A source may write at any time: to add, or to take a consent back."""
        if self.state == AlertState.NEEDS_ANSWER:
            self._move(AlertState.OPEN)

    def attach_case(self, case_id: str) -> None:
        """Its case is open. One alert has one case. Raises WrongState."""
        if self.case_id is not None or self.state in {AlertState.CLOSED, AlertState.PUBLISHED}:
            raise WrongState(
                "the alert has a case or is closed", public="This alert has a case already, or is closed."
            )
        self.take_up()
        self.case_id = case_id

    def dismiss(self, reason: str) -> None:
        """The desk closes it without a case. Raises WrongState."""
        if reason not in BY_THE_DESK:
            raise WrongState(f"{reason} is not a reason to close", public="Choose one of the reasons.")
        if self.case_id is not None:
            raise WrongState("the alert has a case", public="This alert has a case. Close the case instead.")
        self._move(AlertState.CLOSED)
        self.closed_for = reason

    def publish(self) -> None:
        """Its case was published; publishing a correction changes nothing here."""
        if self.state != AlertState.PUBLISHED:
            self._move(AlertState.PUBLISHED)

    def close(self, reason: ClosedFor) -> None:
        """Its case came to an end."""
        if self.state != AlertState.CLOSED:
            self._move(AlertState.CLOSED)
            self.closed_for = reason

    def _move(self, to: AlertState) -> None:
        if to not in MOVES[AlertState(self.state)]:
            raise WrongState(f"an alert cannot go from {self.state} to {to}")
        self.state = to


class SealedObject(Row):
    """One age file of an alert: the submission, the identity fields, or a message of the dialogue."""

    __tablename__ = "sealed_objects"
    __table_args__ = NO_ROW_NUMBER

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    compartment: Mapped[str] = mapped_column(String(16), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    author: Mapped[str] = mapped_column(String(8))
    posted_on: Mapped[date] = mapped_column(Date)
    sealed: Mapped[bytes]


class Wrap(Row):
    """A compartment's identity, sealed to one holder: a member of staff, the source, or the recovery key.

    of     id of the alert (dialogue, identity) or of the case (internal).
    epoch  which key of the compartment: 1 for the first, one more each time somebody left and a new one was made.
    until  the last day it is kept, where it was given for a time.
    """

    __tablename__ = "wraps"
    __table_args__ = NO_ROW_NUMBER

    of: Mapped[str] = mapped_column(String(32), primary_key=True)
    compartment: Mapped[str] = mapped_column(String(16), primary_key=True)
    holder: Mapped[str] = mapped_column(String(26), primary_key=True, index=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, default=1)
    until: Mapped[date | None] = mapped_column(Date)
    sealed: Mapped[bytes]


class Attachment(Row):
    """One sealed file of an alert. Its name, type and plain size are inside the submission."""

    __tablename__ = "attachments"
    __table_args__ = NO_ROW_NUMBER

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    upload: Mapped[str] = mapped_column(String(32), primary_key=True)
    parts: Mapped[int]
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))


class Consent(Row):
    """What a source answered about one use of its alert, signed with the key of its receipt. The last one counts.

    text_sha256  of the exact public text the answer is about; None where it is about the use as such.
    signature    over the statement `node.intake.consent` spells out: the server cannot make one up.
    """

    __tablename__ = "consents"
    __table_args__ = NO_ROW_NUMBER

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    use: Mapped[str] = mapped_column(String(16))
    answer: Mapped[str] = mapped_column(String(3))
    text_sha256: Mapped[str | None] = mapped_column(String(64))
    answered_on: Mapped[date] = mapped_column(Date)
    signature: Mapped[str] = mapped_column(String(96))


class UploadPart(Row):
    """One part of a sealed file on its way; claimed when its alert arrives, forgotten a day later when none does."""

    __tablename__ = "upload_parts"
    __table_args__ = NO_ROW_NUMBER

    upload: Mapped[str] = mapped_column(String(32), primary_key=True)
    part: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    blob: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    received_on: Mapped[date] = mapped_column(Date, index=True)
    alert_id: Mapped[str | None] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), index=True)
