"""Canonical JSON bytes, RFC 8785 (JCS): what is hashed and signed.

Not for the wire: canonical order puts `contentMap` into alphabetical order, and receivers read the language of a post
from its first key. Documents are sent with `vocab.jsonld.write`.
"""

import msgspec
import rfc8785

from vocab.errors import NotCanonical

# RFC 8785 §3.2.2.3 and RFC 7493 §2.2: integers beyond this are not exact in an ECMAScript number.
_MAX_SAFE_INTEGER = 2**53 - 1

_sorted = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """Return the canonical form of a JSON value.

    Raises NotCanonical for what JSON or an ECMAScript number cannot hold: NaN, lone surrogates, integers beyond 2^53-1,
    keys that are not strings, other Python types, values nested too deeply or within themselves.
    """
    try:
        if _has_one_spelling(value):
            return _sorted.encode(value)
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # rfc8785 checks what its recursive alias describes
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(f"no canonical form: {error}") from error


def _has_one_spelling(value: object) -> bool:
    """Say whether plain sorted encoding gives the same bytes as RFC 8785.

    The two differ in the spelling of floating-point numbers, in what they make of other types, and in the order of keys:
    code points here, UTF-16 units there, which agree on ASCII. Strings are escaped alike.
    Exact types: a subclass may be encoded as something else.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        return all(
            type(key) is str and key.isascii() and _has_one_spelling(member)
            for key, member in value.items()  # type: ignore[attr-defined]  # narrowed by exact type, which mypy does not follow
        )
    if kind is list:
        return all(map(_has_one_spelling, value))  # type: ignore[call-overload]  # as above
    if kind is int:
        return -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER  # type: ignore[operator]  # as above
    return False
