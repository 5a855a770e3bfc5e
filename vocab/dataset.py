"""The bundled domain data, read once: JSON files under `vocab/data`, found through the package, never by path."""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from vocab.texts import Texts


@cache
def contents(name: str) -> bytes:
    """Return the bytes of one data file."""
    return resources.files("vocab").joinpath("data", name).read_bytes()


@cache
def sha256(name: str) -> str:
    """Return the hash of one data file, in lower-case hex."""
    return hashlib.sha256(contents(name)).hexdigest()


@cache
def load(name: str) -> Any:
    """Return one data file, parsed. For the readers of this package, which give it types; never to be changed."""
    return json.loads(contents(name))


def texts(words: dict[str, str] | None) -> Texts:
    """Return labels of the data as Texts; empty where a label is missing."""
    return Texts(words)
