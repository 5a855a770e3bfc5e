"""Keys: what is refused, what every peer reads, and that nothing private shows."""

import base64
import copy
import csv
import io
import pickle

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from federation import keys
from federation.errors import InvalidKey
from federation.keys import Algorithm, read_multibase, read_pem
from tests.federation import vectors
from tests.rig.keys import ed25519_key, rsa_key

KEY_ID = "https://a.example/actors/cases#main-key"


def pem_of(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("bits", [1024, 2047])
def test_an_rsa_key_that_is_too_short_is_refused(bits: int) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    with pytest.raises(InvalidKey, match="bits"):
        read_pem(pem_of(short))
    with pytest.raises(InvalidKey):
        read_multibase(keys.VerifyingKey(short.public_key()).multibase)
    with pytest.raises(InvalidKey, match="bits"):
        keys.load_private_key(keys.PrivateKey(short).to_pem())


def test_an_rsa_key_that_is_too_long_is_refused() -> None:
    # Any odd number of that length will do: it is refused before anybody multiplies with it.
    public = rsa.RSAPublicNumbers(e=65537, n=(1 << 8199) + 1).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(InvalidKey, match="bits"):
        read_pem(pem)


def test_an_rsa_key_with_an_absurd_exponent_is_refused() -> None:
    honest = rsa_key("a").public.key
    assert isinstance(honest, rsa.RSAPublicKey)
    public = rsa.RSAPublicNumbers(e=(1 << 1024) + 1, n=honest.public_numbers().n).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(InvalidKey, match="exponent"):
        read_pem(pem)


def test_a_dsa_key_is_refused() -> None:
    with pytest.raises(InvalidKey):
        read_pem(pem_of(dsa.generate_private_key(key_size=1024)))  # noqa: S505  # quick to make, and refused


def test_a_key_on_a_nist_curve_is_refused() -> None:
    with pytest.raises(InvalidKey):
        read_pem(pem_of(ec.generate_private_key(ec.SECP256R1())))


def test_two_keys_in_one_pem_are_refused() -> None:
    with pytest.raises(InvalidKey, match="exactly one"):
        read_pem(rsa_key("a").public.pem + rsa_key("b").public.pem)


def test_a_private_key_is_not_read_as_a_public_one() -> None:
    with pytest.raises(InvalidKey, match="not a public key"):
        read_pem(rsa_key("a").to_pem().decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\né\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----" + "A" * 20_000,
        # A lenient reader would find the key in these.
        "words before\n" + rsa_key("a").public.pem,
        rsa_key("a").public.pem + "words after\n" * 400,
    ],
)
def test_what_is_no_pem_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        read_pem(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z",
        "z0OIl",
        "f00",
        "u====",
        "z6Mk" + "1" * 3000,
        "u" + base64.urlsafe_b64encode(keys.RSA_PUB + b"\0" * 1600).decode().rstrip("="),
        keys.multikey_encode(keys.ED25519_PUB, b"\x01" * 31),
        keys.multikey_encode(keys.ED25519_PUB, b"\x01" * 33),
        keys.multikey_encode(keys.RSA_PUB, b"\x01" * 300),
        keys.multikey_encode(b"\x80\x24", b"\x02" + b"\x01" * 32),
    ],
)
def test_what_is_no_multikey_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        read_multibase(text)


def test_an_rsa_multikey_with_bytes_after_the_key_is_refused() -> None:
    _, raw = keys.multikey_decode(rsa_key("a").public.multibase)

    with pytest.raises(InvalidKey):
        read_multibase(keys.multikey_encode(keys.RSA_PUB, raw + b"\0"))


@pytest.mark.parametrize("name", ["FEP-521a", "W3C CID 1.0 appendix"])
def test_published_multikeys_are_read_or_refused_by_their_kind(name: str) -> None:
    for case in vectors.load("multibase/multikey.json"):
        if case["source"] != name or "hex" not in case:
            continue
        text = case.get("publicKeyMultibase") or case["multikey"]["publicKeyMultibase"]
        if case["multicodec"] not in ("0xed01", "0x8524"):
            with pytest.raises(InvalidKey):
                read_multibase(text)
            continue
        prefix, raw = keys.multikey_decode(text)
        assert raw.hex() == case["hex"]
        assert prefix.hex() == case["multicodec"].removeprefix("0x")
        assert read_multibase(text).multibase == text


@pytest.mark.parametrize("name", ["basic", "leading_zero", "two_leading_zeros"])
def test_published_multibase_texts_decode(name: str) -> None:
    rows = dict(csv.reader(io.StringIO(vectors.text(f"multibase/{name}.csv")), skipinitialspace=True))
    rows.pop("encoding", None)
    decoded = {keys.multibase_decode(rows[base].strip()) for base in ("base58btc", "base64url")}

    assert decoded == {b"\0" * {"basic": 0, "leading_zero": 1, "two_leading_zeros": 2}[name] + b"yes mani !"}


@given(st.binary(max_size=80))
def test_base58_reads_what_it_writes(data: bytes) -> None:
    assert keys.base58_decode(keys.base58_encode(data)) == data


@pytest.mark.parametrize("key", [rsa_key("a"), ed25519_key("a")], ids=["rsa", "ed25519"])
def test_a_key_verifies_what_it_signed_and_nothing_else(key: keys.PrivateKey) -> None:
    signature = key.signer(KEY_ID).sign(b"words")

    for public in (key.public, read_pem(key.public.pem), read_multibase(key.public.multibase)):
        assert public.verify(signature, b"words")
        assert not public.verify(signature, b"other words")
        assert not public.verify(signature[:-1], b"words")
        assert not public.verify(b"", b"words")
        assert not public.verify_pss(signature, b"words")


@pytest.mark.parametrize("key", [rsa_key("a"), ed25519_key("a")], ids=["rsa", "ed25519"])
def test_a_key_comes_back_from_its_pem(key: keys.PrivateKey) -> None:
    again = keys.load_private_key(key.to_pem())

    assert again.public.multibase == key.public.multibase


def test_a_key_that_was_sealed_opens_with_its_passphrase_alone() -> None:
    key = ed25519_key("a")
    pem = key.to_pem("between us")

    assert keys.load_private_key(pem, "between us").public.multibase == key.public.multibase
    for other in ("", "between others"):
        with pytest.raises(InvalidKey):
            keys.load_private_key(pem, other)
    with pytest.raises(InvalidKey):
        keys.load_private_key(key.to_pem(), "between us")


def test_a_private_key_of_another_kind_is_not_loaded() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(InvalidKey):
        keys.load_private_key(pem)
    with pytest.raises(InvalidKey):
        keys.load_private_key(b"nothing")
    with pytest.raises(InvalidKey):
        keys.private_key_from_seed(b"short")


def test_new_keys_are_of_the_kinds_asked_for() -> None:
    assert keys.generate_rsa().public.algorithm is Algorithm.RSA
    assert keys.generate_ed25519().public.algorithm is Algorithm.ED25519
    assert keys.generate_ed25519().public.multibase.startswith("z6Mk")


@pytest.mark.parametrize(("salt", "holds"), [(64, True), (32, False), (0, False)])
def test_pss_has_a_salt_of_64_bytes(salt: int, holds: bool) -> None:
    """RFC 9421 §3.3.1."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    sha512 = hashes.SHA512()
    signature = private.sign(b"words", padding.PSS(mgf=padding.MGF1(sha512), salt_length=salt), sha512)

    assert read_pem(pem_of(private)).verify_pss(signature, b"words") is holds


def test_a_key_read_twice_is_one_object() -> None:
    assert read_pem(rsa_key("a").public.pem) is read_pem(rsa_key("a").public.pem)
    assert read_multibase(ed25519_key("a").public.multibase) is read_multibase(
        ed25519_key("a").public.multibase
    )


@pytest.mark.parametrize("key", [rsa_key("a"), ed25519_key("a")], ids=["rsa", "ed25519"])
def test_a_signer_shows_its_key_id_only_and_cannot_be_taken_away(key: keys.PrivateKey) -> None:
    signer = key.signer(KEY_ID)

    assert repr(signer) == f"Signer(key_id={KEY_ID!r})"
    assert repr(key) == "PrivateKey(…)"
    for thing in (signer, key):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.copy(thing)


@pytest.mark.parametrize("text", ["u!!!", "uQQ=", "uQR", "u" + "A" * 5])
def test_base64url_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        keys.multibase_decode(text)


def test_a_key_longer_than_any_is_refused_before_it_is_decoded() -> None:
    """Base58 takes a time that grows with the square of the length."""
    assert len(keys.multibase_decode("z" + "1" * (keys.MAX_MULTIBASE_CHARACTERS - 1))) > 0
    with pytest.raises(InvalidKey, match="length"):
        keys.multibase_decode("z" + "1" * keys.MAX_MULTIBASE_CHARACTERS)


def test_an_rsa_multikey_that_holds_the_key_in_another_form_is_refused() -> None:
    spki = rsa_key("a").public.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(InvalidKey, match="PKCS"):
        read_multibase(keys.multikey_encode(keys.RSA_PUB, spki))


def test_an_rsa_multikey_that_holds_another_kind_of_key_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(InvalidKey, match="PKCS"):
        read_multibase(keys.multikey_encode(keys.RSA_PUB, spki))
