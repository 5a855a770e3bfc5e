"""The desk's use cases where they meet the database: gates asked twice, keys of those who leave, traces."""

from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import func, select

from node import audit
from node.casework import desk, triage
from node.casework.cases import Case, CaseEvent, Move, Outcome
from node.casework.gates import TOO_LONG, Clearances
from node.casework.team import deactivate, intake_terms
from node.database import Database
from node.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from node.intake.alerts import Wrap
from node.intake.receive import SealedWrap, receive_alert
from node.settings import Settings
from node.staff.accounts import Staff
from tests.rig.alerts import Door, a_member, a_recipient, an_alert, an_open_door, case_fields, sealed_to

CASE = "c" * 32
INTERNAL = a_recipient("internal")
RECORD = sealed_to(INTERNAL, {"claim": "a fictional claim"})
CONSENT = Clearances(consent=True)


@pytest.fixture
async def door(database: Database, now: datetime) -> Door:
    """An alert has come, and Ana opened a case on it and put a check on record."""
    made = await an_open_door(database, now=now)
    alert = an_alert(made.manifest)
    async with database.begin() as session:
        await receive_alert(session, alert, made.terms, now=now)
        wraps = [SealedWrap("internal", one.id, sealed_to(one.age, {})) for one in (made.ana, made.boris)]
        await triage.open_case(
            session, alert.id, case_id=CASE, internal=INTERNAL, wraps=wraps, by=made.ana, now=now
        )
        await desk.put_record(session, CASE, seq=1, kind="check", sealed=RECORD, by=made.ana, now=now)
    return made


async def publisher(door: Door, now: datetime) -> Staff:
    async with door.database.begin() as session:
        return await a_member(session, "Paul", ["publisher"], now=now)


async def in_review(door: Door, now: datetime) -> str:
    async with door.database.begin() as session:
        await desk.propose(session, CASE, "P3", by=door.ana, now=now)
        await desk.confirm(session, CASE, by=door.boris, now=now)
        await desk.save_draft(session, CASE, case_fields(), by=door.ana, now=now)
        case = await desk.submit(session, CASE, CONSENT, by=door.ana, now=now)
    return case.draft_sha256 or ""


async def test_the_gates_are_asked_again_when_the_second_person_says_yes(door: Door, now: datetime) -> None:
    paul, sha256 = await publisher(door, now), await in_review(door, now)
    async with door.database.begin() as session:
        case = await session.get(Case, CASE)
        assert case is not None
        # As if somebody had changed the row behind the desk's back.
        case.standard = "P4"

    async with door.database.begin() as session:
        with pytest.raises(Invalid) as refused:
            await desk.approve(session, CASE, sha256=sha256, by=paul, now=now)
        await session.rollback()

    assert "standard" in refused.value.problems


async def test_a_text_that_is_too_long_for_other_servers_is_refused_when_it_is_written(
    door: Door, now: datetime
) -> None:
    step = {"date": "2026-03-02", "action": "letter-to-authority", "text": {"en": "x y " * 1249}}
    async with door.database.begin() as session:
        await desk.propose(session, CASE, "P3", by=door.ana, now=now)
        await desk.confirm(session, CASE, by=door.boris, now=now)

        with pytest.raises(Invalid) as refusal:
            await desk.save_draft(session, CASE, case_fields(follow_ups=[step] * 80), by=door.ana, now=now)

    assert refusal.value.problems == {"size": TOO_LONG}


async def test_a_text_that_is_too_long_is_refused_once_more_when_it_is_approved(
    door: Door, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = await in_review(door, now)
    monkeypatch.setattr(desk, "fits", lambda case: False)

    with pytest.raises(Invalid) as refusal:
        async with door.database.begin() as session:
            await desk.approve(session, CASE, sha256=sha256, by=await publisher(door, now), now=now)

    assert refusal.value.problems == {"size": TOO_LONG}


def test_the_desk_says_in_each_language_what_the_server_says_of_a_text_that_is_too_long() -> None:
    said = (Path(str(files("web"))) / "templates" / "desk" / "texts.html").read_text(encoding="utf-8")

    assert f'<p data-text="too-long">{{{{ _("{TOO_LONG}") }}}}</p>' in said


async def test_an_approval_hands_out_what_two_people_agreed_on(door: Door, now: datetime) -> None:
    paul, sha256 = await publisher(door, now), await in_review(door, now)

    async with door.database.begin() as session:
        approved = await desk.approve(session, CASE, sha256=sha256, by=paul, now=now)

    assert (approved.outcome, approved.drafted_by, approved.approved_by) == (
        Outcome.PUBLISH,
        door.ana.id,
        paul.id,
    )
    assert approved.text is not None
    assert approved.text.fields() == approved.case.public


async def test_nobody_without_the_role_makes_a_move(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        otto = await a_member(session, "Otto", ["auditor"], now=now)
        olga = await a_member(session, "Olga", ["administrator"], now=now)
        for person in (otto, olga):
            with pytest.raises(NotAllowed):
                await desk.confirm(session, CASE, by=person, now=now)
            with pytest.raises(NotAllowed):
                await desk.approve(session, CASE, sha256=None, by=person, now=now)
            with pytest.raises(NotAllowed):
                await triage.list_alerts(session, by=person)
            with pytest.raises(NotAllowed):
                await desk.read_case(session, CASE, by=person)


async def test_a_check_of_somebody_else_is_not_ones_own(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        with pytest.raises(WrongState):
            await desk.propose(session, CASE, "P3", by=door.boris, now=now)
        await desk.put_record(session, CASE, seq=2, kind="note", sealed=RECORD, by=door.boris, now=now)
        with pytest.raises(WrongState):
            await desk.propose(session, CASE, "P3", by=door.boris, now=now)
        await desk.put_record(session, CASE, seq=3, kind="assessment", sealed=RECORD, by=door.boris, now=now)
        case = await desk.propose(session, CASE, "P3", by=door.boris, now=now)

    assert case.proposed_by == door.boris.id


@pytest.mark.parametrize("kind", ["submission", "", "message"])
async def test_a_record_of_another_kind_is_refused(door: Door, now: datetime, kind: str) -> None:
    async with door.database.begin() as session:
        with pytest.raises(Invalid):
            await desk.put_record(session, CASE, seq=2, kind=kind, sealed=RECORD, by=door.ana, now=now)


async def test_a_case_that_ended_takes_no_more_records(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        await desk.propose(session, CASE, "N2", by=door.ana, now=now)
        await desk.confirm(session, CASE, by=door.boris, now=now)
        with pytest.raises(WrongState):
            await desk.put_record(session, CASE, seq=2, kind="note", sealed=RECORD, by=door.ana, now=now)


async def test_what_is_not_there_is_not_found(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        with pytest.raises(NotFound):
            await desk.read_case(session, "0" * 32, by=door.ana)
        with pytest.raises(NotFound):
            await triage.read_alert(session, "0" * 32, by=door.ana, now=now)
        with pytest.raises(NotFound):
            await desk.confirm(session, "0" * 32, by=door.boris, now=now)


async def test_the_id_of_another_case_is_refused(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest, "two")
    wraps = [SealedWrap("internal", door.ana.id, sealed_to(door.ana.age, {}))]
    async with door.database.begin() as session:
        await receive_alert(session, alert, door.terms, now=now)
        with pytest.raises(Conflict):
            await triage.open_case(
                session, alert.id, case_id=CASE, internal=INTERNAL, wraps=wraps, by=door.ana, now=now
            )


async def test_every_step_is_in_the_history_and_in_the_audit(door: Door, now: datetime) -> None:
    await in_review(door, now)

    async with door.database.read() as session:
        history = (await session.scalars(select(CaseEvent).order_by(CaseEvent.seq))).all()
        entries = await audit.entries_of(session, CASE)
        await audit.verify(session)

    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert [f"case.{event.action}" for event in history] == [entry.action for entry in entries]
    assert history[-1].reason == "consent was read and covers this text"


async def test_the_keys_of_somebody_who_leaves_are_forgotten(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        before = await session.scalar(select(func.count()).where(Wrap.holder == door.boris.id))
        await deactivate(session, door.boris.id, by=None, now=now)
        after = await session.scalar(select(func.count()).where(Wrap.holder == door.boris.id))
        others = await session.scalar(select(func.count()).where(Wrap.holder == door.ana.id))
        terms = await intake_terms(session, Settings(origin="https://a.example"))

    assert (before, after, others) == (3, 0, 3)
    assert [handler.id for handler in terms.handlers] == [door.ana.id]


async def test_the_list_of_alerts_adds_up_what_was_sent(door: Door) -> None:
    sent = sum(len(piece.sealed) for piece in an_alert(door.manifest).objects)

    async with door.database.read() as session:
        (line,) = await triage.list_alerts(session, by=door.ana)

    assert (line.size, line.attachments, line.alert.case_id) == (sent, 0, CASE)


def test_every_move_has_a_permission() -> None:
    assert set(desk.PERMISSION) == set(Move)


def test_a_move_that_is_not_open_says_why(now: datetime) -> None:
    case = Case.open(id=CASE, alert_id="0" * 32, internal=INTERNAL, by="ana", now=now)
    editor = Staff(id="eva", roles=["editor"], is_active=True)

    moves = {one.move: one for one in desk.moves_of(case, by=editor, checked=True)}

    assert set(moves) == {Move.RECORD, Move.PROPOSE}
    assert not any(one.is_open for one in moves.values())
    assert all(one.why for one in moves.values())
