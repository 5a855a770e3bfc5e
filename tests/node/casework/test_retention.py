"""How long records are kept: what is not yet due, held or in work stays; what ends loses its keys first and opens for nobody."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from node import audit, worker
from node.casework import desk, retention, triage
from node.casework.cases import Case
from node.casework.gates import Clearances
from node.casework.records import CaseRecord
from node.casework.retention import Due, Erasure, Kind
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.intake import mailbox
from node.intake.alerts import Alert, Attachment, SealedObject, UploadPart, Wrap
from node.intake.burning import burn
from node.intake.receive import SealedWrap, receive_alert
from node.intake.uploads import keep_part
from node.runtime import Node
from node.staff.accounts import Staff
from tests.rig.alerts import (
    Door,
    a_file,
    a_member,
    a_recipient,
    an_alert,
    an_open_door,
    case_fields,
    mailbox_token,
    sealed_to,
)

pytestmark = pytest.mark.both_databases

CASE = "c" * 32
INTERNAL = a_recipient("internal")
PARTS = (sealed_to(INTERNAL, {"a": "file"}),)
WHY = "A court asked us to keep it (fictional)."


@pytest.fixture
async def door(node: Node) -> Door:
    """Two people who read alerts."""
    return await an_open_door(node.database, now=node.clock.now())


async def olga(node: Node) -> Staff:
    async with node.database.begin() as session:
        return await a_member(session, "Olga", ["administrator"], now=node.clock.now())


async def receive(node: Node, door: Door, label: str = "one", *, with_file: bool = False) -> str:
    """An alert that came today; returns its id."""
    now = node.clock.now()
    files = (a_file(PARTS, label),) if with_file else ()
    alert = an_alert(door.manifest, label, attachments=files)
    blob = await node.blobs.put(PARTS[0])
    async with node.database.begin() as session:
        for file in files:
            await keep_part(session, upload=file.upload, part=0, blob=blob, size=file.size, now=now)
        await receive_alert(session, alert, door.terms, now=now)
    return alert.id


async def open_case(node: Node, door: Door, alert_id: str) -> None:
    now = node.clock.now()
    async with node.database.begin() as session:
        wraps = [SealedWrap("internal", one.id, sealed_to(one.age, {})) for one in (door.ana, door.boris)]
        await triage.open_case(
            session, alert_id, case_id=CASE, internal=INTERNAL, wraps=wraps, by=door.ana, now=now
        )
        sealed = sealed_to(INTERNAL, {"claim": "fictional"})
        await desk.put_record(session, CASE, seq=1, kind="check", sealed=sealed, by=door.ana, now=now)


async def refute(node: Node, door: Door) -> None:
    """The case is not upheld, so it is closed."""
    async with node.database.begin() as session:
        await desk.propose(session, CASE, "N1", by=door.ana, now=node.clock.now())
        await desk.confirm(session, CASE, by=door.boris, now=node.clock.now())


async def publish(node: Node, door: Door) -> None:
    now = node.clock.now()
    async with node.database.begin() as session:
        paul = await a_member(session, "Paul", ["publisher"], now=now)
        await desk.propose(session, CASE, "P3", by=door.ana, now=now)
        await desk.confirm(session, CASE, by=door.boris, now=now)
        await desk.save_draft(session, CASE, case_fields(), by=door.ana, now=now)
        case = await desk.submit(session, CASE, Clearances(consent=True), by=door.ana, now=now)
        await desk.approve(session, CASE, sha256=case.draft_sha256 or "", by=paul, now=now)


async def set_term(node: Node, kind: Kind, days: int | None, by: Staff) -> None:
    async with node.database.begin() as session:
        await retention.set_term(session, kind, days, by=by, now=node.clock.now())


async def listed(node: Node, *, ahead: int = 0) -> list[Due]:
    async with node.database.read() as session:
        return await retention.falling_due(session, until=node.clock.now().date() + timedelta(days=ahead))


async def work(node: Node) -> None:
    """Let the worker do what is due now, until nothing is."""
    while await worker.run_due(node):
        pass


async def count(node: Node, row: Any) -> int:
    async with node.database.read() as session:
        return await session.scalar(select(func.count()).select_from(row)) or 0


async def days_pass(node: Any, days: int) -> None:
    """Day after day the worker looks, as it does."""
    for _ in range(days):
        node.clock.forward(days=1)
        await work(node)


async def test_only_an_administrator_sets_a_term_and_only_a_sensible_one(node: Node, door: Door) -> None:
    admin = await olga(node)

    with pytest.raises(NotAllowed):
        await set_term(node, Kind.CLOSED_CASE, 30, door.ana)
    for days in (0, -1, retention.LONGEST_DAYS + 1):
        with pytest.raises(Invalid):
            await set_term(node, Kind.CLOSED_CASE, days, admin)

    async with node.database.read() as session:
        assert await retention.terms(session) == {}


async def test_without_a_term_nothing_ever_ends(node: Node, door: Door) -> None:
    await receive(node, door)

    await days_pass(node, 5)
    node.clock.forward(days=4000)  # type: ignore[attr-defined]  # the rig's clock
    await work(node)

    assert await listed(node, ahead=4000) == []
    assert await count(node, Wrap) > 0


async def test_what_falls_due_stands_on_the_list_for_two_weeks_however_short_the_term(
    node: Any, door: Door
) -> None:
    alert = await receive(node, door)
    node.clock.forward(days=400)
    await set_term(node, Kind.UNANSWERED_ALERT, 1, await olga(node))

    (due,) = await listed(node, ahead=30)
    await days_pass(node, 13)

    assert (due.alert_id, due.kind) == (alert, Kind.UNANSWERED_ALERT)
    assert due.due_on == date(2027, 12, 26) + timedelta(days=14)
    assert await count(node, Alert) == 1
    await days_pass(node, 1)
    assert await count(node, Alert) == 0


async def test_after_its_term_a_closed_case_opens_for_nobody_and_an_entry_without_content_stays(
    node: Any, door: Door
) -> None:
    alert = await receive(node, door, with_file=True)
    await open_case(node, door, alert)
    await refute(node, door)
    async with node.database.read() as session:
        (blob,) = list(await session.scalars(select(UploadPart.blob)))
    await set_term(node, Kind.CLOSED_CASE, 20, await olga(node))

    await days_pass(node, 19)
    assert await count(node, Case) == 1
    async with node.database.read() as session:
        mark = (await session.scalars(select(Wrap.sealed))).all()[0][200:232]
    await days_pass(node, 1)

    if node.database.is_sqlite:
        database = Path(node.database.engine.url.database)
        assert not [one for one in database.parent.glob(f"{database.name}*") if mark in one.read_bytes()]
    for row in (Wrap, SealedObject, Attachment, UploadPart, CaseRecord, Case, Alert, Erasure):
        assert await count(node, row) == 0, row
    with pytest.raises(NotFound):
        await node.blobs.get(blob)
    async with node.database.read() as session:
        with pytest.raises(NotFound):
            await mailbox.open_mailbox(session, mailbox_token())
        with pytest.raises(NotFound):
            await triage.read_alert(session, alert, by=door.ana, now=node.clock.now())
        for subject in (alert, CASE):
            said = [entry.action for entry in await audit.entries_of(session, subject)]
            assert said[-2:] == ["record.keys-destroyed", "erased.closed-case"]
        await audit.verify(session)


async def test_the_keys_go_before_anything_else_and_what_was_stopped_goes_on(
    node: Any, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = await receive(node, door, with_file=True)
    await set_term(node, Kind.UNANSWERED_ALERT, 20, await olga(node))
    seen: list[int] = []

    async def power_cut(name: str) -> None:
        seen.append(await count(node, Wrap))
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(node.blobs, "delete", power_cut)
        node.clock.forward(days=20)
        await work(node)
    assert seen[0] == 0
    assert await count(node, Alert) == 1
    assert await listed(node, ahead=1) == []
    async with node.database.begin() as session:
        with pytest.raises(WrongState):
            await retention.hold(session, alert, WHY, by=door.ana, now=node.clock.now())

    await days_pass(node, 1)

    assert (await count(node, Alert), await count(node, Erasure)) == (0, 0)
    async with node.database.read() as session:
        said = [entry.action for entry in await audit.entries_of(session, alert)]
    assert said == ["record.keys-destroyed", "erased.unanswered-alert"]


async def test_the_job_may_run_twice(node: Any, door: Door) -> None:
    await receive(node, door)
    await set_term(node, Kind.UNANSWERED_ALERT, 20, await olga(node))
    node.clock.forward(days=20)

    for _ in range(2):
        await retention.erase_records(node, None)  # type: ignore[arg-type]  # it reads nothing of its job

    assert await count(node, Alert) == 0
    assert len([entry async for entry in entries(node, "erased.unanswered-alert")]) == 1


async def entries(node: Node, action: str) -> Any:
    async with node.database.read() as session:
        for entry in await session.scalars(select(audit.AuditEntry).where(audit.AuditEntry.action == action)):
            yield entry


async def test_what_is_held_stays_until_it_is_released(node: Any, door: Door) -> None:
    alert = await receive(node, door)
    admin = await olga(node)
    await set_term(node, Kind.UNANSWERED_ALERT, 20, admin)
    async with node.database.begin() as session:
        await retention.hold(session, alert, WHY, by=admin, now=node.clock.now())

    await days_pass(node, 30)
    (due,) = await listed(node)
    assert due.hold is not None
    assert due.hold.reason == WHY
    assert await count(node, Wrap) > 0

    async with node.database.begin() as session:
        await retention.release(session, alert, by=admin, now=node.clock.now())
    await days_pass(node, 1)
    assert await count(node, Alert) == 0


async def test_a_hold_needs_a_reason_a_record_and_somebody_who_may(node: Node, door: Door) -> None:
    alert, now = await receive(node, door), node.clock.now()
    async with node.database.begin() as session:
        auditor = await a_member(session, "Aude", ["auditor"], now=now)
        with pytest.raises(NotAllowed):
            await retention.hold(session, alert, WHY, by=auditor, now=now)
        with pytest.raises(Invalid):
            await retention.hold(session, alert, " why ", by=door.ana, now=now)
        with pytest.raises(NotFound):
            await retention.hold(session, "0" * 32, WHY, by=door.ana, now=now)
        with pytest.raises(NotFound):
            await retention.release(session, alert, by=door.ana, now=now)
        assert await retention.holds(session) == []


async def test_work_and_words_put_the_term_off(node: Any, door: Door) -> None:
    await receive(node, door, "quiet")
    asked, worked = await receive(node, door, "asked"), await receive(node, door, "worked")
    await set_term(node, Kind.UNANSWERED_ALERT, 20, await olga(node))
    await open_case(node, door, worked)
    node.clock.forward(days=10)
    async with node.database.begin() as session:
        await triage.ask_source(
            session,
            asked,
            seq=2,
            sealed=sealed_to(a_recipient("dialogue asked"), {"text": "fictional"}),
            by=door.ana,
            now=node.clock.now(),
        )

    await days_pass(node, 10)

    async with node.database.read() as session:
        assert set(await session.scalars(select(Alert.id))) == {asked, worked}
    assert [due.alert_id for due in await listed(node, ahead=20)] == [asked]


async def test_closed_and_burnt_alerts_have_terms_of_their_own(node: Any, door: Door) -> None:
    spam, burnt = await receive(node, door, "spam"), await receive(node, door, "burnt")
    admin = await olga(node)
    node.clock.forward(days=100)
    async with node.database.begin() as session:
        await triage.close_alert(session, spam, "spam", by=door.ana, now=node.clock.now())
        await burn(session, await triage.find_alert(session, burnt))
    await set_term(node, Kind.CLOSED_ALERT, 50, admin)
    await set_term(node, Kind.BURNT_ALERT, 50, admin)

    found = {due.alert_id: (due.kind, due.due_on) for due in await listed(node, ahead=100)}

    today = node.clock.now().date()
    # From the day it was closed; a burnt one has been quiet for long, so only the notice counts.
    assert found[spam] == (Kind.CLOSED_ALERT, today + timedelta(days=50))
    assert found[burnt] == (Kind.BURNT_ALERT, today + timedelta(days=14))


async def test_the_sealed_record_of_a_public_case_ends_and_its_text_stays(node: Any, door: Door) -> None:
    alert = await receive(node, door, with_file=True)
    await open_case(node, door, alert)
    await publish(node, door)
    await set_term(node, Kind.PUBLISHED_CASE, 30, await olga(node))

    await days_pass(node, 30)

    for row in (Wrap, SealedObject, Attachment, UploadPart, CaseRecord, Erasure):
        assert await count(node, row) == 0, row
    async with node.database.begin() as session:
        with pytest.raises(NotFound):
            await mailbox.open_mailbox(session, mailbox_token())
        case = await session.get(Case, CASE)
        assert case is not None
        assert case.public is not None
        await desk.withdraw(session, CASE, "consent-withdrawn", by=door.ana, now=node.clock.now())
    assert await listed(node, ahead=4000) == []


async def test_a_term_that_is_taken_back_ends_nothing(node: Any, door: Door) -> None:
    await receive(node, door)
    admin = await olga(node)
    await set_term(node, Kind.UNANSWERED_ALERT, 20, admin)
    await set_term(node, Kind.UNANSWERED_ALERT, None, admin)

    await days_pass(node, 30)

    assert await count(node, Alert) == 1
