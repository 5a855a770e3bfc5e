"""Properties of ActivityStreams documents as other software writes them, read into plain values.

One place for the leniency of this floor: a string, a one-element array, an embedded object or a Link where another is
expected; texts by language; dates in the shapes seen in the field; compact names or, in part, expanded ones. What cannot
be understood reads as absent; whoever needs the property refuses. AS2 Core §4; captures in the vectors name the software.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from vocab.errors import NotUnderstood
from vocab.terms import AS_NAMESPACE, PUBLIC, PUBLIC_ALIASES, SRT

Properties = Mapping[str, object]

MAX_ITEMS: Final = 1000
_MAX_IRI: Final = 2000
# RFC 3986 has no place for them, and browsers take the last for a slash.
_NOT_IN_AN_ADDRESS = frozenset(' "<>\\')
# Control characters, and the marks that turn the direction of a line; joiners stay, some scripts need them.
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# A word with a colon is for one robot by its name, or has a value that nothing here has a use for.
_ROBOTS_WORD = re.compile(r"[a-z][a-z0-9-]{1,29}")
_MAX_ROBOTS_WORDS: Final = 10

# Threads writes "+0000", Pixelfed and Minds "+00:00", most "Z"; Misskey and Mitra add fractions.
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)", re.IGNORECASE | re.ASCII)


def simplified(document: Properties) -> Properties:
    """Return the document with ActivityStreams names where it was written expanded or with the `as:` prefix.

    Only the names of this object, not of those within; anything else is left alone. Cheap when nothing is to do.
    Raises NotUnderstood when a name is there in two spellings that differ: who checks the one would use the other.
    """
    if "type" in document and not any(key.startswith(("as:", AS_NAMESPACE)) for key in document):
        return document
    plain: dict[str, object] = {}
    for key, value in document.items():
        name = {"@id": "id", "@type": "type"}.get(key) or _term(key)
        if name == "type":
            value = [_term(item) for item in _each(value) if isinstance(item, str)]
        elif name != key and key.startswith(AS_NAMESPACE):
            value = _value(value)
        if plain.setdefault(name, value) != value:
            raise NotUnderstood(f"{name} is there twice, and not the same")
    return plain


def _term(name: str) -> str:
    return name.removeprefix(AS_NAMESPACE).removeprefix("as:") or name


def _value(value: object) -> object:
    values: list[object] = []
    for item in _each(value):
        if isinstance(item, Mapping):
            if isinstance(ordered := item.get("@list"), list):
                return ordered
            values.append(
                item["@value"] if "@value" in item else item["@id"] if item.keys() == {"@id"} else item
            )
    return values[0] if len(values) == 1 else values


def _each(value: object) -> Iterator[object]:
    """Yield the items of an array, or the one value that stands for it, at most MAX_ITEMS."""
    if value is None:
        return
    if isinstance(value, list):
        yield from value[:MAX_ITEMS]
    else:
        yield value


def types(document: Properties) -> tuple[str, ...]:
    """Return the types, most often one, with the ActivityStreams namespace taken off."""
    return tuple(
        _term(item) for item in _each(document.get("type", document.get("@type"))) if isinstance(item, str)
    )


def one_type(document: Properties, known: frozenset[str]) -> str | None:
    """Return the first type that is known, or None."""
    return next((item for item in types(document) if item in known), None)


def iri_of(value: object) -> str | None:
    """Return the address of what is linked or embedded: a string, an object with `id`, a Link with `href`."""
    if isinstance(value, str):
        return value if 0 < len(value) <= _MAX_IRI else None
    if isinstance(value, Mapping):
        for key in ("id", "@id", "href"):
            if isinstance(value.get(key), str):
                return iri_of(value[key])
    return None


def iri(document: Properties, key: str) -> str | None:
    """Return the one address under `key`; None when there is none, or more than one."""
    found = iris(document, key)
    return found[0] if len(found) == 1 else None


def iris(document: Properties, key: str) -> tuple[str, ...]:
    """Return every address under `key`, in order, each once."""
    return tuple(
        dict.fromkeys(found for item in _each(document.get(key)) if (found := iri_of(item)) is not None)
    )


def audience(document: Properties, key: str) -> tuple[str, ...]:
    """Return the addressees under `to` or `cc`, the public collection always in full."""
    return tuple(dict.fromkeys(PUBLIC if item in PUBLIC_ALIASES else item for item in iris(document, key)))


def embedded(document: Properties, key: str) -> dict[str, object] | None:
    """Return the one object embedded under `key`; None for a link, several, or nothing."""
    items = list(_each(document.get(key)))
    return items[0] if len(items) == 1 and isinstance(items[0], dict) else None


def objects(document: Properties, key: str) -> tuple[dict[str, object], ...]:
    """Return every object embedded under `key`."""
    return tuple(item for item in _each(document.get(key)) if isinstance(item, dict))


def strings(document: Properties, key: str) -> tuple[str, ...]:
    """Return every plain string under `key`, and nothing that is embedded."""
    return tuple(item for item in _each(document.get(key)) if isinstance(item, str))


def robots(document: Properties) -> tuple[str, ...]:
    """Return what a document asks of whoever indexes it: the words of `xRobotsTag` that are for every robot (FEP-5e53)."""
    said = [word.strip().lower() for item in strings(document, "xRobotsTag") for word in item.split(",")]
    return tuple(dict.fromkeys(word for word in said if _ROBOTS_WORD.fullmatch(word)))[:_MAX_ROBOTS_WORDS]


def refuses_indexing(asked: Iterable[str]) -> bool:
    """Tell whether what a document asks of robots is not to be found by its words."""
    return not {"noindex", "none"}.isdisjoint(asked)


def text(document: Properties, key: str) -> str | None:
    """Return the one string under `key`; a language value gives its `@value`."""
    for item in _each(document.get(key)):
        if isinstance(item, str):
            return item
        if isinstance(item, Mapping) and isinstance(item.get("@value"), str):
            return str(item["@value"])
    return None


def texts(document: Properties, key: str) -> dict[str, str]:
    """Return the texts by language under `key` (`contentMap`, say), in the order they were written."""
    by_language = document.get(key)
    if not isinstance(by_language, Mapping):
        return {}
    return {
        language: words
        for language, words in by_language.items()
        if isinstance(language, str) and isinstance(words, str)
    }


def words(document: Properties, key: str) -> str | None:
    """Return the text under `key`; where there is none, the first by language under `<key>Map`."""
    return text(document, key) or next(iter(texts(document, f"{key}Map").values()), None)


def legible(words: str | None, length: int) -> str | None:
    """Return the beginning of a name, without what turns the direction of the words around it or is no character at all."""
    return _UNSEEN.sub("", words[: 2 * length])[:length] if words else None


def flag(document: Properties, key: str) -> bool | None:
    """Return a truth value; None when absent or anything else."""
    value = document.get(key)
    return value if isinstance(value, bool) else None


def count(document: Properties, key: str) -> int | None:
    """Return a number that is not negative; None when absent or anything else."""
    value = document.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def instant(document: Properties, key: str) -> datetime | None:
    """Return a moment, aware and in UTC; None when absent, without a zone, or not a date."""
    written = text(document, key)
    if written is None or (found := _INSTANT.fullmatch(written.strip())) is None:
        return None
    seconds, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{seconds}{(fraction or '')[:7]}{zone}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def link_to_page(document: Properties, key: str = "url") -> str | None:
    """Return the address for people: a string, or of several Links the first that is `text/html` and http(s)."""
    value = document.get(key)
    if isinstance(value, str):
        return iri_of(value) if is_http(value) else None
    links = [item for item in _each(value) if (found := iri_of(item)) is not None and is_http(found)]
    for item in links:
        if isinstance(item, Mapping) and item.get("mediaType") == "text/html":
            return iri_of(item)
    return iri_of(links[0]) if links else None


def own_term(document: Properties, name: str) -> object:
    """Return what stands under a term of this network, written short or as its whole address; None where it does not."""
    value = document.get(f"srt:{name}")
    return document.get(f"{SRT}{name}") if value is None else value


def is_http(address: str) -> bool:
    """Say whether an address is an absolute http or https one with a host and no credentials, in characters that are seen.

    With a line break, a bracket or a backslash two readers find another address, or another host, and no feed can hold it.
    """
    if not address.isprintable() or not _NOT_IN_AN_ADDRESS.isdisjoint(address):
        return False
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # raises on a port that is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def written(moment: datetime) -> str:
    """Return a moment as we write it: UTC, whole seconds, `Z`. Refuses naive values."""
    if moment.tzinfo is None:
        raise ValueError("a moment on the wire has a zone")
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def present(members: Mapping[str, object]) -> dict[str, object]:
    """Return the members that have something to say: neither None nor an empty sequence or mapping."""
    return {
        key: value
        for key, value in members.items()
        if value is not None
        and not (isinstance(value, (Sequence, Mapping)) and not isinstance(value, str) and not value)
    }
