"""RFC 9421: each rule of the inbound policy says no, then the vectors, then what peers really send."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from federation import signatures, structured
from federation.checks import find_fields
from federation.digests import BodyDigest
from federation.keys import VerifyingKey, read_pem
from federation.requests import Dialect, Reason, Refused, SignedRequest, Verified
from federation.verification import Presented, read_signature, verify
from tests.federation import vectors
from tests.federation.requests_to_us import (
    BODY,
    ED25519,
    KEY_ID,
    NOW,
    ORIGIN,
    RSA,
    TYPE,
    changed,
    judge,
    reason,
    rfc9421_signed,
    signed,
)

SECONDS = int(NOW.timestamp())
PARAMETERS = f';created={SECONDS};keyid="{KEY_ID}"'
ALL = '"@method" "@target-uri" "content-digest"'


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ("", "thin-coverage"),
        ('"@method" "@target-uri"', "thin-coverage"),
        ('"@target-uri" "content-digest"', "thin-coverage"),
        ('"@method" "content-digest"', "thin-coverage"),
        ('"@method" "@authority" "content-digest"', "thin-coverage"),
        ('"@method" "@path" "@query" "content-digest"', "thin-coverage"),
        ('"@method" "@request-target" "content-digest"', "thin-coverage"),
        (f'{ALL} "@method"', "duplicate"),
        (f'{ALL} "@status"', "unknown-component"),
        (f'{ALL} "@query-param";name="a"', "unknown-component"),
        ('"@method";req "@target-uri" "content-digest"', "unknown-component"),
        ('"@method" "@target-uri" "content-digest";bs', "unknown-component"),
        ('"@method" "@target-uri" "content-digest";sf', "unknown-component"),
        ('"@method" "@target-uri" "content-digest";tr', "unknown-component"),
        (f'{ALL} "Date"', "unknown-component"),
        (f'{ALL} "x-absent"', "malformed"),
    ],
)
def test_a_signature_that_covers_too_little_or_the_unknown_is_refused(components: str, expected: str) -> None:
    assert reason(judge(rfc9421_signed(components))) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (f';keyid="{KEY_ID}"', "no-time"),
        (f';created=soon;keyid="{KEY_ID}"', "malformed"),
        (f';created=-1;keyid="{KEY_ID}"', "no-time"),
        (f';created="{SECONDS}";keyid="{KEY_ID}"', "malformed"),
        (f";created={SECONDS}", "malformed"),
        (f';created={SECONDS};keyid=""', "malformed"),
        (f";created={SECONDS};keyid=token", "malformed"),
        (f";created={SECONDS};keyid=:AA==:", "malformed"),
        (f'{PARAMETERS};keyid="other"', "malformed"),
        (f';created={SECONDS - 3901};keyid="{KEY_ID}"', "stale"),
        (f';created={SECONDS + 3601};keyid="{KEY_ID}"', "future"),
        (f"{PARAMETERS};expires={SECONDS - 3601}", "expired"),
        (f"{PARAMETERS};expires={SECONDS - 1}", "verified"),
        (f"{PARAMETERS};expires={SECONDS + 2 * 86400}", "verified"),
        (f"{PARAMETERS};expires={SECONDS + 10 * 365 * 86400}", "overlong"),
        (f"{PARAMETERS};expires=?1", "malformed"),
        (f'{PARAMETERS};expires="{SECONDS + 60}"', "malformed"),
        (f"{PARAMETERS};alg=rsa-v1_5-sha256", "malformed"),
        (f"{PARAMETERS};nonce=1", "malformed"),
        (f"{PARAMETERS};nonce=token", "malformed"),
        (f"{PARAMETERS};tag=1", "malformed"),
        (f'{PARAMETERS};alg="hmac-sha256"', "algorithm"),
        (f'{PARAMETERS};alg="ecdsa-p256-sha256"', "algorithm"),
        (f'{PARAMETERS};alg="ed25519"', "algorithm"),
        (f'{PARAMETERS};alg="rsa-pss-sha512"', "bad-signature"),
        (f'{PARAMETERS};alg="rsa-v1_5-sha256";expires={SECONDS + 60};nonce="n";tag="t"', "verified"),
        (f"{PARAMETERS};unknown", "verified"),
    ],
)
def test_the_parameters_are_kept_to(parameters: str, expected: str) -> None:
    assert reason(judge(rfc9421_signed(ALL, parameters))) == expected


def test_an_algorithm_that_disagrees_with_an_ed25519_key_is_refused() -> None:
    request = rfc9421_signed(ALL, f'{PARAMETERS};alg="rsa-v1_5-sha256"', signer=ED25519)

    assert reason(judge(request, signer=ED25519)) == "algorithm"


def test_two_acceptable_signatures_are_one_too_many() -> None:
    one, two = rfc9421_signed(label="sig1"), rfc9421_signed(label="sig2", signer=ED25519)
    fields, others = dict(one.headers), dict(two.headers)
    request = changed(
        one,
        signature_input=fields[b"signature-input"] + b", " + others[b"signature-input"],
        signature=fields[b"signature"] + b", " + others[b"signature"],
    )

    assert reason(judge(request)) == "several-signatures"


def test_a_thin_signature_beside_a_good_one_lends_it_no_identity() -> None:
    good = rfc9421_signed(label="sig2")
    fields = dict(good.headers)
    thin = f'sig1=();created={SECONDS};keyid="https://victim.example/users/alice#main-key", '.encode()
    request = changed(
        good,
        signature_input=thin + fields[b"signature-input"],
        signature=b"sig1=:AAAA:, " + fields[b"signature"],
    )

    outcome = judge(request)

    assert isinstance(outcome, Verified)
    assert outcome.key_id == KEY_ID


def test_a_label_without_its_signature_is_refused() -> None:
    fields = dict(rfc9421_signed().headers)
    relabelled = fields[b"signature"].replace(b"sig1", b"sig2")

    assert reason(judge(changed(rfc9421_signed(), signature=relabelled))) == "malformed"
    assert reason(judge(changed(rfc9421_signed(), signature=None))) == "malformed"


def test_a_label_that_comes_twice_is_refused() -> None:
    fields = dict(rfc9421_signed().headers)
    doubled = fields[b"signature-input"] + b', sig1=();created=1;keyid="x"'

    assert reason(judge(changed(rfc9421_signed(), signature_input=doubled))) == "malformed"


def test_a_query_must_be_signed_where_there_is_one() -> None:
    """Without one nothing stays uncovered: apsig 0.6 and bovine 0.5 sign `@authority` and `@path` alone."""
    components = '"@method" "@authority" "@path" "content-digest"'
    signed_without = rfc9421_signed(components)

    assert isinstance(judge(signed_without), Verified)
    for target in ("/inbox?page=1", "/inbox?"):
        assert reason(judge(rfc9421_signed(components, target=target))) == "thin-coverage"
        added = SignedRequest("POST", target.encode(), signed_without.headers, BODY)
        assert reason(judge(added)) == "thin-coverage"


def test_the_request_target_covers_path_and_query() -> None:
    components = '"@method" "@authority" "@request-target" "content-digest"'
    request = rfc9421_signed(components, target="/inbox?page=1")

    assert isinstance(judge(request), Verified)
    for target in (b"/inbox?page=2", b"/inbox", b"/inbox?"):
        other = SignedRequest("POST", target, request.headers, BODY)
        assert reason(judge(other)) == "bad-signature"


def test_the_new_dialect_is_not_given_up_for_the_old() -> None:
    """A broken Signature-Input beside a good signature of the old dialect is refused, never read the other way."""
    assert reason(judge(changed(signed(Dialect.CAVAGE), signature_input=b"sig1=()"))) == "malformed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"signature", "malformed"),
        (b"signature-input", "malformed"),
        (b"host", "duplicate"),
        (b"date", "duplicate"),
        (b"content-digest", "duplicate"),
        (b"content-type", "duplicate"),
    ],
)
def test_a_header_or_a_label_that_may_come_once_and_comes_twice_is_refused(
    name: bytes, expected: str
) -> None:
    request = rfc9421_signed('"@method" "@authority" "@path" "@query" "content-digest"')
    value = dict(request.headers)[name]

    doubled = SignedRequest("POST", b"/inbox", [(name, value), *request.headers], BODY)
    assert reason(judge(doubled)) == expected


def in_lines_of_their_own(*requests: SignedRequest) -> SignedRequest:
    """The first request, with the signatures of all of them, each in lines of its own."""
    lines = [
        (name, value)
        for request in requests
        for name, value in request.headers
        if name in (b"signature", b"signature-input")
    ]
    bare = changed(requests[0], signature=None, signature_input=None)
    return SignedRequest("POST", b"/inbox", [*bare.headers, *lines], BODY)


def test_signatures_may_come_in_lines_of_their_own() -> None:
    """RFC 9651 §4.2: a dictionary may be split over lines. One of these signs for us, the other is a proxy's."""
    ours, proxy = rfc9421_signed(label="sig1"), rfc9421_signed('"@authority"', label="proxy")

    for order in ((ours, proxy), (proxy, ours)):
        outcome = judge(in_lines_of_their_own(*order))
        assert isinstance(outcome, Verified)
        assert outcome.key_id == KEY_ID


def test_lines_of_their_own_make_no_second_signature_acceptable() -> None:
    one, two = rfc9421_signed(label="sig1"), rfc9421_signed(label="sig2", signer=ED25519)

    assert reason(judge(in_lines_of_their_own(one, two))) == "several-signatures"
    assert (
        reason(judge(in_lines_of_their_own(one, rfc9421_signed(label="sig1", signer=ED25519)))) == "malformed"
    )
    old = (b"signature", dict(signed(Dialect.CAVAGE).headers)[b"signature"])
    assert reason(judge(SignedRequest("POST", b"/inbox", [*one.headers, old], BODY))) == "malformed"


def test_a_header_that_is_named_like_a_derived_component_does_not_replace_it() -> None:
    request = rfc9421_signed()
    spoofed = [*request.headers, (b"@method", b"POST"), (b"@target-uri", b"https://node.example/inbox")]

    assert reason(judge(SignedRequest("POST", b"/other", spoofed, BODY))) == "bad-signature"


def test_forwarding_headers_do_not_say_where_we_are() -> None:
    request = changed(
        rfc9421_signed(),
        host=b"other.example",
        x_forwarded_host=b"node.example",
        forwarded=b"host=node.example",
    )

    assert reason(judge(request)) == "other-host"


def test_a_default_port_in_the_host_is_no_part_of_the_authority() -> None:
    """RFC 9421 §2.2.3."""
    request = changed(
        rfc9421_signed('"@method" "@authority" "@path" "content-digest"'), host=b"Node.example:443"
    )

    assert reason(judge(request)) == "verified"


@pytest.mark.parametrize("fold", [b"\r\n ", b"\n ", b"\r "])
def test_a_folded_header_is_refused(fold: bytes) -> None:
    request = rfc9421_signed(f'{ALL} "x-more"', headers=[(b"x-more", b"a" + fold + b"b")])

    assert reason(judge(request)) == "malformed"


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", b"/inbox"), ("POST", b"/inbox?"), ("POST", b"/inbox/"), ("POST", b"/inbox?page=1")],
)
def test_a_signature_for_another_method_or_target_is_refused(method: str, target: bytes) -> None:
    request = rfc9421_signed()

    assert reason(judge(SignedRequest(method, target, request.headers, BODY))) == "bad-signature"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (BodyDigest.of(b"other").content_digest, "digest-mismatch"),
        (b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:", "digest-missing"),
        (BodyDigest.of(BODY).content_digest + b", sha-512=:AAAA:", "digest-mismatch"),
        (BodyDigest.of(BODY).content_digest.upper(), "malformed"),
    ],
)
def test_a_digest_that_is_not_the_bodys_is_refused(field: bytes, expected: str) -> None:
    assert reason(judge(changed(rfc9421_signed(), content_digest=field))) == expected


def test_a_bad_legacy_digest_beside_a_good_one_is_refused() -> None:
    assert (
        reason(judge(changed(rfc9421_signed(), digest=BodyDigest.of(b"other").digest))) == "digest-mismatch"
    )


def test_an_encoded_body_is_refused() -> None:
    assert reason(judge(changed(rfc9421_signed(), content_encoding=b"gzip"))) == "encoded-body"


def test_a_signature_by_another_key_is_refused() -> None:
    assert reason(judge(rfc9421_signed(), signer=ED25519)) == "bad-signature"


@pytest.mark.parametrize("dialect", [Dialect.RFC9421, Dialect.RFC9421_ED25519])
def test_what_we_send_is_accepted_and_says_how_it_was_signed(dialect: Dialect) -> None:
    signer = RSA if dialect is Dialect.RFC9421 else ED25519

    outcome = judge(signed(dialect), signer=signer)

    assert isinstance(outcome, Verified)
    assert (outcome.key_id, outcome.dialect, outcome.created) == (KEY_ID, dialect, NOW)


def test_the_parts_of_the_target_may_stand_for_the_whole() -> None:
    request = rfc9421_signed(
        '"@method" "@authority" "@path" "@query" "@scheme" "@request-target" "content-digest" "date"',
        target="/inbox?a=b",
    )

    assert reason(judge(request)) == "verified"


def test_a_nonce_is_handed_on() -> None:
    presented = read_signature(rfc9421_signed(ALL, f'{PARAMETERS};nonce="n1"'))

    assert isinstance(presented, Presented)
    assert presented.nonce == "n1"


def test_what_we_send_names_its_algorithm_and_covers_the_type() -> None:
    headers = dict(
        signatures.sign(
            "POST", f"{ORIGIN}/inbox", signer=ED25519, now=NOW, digest=BodyDigest.of(BODY), content_type=TYPE
        )
    )

    assert headers[b"signature-input"] == (
        f'sig1=("@method" "@target-uri" "content-digest" "content-type");created={SECONDS};keyid="{KEY_ID}";alg="ed25519"'.encode()
    )


def test_the_published_signature_bases_and_signatures_verify() -> None:
    published = vectors.load("rfc9421/appendix-b.json")
    tried = 0
    for case in published["cases"]:
        message = case["message"]
        message = published["messages"][message] if isinstance(message, str) else message
        if message["kind"] != "request" or case["alg"] not in (
            "ed25519",
            "rsa-pss-sha512",
            "rsa-v1_5-sha256",
        ):
            continue
        outcome = bare_check(case, message)
        if outcome is None:
            continue
        tried += 1
        assert outcome == case["valid"], case["id"]
    assert tried >= 8


def bare_check(case: dict[str, Any], message: dict[str, Any]) -> bool | None:
    """Whether the signature is good, without any policy; None for what is refused unread (a query parameter)."""
    headers = [(name.lower().encode(), value.encode()) for name, value in message["headers"]]
    fields, _ = find_fields(headers)
    inputs = structured.parse_list_dictionary(
        case.get("signature_input", "").encode() or fields[b"signature-input"]
    )
    given = case.get("signature", "").encode() or fields[b"signature"]
    members = inputs[case["label"]]
    if any(has_parameters for _, has_parameters in members.items):
        return None
    request = SignedRequest(message["method"], message["target"].encode(), headers, message["body"].encode())
    names = [name for name, _ in members.items]
    inner = " ".join(f'"{name}"' for name in names)
    base = signatures.signature_base(
        names,
        f"({inner}){structured.write_parameters(members.parameters)}",
        request,
        fields=fields,
        origin=message["target_uri"].removesuffix(message["target"]),
    )
    if not isinstance(base, bytes):
        return False
    if case["valid"] and "signature_base" in case:
        assert base.decode() == case["signature_base"], case["id"]
    pem = vectors.text(f"rfc9421/keys/{case['keyid']}.pub.pem").encode()
    key = VerifyingKey(load_pem_public_key(pem))  # type: ignore[arg-type]  # only the bytes are compared here
    check = key.verify_pss if case["alg"] == "rsa-pss-sha512" else key.verify
    return check(structured.parse_byte_dictionary(given)[case["label"]], base)


def test_requests_as_mastodon_judges_them() -> None:
    published = vectors.load("mastodon-signatures/http-signatures.json")
    now = datetime.fromisoformat(published["now"]).astimezone(UTC)
    for case in published["cases"]:
        if "inaccessible key" in case["name"]:
            continue  # about fetching the key, not about the request
        pem = vectors.text(f"mastodon-signatures/{case['key']}.pub.pem")
        headers = [(name.lower().encode(), value.encode()) for name, value in case["headers"].items()]
        target = case["url"].removeprefix("https://www.example.com").encode()
        request = SignedRequest(case["method"], target, headers, case["body"].encode())
        outcome = judge_with(pem, request, now)

        assert (outcome == "verified") == case["mastodon_accepts"], (json.dumps(case["name"]), outcome)


def judge_with(pem: str, request: SignedRequest, now: datetime) -> str:
    presented = read_signature(request)
    if isinstance(presented, Refused):
        return presented.reason
    return reason(verify(presented, request, read_pem(pem), now=now, origin="https://www.example.com"))


def test_a_signature_with_stray_bytes_is_refused() -> None:
    request = rfc9421_signed()
    field = dict(request.headers)[b"signature"]
    signature = base64.b64decode(field.split(b":")[1])
    padded = b"sig1=:" + base64.b64encode(b"\0" + signature) + b":"

    assert reason(judge(changed(request, signature=padded))) == "bad-signature"


def test_a_covered_digest_that_is_not_there_is_refused() -> None:
    assert reason(judge(changed(rfc9421_signed(), content_digest=None))) == "digest-missing"


def test_a_get_without_a_body_needs_no_digest() -> None:
    headers = signatures.sign("GET", f"{ORIGIN}/outbox?page=1", signer=RSA, now=NOW)

    assert reason(judge(SignedRequest("GET", b"/outbox?page=1", headers))) == "verified"
    assert signatures.read_signature(SignedRequest("GET", b"/", [])) == Refused(Reason.MISSING)


def test_a_body_without_a_type_is_signed_without_one() -> None:
    headers = signatures.sign("POST", f"{ORIGIN}/inbox", signer=RSA, now=NOW, digest=BodyDigest.of(BODY))

    assert "content-type" not in dict(headers)[b"signature-input"].decode()
    assert reason(judge(SignedRequest("POST", b"/inbox", headers, BODY))) == "verified"
