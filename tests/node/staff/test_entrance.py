"""Signing in and out, and the limits of a session."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from node.database import Database
from node.errors import Throttled
from node.staff.accounts import close_account
from node.staff.entrance import (
    NotSignedIn,
    StaffSession,
    Throttle,
    WrongPassphrase,
    salt_for,
    sign_in,
    sign_out,
    whoever,
)
from tests.rig.alerts import a_member, a_person, an_enrolment

SECRET = b"a secret of the tests"


@pytest.mark.parametrize(
    ("name", "auth"), [("Ana", b"wrong" * 8), ("Nobody", a_person("Ana").auth), ("", b"")]
)
async def test_a_wrong_passphrase_and_an_unknown_name_are_the_same(
    database: Database, now: datetime, name: str, auth: bytes
) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        with pytest.raises(WrongPassphrase) as refused:
            await sign_in(session, name=name, auth=auth, now=now)

    assert str(refused.value) == "wrong name or passphrase"


async def test_a_closed_account_does_not_sign_in(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        ana = await a_member(session, "Ana")
        await close_account(session, ana.id, by=None, now=now)
        with pytest.raises(WrongPassphrase):
            await sign_in(session, name="Ana", auth=a_person("Ana").auth, now=now)


async def test_a_closed_account_is_thrown_out_of_its_session(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        ana = await a_member(session, "Ana")
        _, token = await sign_in(session, name="ana", auth=a_person("Ana").auth, now=now)
        await close_account(session, ana.id, by=None, now=now)
        with pytest.raises(NotSignedIn):
            await whoever(session, token, now=now)


@pytest.mark.parametrize("token", ["", "made-up"])
async def test_a_made_up_token_is_nobody(database: Database, now: datetime, token: str) -> None:
    async with database.begin() as session:
        with pytest.raises(NotSignedIn):
            await whoever(session, token, now=now)


async def test_an_idle_session_ends(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        _, token = await sign_in(session, name="Ana", auth=a_person("Ana").auth, now=now)
        assert (await whoever(session, token, now=now + timedelta(minutes=29))).name == "Ana"
        assert (await whoever(session, token, now=now + timedelta(minutes=58))).name == "Ana"
        with pytest.raises(NotSignedIn):
            await whoever(session, token, now=now + timedelta(minutes=88))


async def test_a_busy_session_ends_after_twelve_hours(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        _, token = await sign_in(session, name="Ana", auth=a_person("Ana").auth, now=now)
        for minutes in range(0, 12 * 60, 20):
            await whoever(session, token, now=now + timedelta(minutes=minutes))
        with pytest.raises(NotSignedIn):
            await whoever(session, token, now=now + timedelta(hours=12))


async def test_a_session_that_was_left_is_over(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        _, token = await sign_in(session, name="Ana", auth=a_person("Ana").auth, now=now)
        await sign_out(session, token)
        await sign_out(session, token)
        with pytest.raises(NotSignedIn):
            await whoever(session, token, now=now)


async def test_the_token_is_kept_as_a_hash_only(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        _, token = await sign_in(session, name="Ana", auth=a_person("Ana").auth, now=now)
        row = await session.scalar(select(StaffSession))

    assert row is not None
    assert token not in repr(vars(row))


async def test_the_salt_of_an_unknown_name_is_invented_and_stays(database: Database) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        known = await salt_for(session, "ANA", secret=SECRET)
        first, again = [await salt_for(session, "Nobody", secret=SECRET) for _ in range(2)]
        other = await salt_for(session, "Somebody", secret=SECRET)

    assert known == an_enrolment("Ana").salt
    assert first == again != other
    assert len(first) == len(known)


def test_too_many_tries_on_one_name_are_refused_for_a_while(now: datetime) -> None:
    throttle = Throttle(tries=3, window=timedelta(minutes=10))
    for _ in range(3):
        throttle.count("Ana", now=now)

    with pytest.raises(Throttled) as refused:
        throttle.count(" ana", now=now + timedelta(minutes=9))
    assert 0 < refused.value.retry_after <= 61
    throttle.count("Boris", now=now)
    throttle.count("Ana", now=now + timedelta(minutes=10))


def test_the_right_passphrase_forgives_earlier_tries(now: datetime) -> None:
    throttle = Throttle(tries=1)
    throttle.count("Ana", now=now)
    throttle.forget("Ana")
    throttle.count("Ana", now=now)
    throttle.forget("Nobody")


def test_a_flood_of_names_does_not_fill_the_memory(now: datetime) -> None:
    throttle = Throttle(remembered=10)
    for number in range(1000):
        throttle.count(f"name {number}", now=now)

    assert len(throttle._seen) == 10
    assert "name" not in repr(throttle._seen)
