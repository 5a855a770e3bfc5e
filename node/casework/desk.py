"""What staff do: take up alerts, open cases, put records on them, and move them, each step written into history and audit.

Every use case asks the table of permissions first and the row after; none commits, none calls the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from node import audit
from node.casework import records
from node.casework.cases import FROM, NOT_UPHELD, Case, CaseEvent, CaseState, Move, Outcome
from node.casework.gates import Clearances, closed_gates
from node.errors import Conflict, Invalid, NotAllowed, NotFound, TooLarge, WrongState
from node.intake import mailbox
from node.intake.alerts import Alert, Attachment, ClosedFor, Compartment, SealedObject, Wrap
from node.intake.receive import MAX_WRAP_BYTES, SealedWrap
from node.intake.seals import require_hybrid, require_sealed
from node.staff.accounts import Staff, active_staff
from node.staff.permissions import Action, allowed, require
from vocab import lists
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
MAX_REASON = 1000


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert in the desk's list. `size` is of its ciphertext."""

    alert: Alert
    size: int
    attachments: int


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


# ---- alerts --------------------------------------------------------------------------------------------------------


async def list_alerts(session: AsyncSession, *, by: Staff) -> list[AlertLine]:
    """Every alert, newest day first. Raises NotAllowed."""
    require(by.roles, Action.READ_ALERTS)
    sizes = (
        select(SealedObject.alert_id, func.sum(func.length(SealedObject.sealed)).label("size"))
        .group_by(SealedObject.alert_id)
        .subquery()
    )
    files = (
        select(Attachment.alert_id, func.count().label("files"), func.sum(Attachment.size).label("size"))
        .group_by(Attachment.alert_id)
        .subquery()
    )
    found = await session.execute(
        select(Alert, sizes.c.size, files.c.files, files.c.size)
        .outerjoin(sizes, sizes.c.alert_id == Alert.id)
        .outerjoin(files, files.c.alert_id == Alert.id)
        .order_by(Alert.received_on.desc(), Alert.id)
    )
    return [
        AlertLine(alert, int(size or 0) + int(more or 0), int(count or 0))
        for alert, size, count, more in found
    ]


async def read_alert(session: AsyncSession, alert_id: str, *, by: Staff, now: datetime) -> mailbox.Contents:
    """One alert with the reader's own wraps. Written into the audit. Raises NotAllowed, NotFound."""
    require(by.roles, Action.READ_ALERTS)
    alert = await _alert(session, alert_id)
    await audit.record(session, actor=by.id, action="alert.read", subject=alert.id, now=now)
    return await mailbox.contents(session, alert, holder=by.id)


async def ask_source(
    session: AsyncSession, alert_id: str, *, seq: int, sealed: bytes, by: Staff, now: datetime
) -> Alert:
    """Put a question into the mailbox. Raises NotAllowed, NotFound, Conflict, Invalid, TooLarge."""
    require(by.roles, Action.ANSWER_SOURCE)
    alert = await _alert(session, alert_id, for_update=True)
    await mailbox.ask(session, alert, seq=seq, sealed=sealed, now=now)
    await audit.record(session, actor=by.id, action="alert.asked", subject=alert.id, now=now)
    return alert


async def close_alert(
    session: AsyncSession, alert_id: str, reason: str, *, by: Staff, now: datetime
) -> Alert:
    """Close an alert without a case. Raises NotAllowed, NotFound, WrongState."""
    require(by.roles, Action.CLOSE_ALERT)
    alert = await _alert(session, alert_id, for_update=True)
    alert.dismiss(reason)
    await audit.record(session, actor=by.id, action=f"alert.closed:{reason}"[:40], subject=alert.id, now=now)
    return alert


async def open_case(
    session: AsyncSession,
    alert_id: str,
    *,
    case_id: str,
    internal: str,
    wraps: Sequence[SealedWrap],
    by: Staff,
    now: datetime,
) -> Case:
    """Open a case on an alert, with the wraps of its internal key for the people who will work on it.

    Raises NotAllowed, NotFound, WrongState (the alert has a case or is closed), Conflict, Invalid, TooLarge.
    """
    require(by.roles, Action.OPEN_CASE)
    alert = await _alert(session, alert_id, for_update=True)
    require_hybrid(internal)
    await _check_holders(session, wraps, by=by)
    if await session.get(Case, case_id) is not None:
        raise Conflict("the id is another case's")
    alert.attach_case(case_id)
    case = Case.open(id=case_id, alert_id=alert.id, internal=internal, by=by.id, now=now)
    try:
        async with session.begin_nested():
            session.add(case)
    except IntegrityError:
        raise Conflict("somebody else opened a case on this alert") from None
    for wrap in wraps:
        session.add(
            Wrap(of=case.id, compartment=Compartment.INTERNAL, holder=wrap.holder, sealed=wrap.sealed)
        )
    await _note(session, case, "opened", by=by, now=now)
    return case


# ---- cases ---------------------------------------------------------------------------------------------------------


async def list_cases(session: AsyncSession, *, by: Staff) -> list[Case]:
    """Every case, last touched first. Raises NotAllowed."""
    require(by.roles, Action.READ_CASES)
    return list(await session.scalars(select(Case).order_by(Case.updated_on.desc(), Case.id)))


async def read_case(session: AsyncSession, case_id: str, *, by: Staff) -> CaseFile:
    """One case as this person sees it, with the steps open to them. Raises NotAllowed, NotFound."""
    require(by.roles, Action.READ_CASES)
    case = await _case(session, case_id)
    wraps = await session.scalars(select(Wrap).where(Wrap.of == case.id, Wrap.holder == by.id))
    history = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.seq)
    )
    checked = await records.has_checked(session, case.id, by=by.id)
    return CaseFile(
        case=case,
        wraps=wraps.all(),
        records=await records.records_of(session, case.id),
        history=history.all(),
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
    await _note(session, case, f"recorded-{kind}", by=by, now=now)
    return case


async def propose(session: AsyncSession, case_id: str, standard: str, *, by: Staff, now: datetime) -> Case:
    """Propose a standard of proof; the proposer has put a check on record. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.PROPOSE, by=by)
    checked = await records.has_checked(session, case.id, by=by.id)
    case.propose(standard, by=by.id, now=now, checked=checked)
    await _note(session, case, "proposed", by=by, now=now, reason=standard)
    return case


async def confirm(session: AsyncSession, case_id: str, *, by: Staff, now: datetime) -> Case:
    """Confirm the finding as the second person. Raises NotAllowed, NotFound, WrongState."""
    case = await _begin(session, case_id, Move.CONFIRM, by=by)
    case.confirm(by=by.id, now=now)
    if case.standard in NOT_UPHELD:
        (await _alert(session, case.alert_id, for_update=True)).close(ClosedFor.NOT_UPHELD)
    await _note(session, case, "confirmed", by=by, now=now, reason=case.standard)
    return case


async def send_back(
    session: AsyncSession, case_id: str, *, by: Staff, now: datetime, reason: str | None = None
) -> Case:
    """Return a finding for more checking. Raises NotAllowed, NotFound, WrongState."""
    case = await _begin(session, case_id, Move.RETURN, by=by)
    case.send_back(by=by.id, now=now)
    await _note(session, case, "returned", by=by, now=now, reason=reason)
    return case


async def save_draft(
    session: AsyncSession, case_id: str, fields: Mapping[str, object], *, by: Staff, now: datetime
) -> Case:
    """Keep the public text, made as coarse as small groups need. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.DRAFT, by=by)
    text = parse_text(fields, now=now, corrections=())
    case.write(text.fields(), by=by.id, now=now)
    await _note(session, case, "drafted", by=by, now=now)
    return case


async def submit(
    session: AsyncSession, case_id: str, clearances: Clearances, *, by: Staff, now: datetime
) -> Case:
    """Ask for approval; every gate must be open. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.SUBMIT, by=by)
    case.submit(by=by.id, now=now)
    _pass_gates(case, clearances, now=now)
    await _note(session, case, "submitted", by=by, now=now, reason=clearances.as_reason())
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
    text = parse_text(
        fields, now=now, corrections=[*before, {"date": now.date().isoformat(), "text": dict(note)}]
    )
    case.correct(text.fields(), by=by.id, now=now)
    _pass_gates(case, clearances, now=now)
    await _note(session, case, "correction-proposed", by=by, now=now, reason=clearances.as_reason())
    return case


async def withdraw(session: AsyncSession, case_id: str, reason: str, *, by: Staff, now: datetime) -> Case:
    """Propose to take a case out of public. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.WITHDRAW, by=by)
    if not lists.has("withdrawal_reasons", reason):
        raise Invalid("unknown reason", problems={"reason": "Choose one of the reasons."})
    case.withdraw(reason, by=by.id, now=now)
    await _note(session, case, "withdrawal-proposed", by=by, now=now, reason=reason)
    return case


async def reject(session: AsyncSession, case_id: str, reason: str, *, by: Staff, now: datetime) -> Case:
    """Say no to a text or a withdrawal, with the reason. Raises NotAllowed, NotFound, WrongState, Invalid."""
    case = await _begin(session, case_id, Move.REJECT, by=by)
    if not reason.strip():
        raise Invalid("no reason", problems={"reason": "Say in one sentence why."})
    case.reject(by=by.id, now=now)
    await _note(session, case, "rejected", by=by, now=now, reason=reason.strip())
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
    alert = await _alert(session, case.alert_id, for_update=True)
    await _note(session, case, "approved", by=by, now=now, reason=outcome)
    if outcome is Outcome.WITHDRAW:
        alert.close(ClosedFor.WITHDRAWN)
        if proposed_by is None:
            raise NotAllowed("nobody proposed the withdrawal")
        return Approved(outcome, case, proposed_by, by.id, None, reason)
    if case.drafted_by is None:
        raise NotAllowed("nobody wrote the text")
    text = _pass_gates(case, _clearances(case), now=now)
    alert.publish()
    return Approved(outcome, case, case.drafted_by, by.id, text, None)


def parse_text(fields: Mapping[str, object], *, now: datetime, corrections: Sequence[object]) -> PublicCase:
    """The public case these fields make, coarse enough for small groups. Raises Invalid with a sentence per field.

    corrections  what the server knows was corrected; what a client says about it is not looked at.
    """
    try:
        return PublicCase.parse(coarse(dict(fields) | {"corrections": list(corrections)}), today=now.date())
    except InvalidCase as error:
        raise Invalid("the text does not hold", problems=error.problems) from error


# ---- private -------------------------------------------------------------------------------------------------------


async def _alert(session: AsyncSession, alert_id: str, *, for_update: bool = False) -> Alert:
    alert = await session.get(Alert, alert_id, with_for_update=for_update or None)
    if alert is None:
        raise NotFound("no such alert")
    return alert


async def _case(session: AsyncSession, case_id: str, *, for_update: bool = False) -> Case:
    case = await session.get(Case, case_id, with_for_update=for_update or None)
    if case is None:
        raise NotFound("no such case")
    return case


async def _begin(session: AsyncSession, case_id: str, move: Move, *, by: Staff) -> Case:
    if not any(allowed(by.roles, action) for action in PERMISSION[move]):
        raise NotAllowed(f"none of the roles may {move}", public=NOT_YOUR_ROLE)
    return await _case(session, case_id, for_update=True)


async def _note(
    session: AsyncSession, case: Case, action: str, *, by: Staff, now: datetime, reason: str | None = None
) -> None:
    last = await session.scalar(select(func.max(CaseEvent.seq)).where(CaseEvent.case_id == case.id))
    session.add(
        CaseEvent(
            case_id=case.id,
            seq=(last or 0) + 1,
            action=action,
            by=by.id,
            on=now.date(),
            reason=None if reason is None else reason[:MAX_REASON],
        )
    )
    await audit.record(session, actor=by.id, action=f"case.{action}", subject=case.id, now=now)


def _pass_gates(case: Case, clearances: Clearances, *, now: datetime) -> PublicCase:
    draft = case.draft or {}
    text = parse_text(draft, now=now, corrections=draft.get("corrections") or [])
    problems = closed_gates(text, standard=case.standard, checkers=case.checkers, clearances=clearances)
    if problems:
        raise Invalid("a publication gate is closed", problems=problems)
    case.clearances = asdict(clearances)
    return text


def _clearances(case: Case) -> Clearances:
    kept: dict[str, Any] = case.clearances or {}
    return Clearances(**kept)


async def _check_holders(session: AsyncSession, wraps: Sequence[SealedWrap], *, by: Staff) -> None:
    may_hold = {one.id for one in await active_staff(session) if allowed(one.roles, Action.READ_CASES)}
    holders = [wrap.holder for wrap in wraps]
    if len(holders) != len(set(holders)) or not set(holders) <= may_hold or by.id not in holders:
        raise Invalid(
            "wraps for strangers, doubled, or none for the opener",
            public="The key of a case is sealed to whoever opens it and to other staff who work on cases, once each.",
        )
    for wrap in wraps:
        if len(wrap.sealed) > MAX_WRAP_BYTES:
            raise TooLarge("a wrap is too large")
        require_sealed(wrap.sealed)
