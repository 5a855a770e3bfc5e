"""Whether a document says the same to a program that reads its names as they stand and to one that expands them (JSON-LD).

A proof over bytes (eddsa-jcs-2022) holds for names that the document's own context turns into others: who expands it would read another
object, or another actor, than was looked at here. Judged from the contexts alone, and strictly: nothing is expanded for it. What a context
adds is nobody's concern; what it takes from ActivityStreams and from our terms, or says in their place, is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from vocab.jsonld import context, known_contexts
from vocab.terms import (
    AS,
    AS_NAMESPACE,
    CASE_TERMS,
    DATA_INTEGRITY_V1,
    DATA_INTEGRITY_V2,
    MULTIKEY_V1,
    SECURITY_V1,
    SRT,
)

# None of the bundled contexts gives a name of ActivityStreams another meaning, but for those that are not among these.
_PLAIN: Final = frozenset(
    {AS, SECURITY_V1, DATA_INTEGRITY_V1, DATA_INTEGRITY_V2, MULTIKEY_V1, "https://www.w3.org/ns/cid/v1"}
)
_TURNING: Final = known_contexts() - _PLAIN
# In a context: what changes no name. In a document: what is part of a value. Each other keyword has others read on elsewhere.
_SETTINGS: Final = frozenset({"@version", "@protected", "@language"})
_IN_VALUES: Final = frozenset({"@value", "@language", "@list", "@set"})
_SHORT_KEYWORDS: Final = {"@id": "id", "@type": "type"}
# A definition with a context of its own, or one that nests or turns around, is not looked into.
_IN_DEFINITIONS: Final = frozenset({"@id", "@type", "@container", "@language", "@protected", "@prefix"})
_SPELLED_OUT: Final = ("as:", AS_NAMESPACE, SRT)
# How several values may be held without one of them being lost to who reads the names alone. The others take what stands there for an
# index, a graph, or a node by its address: of plain text nothing is left.
_HOLDING: Final = frozenset({"@list", "@language"})
_LAST: Final = re.compile("[:/#]")
# Those of ActivityStreams itself, and what an address begins with.
_PREFIXES: Final = frozenset({"as", "xsd", "ldp", "vcard", "https", "http", "_"})
_MAX_TERMS: Final = 500
_MAX_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class _Definition:
    """What a context says of a name: what it stands for, and how its values are read."""

    id: str
    type: object = None
    containers: frozenset[str] = frozenset()
    language: object = None


def reads_alike(document: Mapping[str, object]) -> bool:
    """Tell whether every name that is read here means the same to who expands the document, by every context in it.

    Without a context it is read under that of ActivityStreams (AS2 Core §2.1). A name that two contexts define otherwise means the one
    thing here and the other there: that does not read alike. Addresses of contexts that are not bundled count as if they said nothing of
    our names: other software has its own, and nobody who bundles what he reads can expand those.
    """
    defined: dict[str, object] = {}
    said, ahead = set(_PREFIXES), set[str]()
    if "@context" in document and not _begins_with_ours(document["@context"]):
        return False
    for inner in _objects(document):
        if "@context" in inner and not _collect(inner["@context"], defined, said, ahead):
            return False
        if not _are_alike(inner):
            return False
    if len(defined) > _MAX_TERMS:
        return False
    return all(_is_harmless(name, value, defined) for name, value in defined.items())


def _are_alike(inner: Mapping[str, object]) -> bool:
    """Whether the names of one object are there once each, and mean what they say where they are spelled out."""
    spelled_out: set[str] = set()
    for name in inner:
        if name == "@context" or name.startswith("srt:"):
            continue
        if name in _SHORT_KEYWORDS:
            if _SHORT_KEYWORDS[name] in inner:
                return False
        elif name[:1] == "@":
            if name not in _IN_VALUES:
                return False
        elif name.startswith(_SPELLED_OUT):
            short = _short(name)
            if short in inner or short in spelled_out or not _is_of(name, short):
                return False
            spelled_out.add(short)
        elif ":" in name and (last := _LAST.split(name)[-1]) in CASE_TERMS and last in inner:
            # A second name, by whatever prefix, of what other networks have and we read.
            return False
    return True


def _begins_with_ours(value: object) -> bool:
    """Whether nothing is defined before ActivityStreams is: that would hang on a prefix that stands for nothing yet.

    Without it no name would mean anything to who expands the document, but for those that are chosen. Whoever fetches an address that is
    not bundled may find it there.
    """
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            if (address := _address(one)) == AS or address not in known_contexts():
                return True
        elif not isinstance(one, Mapping) or not one.keys() <= _SETTINGS:
            return False
    return False


def _address(one: str) -> str:
    # Older software spells the address with a trailing hash or over http.
    return one.rstrip("#").replace("http://", "https://", 1)


def _objects(document: object) -> Iterator[Mapping[str, object]]:
    """Every object in a document, contexts left out."""
    rest = [document]
    while rest:
        item = rest.pop()
        if isinstance(item, Mapping):
            yield item
            rest += [value for name, value in item.items() if name != "@context"]
        elif isinstance(item, list):
            rest += item


def _collect(value: object, defined: dict[str, object], said: set[str], ahead: set[str]) -> bool:
    """Add what a context defines; False where it cannot be told what that is.

    said   every name that was defined; ahead: prefixes that were used before that, where they stood for nothing.
    """
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            if _address(one) in _TURNING:
                return False
            continue
        if not isinstance(one, Mapping):
            # `null` takes all meaning from what stands beside it.
            return False
        if not ahead.isdisjoint(one):
            return False
        said |= one.keys()
        if one == CASE_TERMS:
            continue
        for name, definition in one.items():
            if defined.setdefault(name, definition) != definition:
                return False
            ahead |= _prefixes(name, definition) - said
    return True


def _prefixes(name: str, definition: object) -> set[str]:
    """What a definition puts before names."""
    stands_for = definition.get("@id", name) if isinstance(definition, Mapping) else definition
    return {one.partition(":")[0] for one in (name, stands_for) if isinstance(one, str) and ":" in one}


def _short(name: str) -> str:
    if name.startswith(SRT):
        return f"srt:{name.removeprefix(SRT)}"
    return name.removeprefix(AS_NAMESPACE).removeprefix("as:")


def _is_of(name: str, short: str) -> bool:
    """Whether a name that is spelled out means what its short form does: `as:id` is no id, and `as:nameMap` no name by language."""
    if name.startswith(SRT):
        return True
    known = _ours().get(short)
    return ":" not in short and (known is None or _resolved(known.id, {}) == AS_NAMESPACE + short)


def _is_harmless(name: str, value: object, defined: Mapping[str, object]) -> bool:
    if name.startswith("@"):
        return name in _SETTINGS
    if name.startswith(_SPELLED_OUT):
        return False
    ours, found = _ours().get(name), _read(name, value)
    if found is None:
        # Somebody's own name that means nothing, or is not looked into.
        return value is None and ours is None and not name.startswith("srt:")
    stands_for = _resolved(found.id, defined)
    if not stands_for:
        return False
    if name.startswith("srt:"):
        # A later version may have its values in an order, or by language: it is the same term.
        return stands_for == SRT + name.removeprefix("srt:") and _keeps_values(found, ours)
    if ours is not None and name in CASE_TERMS:
        return stands_for == _resolved(ours.id, {}) and _keeps_values(found, ours)
    if ours is not None:
        return _Definition(stands_for, found.type, found.containers, found.language) == _Definition(
            _resolved(ours.id, {}), ours.type, ours.containers
        )
    if stands_for.startswith(("@", SRT)) or stands_for in _meant() or stands_for in _of_others():
        # A second name of what has one.
        return False
    # Put before a part of a name it makes the whole of one.
    return ":" in name or not any(one.startswith(stands_for) for one in _meant())


def _keeps_values(found: _Definition, ours: _Definition | None) -> bool:
    """Whether all that is said under a name is there for who expands it: as text, perhaps of a kind, or as an address where it is one."""
    kind = found.type
    is_address = kind == "@id" and (ours is None or ours.type == "@id")
    is_plain = kind is None or (isinstance(kind, str) and not kind.startswith("@"))
    return found.containers <= _HOLDING and (is_plain or is_address)


def _read(name: str, value: object) -> _Definition | None:
    if isinstance(value, str):
        return _Definition(value)
    if not isinstance(value, Mapping) or not value.keys() <= _IN_DEFINITIONS:
        return None
    stands_for, containers = value.get("@id", name), value.get("@container")
    listed = containers if isinstance(containers, list) else [containers]
    held = frozenset(one for one in listed if isinstance(one, str)) - {"@set"}
    return (
        _Definition(stands_for, value.get("@type"), held, value.get("@language"))
        if isinstance(stands_for, str)
        else None
    )


def _resolved(name: str, defined: Mapping[str, object], steps: int = 0) -> str:
    """What a name in a definition stands for; empty where that is not soon told."""
    prefix, colon, rest = name.partition(":")
    if name.startswith("@") or prefix == "_" or rest.startswith("//"):
        return name
    known = _read(prefix, defined[prefix]) if prefix in defined else _ours().get(prefix)
    if steps == _MAX_STEPS or (known is None and prefix in defined):
        return ""
    if known is None or known.id == prefix:
        return name if colon else f"_:{name}"
    return _resolved(known.id, defined, steps + 1) + rest


@cache
def _ours() -> Mapping[str, _Definition]:
    """What the context of ActivityStreams and our own say of each name."""
    plain = context(AS)["@context"]
    # That of Data Integrity is protected, and has a context of its own: nobody needs to define it.
    given = {
        **(plain if isinstance(plain, dict) else {}),
        **CASE_TERMS,
        "proof": "https://w3id.org/security#proof",
    }
    # Others mean by it what schema.org was called before; nothing under it is read here.
    del given["schema"]
    return {name: found for name, value in given.items() if name[0] != "@" and (found := _read(name, value))}


@cache
def _meant() -> frozenset[str]:
    """What these names stand for."""
    found = (_resolved(one.id, {}) for one in _ours().values())
    return frozenset({AS_NAMESPACE, SRT, *(one for one in found if one.startswith(AS_NAMESPACE))})


@cache
def _of_others() -> frozenset[str]:
    """What those names of a case stand for that other networks have, as a whole; not what is put before them."""
    ids = (_resolved(found.id, {}) for name in CASE_TERMS if (found := _ours().get(name)))
    return frozenset(one for one in ids if not one.endswith(("#", "/")))
