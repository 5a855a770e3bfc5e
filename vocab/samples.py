"""Sample cases, appeals and resources: invented by us, marked as fictional, for the demonstration and for tests."""

from collections.abc import Mapping
from typing import Any, Final

from vocab.dataset import load

_STANDARDS: Final = {"documented": "P3", "corroborated": "P4", "confirmed": "P5"}
_NOT_FIELDS: Final = frozenset({"id", "url", "node", "published_at", "sealed"})


def nodes() -> list[dict[str, Any]]:
    """Return the invented organisations and their hosts."""
    found: list[dict[str, Any]] = load("sample-cases.json")["nodes"]
    return found


def cases() -> list[dict[str, Any]]:
    """Return the sample cases as they are written, with what a source would have sealed."""
    found: list[dict[str, Any]] = load("sample-cases.json")["cases"]
    return found


def fields(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the public case of a sample; nothing that was sealed.

    The samples name no standard of proof; a case that is not a good practice gets the one its verification speaks of.
    """
    public = {key: value for key, value in sample.items() if key not in _NOT_FIELDS}
    if sample["kind"] != "good-practice":
        public["standard"] = _STANDARDS[sample["verification"]]
    return public


def appeals() -> list[dict[str, Any]]:
    """Return the sample appeals and sign-on letters."""
    found: list[dict[str, Any]] = load("sample-appeals.json")["appeals"]
    return found


def resources() -> list[dict[str, Any]]:
    """Return the sample resources of the library."""
    found: list[dict[str, Any]] = load("sample-resources.json")["resources"]
    return found
