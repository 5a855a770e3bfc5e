"""The old dialect: each rule of the inbound policy says no, then what peers really send is accepted."""

import base64
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from federation import cavage
from federation.digests import BodyDigest
from federation.keys import VerifyingKey
from federation.requests import SignedRequest, Verified
from tests.federation import vectors
from tests.federation.requests_to_us import (
    BODY,
    ED25519,
    KEY_ID,
    NOW,
    RSA,
    TYPE,
    cavage_signed,
    changed,
    judge,
    reason,
    signed,
)

CREATED = {"algorithm": '"hs2019"', "created": str(int(NOW.timestamp()))}


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        ("(request-target) host date", "thin-coverage"),
        ("(request-target) date digest", "thin-coverage"),
        ("host date digest", "thin-coverage"),
        ("(request-target) host digest", "no-time"),
        ("date", "thin-coverage"),
        ("", "thin-coverage"),
        ("(request-target) host host date digest", "duplicate"),
        ("(request-target) host date digest x-absent", "malformed"),
        ("(request-target) host date digest (created)", "algorithm"),
        ("(request-target) host date digest (expires)", "algorithm"),
        (" ".join(["(request-target) host date digest", *(f"x-{n}" for n in range(29))]), "duplicate"),
    ],
)
def test_a_signature_that_covers_too_little_is_refused(covered: str, expected: str) -> None:
    assert reason(judge(cavage_signed(covered))) == expected


def test_the_default_coverage_of_the_draft_is_too_little() -> None:
    assert reason(judge(cavage_signed("date", without=["headers"]))) == "thin-coverage"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ('"hmac-sha256"', "algorithm"),
        ('"rsa-sha1"', "algorithm"),
        ('"rsa-sha512"', "algorithm"),
        ('"ed25519"', "algorithm"),
        ('""', "algorithm"),
        ('"RSA-SHA256"', "algorithm"),
    ],
)
def test_an_algorithm_that_is_not_spoken_is_refused(algorithm: str, expected: str) -> None:
    assert reason(judge(cavage_signed(parameters={"algorithm": algorithm}))) == expected


def test_an_algorithm_that_disagrees_with_the_key_is_refused() -> None:
    assert reason(judge(cavage_signed(signer=ED25519), signer=ED25519)) == "algorithm"


def test_times_as_parameters_need_hs2019() -> None:
    covered = "(request-target) host (created) digest"
    created = {"created": CREATED["created"]}

    assert reason(judge(cavage_signed(covered, parameters=created))) == "algorithm"
    assert reason(judge(cavage_signed(covered, parameters=created, without=["algorithm"]))) == "algorithm"
    assert reason(judge(cavage_signed(covered, parameters=CREATED))) == "verified"


@pytest.mark.parametrize(
    ("away", "expected"),
    [
        (timedelta(hours=-1, minutes=-5, seconds=-1), "stale"),
        (timedelta(hours=-13), "stale"),
        (timedelta(hours=1, seconds=1), "future"),
        (timedelta(hours=2), "future"),
        (timedelta(minutes=59), "verified"),
        (timedelta(minutes=-59), "verified"),
    ],
)
def test_a_date_counts_within_an_hour_either_way(away: timedelta, expected: str) -> None:
    assert reason(judge(cavage_signed(headers={"date": cavage.imf_date(NOW + away)}))) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"created": str(int(NOW.timestamp()) - 13 * 3600)}, "stale"),
        ({"created": str(int(NOW.timestamp()) + 2 * 3600)}, "future"),
        ({"expires": str(int(NOW.timestamp()) - 3601)}, "expired"),
        ({"expires": str(int(NOW.timestamp()) - 1)}, "verified"),
        ({"expires": str(int(NOW.timestamp()) + 10 * 365 * 86400)}, "overlong"),
        ({"expires": str(int(NOW.timestamp()) + 2 * 86400)}, "verified"),
        ({"expires": str(int(NOW.timestamp()) + 300)}, "verified"),
        ({"created": '"yesterday"'}, "malformed"),
        ({"created": "1.5"}, "malformed"),
    ],
)
def test_created_and_expires_are_kept_to(parameters: dict[str, str], expected: str) -> None:
    request = cavage_signed("(request-target) host (created) digest", parameters=CREATED | parameters)

    assert reason(judge(request)) == expected


@pytest.mark.parametrize("name", ["created", "expires"])
@pytest.mark.parametrize(
    "value", ["-5", "-" + "9" * 400, "9" * 16, "9" * 5000, "1_000", " 5", "", "\u00b2", "12.0"]
)
def test_a_moment_that_no_clock_shows_is_refused_in_quotes_too(name: str, value: str) -> None:
    request = cavage_signed(
        "(request-target) host (created) digest", parameters=CREATED | {name: f'"{value}"'}
    )

    assert reason(judge(request)) == "malformed"


def test_a_moment_in_quotes_is_read() -> None:
    """The draft wants none; some write all parameters alike."""
    ends = {"expires": f'"{int(NOW.timestamp()) - 3601}"'}

    assert reason(judge(cavage_signed(parameters=ends))) == "expired"


def test_an_end_is_put_off_by_who_signed_it_alone() -> None:
    """Written beside an old signature by somebody else, it keeps nothing alive."""
    old = CREATED | {
        "created": str(int(NOW.timestamp()) - 7200),
        "expires": str(int(NOW.timestamp()) + 3600),
    }

    covered = "(request-target) host (created) digest"
    assert reason(judge(cavage_signed(covered, parameters=old))) == "stale"
    assert reason(judge(cavage_signed(f"{covered} (expires)", parameters=old))) == "verified"


def test_a_fresh_date_that_is_not_signed_does_not_refresh_an_old_signature() -> None:
    old = {**CREATED, "created": str(int(NOW.timestamp()) - 7200)}

    assert reason(judge(cavage_signed("(request-target) host (created) digest", parameters=old))) == "stale"
    both = "(request-target) host date (created) digest"
    assert reason(judge(cavage_signed(both, parameters=old))) == "stale"
    before = {"date": cavage.imf_date(NOW - timedelta(hours=2))}
    assert reason(judge(cavage_signed(both, parameters=CREATED, headers=before))) == "stale"


def test_a_beginning_that_was_not_signed_says_nothing() -> None:
    """Some write it beside a signed date; whoever is on the way could write another."""
    for created in (0, int(NOW.timestamp()) + 86400):
        assert reason(judge(cavage_signed(parameters={"created": str(created)}))) == "verified"
        ends = CREATED | {"created": str(created), "expires": str(int(NOW.timestamp()) + 60)}
        signed_end = cavage_signed("(request-target) host date (expires) digest", parameters=ends)
        assert reason(judge(signed_end)) == "verified"


def test_a_covered_time_without_its_parameter_is_refused() -> None:
    request = cavage_signed(
        "(request-target) host date (expires) digest", parameters={"algorithm": '"hs2019"'}
    )

    assert reason(judge(request)) == "malformed"


@pytest.mark.parametrize(
    "date",
    [
        "wrong date",
        "",
        "2026-11-21T12:00:00Z",
        "Sat, 31 Feb 2026 12:00:00 GMT",
        "Sat, 21 Nov 2026 12:00:00 +0000",
    ],
)
def test_a_date_that_is_none_is_refused(date: str) -> None:
    assert reason(judge(cavage_signed(headers={"date": date}))) == "malformed"


def test_a_request_for_another_host_is_refused() -> None:
    assert reason(judge(cavage_signed(headers={"host": "other.example"}))) == "other-host"
    assert reason(judge(signed(), origin="https://other.example")) == "other-host"
    assert reason(judge(signed(), origin="https://node.example:8443")) == "other-host"


def test_a_default_port_in_the_host_is_still_us() -> None:
    assert reason(judge(cavage_signed(headers={"host": "Node.Example:443"}))) == "verified"


def test_another_body_is_refused() -> None:
    request = signed()
    body = SignedRequest(request.method, request.path_with_query, request.headers, BODY + b" ")

    assert reason(judge(body)) == "digest-mismatch"


def test_a_digest_that_was_made_anew_without_the_signature_is_refused() -> None:
    forged = BodyDigest.of(b"{}").digest
    request = changed(signed(), digest=forged)

    assert reason(judge(SignedRequest("POST", b"/inbox", request.headers, b"{}"))) == "bad-signature"


def test_a_digest_of_an_unsafe_algorithm_alone_is_refused() -> None:
    assert (
        reason(judge(cavage_signed(headers={"digest": "MD5=Sd/dVLAcvNLSq16eXua5uQ=="}))) == "digest-missing"
    )


def test_a_good_digest_beside_a_bad_content_digest_is_refused() -> None:
    request = changed(signed(), content_digest=BodyDigest.of(b"other").content_digest)

    assert reason(judge(request)) == "digest-mismatch"


@pytest.mark.parametrize("encoding", [b"gzip", b"identity, gzip", b"x-unknown", b""])
def test_an_encoded_body_is_refused(encoding: bytes) -> None:
    assert reason(judge(changed(signed(), content_encoding=encoding))) == "encoded-body"
    assert reason(judge(changed(signed(), content_encoding=b" Identity"))) == "verified"


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", b"/inbox"), ("POST", b"/actors/a/inbox"), ("POST", b"/inbox?page=1"), ("PUT", b"/inbox")],
)
def test_a_signature_for_another_method_or_path_is_refused(method: str, target: bytes) -> None:
    request = signed()

    assert reason(judge(SignedRequest(method, target, request.headers, request.body))) == "bad-signature"


def test_a_get_signed_without_its_query_is_accepted_but_not_with_another() -> None:
    bare = cavage.sign("GET", "https://node.example/outbox?page=1", signer=RSA, now=NOW, with_query=False)
    whole = cavage.sign("GET", "https://node.example/outbox?page=1", signer=RSA, now=NOW)

    assert reason(judge(SignedRequest("GET", b"/outbox?page=1", bare))) == "verified"
    assert reason(judge(SignedRequest("GET", b"/outbox?page=1", whole))) == "verified"
    assert reason(judge(SignedRequest("GET", b"/outbox?page=2", whole))) == "bad-signature"


def test_a_post_signed_without_its_query_is_refused() -> None:
    request = signed()

    posted = SignedRequest("POST", b"/inbox?x=1", request.headers, request.body)
    assert reason(judge(posted)) == "bad-signature"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_may_have_a_body_signs_that_it_has_none(method: str) -> None:
    request = cavage_signed("(request-target) host date", method=method, body=b"")

    assert reason(judge(request)) == "thin-coverage"
    assert reason(judge(cavage_signed(method=method, body=b""))) == "verified"


def test_a_get_with_a_body_must_sign_it() -> None:
    headers = cavage.sign("GET", "https://node.example/inbox", signer=RSA, now=NOW)

    assert reason(judge(SignedRequest("GET", b"/inbox", headers, b"{}"))) == "thin-coverage"


@pytest.mark.parametrize("name", [b"signature", b"host", b"date", b"digest", b"content-type"])
def test_a_header_that_may_come_once_and_comes_twice_is_refused(name: bytes) -> None:
    request = signed()
    value = dict(request.headers)[name]

    doubled = SignedRequest("POST", b"/inbox", [(name, value), *request.headers], BODY)
    assert reason(judge(doubled)) == "duplicate"


def test_a_signature_in_two_parts_is_refused() -> None:
    headers = dict(signed().headers)
    first, _, second = headers.pop(b"signature").partition(b",")
    parts = [*headers.items(), (b"signature", first), (b"signature", second)]

    assert reason(judge(SignedRequest("POST", b"/inbox", parts, BODY))) == "duplicate"


@pytest.mark.parametrize(
    ("name", "values"), [(b"content-length", (b"17", b"18")), (b"content-encoding", (b"identity", b"gzip"))]
)
def test_a_body_of_two_lengths_or_encodings_is_refused(name: bytes, values: tuple[bytes, bytes]) -> None:
    headers = [*signed().headers, *((name, value) for value in values)]

    assert reason(judge(SignedRequest("POST", b"/inbox", headers, BODY))) == "duplicate"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", "malformed"),
        ("words", "malformed"),
        ('headers="(request-target) host date digest",signature="{signature}"', "malformed"),
        ('keyId="",headers="(request-target) host date digest",signature="{signature}"', "malformed"),
        ('keyId="a",headers="(request-target) host date digest"', "malformed"),
        (
            'keyId="a",keyId="b",headers="(request-target) host date digest",signature="{signature}"',
            "duplicate",
        ),
        (
            'keyId="a",headers="date",headers="(request-target) host date digest",signature="{signature}"',
            "duplicate",
        ),
        ('KEYID="a",headers="(request-target) host date digest",signature="{signature}"', "malformed"),
        ('keyId="a,headers="(request-target) host date digest",signature="{signature}"', "malformed"),
        ('keyId="a",headers="(request-target) host date digest",signature="{signature}', "malformed"),
        ('keyId="a",headers="(request-target) host date digest",signature="%%%"', "malformed"),
        (
            'Signature Signature keyId="a",headers="(request-target) host date digest",signature="{signature}"',
            "malformed",
        ),
        ('Signature keyId="a",keyId="b",signature="{signature}"', "duplicate"),
        ('Signaturekey keyId="a",signature="{signature}"', "malformed"),
        ('Bearer keyId="a",headers="(request-target) host date digest",signature="{signature}"', "malformed"),
        ('keyId=a,headers="(request-target) host date digest",signature="{signature}"', "malformed"),
        (
            'keyId="a",created=now,headers="(request-target) host date digest",signature="{signature}"',
            "malformed",
        ),
        (
            'keyId="a",algorithm=hmac-sha256,headers="(request-target) host date digest",signature="{signature}"',
            "algorithm",
        ),
        (
            'keyId="a",algorithm=rsa sha256,headers="(request-target) host date digest",signature="{signature}"',
            "malformed",
        ),
        ("x" * 9000, "malformed"),
        (
            'keyId="a",headers="(request-target) host date digest",signature="{signature}",x="'
            + "x" * 8192
            + '"',
            "malformed",
        ),
    ],
)
def test_a_signature_field_that_is_none_is_refused(template: str, expected: str) -> None:
    assert reason(judge(cavage_signed(template=template))) == expected


def test_an_unsigned_request_is_refused() -> None:
    assert reason(judge(changed(signed(), signature=None))) == "missing"


def test_a_signature_in_the_authorization_header_does_not_count() -> None:
    request = signed()
    field = dict(request.headers)[b"signature"]

    assert reason(judge(changed(request, signature=None, authorization=b"Signature " + field))) == "missing"


@pytest.mark.parametrize("fold", ["\r\n ", "\n ", "\r "])
def test_a_folded_header_is_refused(fold: str) -> None:
    request = cavage_signed("(request-target) host date digest x-more", headers={"x-more": f"a{fold}b"})

    assert reason(judge(request)) == "malformed"


def test_a_signature_by_another_key_is_refused() -> None:
    assert reason(judge(signed(), signer=ED25519)) == "algorithm"
    assert reason(judge(cavage_signed(without=["algorithm"]), signer=ED25519)) == "bad-signature"


@pytest.mark.parametrize(
    "covered",
    [
        "(request-target) host date digest",
        "(request-target) host digest date",
        "(request-target) content-type date digest host",
        "(request-target) host date digest content-type",
        "(request-target) user-agent host date digest content-type",
        "(request-target) host date digest accept",
    ],
    ids=["mastodon", "snac", "fedify", "takahe", "microblog.pub", "with accept"],
)
@pytest.mark.parametrize("algorithm", ['"rsa-sha256"', '"hs2019"', None])
def test_what_other_servers_send_is_accepted(covered: str, algorithm: str | None) -> None:
    request = cavage_signed(
        covered,
        headers={"user-agent": "peer/1", "accept": "*/*"},
        parameters={"algorithm": algorithm} if algorithm else {},
        without=[] if algorithm else ["algorithm"],
    )

    outcome = judge(request)

    assert isinstance(outcome, Verified)
    assert outcome.key_id == KEY_ID
    assert outcome.created == NOW


@pytest.mark.parametrize(
    "template",
    [
        'Signature keyId="{key}",algorithm="rsa-sha256",headers="{names}",signature="{signature}"',
        'keyId = "{key}" , algorithm\t=  "rsa-sha256",headers ="{names}",signature= "{signature}" ',
        'keyId="{key}",algorithm=rsa-sha256,headers="{names}",signature="{signature}"',
    ],
    ids=["node-http-signature", "blanks around =", "algorithm without quotes"],
)
def test_what_mastodon_reads_of_older_spellings_is_read(template: str) -> None:
    template = template.replace("{key}", KEY_ID).replace("{names}", "(request-target) host date digest")

    outcome = judge(cavage_signed(template=template))

    assert isinstance(outcome, Verified)
    assert outcome.key_id == KEY_ID


def test_repeated_covered_headers_are_joined() -> None:
    joined = cavage_signed("(request-target) host date digest x-list", headers={"x-list": "a, b"})
    split = [header for header in joined.headers if header[0] != b"x-list"]

    request = SignedRequest("POST", b"/inbox", [*split, (b"x-list", b"a"), (b"x-list", b" b ")], BODY)
    assert reason(judge(request)) == "verified"


def test_an_ed25519_key_may_sign_with_hs2019() -> None:
    request = cavage_signed(parameters={"algorithm": '"hs2019"'}, signer=ED25519)

    assert reason(judge(request, signer=ED25519)) == "verified"


def test_what_we_send_is_what_the_network_reads() -> None:
    headers = cavage.sign(
        "POST",
        "https://node.example/inbox?x=1",
        signer=RSA,
        now=NOW,
        digest=BodyDigest.of(BODY),
        content_type=TYPE,
    )

    assert [name for name, _ in headers] == [b"host", b"date", b"digest", b"content-type", b"signature"]
    assert headers[1][1] == b"Sat, 21 Nov 2026 12:00:00 GMT"
    assert headers[-1][1].startswith(
        f'keyId="{KEY_ID}",algorithm="rsa-sha256",headers="(request-target) host date digest content-type",signature="'.encode()
    )


def test_we_do_not_sign_this_dialect_with_another_key_than_rsa() -> None:
    with pytest.raises(ValueError, match="RSA"):
        cavage.sign("GET", "https://node.example/", signer=ED25519, now=NOW)


@pytest.mark.parametrize("moment", [NOW, datetime.fromisoformat("2024-02-29T23:59:59+00:00")])
def test_a_date_is_read_as_it_was_written(moment: datetime) -> None:
    assert cavage.parse_imf_date(cavage.imf_date(moment)) == int(moment.timestamp())


def test_the_published_signing_strings_verify() -> None:
    published = vectors.load("cavage-12/appendix-c.json")
    # A key of 1024 bits, which read_pem refuses: only the bytes are compared here.
    key = VerifyingKey(load_pem_public_key(vectors.text("cavage-12/test-key.pub.pem").encode()))  # type: ignore[arg-type]
    for case in published["cases"]:
        request = published["request"] | case.get("request_override", {})
        fields = {name.lower().encode(): value.encode() for name, value in request["headers"]}
        covered = (case["headers"] or "date").split()
        lines = cavage._lines(covered, fields, None, None)
        assert isinstance(lines, tuple)
        base = cavage._base(lines, request["method"].lower(), request["target"].encode())
        signature = base64.b64decode(case["signature_header"].split('signature="')[1].rstrip('"'))

        assert key.verify(signature, base) == case["valid"], case["id"]
        if "signing_string" in case:
            assert base.decode() == case["signing_string"]


@pytest.mark.parametrize(
    "name", ["created-hmac", "duplicate-parameters", "nokeyid-request", "nosignature-request"]
)
def test_the_published_requests_without_a_usable_signature_are_refused(name: str) -> None:
    head = vectors.text(f"cavage-12/w3c-ccg/{name}.httpMessage").split("\n\n")[0].splitlines()
    headers = []
    for line in head[1:]:
        field, _, value = line.partition(":")
        value = value.strip()
        if field == "Authorization":
            field, value = "Signature", value.removeprefix("Signature ")
        headers.append((field.lower().encode(), value.encode()))

    method, target, _ = head[0].split()
    assert reason(judge(SignedRequest(method, target.encode(), headers))) != "verified"


def test_a_body_without_a_type_is_signed_without_one() -> None:
    headers = cavage.sign(
        "POST", "https://node.example/inbox", signer=RSA, now=NOW, digest=BodyDigest.of(BODY)
    )

    assert b"content-type" not in dict(headers)[b"signature"]
    assert reason(judge(SignedRequest("POST", b"/inbox", headers, BODY))) == "verified"
