"""Shares: enough of them give the secret back, fewer say nothing, and what is misspelt is found."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from node.sealing.shares import (
    SECRET_BYTES,
    Share,
    WrongShares,
    _evaluate,
    _inverse,
    _multiply,
    combine,
    read_share,
    split,
)

SECRETS = some.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
BYTES = some.integers(0, 255)


@pytest.mark.parametrize(("needed", "total"), [(1, 3), (4, 3), (0, 0), (2, 17)])
def test_counts_that_make_no_sense_are_refused(needed: int, total: int) -> None:
    with pytest.raises(ValueError, match="shares"):
        split(bytes(SECRET_BYTES), needed=needed, total=total)


def test_a_secret_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        split(b"short", needed=2, total=3)


@given(SECRETS)
@settings(max_examples=25)
def test_too_few_shares_of_two_secrets_or_one_twice_are_refused(secret: bytes) -> None:
    ours, theirs = split(secret, needed=3, total=5), split(bytes(32), needed=3, total=5)

    for shares in (ours[:2], (ours[0], ours[0], ours[1]), (*ours[:2], theirs[2]), ()):
        with pytest.raises(WrongShares):
            combine(shares)


@given(SECRETS, some.sampled_from([(2, 3), (3, 5), (2, 2)]))
@settings(max_examples=40)
def test_any_that_are_enough_give_the_secret_back(secret: bytes, kind: tuple[int, int]) -> None:
    needed, total = kind
    shares = split(secret, needed=needed, total=total)

    for chosen in combinations(shares, needed):
        assert combine(chosen) == secret
    assert combine(shares) == secret


@given(SECRETS)
@settings(max_examples=25)
def test_a_share_reads_as_it_was_printed_however_it_was_typed(secret: bytes) -> None:
    for share in split(secret, needed=2, total=3):
        text = str(share)
        assert read_share(text) == share
        assert read_share(f"  {text.lower().replace('-', ' ')}\n") == share
        assert read_share(text.replace("O", "0").replace("I", "1").replace("B", "8")) == share


@given(SECRETS, some.data())
@settings(max_examples=60)
def test_one_wrong_letter_is_found(secret: bytes, data: some.DataObject) -> None:
    text = str(split(secret, needed=2, total=3)[0])
    at = data.draw(some.sampled_from([at for at, letter in enumerate(text) if letter != "-"]))
    letter = data.draw(
        some.sampled_from([one for one in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" if one != text[at]])
    )

    with pytest.raises(WrongShares):
        read_share(text[:at] + letter + text[at + 1 :])


@pytest.mark.parametrize("text", ["", "ABCD", "hello world", "A" * 64, "=" * 64, "é" * 64])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(WrongShares):
        read_share(text)


@given(BYTES, some.integers(1, 16))
@settings(max_examples=30)
def test_one_share_of_two_says_nothing_of_the_secret(value: int, number: int) -> None:
    # Whatever the secret byte, each value of the share comes from exactly one coefficient.
    assert sorted(_evaluate((value, coefficient), number) for coefficient in range(256)) == list(range(256))


@given(BYTES, BYTES, BYTES)
def test_the_field_is_a_field(a: int, b: int, c: int) -> None:
    assert _multiply(a, b) == _multiply(b, a)
    assert _multiply(a, _multiply(b, c)) == _multiply(_multiply(a, b), c)
    assert _multiply(a, b ^ c) == _multiply(a, b) ^ _multiply(a, c)
    assert a == 0 or _multiply(a, _inverse(a)) == 1


def test_the_field_is_that_of_aes() -> None:
    # FIPS 197 §4.2: {57} · {83} = {c1}; §4.2.1: {57} · {13} = {fe}.
    assert (_multiply(0x57, 0x83), _multiply(0x57, 0x13)) == (0xC1, 0xFE)


def test_a_share_does_not_show_itself() -> None:
    assert "values" not in repr(Share(2, 1, b"ab", bytes(32)))
