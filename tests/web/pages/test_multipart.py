"""The form parser: what is not a form is refused; what is one reads the same however the network cut it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Invalid
from web.pages.multipart import MAX_HEADER_BYTES, MAX_PARTS, Begin, Data, MultipartParser

B = b"----fictional"
FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n'


def read(parser: MultipartParser, whole: bytes, step: int) -> list[tuple[Begin, bytes]]:
    fields: list[tuple[Begin, bytes]] = []
    for at in range(0, len(whole), step):
        for event in parser.feed(whole[at : at + step]):
            if isinstance(event, Begin):
                fields.append((event, b""))
            elif isinstance(event, Data):
                begin, seen = fields[-1]
                fields[-1] = begin, seen + event.content
    return fields


def written(fields: list[tuple[str, str | None, bytes]]) -> bytes:
    out = b""
    for name, filename, content in fields:
        out += b"--" + B + b'\r\nContent-Disposition: form-data; name="' + name.encode() + b'"'
        if filename is not None:
            out += b'; filename="' + filename.encode() + b'"\r\nContent-Type: Application/PDF'
        out += b"\r\n\r\n" + content + b"\r\n"
    return out + b"--" + B + b"--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"not a form at all, and long enough to tell",
        b"\r\n--" + B + b"\r\n" + FIELD,
        b"--" + B + b"x" + FIELD,
        b"--" + B + b"\r\nContent-Type: text/plain\r\n\r\nx",
        b"--" + B + b'\r\nContent-Disposition: attachment; name="a"\r\n\r\n',
        b"--" + B + b"\r\nContent-Disposition: form-data\r\n\r\n",
        b"--" + B + b'\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n',
        b"--" + B + b"\r\n" + b"a" * MAX_HEADER_BYTES,
        (b"--" + B + b"\r\n" + FIELD + b"\r\n") * (MAX_PARTS + 1),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_what_is_not_a_form_is_refused(body: bytes, step: int) -> None:
    with pytest.raises(Invalid):
        read(MultipartParser(B), body, step)


def test_a_form_that_breaks_off_is_not_whole() -> None:
    whole = written([("a", None, b"x")])
    for end in range(len(whole) - 4):
        parser = MultipartParser(B)
        read(parser, whole[:end], 5)
        assert not parser.is_whole


def test_names_are_read_as_browsers_write_them() -> None:
    whole = written([("a%22b", "ré%22sumé.pdf", b"")])

    ((begin, content),) = read(MultipartParser(B), whole, 3)

    assert begin == Begin('a"b', 'ré"sumé.pdf', "application/pdf")
    assert content == b""


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from([None, "f"]),
            st.binary(max_size=60)
            | st.sampled_from(
                [b"\r\n", b"\r\n--", b"\r\n--" + B[:-1], b"--" + B, b"\r\r\n--" + B[:3], b"\n\n"]
            ),
        ),
        max_size=4,
    ),
    st.integers(1, 50),
)
def test_a_form_reads_the_same_however_it_is_cut(
    fields: list[tuple[str, str | None, bytes]], step: int
) -> None:
    parser = MultipartParser(B)

    found = read(parser, written(fields), step)

    assert parser.is_whole
    assert [(begin.name, begin.filename, content) for begin, content in found] == fields


@given(st.binary(max_size=300), st.integers(1, 20))
def test_bytes_at_random_never_do_worse_than_a_refusal(body: bytes, step: int) -> None:
    with contextlib.suppress(Invalid):
        read(MultipartParser(B), b"--" + B + body, step)


def test_memory_stays_at_one_chunk() -> None:
    parser = MultipartParser(B)
    read(parser, b"--" + B + b"\r\n" + FIELD, 1000)

    longest = 0
    for _ in range(64):
        for event in parser.feed(b"\r" * 65_536):
            longest = max(longest, len(event.content)) if isinstance(event, Data) else longest

    assert len(parser._buffer) < 100
    assert longest <= 65_536 + 100
