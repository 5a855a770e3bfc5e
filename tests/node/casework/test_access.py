"""Who may give whom which key, and that every grant is signed and on record."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from node import audit
from node.audit import AuditEntry
from node.casework import access, requests, triage
from node.casework.rotation import RotationDue, newest_epoch, rotate
from node.casework.team import deactivate
from node.database import Database
from node.errors import Conflict, Invalid, NotAllowed, WrongState
from node.intake import mailbox
from node.intake.alerts import Compartment, Wrap
from node.intake.receive import SealedWrap, receive_alert
from node.sealing.signing import holds
from node.staff.accounts import Staff
from tests.rig.alerts import (
    Door,
    a_given_wrap,
    a_member,
    a_person,
    a_recipient,
    an_alert,
    an_open_door,
    sealed_to,
    seeded,
)

ORIGIN = "https://a.example"
ALERT = seeded("id one").hex()[:32]
CASE = "c" * 32
REASON = "A court asks whether the witness can be heard (fictional)."


@pytest.fixture
async def door(database: Database, now: datetime) -> Door:
    """An alert has come for Ana and Boris, and Ana opened a case on it for herself alone."""
    made = await an_open_door(database, now=now)
    async with database.begin() as session:
        await receive_alert(session, an_alert(made.manifest), made.terms, now=now)
        await triage.open_case(
            session,
            ALERT,
            case_id=CASE,
            internal=a_recipient("internal"),
            wraps=[SealedWrap("internal", made.ana.id, sealed_to(made.ana.age, {}))],
            by=made.ana,
            now=now,
        )
    return made


async def joined(door: Door, name: str, *roles: str, now: datetime) -> Staff:
    async with door.database.begin() as session:
        return await a_member(session, name, roles, now=now)


async def given(door: Door, *wraps: access.GivenWrap, by: Staff, now: datetime) -> None:
    async with door.database.begin() as session:
        await access.give_alert(session, ALERT, wraps, origin=ORIGIN, by=by, now=now)


# ---- giving on -----------------------------------------------------------------------------------------------------


async def test_whoever_holds_no_key_can_give_none(door: Door, now: datetime) -> None:
    dora = await joined(door, "Dora", "intake", now=now)

    with pytest.raises(NotAllowed) as refused:
        await given(door, a_given_wrap(ALERT, "dialogue", dora, by=a_person("Dora")), by=dora, now=now)

    assert refused.value.public == access.NOT_YOURS_TO_GIVE


async def test_an_administrator_gives_themselves_nothing(door: Door, now: datetime) -> None:
    olga = await joined(door, "Olga", "administrator", now=now)

    with pytest.raises(NotAllowed):
        await given(door, a_given_wrap(ALERT, "dialogue", olga, by=a_person("Olga")), by=olga, now=now)


@pytest.mark.parametrize("roles", [("administrator",), ("publisher",), ("auditor",)])
async def test_nobody_is_given_what_their_roles_do_not_include(
    door: Door, roles: tuple[str, ...], now: datetime
) -> None:
    paul = await joined(door, "Paul", *roles, now=now)

    with pytest.raises(NotAllowed) as refused:
        await given(door, a_given_wrap(ALERT, "dialogue", paul, by=a_person("Ana")), by=door.ana, now=now)

    assert refused.value.public == access.NOT_FOR_THEM


@pytest.mark.parametrize(
    "changes",
    [
        {"by": a_person("Boris")},
        {"of": "d" * 32},
        {"compartment": "identity"},
        {"epoch": 2},
        {"origin": "https://b.example"},
    ],
)
async def test_a_grant_signed_for_something_else_is_refused(
    door: Door, changes: dict[str, Any], now: datetime
) -> None:
    dora = await joined(door, "Dora", "intake", now=now)
    arguments: dict[str, Any] = {
        "of": ALERT,
        "compartment": "dialogue",
        "holder": dora,
        "by": a_person("Ana"),
    }
    right, other = a_given_wrap(**arguments), a_given_wrap(**arguments | changes)
    forged = access.GivenWrap(
        compartment=right.compartment,
        epoch=right.epoch,
        holder=right.holder,
        sealed=right.sealed,
        day=right.day,
        signature=other.signature,
    )

    with pytest.raises(Invalid):
        await given(door, forged, by=door.ana, now=now)


@pytest.mark.parametrize("days", [-2, 2])
async def test_a_clock_wrong_by_more_than_a_day_is_named(door: Door, days: int, now: datetime) -> None:
    dora = await joined(door, "Dora", "intake", now=now)
    wrap = a_given_wrap(ALERT, "dialogue", dora, by=a_person("Ana"), day=now.date() + timedelta(days=days))

    with pytest.raises(Invalid) as refused:
        await given(door, wrap, by=door.ana, now=now)

    assert "clock" in refused.value.public


async def test_what_somebody_holds_is_not_overwritten(door: Door, now: datetime) -> None:
    with pytest.raises(Conflict):
        await given(
            door, a_given_wrap(ALERT, "dialogue", door.boris, by=a_person("Ana")), by=door.ana, now=now
        )


async def test_a_grant_is_signed_kept_and_named_in_the_audit_record(door: Door, now: datetime) -> None:
    dora = await joined(door, "Dora", "intake", now=now)

    await given(door, a_given_wrap(ALERT, "dialogue", dora, by=a_person("Ana")), by=door.ana, now=now)

    async with door.database.read() as session:
        (grant,) = await access.grants_of(session, ALERT)
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "access.given"))
        assert dora.id in (await access.holders_of(session, ALERT))["dialogue"]
        await audit.verify(session)
    statement = {name: value for name, value in grant.statement.items() if name != "signature"}
    assert holds(statement, grant.statement["signature"], door.ana.ed25519)
    assert entry is not None
    assert (entry.actor, entry.subject) == (door.ana.id, grant.id)
    assert access.grant_id(grant.statement) == grant.id


async def test_giving_access_to_a_case_stands_in_its_history(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        wrap = a_given_wrap(CASE, "internal", door.boris, by=a_person("Ana"))
        await access.give_case(session, CASE, [wrap], origin=ORIGIN, by=door.ana, now=now)

    async with door.database.read() as session:
        assert (await access.holders_of(session, CASE))["internal"] == sorted([door.ana.id, door.boris.id])


async def test_what_was_asked_for_is_answered_by_giving_it(door: Door, now: datetime) -> None:
    dora = await joined(door, "Dora", "intake", now=now)
    async with door.database.begin() as session:
        asked = await requests.ask_for(session, ALERT, Compartment.DIALOGUE, None, by=dora, now=now)
        again = await requests.ask_for(session, ALERT, Compartment.DIALOGUE, None, by=dora, now=now)
        assert asked.id == again.id

    await given(door, a_given_wrap(ALERT, "dialogue", dora, by=a_person("Ana")), by=door.ana, now=now)

    async with door.database.read() as session:
        (request,) = await requests.requests_of(session, ALERT)
    assert (request.state, request.decided_by) == ("granted", door.ana.id)


# ---- somebody leaves -----------------------------------------------------------------------------------------------


async def test_who_leaves_loses_their_wraps_and_the_others_are_asked_for_new_keys(
    door: Door, now: datetime
) -> None:
    async with door.database.begin() as session:
        await deactivate(session, door.boris.id, by=None, now=now)

    async with door.database.read() as session:
        assert not (await session.scalars(select(Wrap).where(Wrap.holder == door.boris.id))).all()
        (due,) = (await session.scalars(select(RotationDue))).all()
    assert (due.of, due.compartment, due.who_left) == (ALERT, "dialogue", door.boris.id)


async def test_a_closed_alert_asks_for_no_new_key(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        alert = await triage.find_alert(session, ALERT)
        alert.state = "closed"
        await deactivate(session, door.boris.id, by=None, now=now)

    async with door.database.read() as session:
        assert not (await session.scalars(select(RotationDue))).all()


async def rotated(
    door: Door, *holders: Staff, now: datetime, epoch: int = 2, by: Staff | None = None
) -> None:
    source = SealedWrap("dialogue", "source", sealed_to(a_recipient("source one"), {}))
    wraps = [a_given_wrap(ALERT, "dialogue", one, by=a_person("Ana"), epoch=epoch) for one in holders]
    async with door.database.begin() as session:
        await rotate(
            session,
            ALERT,
            Compartment.DIALOGUE,
            epoch=epoch,
            recipient=a_recipient("dialogue two"),
            wraps=wraps,
            others=[source],
            origin=ORIGIN,
            by=by or door.ana,
            now=now,
        )


async def test_a_new_key_goes_to_everybody_who_holds_the_old_one(door: Door, now: datetime) -> None:
    with pytest.raises(Invalid):
        await rotated(door, door.ana, now=now)


async def test_a_new_key_is_the_next_one(door: Door, now: datetime) -> None:
    with pytest.raises(Conflict):
        await rotated(door, door.ana, door.boris, epoch=3, now=now)


async def test_a_new_key_ends_the_asking_and_leaves_the_old_readable(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        await deactivate(session, door.boris.id, by=None, now=now)

    await rotated(door, door.ana, now=now)

    async with door.database.read() as session:
        assert not (await session.scalars(select(RotationDue))).all()
        assert await newest_epoch(session, ALERT, "dialogue") == 2
        found = await mailbox.contents(session, await triage.find_alert(session, ALERT), holder=door.ana.id)
    assert [wrap.epoch for wrap in found.wraps if wrap.compartment == "dialogue"] == [1, 2]


# ---- who a source is -----------------------------------------------------------------------------------------------


@pytest.fixture
async def custodians(door: Door, now: datetime) -> tuple[Staff, Staff]:
    """Cora and Carl keep identities from now on; Cora was given the key of this one."""
    cora = await joined(door, "Cora", "intake", "custodian", now=now)
    carl = await joined(door, "Carl", "intake", "custodian", now=now)
    for person in (cora, carl):
        await given(door, a_given_wrap(ALERT, "identity", person, by=a_person("Ana")), by=door.ana, now=now)
    return cora, carl


async def ask(door: Door, by: Staff, now: datetime, reason: str | None = REASON) -> str:
    async with door.database.begin() as session:
        return (await requests.ask_for(session, ALERT, Compartment.IDENTITY, reason, by=by, now=now)).id


async def sees_identity(door: Door, person: Staff, now: datetime) -> bool:
    async with door.database.begin() as session:
        found = await triage.read_alert(session, ALERT, by=person, now=now)
    return any(piece.compartment == "identity" for piece in found.objects)


async def test_without_a_grant_nobody_is_handed_who_the_source_is(
    door: Door, custodians: tuple[Staff, Staff], now: datetime
) -> None:
    assert [await sees_identity(door, one, now) for one in (door.ana, *custodians)] == [False] * 3


@pytest.mark.parametrize("reason", [None, "", "because", " " * 40])
async def test_an_identity_is_not_asked_for_without_a_reason(
    door: Door, reason: str | None, now: datetime
) -> None:
    with pytest.raises(Invalid) as refused:
        await ask(door, door.ana, now, reason)

    assert "reason" in refused.value.problems


async def test_only_a_custodian_decides(door: Door, custodians: tuple[Staff, Staff], now: datetime) -> None:
    request = await ask(door, door.ana, now)

    async with door.database.begin() as session:
        with pytest.raises(NotAllowed):
            await access.grant_identity(session, request, [], days=7, origin=ORIGIN, by=door.boris, now=now)
        await session.rollback()


async def test_nobody_grants_their_own_request_not_even_a_custodian(
    door: Door, custodians: tuple[Staff, Staff], now: datetime
) -> None:
    cora, _ = custodians
    request = await ask(door, cora, now)

    async with door.database.begin() as session:
        with pytest.raises(NotAllowed) as refused:
            await access.grant_identity(session, request, [], days=7, origin=ORIGIN, by=cora, now=now)
        await session.rollback()

    assert refused.value.public == requests.NOT_YOUR_OWN


async def test_a_grant_ends_on_its_last_day_and_the_key_given_for_it_is_deleted(
    door: Door, custodians: tuple[Staff, Staff], now: datetime
) -> None:
    cora, _ = custodians
    dora = await joined(door, "Dora", "intake", now=now)
    request, until = await ask(door, dora, now), now.date() + timedelta(days=3)
    wrap = a_given_wrap(ALERT, "identity", dora, by=a_person("Cora"), until=until)
    async with door.database.begin() as session:
        await access.grant_identity(session, request, [wrap], days=3, origin=ORIGIN, by=cora, now=now)

    assert await sees_identity(door, dora, now + timedelta(days=3))
    assert not await sees_identity(door, dora, now + timedelta(days=4))
    async with door.database.read() as session:
        kept = await session.scalars(select(Wrap).where(Wrap.holder == dora.id, Wrap.of == ALERT))
        assert kept.all() == []


@pytest.mark.parametrize("until", [None, date(2099, 1, 1)])
async def test_a_key_for_another_time_than_the_granted_one_is_refused(
    door: Door, custodians: tuple[Staff, Staff], until: date | None, now: datetime
) -> None:
    cora, _ = custodians
    dora = await joined(door, "Dora", "intake", now=now)
    request = await ask(door, dora, now)

    async with door.database.begin() as session:
        wrap = a_given_wrap(ALERT, "identity", dora, by=a_person("Cora"), until=until)
        with pytest.raises(Invalid):
            await access.grant_identity(session, request, [wrap], days=3, origin=ORIGIN, by=cora, now=now)
        await session.rollback()


async def test_a_custodian_who_asked_reads_after_another_agreed(
    door: Door, custodians: tuple[Staff, Staff], now: datetime
) -> None:
    cora, carl = custodians
    request = await ask(door, cora, now)

    async with door.database.begin() as session:
        await access.grant_identity(session, request, [], days=1, origin=ORIGIN, by=carl, now=now)

    assert await sees_identity(door, cora, now)
    assert not await sees_identity(door, carl, now)
    async with door.database.read() as session:
        actions = [entry.action for entry in await audit.entries_of(session, request)]
    assert actions == ["identity.asked", "identity.granted"]


async def test_where_one_custodian_is_alone_somebody_who_reads_alerts_decides_and_gains_nothing(
    door: Door, now: datetime
) -> None:
    cora = await joined(door, "Cora", "intake", "custodian", now=now)
    await given(door, a_given_wrap(ALERT, "identity", cora, by=a_person("Ana")), by=door.ana, now=now)
    paul = await joined(door, "Paul", "publisher", now=now)
    request = await ask(door, cora, now)

    async with door.database.begin() as session:
        for nobody in (cora, paul):
            with pytest.raises(NotAllowed):
                await access.grant_identity(session, request, [], days=1, origin=ORIGIN, by=nobody, now=now)
        wrap = a_given_wrap(ALERT, "identity", cora, by=a_person("Boris"))
        with pytest.raises(Invalid):
            await access.grant_identity(
                session, request, [wrap], days=1, origin=ORIGIN, by=door.boris, now=now
            )
        await session.rollback()
    async with door.database.begin() as session:
        await access.grant_identity(session, request, [], days=1, origin=ORIGIN, by=door.boris, now=now)

    assert await sees_identity(door, cora, now)
    assert not await sees_identity(door, door.boris, now)
    assert not await sees_identity(door, cora, now + timedelta(days=2))
    async with door.database.read() as session:
        entries = await audit.entries_of(session, request)
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("identity.asked", cora.id),
        ("identity.granted", door.boris.id),
    ]


async def test_a_handler_stands_in_for_the_only_custodian_and_for_nobody_else(
    door: Door, now: datetime
) -> None:
    cora = await joined(door, "Cora", "intake", "custodian", now=now)
    of_ana = await ask(door, door.ana, now)
    of_cora = await ask(door, cora, now)
    await joined(door, "Carl", "intake", "custodian", now=now)

    async with door.database.begin() as session:
        for request in (of_ana, of_cora, "0" * 26):
            with pytest.raises(NotAllowed):
                await requests.refuse(session, request, "Not this time.", by=door.boris, now=now)
        await session.rollback()


async def test_a_request_is_decided_once(door: Door, custodians: tuple[Staff, Staff], now: datetime) -> None:
    cora, carl = custodians
    request = await ask(door, cora, now)
    async with door.database.begin() as session:
        await requests.refuse(session, request, "There is no need yet.", by=carl, now=now)

    async with door.database.begin() as session:
        with pytest.raises(WrongState):
            await access.grant_identity(session, request, [], days=1, origin=ORIGIN, by=carl, now=now)
        await session.rollback()


async def test_the_recovery_key_may_hold_a_case_and_a_source_may_not(
    database: Database, now: datetime
) -> None:
    door = await an_open_door(database, now=now)
    mine = SealedWrap("internal", door.ana.id, sealed_to(door.ana.age, {}))

    async def opened(holder: str) -> None:
        async with database.begin() as session:
            other = SealedWrap("internal", holder, sealed_to(a_recipient(holder), {}))
            await triage.open_case(
                session,
                ALERT,
                case_id=CASE,
                internal=a_recipient("internal"),
                wraps=[mine, other],
                by=door.ana,
                now=now,
            )

    async with database.begin() as session:
        await receive_alert(session, an_alert(door.manifest), door.terms, now=now)
    with pytest.raises(Invalid):
        await opened("source")
    await opened("recovery")

    async with database.read() as session:
        assert await access.kept_for_recovery(session, CASE) == ["internal"]
        assert await access.holders_of(session, CASE) == {"internal": [door.ana.id]}
