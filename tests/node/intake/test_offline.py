"""A list of keys that was signed elsewhere: what is taken in, and what is refused."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from node.database import Database
from node.errors import Conflict, Invalid
from node.intake.manifest import DoorClosed, current_manifest, served_manifest, sign_manifest
from node.intake.offline import list_to_sign, read_to_sign, sign_list, take_signed
from node.intake.recovery import add_recovery, recovery_recipient, retire_recovery
from tests.rig.alerts import Door, a_recipient, an_open_door
from tests.rig.keys import keyring
from vocab.canonical import canonical

ROOT = keyring("a").root()
ROOT_ID = ROOT.public.multibase


@pytest.fixture
async def door(database: Database, now: datetime) -> Door:
    return await an_open_door(database, now=now)


async def exported(door: Door, now: datetime) -> bytes:
    async with door.database.read() as session:
        return await list_to_sign(session, door.terms, root=ROOT_ID, now=now)


async def taken(door: Door, signed: bytes, now: datetime, root: str = ROOT_ID) -> int:
    async with door.database.begin() as session:
        return (await take_signed(session, signed, door.terms, root=root, now=now)).epoch


async def test_a_signed_list_follows_the_present_one_and_is_served(door: Door, now: datetime) -> None:
    signed = sign_list(read_to_sign(await exported(door, now)), ROOT, now=now)

    assert await taken(door, signed, now) == 2
    assert await taken(door, signed + b"\n", now) == 2
    async with door.database.read() as session:
        served = await served_manifest(session, door.terms, root=None, now=now)
    assert served is not None
    assert served.body == signed
    assert served.not_after - served.not_before == timedelta(days=30)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"what": "something else"}'])
def test_what_is_no_list_to_sign_is_not_signed(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_to_sign(data)


async def test_a_list_for_another_root_is_not_signed(door: Door, now: datetime) -> None:
    waiting = read_to_sign(await exported(door, now))

    with pytest.raises(Invalid, match="this key is another"):
        sign_list(waiting, keyring("b").root(), now=now)


async def test_a_list_nobody_would_believe_is_not_signed(door: Door, now: datetime) -> None:
    waiting = read_to_sign(await exported(door, now))
    waiting.body["handlers"] = waiting.body["handlers"][:1]

    with pytest.raises(Invalid, match="would not be believed"):
        sign_list(waiting, ROOT, now=now)


async def test_an_unsigned_a_foreign_and_an_expired_list_are_refused(door: Door, now: datetime) -> None:
    waiting = read_to_sign(await exported(door, now))
    signed = sign_list(waiting, ROOT, now=now)

    with pytest.raises(Invalid):
        await taken(door, canonical(waiting.body), now)
    with pytest.raises(Invalid):
        await taken(door, signed.replace(b'"epoch":2', b'"epoch":3'), now)
    with pytest.raises(Invalid):
        await taken(door, signed, now, root=keyring("b").root().public.multibase)
    with pytest.raises(Invalid):
        await taken(door, signed, now + timedelta(days=30))


async def test_a_list_beside_the_chain_is_refused_as_a_fork(door: Door, now: datetime) -> None:
    early = sign_list(read_to_sign(await exported(door, now)), ROOT, now=now)
    late = sign_list(read_to_sign(await exported(door, now + timedelta(days=1))), ROOT, now=now)
    await taken(door, early, now)

    with pytest.raises(Conflict, match="fork"):
        await taken(door, late, now + timedelta(days=1))


async def test_a_list_that_names_somebody_who_left_is_refused(door: Door, now: datetime) -> None:
    signed = sign_list(read_to_sign(await exported(door, now)), ROOT, now=now)
    gone = replace(door, terms=replace(door.terms, handlers=door.terms.handlers[:1] * 2))

    with pytest.raises(Conflict, match="left"):
        await taken(gone, signed, now)


async def test_without_the_root_the_last_list_is_served_until_it_runs_out(door: Door, now: datetime) -> None:
    async with door.database.read() as session:
        assert await served_manifest(session, door.terms, root=None, now=now + timedelta(days=19))
    async with door.database.begin() as session:
        with pytest.raises(DoorClosed):
            await current_manifest(session, door.terms, root=None, now=now + timedelta(days=20))


async def test_a_recovery_key_is_added_once_and_stands_in_the_next_list(door: Door, now: datetime) -> None:
    recipient = a_recipient("recovery")
    async with door.database.begin() as session:
        await add_recovery(session, recipient, shares="2-of-3", now=now)
        with pytest.raises(Conflict):
            await add_recovery(session, a_recipient("another"), shares="2-of-3", now=now)
        with pytest.raises(Invalid):
            await add_recovery(session, "age1classical", shares="2-of-3", replace=True, now=now)
        assert await recovery_recipient(session) == recipient

    terms = replace(door.terms, recovery=recipient)
    row = sign_manifest(terms, previous=door.manifest, root=ROOT, now=now)

    assert row.terms()["recovery"] == recipient
    # The list from before the recovery key is still good; one that names a retired key is not.
    assert door.manifest.names_only(terms)
    assert not row.names_only(door.terms)
    async with door.database.begin() as session:
        assert await retire_recovery(session, now=now)
        assert await recovery_recipient(session) is None
