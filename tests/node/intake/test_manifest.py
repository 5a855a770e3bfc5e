"""The signed list of intake keys: who is in it, how long it holds, how epochs follow each other."""

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from federation.keys import Signer
from node.database import Database
from node.intake.manifest import (
    DoorClosed,
    Handler,
    Terms,
    UnknownManifest,
    accepted_manifest,
    current_manifest,
    required_holders,
)
from tests.rig.alerts import a_person, a_recipient
from tests.rig.keys import ed25519_key
from vocab.canonical import canonical

ORIGIN = "https://a.example"


def a_root(name: str = "root of a") -> Signer:
    key = ed25519_key(name)
    return key.signer(key.public.multibase)


def a_handler(name: str, *, custodian: bool = False) -> Handler:
    person = a_person(name)
    return Handler(f"id{name.lower()}", person.recipient, person.signing.public.multibase, custodian)


def the_terms(*handlers: Handler) -> Terms:
    return Terms(
        ORIGIN, "Sample organisation (fictional)", handlers or (a_handler("Ana"), a_handler("Boris"))
    )


@pytest.mark.parametrize("handlers", [(), (a_handler("Ana"),)])
async def test_with_fewer_than_two_handlers_nothing_is_served(
    database: Database, now: datetime, handlers: tuple[Handler, ...]
) -> None:
    async with database.begin() as session:
        with pytest.raises(DoorClosed):
            await current_manifest(session, Terms(ORIGIN, "Sample", handlers), root=a_root(), now=now)


async def test_a_manifest_is_signed_by_the_root_over_its_canonical_bytes(
    database: Database, now: datetime
) -> None:
    async with database.begin() as session:
        row = await current_manifest(session, the_terms(), root=a_root(), now=now)

    body = json.loads(row.body)
    signature = base64.b64decode(body.pop("signature"))
    assert a_root().public.verify(signature, canonical(body))
    assert row.body == canonical(json.loads(row.body))
    assert body["root"] == a_root().public.multibase
    assert body["node"] == ORIGIN
    assert [one["id"] for one in body["handlers"]] == ["idana", "idboris"]
    assert (body["v"], body["epoch"], body["previous"]) == (1, 1, None)


async def test_a_manifest_holds_for_at_most_thirty_days_and_tells_no_time(
    database: Database, now: datetime
) -> None:
    async with database.begin() as session:
        row = await current_manifest(session, the_terms(), root=a_root(), now=now)

    assert row.not_before < now < row.not_after
    assert row.not_after - row.not_before <= timedelta(days=30)
    assert json.loads(row.body)["not_before"].endswith("T00:00:00Z")


async def test_the_same_manifest_is_served_while_nothing_changes(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        first = await current_manifest(session, the_terms(), root=a_root(), now=now)
        again = await current_manifest(session, the_terms(), root=a_root(), now=now + timedelta(days=5))

    assert first.body == again.body


async def test_the_next_epoch_comes_before_the_present_one_ends(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        first = await current_manifest(session, the_terms(), root=a_root(), now=now)
        second = await current_manifest(
            session, the_terms(), root=a_root(), now=first.not_after - timedelta(days=6)
        )

    assert second.epoch == 2
    assert json.loads(second.body)["previous"] == first.sha256


async def test_somebody_who_joins_or_leaves_makes_a_new_epoch(database: Database, now: datetime) -> None:
    three = the_terms(a_handler("Ana"), a_handler("Boris"), a_handler("Chloé"))
    async with database.begin() as session:
        first = await current_manifest(session, the_terms(), root=a_root(), now=now)
        second = await current_manifest(session, three, root=a_root(), now=now)
        third = await current_manifest(session, the_terms(), root=a_root(), now=now)

    assert [first.epoch, second.epoch, third.epoch] == [1, 2, 3]
    assert json.loads(third.body)["previous"] == second.sha256


async def test_without_the_root_key_the_last_signed_epoch_is_served_while_it_holds(
    database: Database, now: datetime
) -> None:
    async with database.begin() as session:
        with pytest.raises(DoorClosed):
            await current_manifest(session, the_terms(), root=None, now=now)
        signed = await current_manifest(session, the_terms(), root=a_root(), now=now)
        assert (await current_manifest(session, the_terms(), root=None, now=now)).sha256 == signed.sha256
        with pytest.raises(DoorClosed):
            await current_manifest(session, the_terms(), root=None, now=signed.not_after)
        with pytest.raises(DoorClosed):
            await current_manifest(
                session, the_terms(a_handler("Ana"), a_handler("Chloé")), root=None, now=now
            )


async def test_an_unknown_manifest_is_refused(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        with pytest.raises(UnknownManifest):
            await accepted_manifest(session, "0" * 64, the_terms(), now=now)


async def test_an_expired_manifest_is_refused(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        row = await current_manifest(session, the_terms(), root=a_root(), now=now)
        with pytest.raises(UnknownManifest):
            await accepted_manifest(session, row.sha256, the_terms(), now=row.not_after)


async def test_a_manifest_that_names_somebody_who_left_is_refused(database: Database, now: datetime) -> None:
    three = the_terms(a_handler("Ana"), a_handler("Boris"), a_handler("Chloé"))
    async with database.begin() as session:
        row = await current_manifest(session, three, root=a_root(), now=now)
        with pytest.raises(UnknownManifest):
            await accepted_manifest(session, row.sha256, the_terms(), now=now)


async def test_a_manifest_with_somebodys_old_key_is_refused(database: Database, now: datetime) -> None:
    renewed = the_terms(replace(a_handler("Ana"), age=a_recipient("a new key of Ana")), a_handler("Boris"))
    async with database.begin() as session:
        row = await current_manifest(session, the_terms(), root=a_root(), now=now)
        with pytest.raises(UnknownManifest):
            await accepted_manifest(session, row.sha256, renewed, now=now)


async def test_a_manifest_from_before_somebody_joined_is_taken(database: Database, now: datetime) -> None:
    three = the_terms(a_handler("Ana"), a_handler("Boris"), a_handler("Chloé"))
    async with database.begin() as session:
        row = await current_manifest(session, the_terms(), root=a_root(), now=now)
        assert (await accepted_manifest(session, row.sha256, three, now=now)).epoch == 1


async def test_the_identity_goes_to_custodians_only_where_there_are_some(
    database: Database, now: datetime
) -> None:
    terms = replace(
        the_terms(a_handler("Ana"), a_handler("Boris", custodian=True)), recovery=a_recipient("recovery")
    )
    async with database.begin() as session:
        row = await current_manifest(session, terms, root=a_root(), now=now)

    assert required_holders(row) == {
        "dialogue": {"idana", "idboris", "source", "recovery"},
        "identity": {"idboris", "source", "recovery"},
    }


async def test_the_identity_goes_to_all_handlers_where_nobody_is_custodian(
    database: Database, now: datetime
) -> None:
    async with database.begin() as session:
        row = await current_manifest(session, the_terms(), root=a_root(), now=now)

    assert required_holders(row)["identity"] == {"idana", "idboris", "source"}
