"""Published test vectors, read from beside the checkout; what is absent is skipped with a message."""

import json
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parents[3] / "shared" / "vectors"


def text(name: str) -> str:
    """The text of one vector file."""
    path = HOME / name
    if not path.exists():
        pytest.skip(f"the vectors are not beside the checkout: {name}")
    return path.read_text()


def load(name: str) -> Any:
    """The JSON of one vector file."""
    return json.loads(text(name))
