"""The door for signed requests: either dialect, two steps."""

from datetime import timedelta

import pytest

from federation.requests import OWN_WINDOW, Dialect, Reason, Refused, SignedRequest, host_of
from federation.verification import Presented, read_signature, verify
from tests.federation.requests_to_us import ED25519, KEY_ID, NOW, ORIGIN, RSA, reason, signed
from tests.rig.keys import ed25519_key, rsa_key


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_key_id_is_known_before_any_key_is_needed(dialect: Dialect) -> None:
    presented = read_signature(signed(dialect))

    assert isinstance(presented, Presented)
    assert presented.key_id == KEY_ID


def test_an_unsigned_request_is_refused_before_any_key_is_needed() -> None:
    outcome = read_signature(SignedRequest("POST", b"/inbox", [(b"host", b"node.example")], b"{}"))

    assert outcome == Refused(Reason.MISSING)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_signatures_share_is_never_anothers(dialect: Dialect) -> None:
    """They are made one after the other from remembered parts: body, hour, address, method and key each make them another."""
    key = ED25519 if dialect is Dialect.RFC9421_ED25519 else RSA
    other = (ed25519_key if key is ED25519 else rsa_key)("other").signer("https://other.example/#key")
    requests = [
        (key, signed(dialect)),
        (key, signed(dialect, body=b"{}")),
        (key, signed(dialect, now=NOW - timedelta(seconds=1))),
        (key, signed(dialect, url=f"{ORIGIN}/other?x=1")),
        (key, signed(dialect, "GET")),
        (other, signed(dialect, signer=other)),
        (key, signed(dialect)),
    ]

    for signer, request in requests:
        presented = read_signature(request)
        assert isinstance(presented, Presented)
        assert presented.key_id == signer.key_id
        assert reason(verify(presented, request, signer.public, now=NOW, origin=ORIGIN)) == "verified"


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_known_node_is_held_to_a_closer_clock(dialect: Dialect) -> None:
    request = signed(dialect, now=NOW - timedelta(minutes=11))
    key = ED25519.public if dialect is Dialect.RFC9421_ED25519 else RSA.public
    presented = read_signature(request)
    assert isinstance(presented, Presented)

    def outcome(window: timedelta) -> str:
        return reason(verify(presented, request, key, now=NOW, origin=ORIGIN, window=window))

    assert outcome(OWN_WINDOW) == "stale"
    assert outcome(timedelta(hours=1)) == "verified"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://Node.Example", "node.example"),
        ("https://node.example:443/", "node.example"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost:80", "localhost"),
        ("https://node.example:80", "node.example:80"),
    ],
)
def test_the_host_of_an_origin_leaves_the_default_port_out(origin: str, host: str) -> None:
    assert host_of(origin) == host
