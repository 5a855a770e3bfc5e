"""The door for signed requests: one reading and one check, whichever dialect the sender speaks.

Two steps, so that the caller looks up the key between them and parses nothing twice:

    presented = read_signature(request)          # Presented | Refused: no key was needed to refuse it
    key = …presented.key_id…                     # policy on its host first, then cache, then fetch
    outcome = verify(presented, request, key, now=now, origin="https://node.example")
"""

from datetime import datetime, timedelta

from federation import cavage, signatures
from federation.checks import Presented
from federation.keys import VerifyingKey
from federation.requests import STRANGER_WINDOW, Dialect, Refused, SignedRequest, Verified

__all__ = ["Presented", "read_signature", "verify"]


def read_signature(request: SignedRequest) -> Presented | Refused:
    """Read the one signature of a request, and refuse what needs no key to be refused.

    A refusal here costs no key look-up and no fetch: shape, coverage and digests are settled.
    A request with `Signature-Input` is read as RFC 9421 and as nothing else.
    """
    if any(name == b"signature-input" for name, _ in request.headers):
        return signatures.read_signature(request)
    return cavage.read_signature(request)


def verify(
    presented: Presented,
    request: SignedRequest,
    key: VerifyingKey,
    *,
    now: datetime,
    origin: str,
    window: timedelta = STRANGER_WINDOW,
) -> Verified | Refused:
    """Check a signature that `read_signature` gave, with the key its `key_id` names.

    origin   the origin this server is configured with, such as https://node.example: Host and target must be its.
    window   how far the signer's clock may be off: OWN_WINDOW for nodes one knows, else STRANGER_WINDOW.
    """
    check = cavage.verify if presented.dialect is Dialect.CAVAGE else signatures.verify
    return check(presented, request, key, now=now, origin=origin, window=window)
