"""The controlled lists: groups of people, kinds of violation, levels of verification and the others.

Read from `data/groups.json`. Ids are stable and never used again; a label may change, a meaning may not.
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from vocab.dataset import load, texts
from vocab.texts import Texts

FILE: Final = "groups.json"


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list.

    family               where the list is divided: `aaaaq`, `funding`; of a group, the wider group.
    is_special_category  never published together with a place finer than the State or a scale below ten.
    """

    id: str
    names: Texts
    definition: Texts
    family: str | None = None
    is_special_category: bool = False

    def label(self, language: str) -> str:
        """Return the label, in English where we have no other."""
        return self.names.best(language)


@cache
def names() -> frozenset[str]:
    """Return the names of all lists."""
    return frozenset(name for name, value in load(FILE).items() if isinstance(value, list))


@cache
def items(name: str) -> tuple[Item, ...]:
    """Return a list in its order. Raises KeyError."""
    if name not in names():
        raise KeyError(name)
    return tuple(
        Item(
            id=entry["id"],
            names=texts(entry["label"]),
            definition=texts(entry.get("definition")),
            family=entry.get("family") or entry.get("broader") or entry.get("sphere"),
            is_special_category=entry.get("special_category", False),
        )
        for entry in load(FILE)[name]
    )


def item(name: str, item_id: str) -> Item:
    """Return one entry of a list. Raises KeyError."""
    return _by_id(name)[item_id]


def label(name: str, item_id: str, language: str) -> str:
    """Return the label of one entry. Raises KeyError."""
    return item(name, item_id).label(language)


def has(name: str, item_id: object) -> bool:
    """Say whether a list has an entry."""
    return isinstance(item_id, str) and item_id in _by_id(name)


def families(name: str) -> dict[str, Texts]:
    """Return the labels of the families a list is divided into; empty where it is not."""
    key = {"violation_types": "violation_families", "civic_space_restrictions": "civic_space_families"}.get(
        name
    )
    return {family: texts(words) for family, words in load(FILE)[key].items()} if key else {}


@cache
def _by_id(name: str) -> MappingProxyType[str, Item]:
    return MappingProxyType({entry.id: entry for entry in items(name)})
