"""A server whose keys are lost, or stolen, goes on with new ones: what was proven until then holds, and nothing later."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.proofs import Proven, attach, check
from node.effects.proving import RefusedActivity, prove
from node.entries.search import entry_at
from node.errors import Misconfigured
from node.keyfiles import read_key_file
from node.keyring import Keyring, as_prover
from node.peers.changing import STATEMENT, tell_of_loss
from node.settings import Settings
from tests.rig.keys import ed25519_key
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON

LOST = ("rsa.pem", "ed25519.pem")


def opened(tmp_path: Path) -> tuple[Settings, Keyring]:
    settings = Settings.parse({"origin": "https://a.example", "data": str(tmp_path)})
    return settings, Keyring.open(settings)


def lose(settings: Settings, *names: str) -> None:
    for name in names:
        (settings.data / "keys" / name).unlink()


# ---- on the disk ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [LOST, LOST[:1], LOST[1:], (*LOST, "root.pem")])
def test_lost_keys_are_replaced_when_somebody_says_so_and_not_before(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    settings, first = opened(tmp_path)
    since = first.born + timedelta(hours=1)
    lose(settings, *lost)

    with pytest.raises(Misconfigured, match="lost"):
        Keyring.open(settings)
    second = Keyring.replace_lost(settings, since=since, now=since)

    assert second.public_keys("x")[1].key_id == "x#ed25519-key-2"
    former = second.former_keys("x")
    assert [(one.public, one.retired_at, one.is_lost) for one in former] == [
        (first.public_keys("x")[1].public, since, True)
    ]
    assert Keyring.open(settings).public_keys("x") == second.public_keys("x")


def test_keys_that_are_here_are_not_lost(tmp_path: Path) -> None:
    settings, first = opened(tmp_path)

    with pytest.raises(Misconfigured, match="rotate"):
        Keyring.replace_lost(settings, since=first.born, now=first.born)
    assert Keyring.open(settings).generation == 1

    stolen = Keyring.replace_lost(settings, since=first.born, now=first.born, stolen=True)
    assert stolen.former[0].is_lost


@pytest.mark.parametrize("hours", [-1, 3])
def test_a_key_is_not_lost_before_it_was_made_nor_in_the_future(tmp_path: Path, hours: int) -> None:
    settings, first = opened(tmp_path)
    made = first.born + timedelta(hours=1)
    first.rotate(settings, now=made)
    lose(settings, "ed25519-2.pem")

    with pytest.raises(Misconfigured, match="was not lost"):
        Keyring.replace_lost(settings, since=made + timedelta(hours=hours), now=made + timedelta(hours=2))

    assert len(json.loads((tmp_path / "keys" / "history.json").read_text())["former"]) == 1


def test_a_key_that_nobody_can_name_is_not_replaced(tmp_path: Path) -> None:
    settings, first = opened(tmp_path)
    lose(settings, *LOST, "ed25519.pub")

    with pytest.raises(Misconfigured, match="publicKeyMultibase"):
        Keyring.replace_lost(settings, since=first.born, now=first.born)


def test_another_root_cannot_speak_for_this_organisation(tmp_path: Path) -> None:
    settings, first = opened(tmp_path)
    lose(settings, *LOST)

    with pytest.raises(Misconfigured, match="root"):
        Keyring.replace_lost(settings, since=first.born, now=first.born, root=ed25519_key("mallory"))

    assert not (tmp_path / "keys" / "history.json").exists()


# ---- in the network ------------------------------------------------------------------------------------------------


async def a_server_with_keys_on_its_disk(town: Town, name: str) -> Keyring:
    """The same server, its keys read from its own directory."""
    made = Keyring.open(town[name].settings)
    await town.stop(name)
    await town.start(name, keyring=made)
    return made


async def prove_at(town: Town, name: str, document: dict[str, Any], owner: str) -> Proven:
    return await prove(town[name].node, document, owner)


async def test_what_was_proven_before_the_loss_holds_and_what_comes_after_is_refused(town: Town) -> None:
    old = await a_server_with_keys_on_its_disk(town, "a")
    settings = town["a"].settings
    actor = settings.main_actor
    await town.befriend("b", "a")
    before = await publish_case(town["a"].node)
    await town.settle()
    async with town.visitor("a") as visitor:
        document = (await visitor.get(before.url, headers={"accept": ACTIVITY_JSON})).json()
    town.clock.forward(hours=1)
    lost_at = town.clock.now()
    words = {"@context": document["@context"], "id": f"{actor}/words", "type": "Note"}
    town.clock.forward(hours=1)

    lose(settings, *LOST)
    await town.stop("a")
    renewed = Keyring.replace_lost(settings, since=lost_at, now=town.clock.now())
    await town.start("a", keyring=renewed)
    assert await tell_of_loss(town["a"].node)
    await town.settle()
    after = await publish_case(town["a"].node)
    await town.settle()

    held = await prove_at(town, "b", document, actor)
    assert held.key_id == f"{actor}#ed25519-key"
    early = attach(words, old.signer(actor, "ed25519"), now=lost_at - timedelta(minutes=1))
    await prove_at(town, "b", early, actor)
    late = attach(words, old.signer(actor, "ed25519"), now=lost_at + timedelta(minutes=1))
    with pytest.raises(RefusedActivity, match="retired"):
        await prove_at(town, "b", late, actor)
    async with town["b"].node.database.read() as session:
        arrived = await entry_at(session, after.url)
    assert arrived is not None
    assert arrived.proof_key == f"{actor}#ed25519-key-2"


async def test_a_stolen_key_signs_no_request_once_its_owner_has_said_so(town: Town) -> None:
    old = await a_server_with_keys_on_its_disk(town, "a")
    actor, served = town["a"].settings.main_actor, town.wires.apps["a.example"]
    await town.befriend("b", "a")
    await publish_case(town["a"].node)
    await town.settle()
    thief = Stranger(town, "a.example", "cases")
    thief.id, thief.rsa = actor, old._keys["rsa"]
    town.wires.apps["a.example"] = served
    flag = {**thief.activity("Like", f"{town['b'].origin}/cases/x"), "actor": actor}
    assert (await thief.post("b", flag)).status_code == 202

    now = town.clock.now()
    renewed = Keyring.replace_lost(town["a"].settings, since=now, now=now, stolen=True)
    await town.stop("a")
    await town.start("a", keyring=renewed)
    await tell_of_loss(town["a"].node)
    await town.settle()
    town.clock.forward(minutes=6)

    assert (await thief.post("b", flag | {"id": f"{flag['id']}0"})).status_code == 401


async def test_the_root_signs_what_is_said_of_the_loss(town: Town) -> None:
    old = await a_server_with_keys_on_its_disk(town, "a")
    settings, now = town["a"].settings, town.clock.now()
    async with town.visitor("a") as visitor:
        assert (await visitor.get(STATEMENT)).status_code == 404
    copy = settings.data.parent / "root.pem"
    old.take_root_away(settings, copy)
    lose(settings, *LOST)
    await town.stop("a")
    await town.start("a", keyring=Keyring.replace_lost(settings, since=now, now=now))

    assert not await tell_of_loss(town["a"].node)
    root = as_prover(read_key_file(copy, ""))
    assert await tell_of_loss(town["a"].node, root=root)

    async with town.visitor("a") as visitor:
        told = (await visitor.get(STATEMENT)).json()
    keys = {root.key_id: root.public}
    assert isinstance(check(told, keys, now=now), Proven)
    assert root.public.multibase == old.root_id
    present, lost = told["assertionMethod"]
    assert "expires" not in present
    assert lost["id"] == f"{settings.main_actor}#ed25519-key"
    assert lost["expires"] == lost["revoked"]
    lost["expires"] = lost["revoked"] = "2099-01-01T00:00:00Z"
    assert not isinstance(check(told, keys, now=now), Proven)
