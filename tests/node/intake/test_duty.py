"""A promise in hours, and what became of it: broken ones are named, and without a promise nothing of an alert's urgency is kept."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node import audit
from node.casework import triage
from node.errors import Invalid, NotFound
from node.intake import duty
from node.intake.alerts import Mode
from node.intake.burning import burn
from node.intake.duty import Duty, Verdict
from node.intake.receive import receive_alert
from node.outbox import Done, Job
from node.roles import NODE as NODE_ROLE
from node.roles import Work, begin
from node.staff.accounts import NODE
from tests.rig.alerts import Door, a_recipient, an_alert, an_open_door, sealed_to


async def promise(door: Door, hours: int, *, now: datetime) -> None:
    async with door.database.begin() as session:
        await duty.make_promise(session, hours, by=NODE, now=now)


async def arrive(
    door: Door, label: str, *, now: datetime, urgent: bool = True, mode: Mode = Mode.SEALED
) -> str:
    async with door.database.begin() as session:
        alert = an_alert(door.manifest, label, urgent=urgent)
        await receive_alert(session, alert, door.terms, mode=mode, now=now)
    return alert.id


async def answer(door: Door, alert_id: str, *, seq: int, now: datetime) -> None:
    sealed = sealed_to(a_recipient("anybody"), {"text": "We are on our way (fictional)"})
    async with door.database.begin() as session:
        await triage.ask_source(session, alert_id, seq=seq, sealed=sealed, by=door.ana, now=now)


async def verdicts(door: Door, *, now: datetime, days: int = 30) -> dict[str, Verdict]:
    async with door.database.begin() as session:
        found = await duty.report(session, days=days, now=now)
    return {one.alert_id: verdict for one, verdict in found.duties}


async def kept(session: AsyncSession) -> list[Duty]:
    return list(await session.scalars(select(Duty)))


async def test_without_a_promise_nothing_is_kept_whatever_a_client_says(door: Door, now: datetime) -> None:
    await arrive(door, "one", now=now)

    assert await verdicts(door, now=now) == {}


async def test_what_is_not_urgent_or_has_no_way_back_stands_under_no_promise(
    door: Door, now: datetime
) -> None:
    await promise(door, 24, now=now)
    await arrive(door, "one", urgent=False, now=now)
    await arrive(door, "two", mode=Mode.AGE, now=now)

    assert await verdicts(door, now=now) == {}


@pytest.mark.parametrize("hours", [0, -1, duty.MOST_HOURS + 1])
async def test_a_promise_is_a_number_of_hours_up_to_a_month(door: Door, now: datetime, hours: int) -> None:
    with pytest.raises(Invalid):
        await promise(door, hours, now=now)


async def test_a_promise_is_kept_breached_or_still_open(door: Door, now: datetime) -> None:
    await promise(door, 24, now=now)
    kept, late, silent = [await arrive(door, label, now=now) for label in ("kept", "late", "silent")]
    await answer(door, kept, seq=2, now=now + timedelta(hours=23))
    await answer(door, kept, seq=3, now=now + timedelta(hours=40))

    before = await verdicts(door, now=now + timedelta(hours=23))
    await answer(door, late, seq=2, now=now + timedelta(hours=26))
    after = await verdicts(door, now=now + timedelta(hours=26))

    assert before == {kept: Verdict.KEPT, late: Verdict.OPEN, silent: Verdict.OPEN}
    assert after == {kept: Verdict.KEPT, late: Verdict.BREACHED, silent: Verdict.BREACHED}


@pytest.mark.parametrize("minute", [0, 1, 59])
async def test_who_answers_within_the_promised_hours_is_never_late_and_no_minute_is_kept(
    door: Door, now: datetime, minute: int
) -> None:
    came = now.replace(minute=minute, second=minute)
    last = came + timedelta(hours=1)
    await promise(door, 1, now=came)
    one, spam, silent = [await arrive(door, label, now=came) for label in ("one", "spam", "silent")]
    await answer(door, one, seq=2, now=last)
    async with door.database.begin() as session:
        await triage.close_alert(session, spam, "spam", by=door.ana, now=last)

    assert await verdicts(door, now=last) == {
        one: Verdict.KEPT,
        spam: Verdict.SET_ASIDE,
        silent: Verdict.OPEN,
    }
    async with door.database.read() as session:
        times = {
            time
            for line in await kept(session)
            for time in (line.arrived_at, line.answered_at, line.set_aside_at)
            if time
        }
    hour = now.replace(minute=0, second=0)
    assert times == {hour, hour + timedelta(hours=1)}


async def test_who_answers_an_hour_late_is_late(door: Door, now: datetime) -> None:
    came = now.replace(minute=59)
    await promise(door, 1, now=came)
    late, silent = [await arrive(door, label, now=came) for label in ("late", "silent")]
    await answer(door, late, seq=2, now=came + timedelta(hours=2))

    assert await verdicts(door, now=came + timedelta(hours=2)) == {
        late: Verdict.BREACHED,
        silent: Verdict.BREACHED,
    }


async def test_what_is_closed_in_time_is_set_aside_and_what_is_closed_late_is_no_excuse(
    door: Door, now: datetime
) -> None:
    await promise(door, 24, now=now)
    spam, forgotten = [await arrive(door, label, now=now) for label in ("spam", "forgotten")]
    for alert_id, hours in ((spam, 2), (forgotten, 30)):
        async with door.database.begin() as session:
            await triage.close_alert(session, alert_id, "spam", by=door.ana, now=now + timedelta(hours=hours))

    found = await verdicts(door, now=now + timedelta(hours=31))

    assert found == {spam: Verdict.SET_ASIDE, forgotten: Verdict.BREACHED}


async def test_another_promise_changes_nothing_that_came_before(door: Door, now: datetime) -> None:
    await promise(door, 24, now=now)
    alert_id = await arrive(door, "one", now=now)
    await promise(door, 1, now=now)
    async with door.database.begin() as session:
        await duty.take_back_promise(session, by=NODE, now=now)
        with pytest.raises(NotFound):
            await duty.take_back_promise(session, by=NODE, now=now)

    assert await verdicts(door, now=now + timedelta(hours=5)) == {alert_id: Verdict.OPEN}
    async with door.database.read() as session:
        assert await duty.promise(session) is None
        actions = list(await session.scalars(select(audit.AuditEntry.action)))
    assert actions[-3:] == ["promise.made:24", "promise.made:1", "promise.taken-back"]


async def test_a_span_shows_its_days_and_older_lines_are_forgotten(door: Door, now: datetime) -> None:
    await promise(door, 24, now=now)
    old = await arrive(door, "old", now=now)
    later = now + timedelta(days=40)

    assert await verdicts(door, now=later, days=30) == {}
    assert await verdicts(door, now=later, days=90) == {old: Verdict.BREACHED}
    async with door.database.begin() as session:
        await duty.begin_duty(session, old, mode=Mode.SEALED, now=now + timedelta(days=91))
        assert [one.arrived_at for one in await kept(session)] == [now + timedelta(days=91)]


@pytest.mark.parametrize("is_taken_back", [True, False])
async def test_old_lines_go_day_by_day_though_nothing_is_promised_any_more(
    node: Any, now: datetime, is_taken_back: bool
) -> None:
    door = await an_open_door(node.database, now=now)
    await promise(door, 24, now=now)
    await arrive(door, "one", now=now)
    if is_taken_back:
        async with node.database.begin() as session:
            await duty.take_back_promise(session, by=NODE, now=now)
    forget = NODE_ROLE.jobs[duty.FORGET]
    assert not isinstance(forget, Work)
    left, jobs = [], []
    for _ in range(92):
        node.clock.forward(days=1)
        async with node.database.read() as session:
            job = await session.scalar(select(Job).where(Job.kind == duty.FORGET).order_by(Job.seq.desc()))
        assert job is not None
        assert job.not_before.time() == time()
        assert isinstance(await forget(node, job), Done)
        async with node.database.read() as session:
            left.append(len(await kept(session)))
            jobs.append(job.seq)

    assert left == [1] * 90 + [0] * 2
    assert len(set(jobs)) == 91  # when nothing is left there is nothing to look for


async def test_a_promise_that_is_taken_back_takes_along_what_is_old(door: Door, now: datetime) -> None:
    await promise(door, 24, now=now)
    old, new = [await arrive(door, label, now=now) for label in ("old", "new")]
    async with door.database.begin() as session:
        await session.execute(
            update(Duty).where(Duty.alert_id == old).values(arrived_at=now - timedelta(days=91))
        )
        await duty.take_back_promise(session, by=NODE, now=now)

        assert [one.alert_id for one in await kept(session)] == [new]


async def test_a_server_that_kept_lines_before_this_chore_begins_with_it(node: Any, now: datetime) -> None:
    door = await an_open_door(node.database, now=now)
    await promise(door, 24, now=now)
    await arrive(door, "one", now=now)
    node.clock.forward(days=91)

    await begin(node)

    async with node.database.read() as session:
        assert await kept(session) == []


async def test_a_source_who_deletes_everything_takes_its_hour_along(door: Door, now: datetime) -> None:
    await promise(door, 24, now=now)
    alert_id = await arrive(door, "one", now=now)
    async with door.database.begin() as session:
        await burn(session, await triage.find_alert(session, alert_id))

        assert await kept(session) == []
