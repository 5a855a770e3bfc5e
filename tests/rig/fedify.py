"""An independent ActivityPub server for the tests: one actor on Fedify, in a Node.js process of its own on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.nodejs import PEERS, environment, node_executable, peers_installed
from tests.rig.peer import Peer, running


@contextmanager
def fedify_peer(log: Path, *, knock: str = "rfc9421") -> Iterator[Peer]:
    """A running peer. `knock` is the dialect it signs with first: rfc9421 or cavage."""
    with _running("main.mjs", "--knock", knock, log=log) as peer:
        yield peer


@contextmanager
def fedify_bench(log: Path) -> Iterator[Peer]:
    """The same actor with nothing recorded, to be measured: it signs with cavage, and knows the verb fanout only."""
    with _running("bench.mjs", log=log) as peer:
        yield peer


@contextmanager
def _running(script: str, *arguments: str, log: Path) -> Iterator[Peer]:
    peers_installed()
    command = [node_executable(), str(PEERS / "fedify" / script), *arguments]
    with running(command, log=log, environment=environment()) as peer:
        yield peer
