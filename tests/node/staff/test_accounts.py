"""Invitation, enrolment, leaving."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from node import audit
from node.database import Database
from node.errors import Conflict, Invalid, NotAllowed, NotFound, WrongState
from node.staff.accounts import Invitation, Staff, active_staff, close_account, enrol, invite, invite_first
from tests.rig.alerts import a_member, an_enrolment

CLASSICAL = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


async def test_who_is_no_administrator_invites_nobody(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        editor = await a_member(session, "Eva", ["editor", "publisher", "intake"])
        with pytest.raises(NotAllowed):
            await invite(session, roles=["intake"], by=editor, now=now)


@pytest.mark.parametrize("roles", [[], ["director"], ["intake", "director"]])
async def test_an_invitation_names_known_roles(database: Database, now: datetime, roles: list[str]) -> None:
    async with database.begin() as session:
        with pytest.raises(Invalid):
            await invite(session, roles=roles, by=None, now=now)


async def test_a_link_that_nobody_made_opens_nothing(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        with pytest.raises(NotFound):
            await enrol(session, an_enrolment(), token="made-up", now=now)


async def test_a_link_works_once(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        token = await invite(session, roles=["intake"], by=None, now=now)
        await enrol(session, an_enrolment("Ana"), token=token, now=now)
        with pytest.raises(NotFound):
            await enrol(session, an_enrolment("Boris"), token=token, now=now)


async def test_a_link_expires(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        token = await invite(session, roles=["intake"], by=None, now=now)
        with pytest.raises(NotFound):
            await enrol(session, an_enrolment(), token=token, now=now + timedelta(days=7))


async def test_the_token_of_a_link_is_not_kept(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        token = await invite(session, roles=["intake"], by=None, now=now)
        row = await session.scalar(select(Invitation))

    assert row is not None
    assert token not in repr(vars(row))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age", CLASSICAL),
        ("age", "age1pq1notakey"),
        ("ed25519", "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"),
        ("ed25519", "z6Mk"),
        ("name", " "),
        ("name", "A\nB"),
        ("name", "x" * 61),
        ("salt", b"short"),
        ("auth", b"short"),
        ("vault", b"-----BEGIN PRIVATE KEY-----"),
        ("recovery_vault", b"age-encryption.org/v1\n" + b"x" * 70_000),
    ],
)
async def test_an_enrolment_that_does_not_hold_is_refused(
    database: Database, now: datetime, field: str, value: object
) -> None:
    async with database.begin() as session:
        token = await invite(session, roles=["intake"], by=None, now=now)
        with pytest.raises(Invalid) as refused:
            await enrol(session, an_enrolment(**{field: value}), token=token, now=now)

    assert field in refused.value.problems


async def test_a_refused_enrolment_does_not_use_up_the_link(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        token = await invite(session, roles=["intake"], by=None, now=now)
        with pytest.raises(Invalid):
            await enrol(session, an_enrolment(age=CLASSICAL), token=token, now=now)
        staff = await enrol(session, an_enrolment(), token=token, now=now)

    assert staff.roles == ["intake"]


@pytest.mark.parametrize("name", ["Ana", "ANA", " ana "])
async def test_two_accounts_never_share_a_name(database: Database, now: datetime, name: str) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        token = await invite(session, roles=["intake"], by=None, now=now)
        with pytest.raises(Conflict):
            await enrol(session, replace(an_enrolment("Boris"), name=name), token=token, now=now)


async def test_two_accounts_never_share_a_key(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        token = await invite(session, roles=["intake"], by=None, now=now)
        with pytest.raises(Conflict):
            await enrol(session, an_enrolment("Boris", age=an_enrolment("Ana").age), token=token, now=now)


async def test_the_proof_of_a_passphrase_is_kept_as_a_hash_only(database: Database) -> None:
    async with database.begin() as session:
        staff = await a_member(session, "Ana")

    assert an_enrolment("Ana").auth.hex() not in repr(vars(staff))


async def test_the_last_administrator_stays(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        olga = await a_member(session, "Olga", ["administrator"])
        with pytest.raises(WrongState):
            await close_account(session, olga.id, by=olga, now=now)


async def test_who_is_no_administrator_closes_no_account(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        ana, boris = await a_member(session, "Ana"), await a_member(session, "Boris")
        with pytest.raises(NotAllowed):
            await close_account(session, boris.id, by=ana, now=now)


async def test_an_account_is_closed_once(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        olga, ana = await a_member(session, "Olga", ["administrator"]), await a_member(session, "Ana")
        await close_account(session, ana.id, by=olga, now=now)
        with pytest.raises(WrongState):
            await close_account(session, ana.id, by=olga, now=now)
        with pytest.raises(NotFound):
            await close_account(session, "nobody", by=olga, now=now)
        assert [one.name for one in await active_staff(session)] == ["Olga"]


async def test_the_first_link_is_for_an_administrator_and_not_made_twice(
    database: Database, now: datetime
) -> None:
    async with database.begin() as session:
        token = await invite_first(session, now=now)
        olga = await enrol(session, an_enrolment("Olga"), token=token, now=now)
        assert olga.roles == ["administrator"]
        with pytest.raises(WrongState):
            await invite_first(session, now=now)


@pytest.mark.parametrize(
    ("roles", "is_handler", "is_custodian"),
    [
        (["intake"], True, False),
        (["verifier", "custodian"], True, True),
        (["custodian"], False, False),
        (["administrator"], False, False),
        (["editor", "publisher"], False, False),
    ],
)
def test_who_reads_alerts_is_a_handler(roles: list[str], is_handler: bool, is_custodian: bool) -> None:
    staff = Staff(roles=roles, is_active=True)

    assert (staff.is_handler, staff.is_custodian) == (is_handler, is_custodian)
    assert not Staff(roles=roles, is_active=False).is_handler


async def test_people_leave_traces_in_the_audit(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        olga, ana = await a_member(session, "Olga", ["administrator"]), await a_member(session, "Ana")
        await close_account(session, ana.id, by=olga, now=now)
        actions = [entry.action for entry in await audit.entries_of(session, ana.id)]

    assert actions == ["staff.enrolled", "staff.left"]


async def test_whoever_comes_back_may_have_their_name_again(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        first = await a_member(session, "Ana")
        await close_account(session, first.id, by=None, now=now)
        token = await invite(session, roles=["intake"], by=None, now=now)
        keys = an_enrolment("Ana with new keys")
        again = await enrol(session, replace(keys, name="Ana"), token=token, now=now)

    assert (again.name, first.name) == ("Ana", "Ana")
    assert again.id != first.id
