"""Receipts and vaults against the known answers that the browser checks too."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.sealing.envelope import seal_json
from node.sealing.errors import InvalidReceipt, MalformedContent, NotForThisKey
from node.sealing.receipts import digits_of, entropy_of, new_receipt, read_receipt, source_keys, words_of
from node.sealing.recipients import generate_identity, recipient_of
from node.sealing.vault import derive_login, enrol, open_vault, recovery_identity

KNOWN: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "receipts.json").read_text("utf-8")
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "twelve words; these are 0"),
        ("abandon " * 11, "twelve words; these are 11"),
        ("abandon " * 13, "twelve words; these are 13"),
        ("abandon " * 11 + "solidarité", "Word 12 is not"),
        ("abandon " * 12, "do not belong together"),
        ("1234", "forty of them; these are 4"),
        ("0" * 39 + "1", "do not belong together"),
        ("9" * 40, "do not belong together"),
    ],
)
def test_words_that_are_no_receipt_are_refused_with_a_sentence_that_helps(text: str, sentence: str) -> None:
    with pytest.raises(InvalidReceipt) as refusal:
        read_receipt(text)

    assert sentence in refusal.value.public
    assert "solidarité" not in str(refusal.value)


def test_swapped_words_are_noticed() -> None:
    words = KNOWN["receipts"][4]["words"].split()

    with pytest.raises(InvalidReceipt):
        entropy_of(" ".join([*words[1:], words[0]]))


@pytest.mark.parametrize("known", KNOWN["receipts"])
def test_receipts_derive_to_the_known_answers(known: dict[str, str]) -> None:
    keys = source_keys(known["words"], known["node"])

    assert words_of(bytes.fromhex(known["entropy"])) == known["words"]
    assert entropy_of(known["words"]).hex() == known["entropy"]
    assert digits_of(bytes.fromhex(known["entropy"])) == known["digits"]
    assert read_receipt(known["digits"].replace(" ", "-")) == known["words"]
    assert keys.mailbox_token == known["mailbox_token"]
    assert keys.mailbox == known["mailbox"]
    assert keys.identity == known["identity"]
    assert hashlib.sha256(keys.recipient.encode()).hexdigest() == known["recipient_sha256"]
    assert keys.signing.seed.hex() == known["signing_seed"]
    assert keys.signing.id == known["signing_id"]


def test_recovery_codes_and_passphrases_derive_to_the_known_answers() -> None:
    for known in KNOWN["recovery"]:
        assert recovery_identity(known["words"]) == known["identity"]
    for known in KNOWN["logins"]:
        login = derive_login(known["passphrase"], bytes.fromhex(known["salt"]))
        assert login.auth.hex() == known["auth"]
        assert login.vault_identity == known["vault_identity"]


def test_the_same_words_on_two_nodes_have_nothing_in_common() -> None:
    receipt = new_receipt()

    here, there = source_keys(receipt, "https://a.example"), source_keys(receipt, "https://b.example")

    assert {here.mailbox, here.recipient, here.signing.id}.isdisjoint(
        {there.mailbox, there.recipient, there.signing.id}
    )


def test_a_receipt_and_its_keys_do_not_show_themselves() -> None:
    receipt = new_receipt()
    keys = source_keys(receipt, "https://a.example")

    shown = f"{receipt!r} {keys!r}"

    for secret in (str(receipt), keys.mailbox_token, str(keys.identity), repr(keys.signing.seed)):
        assert secret not in shown


@given(st.binary(min_size=16, max_size=16))
def test_words_read_back_to_the_bytes_they_stand_for(entropy: bytes) -> None:
    receipt = words_of(entropy)

    assert entropy_of(receipt) == entropy
    assert read_receipt("\n ".join(receipt.upper().split())) == receipt


@given(st.binary(min_size=16, max_size=16), st.integers(0, 39), st.integers(1, 9))
def test_a_wrong_digit_and_swapped_neighbours_always_show(entropy: bytes, place: int, more: int) -> None:
    digits = digits_of(entropy).replace(" ", "")
    wrong = digits[:place] + str((int(digits[place]) + more) % 10) + digits[place + 1 :]
    swapped = digits[:place] + digits[place : place + 2][::-1] + digits[place + 2 :]

    assert entropy_of(digits) == entropy
    for slip in {wrong, swapped} - {digits}:
        with pytest.raises(InvalidReceipt):
            entropy_of(slip)


def test_a_vault_opens_with_the_passphrase_and_with_the_recovery_code_alone() -> None:
    new = enrol("six words nobody else would choose")

    login = derive_login("six words nobody else would choose", new.salt)
    wrong = derive_login("six words somebody else would choose", new.salt)

    assert login.auth == new.auth
    assert open_vault(new.vault, login.vault_identity) == new.keys
    assert open_vault(new.recovery_vault, recovery_identity(new.recovery_code)) == new.keys
    assert wrong.auth != new.auth
    with pytest.raises(NotForThisKey):
        open_vault(new.vault, wrong.vault_identity)
    with pytest.raises(NotForThisKey):
        open_vault(new.recovery_vault, login.vault_identity)


@pytest.mark.parametrize("ed25519", ["", "AAAA", "!", 7])
def test_a_vault_with_something_else_inside_is_refused(ed25519: object) -> None:
    identity = generate_identity()
    vault = seal_json({"v": 1, "age": str(identity), "ed25519": ed25519}, recipient_of(identity))

    with pytest.raises(MalformedContent):
        open_vault(vault, identity)
