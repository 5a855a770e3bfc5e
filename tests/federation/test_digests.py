"""Digests: every known one must be the body's, and an unknown one proves nothing."""

import base64
import hashlib

import pytest

from federation.digests import BodyDigest, check_content_digest, check_digest
from federation.requests import Reason
from tests.federation import vectors

BODY = b'{"hello": "world"}'
SHA256 = base64.b64encode(hashlib.sha256(BODY).digest())
SHA512 = base64.b64encode(hashlib.sha512(BODY).digest())
# The same bytes to a lenient reader: the last character has two bits to spare.
STRAY = SHA256[:-2] + bytes([SHA256[-2] + 1]) + b"="
OTHER = base64.b64encode(hashlib.sha512(b"other").digest())


def test_published_digests_are_judged_as_published() -> None:
    for case in vectors.load("rfc9530/digest-values.json"):
        check = check_digest if case["field"] == "Digest" else check_content_digest
        outcome = check(case["value"].encode(), base64.b64decode(case["body_b64"]))
        assert (outcome is None) == case["valid"], case


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"sha-256", Reason.MALFORMED),
        (b"sha-256=abc", Reason.MALFORMED),
        (b"SHA-256=:" + SHA256 + b":", Reason.MALFORMED),
        (b"sha-256=:" + SHA256 + b":, sha-256=:" + SHA256 + b":", Reason.MALFORMED),
        (b"sha-256=:" + SHA256 + b":, sha-512=:" + OTHER + b":", Reason.DIGEST_MISMATCH),
        (b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:", Reason.DIGEST_MISSING),
        (b"unknown=:" + SHA256 + b":", Reason.DIGEST_MISSING),
        (b"sha-256=:" + SHA256[:-4] + b":", Reason.DIGEST_MISMATCH),
        (b"sha-256=:" + STRAY + b":", Reason.MALFORMED),
        (b"sha-256=:" + SHA256 + b":, unknown=5", Reason.MALFORMED),
    ],
)
def test_a_content_digest_is_refused(field: bytes, reason: Reason) -> None:
    assert check_content_digest(field, BODY) is reason


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"SHA-256", Reason.MALFORMED),
        (b"SHA-256=?", Reason.MALFORMED),
        (b"SHA-256=" + STRAY, Reason.MALFORMED),
        (b"SHA-256=" + SHA256 + b"\n", Reason.MALFORMED),
        (b"SHA-256=:" + SHA256 + b":", Reason.MALFORMED),
        (b"SHA-256=" + SHA256[:-4], Reason.DIGEST_MISMATCH),
        (b"SHA-256=" + SHA256 + b",sha-256=" + SHA256, Reason.MALFORMED),
        (b"SHA-512=" + OTHER, Reason.DIGEST_MISMATCH),
        (b"SHA-512=" + SHA256, Reason.DIGEST_MISMATCH),
        (b"MD5=Sd/dVLAcvNLSq16eXua5uQ==", Reason.DIGEST_MISSING),
        (b"SHA-256=" + SHA256 + b",SHA-512=" + OTHER, Reason.DIGEST_MISMATCH),
        (b"SHA-512=" + SHA512 + b",SHA-256=" + SHA256[:-4], Reason.DIGEST_MISMATCH),
    ],
)
def test_a_legacy_digest_is_refused(field: bytes, reason: Reason) -> None:
    assert check_digest(field, BODY) is reason


def test_what_is_sent_is_what_is_accepted() -> None:
    made = BodyDigest.of(BODY)

    assert check_digest(made.digest, BODY) is None
    assert check_content_digest(made.content_digest, BODY) is None


def test_an_unknown_digest_beside_a_good_one_does_not_disturb() -> None:
    assert check_content_digest(b"unknown=:AA==:, sha-512=:" + SHA512 + b":", BODY) is None
    assert check_digest(b"UNIXsum=30637,SHA-256=" + SHA256, BODY) is None


@pytest.mark.parametrize("name", [b"SHA-512", b"sha-512"])
def test_a_legacy_digest_may_be_the_longer_one_alone(name: bytes) -> None:
    """Misskey's signature library writes it so when it is asked to."""
    assert check_digest(name + b"=" + SHA512, BODY) is None
