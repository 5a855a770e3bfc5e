"""Keys and their spelling, and the test a process makes of its own cryptography."""

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from node.sealing import bech32, recipients, self_test, selftest
from node.sealing.errors import InvalidIdentity, InvalidRecipient, SealingUnusable
from node.sealing.recipients import (
    generate_identity,
    identity_from_seed,
    is_hybrid_recipient,
    read_identity,
    recipient_of,
    require_hybrid,
)


def test_a_seed_of_another_length_makes_no_identity() -> None:
    with pytest.raises(InvalidIdentity):
        identity_from_seed(bytes(31))


def test_a_classical_identity_is_refused() -> None:
    with pytest.raises(InvalidIdentity):
        read_identity(bech32.encode("age-secret-key-", bytes(32)).upper())


def test_bech32_with_bits_left_over_is_refused() -> None:
    words = [0, 1]
    check = bech32._polymod([*bech32._expand("age"), *words, *([0] * 6)]) ^ 1
    words += [(check >> 5 * (5 - at)) & 31 for at in range(6)]

    with pytest.raises(ValueError):
        bech32.decode("age1" + "".join(bech32.CHARSET[word] for word in words))


def test_an_identity_does_not_show_itself() -> None:
    identity = generate_identity()

    assert repr(identity) == "Identity(…)"
    assert str(identity) not in f"{[identity]!r}"
    assert read_identity(str(identity)) == identity


def test_a_recipient_that_is_not_hybrid_is_none() -> None:
    recipient = recipient_of(generate_identity())

    assert is_hybrid_recipient(recipient)
    assert not is_hybrid_recipient("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
    assert not is_hybrid_recipient(recipient + recipient)
    with pytest.raises(InvalidRecipient):
        require_hybrid(bech32.encode("age1pq", bytes(1215)))


def test_a_recipient_whose_ml_kem_part_is_no_key_is_refused() -> None:
    # FIPS 203 §7.2: coefficients must be reduced.
    assert not is_hybrid_recipient(bech32.encode("age1pq", b"\xff" * 1216))


@given(st.binary(max_size=100), st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=10))
def test_bech32_reads_what_it_writes(data: bytes, prefix: str) -> None:
    text = bech32.encode(prefix, data)

    assert bech32.decode(text) == (prefix, data)
    assert bech32.decode(text.upper()) == (prefix, data)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_bech32_refuses_every_single_mistake(data: bytes, draw: st.DataObject) -> None:
    text = bech32.encode("age", data)
    at = draw.draw(st.integers(4, len(text) - 1))
    other = draw.draw(st.sampled_from(bech32.CHARSET.replace(text[at], "")))

    with pytest.raises(ValueError):
        bech32.decode(text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize(
    "text", ["", "1", "age1", "1qqqqqqqq", "Age1qqqqqq", "age1bbbbbb", "a e1qqqqqqqqqqq"]
)
def test_bech32_refuses_what_has_another_shape(text: str) -> None:
    with pytest.raises(ValueError):
        bech32.decode(text)


def test_the_cryptography_at_hand_can_seal() -> None:
    self_test()


def test_a_build_without_ml_kem_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(seed: bytes) -> None:
        raise UnsupportedAlgorithm("ML-KEM-768 is not supported by this backend")

    monkeypatch.setattr(MLKEM768PrivateKey, "from_seed_bytes", unsupported, raising=False)

    with pytest.raises(SealingUnusable):
        self_test()


def test_a_build_that_opens_to_other_bytes_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([b"", selftest._PLAINTEXT, b""])
    monkeypatch.setattr(selftest, "open_sealed", lambda sealed, identity: next(answers))

    for _ in range(2):
        with pytest.raises(SealingUnusable):
            self_test()


def test_a_build_that_derives_other_keys_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    expand = recipients._expand
    monkeypatch.setattr(recipients, "_expand", lambda seed: expand(seed[::-1]))

    with pytest.raises(SealingUnusable):
        self_test()
