"""What every command shares: reading the settings, opening the node, printing the answer. The environment is read in this package and nowhere else."""

import argparse
import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from federation.keys import PrivateKey
from node.errors import Invalid, Misconfigured
from node.keyfiles import read_key_file
from node.peers.ours import LocalActor, local_actor_at
from node.runtime import Node
from node.settings import Settings
from web.serve import opened

Answer = dict[str, Any] | list[Any] | None
# Adds one command: its name, what it says of itself, what it runs, and under which group.
Verb = Callable[..., argparse.ArgumentParser]


def read_settings() -> Settings:
    """The settings of the environment. Raises Misconfigured."""
    return Settings.read(os.environ)


def with_node(use: Callable[[Node], Awaitable[Answer]], settings: Settings | None = None) -> Answer:
    """Open the node, use it, close it; returns what `use` returned."""

    async def run() -> Answer:
        async with opened(settings or read_settings()) as node:
            return await use(node)

    return asyncio.run(run())


def read_root(file: Path) -> PrivateKey:
    """The organisation root from the file where it is kept; asks for its passphrase where it is locked. Raises Misconfigured."""
    given = os.environ.get("TRACKER_KEYRING_PASSPHRASE", "")
    if not given and file.exists() and b"ENCRYPTED" in file.read_bytes():
        if not sys.stdin.isatty():
            raise Invalid("the root key is locked: set TRACKER_KEYRING_PASSPHRASE")
        given = getpass.getpass("Passphrase of the root key: ")
    return read_key_file(file, given)


def main_actor(node: Node) -> LocalActor:
    """The actor that speaks for this server."""
    found = local_actor_at(node.settings, node.settings.main_actor)
    if found is None:
        raise Misconfigured("the main actor is missing")
    return found


def show(answer: dict[str, Any] | list[Any], *, as_json: bool) -> None:
    """Print an answer: lines for people, or JSON for programs."""
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    rows = answer if isinstance(answer, list) else [answer]
    for row in rows:
        for key, value in row.items() if isinstance(row, dict) else [("", row)]:
            if isinstance(value, list) and value and isinstance(value[0], dict):
                for one in value:
                    print("  ".join(_cell(key, cell) for key, cell in one.items()))
            else:
                print(f"{key:12} {_cell(key, value)}" if key else value)
        if len(rows) > 1:
            print()


def _cell(key: str, value: object) -> str:
    """A value in a line for people."""
    if isinstance(value, bool):
        yes, no = ("ok", "MEND") if key == "ok" else ("yes", "no")
        return yes if value else no
    return f"{value:<20}" if isinstance(value, str) and len(value) < 20 else str(value)
