"""RsaSignature2017, the superseded Linked Data signature that Mastodon before 4.7 needs on what is forwarded.

Attach it last, over the proof; check it only on what came from somebody else than its actor; and use nothing but the
re-compacted document, never the tree that was received (see `graphs`).
Spec: Linked Data Signatures 1.0 (superseded draft); Mastodon app/lib/activitypub/linked_data_signature.rb.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from federation import graphs
from federation.keys import Algorithm, Signer, VerifyingKey
from federation.requests import Reason, Refused
from vocab import jsonld
from vocab.errors import VocabError

TYPE = "RsaSignature2017"
OPTIONS_CONTEXT = "https://w3id.org/identity/v1"
CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Signed:
    """The signature holds. `document` is compacted anew from what was signed: all that may be used of it."""

    key_id: str
    document: dict[str, object]
    created: datetime


def attach(
    document: Mapping[str, object], signer: Signer, *, now: datetime, expires: datetime | None = None
) -> dict[str, object]:
    """Return the document with an RsaSignature2017 by an RSA key, in the place of any it had.

    For public activities only: whoever holds it can show it to anybody. Raises vocab's errors for unknown contexts, and
    ValueError for an id that could pass for statements of its own.
    """
    if signer.algorithm is not Algorithm.RSA:
        raise ValueError("this signature is made with an RSA key")
    bare = {name: value for name, value in document.items() if name != "signature"}
    options: dict[str, object] = {"creator": signer.key_id, "created": _written(now)}
    if expires is not None:
        options["expires"] = _written(expires)
    canonical = jsonld.canonize(bare)
    graphs.check_statements(canonical)
    value = base64.b64encode(signer.sign(_data(canonical, options))).decode("ascii")
    return {**bare, "signature": {"type": TYPE, **options, "signatureValue": value}}


def creator(document: Mapping[str, object]) -> str | Refused:
    """Return the key id that the signature names, so that the key can be looked up."""
    signature = _signature(document)
    if isinstance(signature, Refused):
        return signature
    named = signature.get("creator")
    key_id = named.get("id") if isinstance(named, dict) else named
    return key_id if isinstance(key_id, str) and key_id else Refused(Reason.MALFORMED, "creator")


def check(document: Mapping[str, object], key: VerifyingKey, *, now: datetime) -> Signed | Refused:
    """Check the signature of a document with the key that `creator` names.

    Whether that key is one of the document's actor is for the caller.
    """
    signature = _signature(document)
    if isinstance(signature, Refused):
        return signature
    key_id = creator(document)
    if isinstance(key_id, Refused):
        return key_id
    if key.algorithm is not Algorithm.RSA:
        return Refused(Reason.ALGORITHM)
    created, expires = _moment(signature.get("created")), signature.get("expires")
    if created is None:
        return Refused(Reason.NO_TIME)
    if created > now + CLOCK_SKEW:
        return Refused(Reason.FUTURE)
    if expires is not None:
        until = _moment(expires)
        if until is None:
            return Refused(Reason.MALFORMED, "expires")
        if until <= now:
            return Refused(Reason.EXPIRED)

    bare = {name: value for name, value in document.items() if name != "signature"}
    options = {name: value for name, value in signature.items() if name in _SIGNED} | {"creator": key_id}
    if not all(graphs.is_plain(option) for option in options.values()):
        return Refused(Reason.STRUCTURE, "options that say more than they should")
    try:
        value = base64.b64decode(str(signature.get("signatureValue")), validate=True)
        canonical = jsonld.canonize(bare)
        data = _data(canonical, options)
    except (binascii.Error, ValueError):
        return Refused(Reason.MALFORMED, "signatureValue")
    except VocabError as error:
        return Refused(Reason.MALFORMED, type(error).__name__)
    if not key.verify(value, data):
        return Refused(Reason.BAD_SIGNATURE)
    settled = graphs.settle(bare, canonical)
    return settled if isinstance(settled, Refused) else Signed(key_id, settled, created)


def _signature(document: Mapping[str, object]) -> dict[str, object] | Refused:
    signature = document.get("signature")
    if signature is None:
        return Refused(Reason.MISSING)
    if not isinstance(signature, dict) or signature.get("type") != TYPE:
        return Refused(Reason.UNKNOWN_SUITE)
    return signature


# By these names alone: an end under its full address is the same statement, and nobody would look at it.
_SIGNED = frozenset(("creator", "created", "expires", "nonce", "domain"))


def _data(canonical: str, options: Mapping[str, object]) -> bytes:
    """Return the hex digests of options and document, one after the other: what is signed is text."""
    statements = jsonld.canonize({**options, "@context": OPTIONS_CONTEXT})
    digests = (hashlib.sha256(part.encode()).hexdigest() for part in (statements, canonical))
    return "".join(digests).encode("ascii")


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
