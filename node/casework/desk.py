"""What staff do with cases: put records on them and move them, each step written into history and audit.

Every use case asks the table of permissions first and the row after; none commits, none calls the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.casework import consenting, records
from node.casework.cases import FROM, NOT_UPHELD, TOO_EARLY, Case, CaseEvent, CaseState, Move, Outcome
from node.casework.gates import SIZE, TOO_LONG, Clearances, closed_gates
from node.casework.history import history_of, note_step
from node.casework.pictures import Drawn, Picture, keep_picture, with_picture
from node.casework.triage import find_alert
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.intake.alerts import ClosedFor, Wrap
from node.staff.accounts import Staff
from node.staff.permissions import Action, allowed, require
from vocab import lists
from vocab.cases import Reach, fits, reach
from vocab.errors import InvalidCase
from vocab.publiccase import PublicCase, coarse

PERMISSION: dict[Move, frozenset[Action]] = {
    Move.RECORD: frozenset({Action.WRITE_RECORD}),
    Move.PROPOSE: frozenset({Action.PROPOSE}),
    Move.CONFIRM: frozenset({Action.CONFIRM}),
    Move.RETURN: frozenset({Action.CONFIRM}),
    Move.DRAFT: frozenset({Action.DRAFT}),
    Move.SUBMIT: frozenset({Action.DRAFT}),
    Move.APPROVE: frozenset({Action.APPROVE}),
    Move.REJECT: frozenset({Action.APPROVE, Action.DRAFT}),
    Move.CORRECT: frozenset({Action.DRAFT}),
    Move.WITHDRAW: frozenset({Action.DRAFT, Action.APPROVE}),
}

NOT_YOUR_ROLE = "Your roles do not include this step."
WAITING_FOR: dict[CaseState, str] = {
    CaseState.VERIFYING: "verifier",
    CaseState.ASSESSED: "second-verifier",
    CaseState.CONFIRMED: "editor",
    CaseState.DRAFTING: "editor",
    CaseState.IN_REVIEW: "publisher",
    CaseState.WITHDRAWAL_PROPOSED: "publisher",
}


@dataclass(frozen=True, slots=True)
class PossibleMove:
    """A step a person could make, or why not."""

    move: Move
    is_open: bool
    why: str | None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case as one member of staff sees it."""

    case: Case
    wraps: Sequence[Wrap]
    records: Sequence[records.CaseRecord]
    history: Sequence[CaseEvent]
    moves: Sequence[PossibleMove]


@dataclass(frozen=True, slots=True)
class Approved:
    """What an approval sets free, for the caller to do in the same transaction.

    drafted_by  who stands behind the text, or proposed the withdrawal; approved_by is another person.
    """

    outcome: Outcome
    case: Case
    drafted_by: str
    approved_by: str
    text: PublicCase | None
    reason: str | None


async def list_cases(session: AsyncSession, *, by: Staff) -> list[Case]:
    """Every case, last touched first. Raises NotAllowed."""
    require(by.roles, Action.READ_CASES)
    return list(await session.scalars(select(Case).order_by(Case.updated_on.desc(), Case.id)))


async def read_case(session: AsyncSession, case_id: str, *, by: Staff) -> CaseFile:
    """One case as this person sees it, with the steps open to them. Raises NotAllowed, NotFound."""
    require(by.roles, Action.READ_CASES)
    case = await _case(session, case_id)
    wraps = await session.scalars(
        select(Wrap).where(Wrap.of == case.id, Wrap.holder == by.id).order_by(Wrap.epoch)
    )
    checked = await records.has_checked(session, case.id, by=by.id)
    return CaseFile(
        case=case,
        wraps=wraps.all(),
        records=await records.records_of(session, case.id),
        history=await history_of(session, case.id),
        moves=moves_of(case, by=by, checked=checked),
    )


def moves_of(case: Case, *, by: Staff, checked: bool) -> list[PossibleMove]:
    """The steps of a case in its present state, each open to this person or with the reason why not."""
    found = []
    for move in Move:
        if case.state not in FROM[move]:
            continue
        why = case.why_not(move, by=by.id, checked=checked)
        if not any(allowed(by.roles, action) for action in PERMISSION[move]):
            why = NOT_YOUR_ROLE
        found.append(PossibleMove(move, why is None, why))
    return found


def waiting_for(case: Case) -> str | None:
    """Whose turn it is: a role, `second-verifier` for one who is not the proposer; None when nobody's."""
    return WAITING_FOR.get(CaseState(case.state))


async def put_record(
    session: AsyncSession, case_id: str, *, seq: int, kind: str, sealed: bytes, by: Staff, now: datetime
) -> Case:
    """Put a sealed check, note or assessment on a case. Raises NotAllowed, NotFound, WrongState, Conflict, Invalid."""
    case = await _begin(session, case_id, Move.RECORD, by=by)
    if why := case.why_not(Move.RECORD, by=by.id):
        raise WrongState("the case is at its end", public=why)
    await records.add_record(session, case.id, seq=seq, kind=kind, sealed=sealed, by=by.id, now=now)
    case.updated_on = now.date()
    await note_step(session, case, f"recorded-{kind}", by=by, now=now)
    return case


async def propose(session: AsyncSession, case_id: str, standard: str, *, by: Staff, now: datetime) -> Case:
    """Propose a standard of proof; the proposer has put a check on record. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.PROPOSE, by=by)
    checked = await records.has_checked(session, case.id, by=by.id)
    case.propose(standard, by=by.id, now=now, checked=checked)
    await note_step(session, case, "proposed", by=by, now=now, reason=standard)
    return case


async def confirm(session: AsyncSession, case_id: str, *, by: Staff, now: datetime) -> Case:
    """Confirm the finding as the second person. Raises NotAllowed, NotFound, WrongState."""
    case = await _begin(session, case_id, Move.CONFIRM, by=by)
    case.confirm(by=by.id, now=now)
    if case.standard in NOT_UPHELD:
        (await find_alert(session, case.alert_id, for_update=True)).close(ClosedFor.NOT_UPHELD)
    await note_step(session, case, "confirmed", by=by, now=now, reason=case.standard)
    return case


async def send_back(
    session: AsyncSession, case_id: str, *, by: Staff, now: datetime, reason: str | None = None
) -> Case:
    """Return a finding for more checking. Raises NotAllowed, NotFound, WrongState."""
    case = await _begin(session, case_id, Move.RETURN, by=by)
    case.send_back(by=by.id, now=now)
    await note_step(session, case, "returned", by=by, now=now, reason=reason)
    return case


async def save_draft(
    session: AsyncSession, case_id: str, fields: Mapping[str, object], *, by: Staff, now: datetime
) -> Case:
    """Keep the public text, made as coarse as small groups need. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.DRAFT, by=by)
    fields = await with_picture(session, case_id, fields)
    text = parse_text(fields, now=now, corrections=())
    case.write(text.fields(), by=by.id, now=now)
    await note_step(session, case, "drafted", by=by, now=now)
    return case


async def may_add_picture(session: AsyncSession, case_id: str, *, by: Staff) -> Case:
    """The case, if this person may write its text now. Raises NotAllowed, NotFound, WrongState."""
    case = await _begin(session, case_id, Move.DRAFT, by=by)
    if not any(case.state in FROM[move] for move in (Move.DRAFT, Move.CORRECT)):
        raise WrongState("no text is being written", public=TOO_EARLY)
    return case


async def add_picture(
    session: AsyncSession, case_id: str, drawn: Drawn, *, by: Staff, now: datetime
) -> Picture:
    """Keep a picture for the text that is being written. It is in no text until somebody saves one that names it.

    Raises NotAllowed, NotFound, WrongState.
    """
    case = await may_add_picture(session, case_id, by=by)
    return await keep_picture(session, case, drawn, by=by.id, now=now)


async def read_picture(session: AsyncSession, case_id: str, sha256: str, *, by: Staff) -> Picture:
    """A picture of a case, for who may read the case. Raises NotAllowed, NotFound."""
    require(by.roles, Action.READ_CASES)
    row = await session.get(Picture, (case_id, sha256))
    if row is None:
        raise NotFound("no such picture")
    return row


async def submit(
    session: AsyncSession, case_id: str, clearances: Clearances, *, by: Staff, now: datetime
) -> Case:
    """Ask for approval; every gate must be open. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.SUBMIT, by=by)
    case.submit(by=by.id, now=now)
    said = await consenting.against(session, case, cleared=clearances.cleared, is_correction=False, now=now)
    await _pass_gates(session, case, clearances, now=now, said=said)
    await note_step(session, case, "submitted", by=by, now=now, reason=clearances.as_reason())
    return case


async def correct(
    session: AsyncSession,
    case_id: str,
    fields: Mapping[str, object],
    note: Mapping[str, str],
    clearances: Clearances,
    *,
    by: Staff,
    now: datetime,
) -> Case:
    """Propose a corrected text. The note joins the list of corrections, from which nothing can be taken away.

    Raises NotAllowed, NotFound, WrongState, Invalid.
    """
    case = await _begin(session, case_id, Move.CORRECT, by=by)
    if not any(words.strip() for words in note.values()):
        raise Invalid("no note", problems={"note": "Say in one sentence what was corrected."})
    before = (case.public or {}).get("corrections") or []
    fields = await with_picture(session, case_id, fields)
    text = parse_text(
        fields, now=now, corrections=[*before, {"date": now.date().isoformat(), "text": dict(note)}]
    )
    case.correct(text.fields(), by=by.id, now=now)
    # The source can be asked only about a text that is there: its answer counts when somebody approves.
    await _pass_gates(session, case, clearances, now=now, said={})
    await note_step(session, case, "correction-proposed", by=by, now=now, reason=clearances.as_reason())
    return case


async def withdraw(session: AsyncSession, case_id: str, reason: str, *, by: Staff, now: datetime) -> Case:
    """Propose to take a case out of public. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.WITHDRAW, by=by)
    if not lists.has("withdrawal_reasons", reason):
        raise Invalid("unknown reason", problems={"reason": "Choose one of the reasons."})
    case.withdraw(reason, by=by.id, now=now)
    await note_step(session, case, "withdrawal-proposed", by=by, now=now, reason=reason)
    return case


async def reject(session: AsyncSession, case_id: str, reason: str, *, by: Staff, now: datetime) -> Case:
    """Say no to a text or a withdrawal, with the reason. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.REJECT, by=by)
    if not reason.strip():
        raise Invalid("no reason", problems={"reason": "Say in one sentence why."})
    case.reject(by=by.id, now=now)
    await note_step(session, case, "rejected", by=by, now=now, reason=reason.strip())
    return case


async def approve(
    session: AsyncSession, case_id: str, *, sha256: str | None, by: Staff, now: datetime
) -> Approved:
    """The second person's yes. The caller publishes, corrects or withdraws in the same transaction.

    sha256  of the text that was read; not needed for a withdrawal.
    Raises NotAllowed, NotFound, WrongState, Conflict (another text by now), Invalid (a gate closed meanwhile).
    """
    case = await _begin(session, case_id, Move.APPROVE, by=by)
    proposed_by, reason = case.withdrawal_by, case.withdrawal_reason
    outcome = case.approve(by=by.id, now=now, sha256=sha256)
    alert = await find_alert(session, case.alert_id, for_update=True)
    await note_step(session, case, "approved", by=by, now=now, reason=outcome)
    if outcome is Outcome.WITHDRAW:
        alert.close(ClosedFor.WITHDRAWN)
        if proposed_by is None:
            raise NotAllowed("nobody proposed the withdrawal")
        return Approved(outcome, case, proposed_by, by.id, None, reason)
    if case.drafted_by is None:
        raise NotAllowed("nobody wrote the text")
    clearances = _clearances(case)
    said = await consenting.against(
        session, case, cleared=clearances.cleared, is_correction=outcome is Outcome.CORRECT, now=now
    )
    text = await _pass_gates(session, case, clearances, now=now, said=said)
    alert.publish()
    return Approved(outcome, case, case.drafted_by, by.id, text, None)


def parse_text(fields: Mapping[str, object], *, now: datetime, corrections: Sequence[object]) -> PublicCase:
    """The public case these fields make, coarse enough for small groups, and small enough for other servers.

    Raises Invalid with a sentence per field.

    corrections  what the server knows was corrected; what a client says about it is not looked at.
    """
    try:
        text = PublicCase.parse(coarse(dict(fields) | {"corrections": list(corrections)}), today=now.date())
    except InvalidCase as error:
        raise Invalid("the text does not hold", problems=error.problems) from error
    if not fits(text):
        raise Invalid("the text is too long", problems={SIZE: TOO_LONG})
    return text


def reach_of(case: Case) -> Reach | None:
    """How other servers would get the text as it was saved; None where there is none that could be published."""
    if case.draft is None:
        return None
    try:
        return reach(PublicCase.parse(case.draft))
    except InvalidCase:
        return None


# ---- private -------------------------------------------------------------------------------------------------------


async def _case(session: AsyncSession, case_id: str, *, for_update: bool = False) -> Case:
    case = await session.get(Case, case_id, with_for_update=for_update or None)
    if case is None:
        raise NotFound("no such case")
    return case


async def _begin(session: AsyncSession, case_id: str, move: Move, *, by: Staff) -> Case:
    if not any(allowed(by.roles, action) for action in PERMISSION[move]):
        raise NotAllowed(f"none of the roles may {move}", public=NOT_YOUR_ROLE)
    return await _case(session, case_id, for_update=True)


async def _pass_gates(
    session: AsyncSession, case: Case, clearances: Clearances, *, now: datetime, said: Mapping[str, str]
) -> PublicCase:
    """The draft as a text, once every gate is open. `said` is what the source's own answer closes. Raises Invalid."""
    draft = case.draft or {}
    text = parse_text(draft, now=now, corrections=draft.get("corrections") or [])
    problems = closed_gates(text, standard=case.standard, checkers=case.checkers, clearances=clearances)
    problems |= said
    if problems:
        raise Invalid("a publication gate is closed", problems=problems)
    case.clearances = asdict(clearances)
    return text


def _clearances(case: Case) -> Clearances:
    kept: dict[str, Any] = case.clearances or {}
    return Clearances(**kept)
