"""The part of Structured Field Values (RFC 9651) that signatures and digests need: dictionaries, strictly read.

Stricter than the specification in one point: a repeated key is refused, where RFC 9651 lets the last one win. Two
parsers that disagree about which one counts are an attack on signatures (RFC 9421 §7.5).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_FIELD_BYTES = 8192
MAX_MEMBERS = 8
MAX_ITEMS = 32
MAX_LIST_CHARACTERS = 1024

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_OWS = re.compile(r"[ \t]*")
_BARE = re.compile(
    r'"(?P<string>(?:[ !#-\[\]-~]|\\["\\])*)"'
    r"|(?P<decimal>-?[0-9]{1,12}\.[0-9]{1,3})(?![0-9.])"
    r"|(?P<integer>-?[0-9]{1,15})(?![0-9.])"
    r"|:(?P<bytes>[A-Za-z0-9+/=]*):"
    r"|\?(?P<boolean>[01])"
    r"|(?P<token>[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*)"
)


class NotStructured(ValueError):
    """The field does not follow the grammar, or is larger than any peer needs."""


class Token(str):
    """A token: a word that is written without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class InnerList:
    """The members of an inner list, each with whether it has parameters, and the parameters of the whole."""

    items: tuple[tuple[str, bool], ...]
    parameters: Mapping[str, str | int | bool | bytes]


def parse_byte_dictionary(field: bytes) -> dict[str, bytes]:
    """Read a dictionary whose values are all byte sequences, such as `Signature` or `Content-Digest`."""
    text = _text(field)
    members: dict[str, bytes] = {}
    position = 0
    while True:
        key, position = _key(text, position)
        if not text.startswith("=:", position):
            raise NotStructured("a byte sequence is expected")
        value, position = _bare(text, position + 1)
        _, position = _parameters(text, position)
        if key in members or len(members) >= MAX_MEMBERS:
            raise NotStructured("a repeated key, or too many")
        if not isinstance(value, bytes):
            raise NotStructured("a byte sequence is expected")
        members[key] = value
        if position == len(text):
            return members
        position = _comma(text, position)


def parse_list_dictionary(field: bytes) -> dict[str, InnerList]:
    """Read a dictionary whose values are all inner lists of strings, such as `Signature-Input`."""
    text = _text(field)
    members: dict[str, InnerList] = {}
    position = 0
    while True:
        key, position = _key(text, position)
        if not text.startswith("=(", position):
            raise NotStructured("an inner list is expected")
        items, position = _inner_list(text, position + 2)
        parameters, position = _parameters(text, position)
        if key in members or len(members) >= MAX_MEMBERS:
            raise NotStructured("a repeated key, or too many")
        members[key] = InnerList(items, parameters)
        if position == len(text):
            return members
        position = _comma(text, position)


def write_parameters(parameters: Mapping[str, str | int | bool | bytes]) -> str:
    """Serialise parameters, in their order (RFC 9651 §4.1.1.2)."""
    return "".join(
        f";{key}" if value is True else f";{key}={_write_bare(value)}" for key, value in parameters.items()
    )


def _write_bare(value: str | int | bool | bytes) -> str:
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, Token | int):
        return str(value)
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode('ascii')}:"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(field: bytes) -> str:
    if len(field) > MAX_FIELD_BYTES:
        raise NotStructured("a field of that length")
    # Latin-1 never fails; what is not ASCII then fails the grammar.
    return field.decode("latin-1").strip(" ")


def _key(text: str, position: int) -> tuple[str, int]:
    match = _KEY.match(text, position)
    if match is None:
        raise NotStructured("a key is expected")
    return match[0], match.end()


def _comma(text: str, position: int) -> int:
    position = _OWS.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty string
    if not text.startswith(",", position):
        raise NotStructured("a comma is expected")
    return _OWS.match(text, position + 1).end()  # type: ignore[union-attr]  # likewise


def _inner_list(text: str, position: int) -> tuple[tuple[tuple[str, bool], ...], int]:
    # The names of fields and components hold no bracket, so the first one ends the list.
    end = text.find(")", position)
    if not 0 <= end - position <= MAX_LIST_CHARACTERS:
        raise NotStructured("an inner list without an end")
    return _items(text[position:end]), end + 1


# Senders cover the same components again and again; what is remembered is short, and little.
@lru_cache(maxsize=256)
def _items(text: str) -> tuple[tuple[str, bool], ...]:
    items: list[tuple[str, bool]] = []
    position = 0
    while True:
        start = position
        while text.startswith(" ", position):
            position += 1
        if position == len(text):
            return tuple(items)
        if (items and position == start) or len(items) >= MAX_ITEMS:
            raise NotStructured("items are separated by a space, and few")
        value, position = _bare(text, position)
        if not isinstance(value, str) or isinstance(value, Token):
            raise NotStructured("a string is expected")
        parameters, position = _parameters(text, position)
        items.append((value, bool(parameters)))


def _parameters(text: str, position: int) -> tuple[dict[str, str | int | bool | bytes], int]:
    parameters: dict[str, str | int | bool | bytes] = {}
    while text.startswith(";", position):
        position += 1
        while text.startswith(" ", position):
            position += 1
        key, position = _key(text, position)
        value: str | int | bool | bytes = True
        if text.startswith("=", position):
            value, position = _bare(text, position + 1)
        if key in parameters or len(parameters) >= MAX_ITEMS:
            raise NotStructured("a repeated parameter, or too many")
        parameters[key] = value
    return parameters, position


def _bare(text: str, position: int) -> tuple[str | int | bool | bytes, int]:
    match = _BARE.match(text, position)
    if match is None:
        raise NotStructured("an item is expected")
    kind, content = match.lastgroup, match[match.lastindex or 0]
    value: str | int | bool | bytes
    if kind == "string":
        value = content.replace('\\"', '"').replace("\\\\", "\\") if "\\" in content else content
    elif kind == "integer":
        value = int(content)
    elif kind == "bytes":
        value = _base64(content)
    elif kind == "boolean":
        value = content == "1"
    elif kind == "token":
        value = Token(content)
    else:
        # No field read here has a use for decimals.
        raise NotStructured("a decimal is not expected")
    return value, match.end()


def _base64(content: str) -> bytes:
    try:
        value = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotStructured("not base64") from error
    if base64.b64encode(value).decode("ascii") != content:
        raise NotStructured("base64 with stray bits")
    return value
