"""Canonical JSON bytes, RFC 8785 (JCS): what is hashed and signed.

Not for the wire: canonical order puts `contentMap` into alphabetical order, and receivers read the language of a post
from its first key. Documents are sent with `vocab.jsonld.write`.
"""

import msgspec
import rfc8785

from vocab.errors import NotCanonical

# RFC 8785 §3.2.2.3 and RFC 7493 §2.2: integers beyond this are not exact in an ECMAScript number.
_MAX_SAFE_INTEGER = 2**53 - 1

_SPELLED_ALIKE = frozenset({str, bool, type(None)})

_sorted = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """Return the canonical form of a JSON value.

    Raises NotCanonical for what JSON or an ECMAScript number cannot hold: NaN, lone surrogates, integers beyond 2^53-1,
    keys that are not strings, other Python types, values nested too deeply or within themselves.
    """
    try:
        # First, for it ends with what holds itself.
        quick = _quickly(value)
        if quick is not None and _has_one_spelling(value):
            return quick
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # rfc8785 checks what its recursive alias describes
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(f"no canonical form: {error}") from error


def _quickly(value: object) -> bytes | None:
    try:
        return _sorted.encode(value)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return None


def _has_one_spelling(value: object) -> bool:
    """Say whether plain sorted encoding gives the same bytes as RFC 8785.

    The two differ in the spelling of floating-point numbers, in what they make of other types, and in the order of keys:
    code points here, UTF-16 units there, which agree on ASCII. Strings are escaped alike.
    Exact types: a subclass may be encoded as something else.
    """
    level = [value]
    keys: list[str] = []  # as JSON has them; whether they are is asked last
    while level:
        item = level.pop()
        kind = type(item)
        if kind is dict:
            keys.extend(item)  # type: ignore[arg-type]  # narrowed by exact type, which mypy does not follow
            inner = item.values()  # type: ignore[attr-defined]  # as above
        elif kind is list:
            inner = item
        else:
            inner = (item,)
        # Most hold nothing but texts: told from their types at once.
        if not _SPELLED_ALIKE.issuperset(map(type, inner)):
            for one in inner:
                among = type(one)
                if among is dict or among is list:
                    level.append(one)
                elif among is int:
                    if not -_MAX_SAFE_INTEGER <= one <= _MAX_SAFE_INTEGER:
                        return False
                elif among not in _SPELLED_ALIKE:
                    return False
    # Of all objects at once: most are small.
    return {str}.issuperset(map(type, keys)) and "".join(keys).isascii()
