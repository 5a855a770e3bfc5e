"""Our keys and our address change: what was proven stays proven, with dates, and nobody is moved who did not agree."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from federation.proofs import Proven, attach, check
from node.effects.proving import RefusedActivity, prove
from node.errors import Misconfigured, NotAllowed
from node.keyring import Keyring
from node.peers.changing import announce_move, rotate_keys
from node.peers.directory import find_actor, proving_keys
from node.peers.follows import between, follow
from node.peers.ours import local_actor_at, say_alias
from node.peers.sending import Sent
from node.settings import Settings
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import VISITOR, Town
from vocab.terms import ACTIVITY_JSON, PUBLIC
from web.app import make_app


async def befriend(town: Town, follower: str, followed: str) -> None:
    node = town[follower].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, town[followed].settings.main_actor)
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    await town.settle()


def restarted(town: Town, name: str, keyring: Keyring) -> None:
    """The same server, started anew with what lies in its keys."""
    site = town[name]
    site.running = replace(site.node, keyring=keyring)
    town.wires.apps[site.settings.authority] = httpx.ASGITransport(make_app(site.running), client=VISITOR)


async def document(town: Town, name: str, url: str) -> dict[str, Any]:
    async with town.visitor(name) as visitor:
        found: dict[str, Any] = (await visitor.get(url, headers={"accept": ACTIVITY_JSON})).json()
        return found


# ---- keys --------------------------------------------------------------------------------------------------------


def opened(tmp_path: Path, passphrase: str = "") -> tuple[Settings, Keyring]:
    settings = Settings.parse(
        {"origin": "https://a.example", "data": str(tmp_path), "keyring_passphrase": passphrase}
    )
    return settings, Keyring.open(settings)


def test_rotated_keys_are_others_under_other_ids_and_the_old_are_known_with_dates(
    tmp_path: Path, now: Any
) -> None:
    settings, first = opened(tmp_path, "a passphrase")
    actor = settings.main_actor

    first.rotate(settings, now=now)
    second = Keyring.open(settings)
    (tmp_path / "keys" / "rsa.pem").unlink()
    (tmp_path / "keys" / "ed25519.pem").unlink()
    second.rotate(settings, now=now)
    third = Keyring.open(settings)

    assert [key.key_id for key in third.public_keys(actor)] == [
        f"{actor}#main-key-3",
        f"{actor}#ed25519-key-3",
    ]
    assert [key.public for key in third.former_keys(actor)] == [
        second.public_keys(actor)[1].public,
        first.public_keys(actor)[1].public,
    ]
    assert {key.retired_at for key in third.former_keys(actor)} == {now.replace(microsecond=0)}
    assert third.born == first.born
    assert third.root_id == first.root_id
    assert b"ENCRYPTED" in (tmp_path / "keys" / "rsa-3.pem").read_bytes()


def test_a_rotation_that_was_cut_short_changes_nothing_and_can_be_repeated(tmp_path: Path, now: Any) -> None:
    settings, first = opened(tmp_path)
    (tmp_path / "keys" / "rsa-2.pem").write_text("cut sh")

    assert Keyring.open(settings).public_keys("x") == first.public_keys("x")

    first.rotate(settings, now=now)
    assert Keyring.open(settings).public_keys("x") != first.public_keys("x")


@pytest.mark.parametrize(
    "content", ["", "{}", '{"born": "2026-01-01T00:00:00+00:00", "former": [{"number": 2}]}']
)
def test_a_history_that_cannot_be_read_is_not_guessed(tmp_path: Path, content: str) -> None:
    settings, _ = opened(tmp_path)
    (tmp_path / "keys" / "history.json").write_text(content)

    with pytest.raises(Misconfigured, match="backup"):
        Keyring.open(settings)


async def test_after_a_rotation_old_cases_stay_proven_and_new_ones_arrive(town: Town) -> None:
    await befriend(town, "hub", "a")
    before = await publish_case(town["a"].node)
    await town.settle()
    town.clock.forward(hours=1)

    renewed = await rotate_keys(town["a"].node)
    restarted(town, "a", renewed)
    await town.settle()
    town.clock.forward(minutes=10)
    after = await publish_case(town["a"].node)
    await town.settle()

    keys, _ = await proving_keys(town.hub.node, town["a"].settings.main_actor)
    outcomes = [
        check(await document(town, "a", one.url), keys, now=town.clock.now()) for one in (before, after)
    ]
    assert all(isinstance(outcome, Proven) for outcome in outcomes)
    shown = await document(town, "a", town["a"].settings.main_actor)
    assert [key["id"].partition("#")[2] for key in shown["assertionMethod"]] == [
        "ed25519-key-2",
        "ed25519-key",
    ]
    assert "expires" in shown["assertionMethod"][1]
    assert shown["publicKey"]["id"].endswith("#main-key-2")
    async with town["a"].node.database.read() as session:
        update = await session.scalar(select(Sent).where(Sent.type == "Update"))
    assert update is not None
    assert json.loads(update.body)["proof"]["verificationMethod"].endswith("#ed25519-key")
    assert await document(town, "a", update.id) == json.loads(update.body)


async def test_a_retired_key_proves_nothing_new_and_signs_no_request(town: Town) -> None:
    stranger = Stranger(town)
    shown = stranger.actor()
    retired = (town.clock.now()).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown["assertionMethod"][0]["expires"] = retired
    shown["publicKey"]["expires"] = retired
    stranger.documents["/users/sam"] = shown
    node = town["a"].node
    await find_actor(node, stranger.id)
    then = town.clock.now()
    town.clock.forward(minutes=1)
    words = {"id": f"https://{stranger.host}/1", "type": "Note", "@context": shown["@context"]}

    await prove(node, attach(words, stranger.prover(), now=then), stranger.id)
    with pytest.raises(RefusedActivity, match="retired"):
        await prove(node, attach(words, stranger.prover(), now=town.clock.now()), stranger.id)
    answer = await stranger.post("a", stranger.activity("Follow", node.settings.main_actor))

    assert answer.status_code == 401


# ---- address -----------------------------------------------------------------------------------------------------


async def test_a_server_moves_only_to_where_it_is_named_as_an_earlier_one(town: Town) -> None:
    new = town["b"].settings.main_actor

    with pytest.raises(NotAllowed):
        await announce_move(town["a"].node, new)
    with pytest.raises(NotAllowed):
        await announce_move(town["a"].node, f"{town['a'].origin}/actors/other")

    assert "movedTo" not in await document(town, "a", town["a"].settings.main_actor)


async def test_a_server_that_moves_takes_its_followers_along(town: Town) -> None:
    await befriend(town, "hub", "a")
    old, new = town["a"].settings.main_actor, town["b"].settings.main_actor
    async with town["b"].node.database.begin() as session:
        await say_alias(session, new, old, "also-known-as", now=town.clock.now())

    await announce_move(town["a"].node, new)
    await town.settle()

    assert (await document(town, "a", old))["movedTo"] == new
    async with town.hub.node.database.read() as session:
        rows: list[Any] = [await between(session, town.hub.settings.main_actor, one) for one in (old, new)]
    assert [row.state for row in rows] == ["undone", "accepted"]


async def test_what_says_that_a_server_moves_stands_in_its_outbox_and_is_served(town: Town) -> None:
    old, new = town["a"].settings.main_actor, town["b"].settings.main_actor
    async with town["b"].node.database.begin() as session:
        await say_alias(session, new, old, "also-known-as", now=town.clock.now())

    await announce_move(town["a"].node, new)

    listed = (await document(town, "a", f"{old}/outbox?page=1"))["orderedItems"]
    served = {one["type"]: await document(town, "a", one["id"]) for one in listed}
    assert {name: said["id"] for name, said in served.items()} == {one["type"]: one["id"] for one in listed}
    assert (served["Move"]["object"], served["Move"]["target"]) == (old, new)
    assert (served["Move"]["to"], served["Move"]["cc"]) == ([PUBLIC], [f"{old}/followers"])
    assert served["Update"]["object"]["movedTo"] == new
