"""`tracker` in this process, and the node of a data directory that it was told of."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from node.runtime import Node
from node.settings import Settings
from web.cli import main
from web.serve import opened

ORIGIN = "http://127.0.0.1:9"


def at_node(directory: Path, use: Callable[[Node], Awaitable[Any]]) -> Any:
    """What `use` finds at the node whose data lies there; made where there is none."""

    async def run() -> Any:
        settings = Settings.parse({"origin": ORIGIN, "allow_loopback": "1", "data": str(directory)})
        async with opened(settings) as node:
            return await use(node)

    return asyncio.run(run())


def tracker(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What a command says with --json; its settings are those of the environment."""
    capsys.readouterr()
    main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)
