"""RFC 8785: what has no canonical form is refused, and the quick path gives the same bytes as the careful one."""

import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from tests.vocab import vectors
from vocab import canonical as module
from vocab.canonical import canonical
from vocab.errors import NotCanonical


class Shouting(str):
    """A string that is more than a string."""


def _endless() -> object:
    ring: list[object] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        "\ud800",
        {"\udfff": 1},
        2**53,
        -(2**53),
        {"a": [2**60]},
        {1: "a"},
        {None: "a"},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": object()},
        _endless(),
    ],
    ids=range(14),
)
def test_what_json_cannot_hold_has_no_canonical_form(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


@pytest.mark.parametrize("path", vectors.paths("jcs/input/*.json"))
def test_the_published_examples_come_out_byte_for_byte(path: Path) -> None:
    wanted = bytes.fromhex((path.parents[1] / "outhex" / f"{path.stem}.txt").read_text("ascii"))

    assert canonical(json.loads(path.read_text("utf-8"))) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        (
            {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27, -0.0, 1.0]},
            b'{"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0,1]}',
        ),
        # RFC 8785 §3.2.3: by UTF-16 units, so an astral letter comes before U+FB33.
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),
        ('\x00\x1f\x7f\u2028\\"/\b\t\n\f\r', '"\\u0000\\u001f\x7f\u2028\\\\\\"/\\b\\t\\n\\f\\r"'.encode()),
        (Shouting("a"), b'"a"'),
        (True, b"true"),
        ([], b"[]"),
        ((1, 2), b"[1,2]"),
    ],
    ids=range(8),
)
def test_known_answers(value: object, wanted: bytes) -> None:
    assert canonical(value) == wanted


text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=30,
)


@given(json_values)
@example({"\ue000": 1, "\U00010000": 2})
@example([{"a": 10**15, "b": -1}, {"": [True, None, "\x7f"]}])
def test_both_paths_give_the_same_bytes(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(st.characters(codec="ascii")), st.integers(-(2**53) + 1, 2**53 - 1) | text))
def test_the_quick_path_is_taken_for_plain_documents_and_is_equal(value: dict[str, Any]) -> None:
    assert module._has_one_spelling(value)
    assert canonical(value) == rfc8785.dumps(value)


@given(json_values)
def test_canonical_form_is_idempotent(value: Any) -> None:
    once = canonical(value)

    # A whole number beyond 2^53 was a floating-point one, and is read as such, as ECMAScript does.
    again = json.loads(
        once, parse_int=lambda digits: int(digits) if abs(int(digits)) < 2**53 else float(digits)
    )
    assert canonical(again) == once


@given(st.dictionaries(text, json_values, min_size=2))
def test_the_order_of_members_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)
