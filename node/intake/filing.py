"""The proof of filing: the node signs that on a day it took in something, without saying what, to be shown to somebody else.

The commitment hides which alert it is: SHA-256 of a nonce of the source's own and the hash of the ciphertext. Whoever is shown
nonce and hash can see that they belong together; whoever is not learns a day and an organisation.
"""

import hashlib

from federation.keys import Signer
from node.intake.alerts import Alert
from node.sealing.signing import holds, sign


def commitment(nonce: bytes, request_sha256: str) -> str:
    """SHA-256(nonce, then the hash of the alert as it was sent), in hexadecimal."""
    return hashlib.sha256(nonce + bytes.fromhex(request_sha256)).hexdigest()


def prove_filing(
    alert: Alert, nonce: bytes, *, node: str, organisation: str, signer: Signer
) -> dict[str, object]:
    """The signed statement, and what opens its commitment. The server keeps neither."""
    statement: dict[str, object] = {
        "v": 1,
        "type": "proof-of-filing",
        "node": node,
        "organisation": organisation,
        "received_on": alert.received_on.isoformat(),
        "commitment": commitment(nonce, alert.request_sha256),
        "key": signer.public.multibase,
    }
    return {
        "statement": statement | {"signature": sign(statement, signer)},
        "opening": {"nonce": nonce.hex(), "sha256": alert.request_sha256},
    }


def is_proof(statement: dict[str, object], *, key: str) -> bool:
    """Whether a statement is signed by this key of the node, as its actor document shows it."""
    rest = {name: value for name, value in statement.items() if name != "signature"}
    return statement.get("key") == key and holds(rest, statement.get("signature"), key)
