"""A process that runs takes up the keys that a command has made, and goes on with the old where it cannot read the new."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node.clock import SystemClock
from node.keyring import Keyring
from node.runtime import Node, take_up_keys
from node.settings import Settings
from tests.rig.processes import Served
from web import serve as serving

ACTOR = "https://a.example/actors/cases"


@pytest.fixture
def running(node: Node) -> Node:
    """A node whose keys lie in its directory."""
    return replace(node, keyring=Keyring.open(node.settings))


async def test_what_did_not_change_is_not_read_again(running: Node) -> None:
    before = running.keyring.signer(ACTOR, "rsa")

    assert not await take_up_keys(running)

    assert running.keyring.signer(ACTOR, "rsa") is before


async def test_whoever_holds_the_keyring_signs_with_the_new_keys(running: Node) -> None:
    held, old = running.keyring, running.keyring.signer(ACTOR, "ed25519").key_id

    renewed = Keyring.open(running.settings).rotate(running.settings, now=running.clock.now())
    assert held.signer(ACTOR, "ed25519").key_id == old
    assert await take_up_keys(running)

    assert held.signer(ACTOR, "ed25519").key_id == f"{ACTOR}#ed25519-key-2"
    assert held.public_keys(ACTOR) == renewed.public_keys(ACTOR)
    assert held.former_keys(ACTOR) == renewed.former_keys(ACTOR)
    assert not await take_up_keys(running)


async def test_a_root_that_was_taken_away_signs_no_more(running: Node, tmp_path: Path) -> None:
    assert running.keyring.has_root

    Keyring.open(running.settings).take_root_away(running.settings, tmp_path / "stick.pem")
    await take_up_keys(running)

    assert not running.keyring.has_root
    assert running.keyring.root_id is not None


async def test_keys_that_cannot_be_read_change_nothing_and_are_told_once(
    running: Node, caplog: pytest.LogCaptureFixture
) -> None:
    before = running.keyring.public_keys(ACTOR)
    (running.settings.data / "keys" / "history.json").write_text("{}")

    assert not await take_up_keys(running)
    assert not await take_up_keys(running)

    assert running.keyring.public_keys(ACTOR) == before
    assert caplog.messages == ["keys.unreadable"]


async def test_a_worker_takes_them_up_too(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def opened(_settings: Settings) -> AsyncIterator[Node]:
        yield replace(running, clock=SystemClock())

    monkeypatch.setattr(serving, "opened", opened)
    monkeypatch.setattr(serving, "SIGN_AFTER_SECONDS", 0.01)
    monkeypatch.setattr("node.runtime.KEYS_EVERY", 0.01)
    working = asyncio.create_task(serving.work(running.settings))

    Keyring.open(running.settings).rotate(running.settings, now=running.clock.now())
    async with asyncio.timeout(30):
        while running.keyring.generation == 1:
            await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    assert running.keyring.signer(ACTOR, "ed25519").key_id == f"{ACTOR}#ed25519-key-2"


@pytest.mark.sockets
def test_a_server_shows_new_keys_without_being_started_anew(serve: Callable[..., Served]) -> None:
    server = serve()

    def shown() -> str:
        asking = urllib.request.Request(  # noqa: S310  # our loopback
            f"{server.origin}/actors/cases", headers={"Accept": "application/activity+json"}
        )
        with urllib.request.urlopen(asking, timeout=30) as answer:  # noqa: S310
            return str(json.load(answer)["publicKey"]["id"])

    assert shown().endswith("#main-key")
    server.run("keys", "rotate")
    end = time.monotonic() + 15
    while not shown().endswith("#main-key-2") and time.monotonic() < end:
        time.sleep(0.1)

    assert shown().endswith("#main-key-2")
