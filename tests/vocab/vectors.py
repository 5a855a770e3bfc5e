"""Published test vectors and captured payloads, read from beside the checkout; what is absent is skipped with a message."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parents[3] / "shared" / "vectors"

absent = pytest.mark.skipif(
    not HOME.is_dir(), reason=f"no published vectors in {HOME.parent.name}/{HOME.name} beside the checkout"
)


def paths(pattern: str) -> list[Any]:
    """Every vector that matches, as parameters named by their path; one that is skipped when there are none."""
    found = sorted(HOME.glob(pattern)) if HOME.is_dir() else []
    if not found:
        return [
            pytest.param(HOME / "absent", marks=pytest.mark.skip(reason=f"no published vectors {pattern}"))
        ]
    return [pytest.param(path, id=str(path.relative_to(HOME))) for path in found]


def entries(manifest: str, key: str, wanted: Callable[[Any], bool] = bool) -> list[Any]:
    """The entries of a manifest that are wanted, as parameters named by their id."""
    path = HOME / manifest
    if not path.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"no published vectors {manifest}"))]
    listed = json.loads(path.read_text("utf-8"))[key]
    return [
        pytest.param(entry, id=(entry.get("@id") or entry["id"]).lstrip("#"))
        for entry in listed
        if wanted(entry)
    ]


def read(path: str) -> Any:
    """One JSON vector."""
    return json.loads((HOME / path).read_text("utf-8"))
