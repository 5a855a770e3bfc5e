"""Structured fields: the grammar, strictly, and a repeated key is no key."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import structured
from federation.structured import (
    NotStructured,
    parse_byte_dictionary,
    parse_list_dictionary,
    write_parameters,
)


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"sig1",
        b"Sig1=:AA==:",
        b"sig1=:AA==:,",
        b"sig1=:AA==: sig2=:AA==:",
        b"sig1=:AA==:, sig1=:AA==:",
        b"sig1=:A:",
        b"sig1=:AB==:",
        b"sig1=:AA=",
        b"sig1=token",
        b"sig1=:AA==:;",
        b"sig1=:AA==:;a=1;a=2",
        b"sig1=:\xc3\xa9:",
        b", ".join(b"s%d=:AA==:" % number for number in range(9)),
        b"sig1=:" + b"AAAA" * 4000 + b":",
        b"\tsig1=:AA==:",
        b"sig1=:AA==:,\nsig2=:AA==:",
        b"sig1=:AA==:;" + b";".join(b"p%d" % number for number in range(33)),
    ],
)
def test_what_is_no_dictionary_of_bytes_is_refused(field: bytes) -> None:
    with pytest.raises(NotStructured):
        parse_byte_dictionary(field)


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"sig1=()x",
        b"sig1=(",
        b'sig1=("a""b")',
        b'sig1=("a" b)',
        b"sig1=(1)",
        b'sig1=("a\tb")',
        b'sig1=("a" "b"',
        b"sig1=:AA==:",
        b"sig1=();created=",
        b"sig1=();created=1.5",
        b"sig1=();created=1;created=2",
        b"sig1=();Created=1",
        b"sig1=();created=99999999999999999",
        b"sig1=(), sig1=()",
        b"sig1=(" + b'"a" ' * 40 + b")",
        b'sig1=("' + b"a" * 1023 + b'")',
        b", ".join(b"s%d=()" % number for number in range(9)),
    ],
)
def test_what_is_no_dictionary_of_lists_is_refused(field: bytes) -> None:
    with pytest.raises(NotStructured):
        parse_list_dictionary(field)


def test_inner_lists_are_read_with_their_parameters() -> None:
    field = b'a=("x"  "y";req );created=-5;keyid="k \\"q\\" \\\\";b;t=token/x;o=?0;n=:AA==: , b=()'

    members = parse_list_dictionary(field)

    assert members["a"].items == (("x", False), ("y", True))
    assert members["a"].parameters == {
        "created": -5,
        "keyid": 'k "q" \\',
        "b": True,
        "t": "token/x",
        "o": False,
        "n": b"\0",
    }
    assert members["b"].items == ()


def test_parameters_are_written_as_they_were_read() -> None:
    text = ';created=-5;keyid="k \\"q\\" \\\\";b;t=token/x;o=?0;n=:AA==:'

    members = parse_list_dictionary(b"a=()" + text.encode())

    assert write_parameters(members["a"].parameters) == text


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)


@given(st.dictionaries(st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True), printable, max_size=6))
def test_any_string_parameter_survives(parameters: dict[str, str]) -> None:
    field = b"a=()" + write_parameters(parameters).encode()

    assert parse_list_dictionary(field)["a"].parameters == parameters


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(field: bytes) -> None:
    for parse in (parse_byte_dictionary, parse_list_dictionary):
        with contextlib.suppress(structured.NotStructured):
            parse(field)
