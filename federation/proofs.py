"""Data Integrity proofs on documents: attach and check eddsa-jcs-2022 (FEP-8b32), check eddsa-rdfc-2022.

A proof says that the holder of a key stands behind these exact members. Whether that key may speak for the document
(its owner is the document's owner, on the same origin) is for the caller, who gets the key ids back.
Spec: FEP-8b32; W3C vc-di-eddsa §3.2 and §3.3; W3C vc-data-integrity §4.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from federation import graphs
from federation.errors import InvalidKey
from federation.keys import Algorithm, Signer, VerifyingKey, base58_decode, base58_encode
from federation.requests import Reason, Refused
from vocab import jsonld, terms
from vocab.canonical import canonical
from vocab.errors import VocabError

JCS = "eddsa-jcs-2022"
RDFC = "eddsa-rdfc-2022"
PURPOSE = "assertionMethod"
MAX_PROOFS = 8
CLOCK_SKEW = timedelta(hours=1)

# A graph says what its context makes of it, and the document's may come from anybody: what is looked at in the options of a proof
# over one is what was signed because they are hashed under these, by these names alone. The two differ in the type of `cryptosuite`.
_OPTIONS_CONTEXTS = (terms.DATA_INTEGRITY_V1, terms.DATA_INTEGRITY_V2)
_OPTIONS = frozenset(
    (
        "id",
        "type",
        "cryptosuite",
        "created",
        "expires",
        "verificationMethod",
        "proofPurpose",
        "domain",
        "challenge",
        "nonce",
    )
)


@dataclass(frozen=True, slots=True)
class Proven:
    """Every proof of the document holds.

    key_ids    the verification methods, in the order of the proofs.
    document   what was proven and all that may be used: without `signature`; under the proof's own `@context` for the
               JCS suite, re-compacted for the RDF suite, whose proof covers a graph and not this tree.
    created    when the earliest proof says it was made, where it says so.
    """

    key_ids: tuple[str, ...]
    document: dict[str, object]
    created: datetime | None

    @property
    def key_id(self) -> str:
        """Return the verification method of the first proof; most documents have one."""
        return self.key_ids[0]

    def is_older_than(self, retired: Mapping[str, datetime]) -> bool:
        """Tell whether it was made before any of its keys was retired or lost; those that were not are not named here."""
        ends = [retired[key_id] for key_id in self.key_ids if key_id in retired]
        # `created` is the earliest of several: with several proofs a retired key holds for none that is younger than it.
        return not ends or (self.created is not None and self.created <= min(ends))


def attach(document: Mapping[str, object], signer: Signer, *, now: datetime) -> dict[str, object]:
    """Return the document with an eddsa-jcs-2022 proof by an Ed25519 key, in the place of any it had.

    `signature` is dropped: it comes after the proof, over the whole. Raises vocab's NotCanonical.
    """
    if signer.algorithm is not Algorithm.ED25519:
        raise ValueError("this proof is made with an Ed25519 key")
    bare = _without(document, "proof", "signature")
    proof: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": JCS,
        "created": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verificationMethod": signer.key_id,
        "proofPurpose": PURPOSE,
    }
    if "@context" in bare:
        proof["@context"] = bare["@context"]
    signature = signer.sign(_jcs_data(bare, proof))
    return {**bare, "proof": {**proof, "proofValue": "z" + base58_encode(signature)}}


def verification_methods(document: Mapping[str, object]) -> tuple[str, ...] | Refused:
    """Return the key ids that the proofs of a document name, so that the keys can be looked up."""
    proofs = _proofs(document)
    if isinstance(proofs, Refused):
        return proofs
    methods = tuple(proof.get("verificationMethod") for proof in proofs)
    named = tuple(method for method in methods if isinstance(method, str) and method)
    return named if len(named) == len(methods) else Refused(Reason.MALFORMED, "verificationMethod")


def is_of_a_graph(document: Mapping[str, object]) -> bool:
    """Tell whether checking means sorting a graph, which takes long: then it is not for the event loop."""
    proofs = _proofs(document)
    return not isinstance(proofs, Refused) and any(proof.get("cryptosuite") != JCS for proof in proofs)


def check(
    document: Mapping[str, object], keys: Mapping[str, VerifyingKey], *, now: datetime
) -> Proven | Refused:
    """Check the proof of a document, or each of a set: all must hold.

    keys   by verification method; those of the document's owner, listed in its `assertionMethod`. A proof by any other
           key is refused, so what the caller puts in here is what may speak for the document.
    now    an expired proof is refused, and one made in the future.
    """
    proofs = _proofs(document)
    if isinstance(proofs, Refused):
        return proofs
    bare = _without(document, "proof", "signature")
    proven = _without(document, "signature")
    # Once, however many proofs: it costs most.
    statements = cache(lambda: jsonld.canonize(bare))
    is_graph = False
    made: list[datetime] = []
    key_ids: list[str] = []
    for proof in proofs:
        method = proof.get("verificationMethod")
        key = keys.get(method) if isinstance(method, str) else None
        if key is None or not isinstance(method, str):
            return Refused(Reason.WRONG_KEY)
        times = _check_options(proof, now)
        if isinstance(times, Refused):
            return times
        made += times
        if "@context" in proof:
            if not _may_replace(proof, bare):
                return Refused(Reason.CONTEXT)
            # An appended context would redefine terms without breaking the proof: only what was signed is used.
            proven["@context"] = _shorter(proven["@context"], proof["@context"])
        refusal = _check_signature(bare, proof, key, statements)
        if refusal is not None:
            return refusal
        is_graph = is_graph or proof["cryptosuite"] == RDFC
        key_ids.append(method)
    if is_graph:
        tree = graphs.settle(bare, statements())
        if isinstance(tree, Refused):
            return tree
        proven = {**tree, "proof": document["proof"]}
    return Proven(tuple(key_ids), proven, min(made, default=None))


def _proofs(document: Mapping[str, object]) -> list[dict[str, object]] | Refused:
    proof = document.get("proof")
    if proof is None:
        return Refused(Reason.MISSING)
    listed = proof if isinstance(proof, list) else [proof]
    found: list[dict[str, object]] = [item for item in listed if isinstance(item, dict)]
    if not 0 < len(found) == len(listed) <= MAX_PROOFS:
        return Refused(Reason.MALFORMED, "proof")
    return found


def _check_options(proof: Mapping[str, object], now: datetime) -> list[datetime] | Refused:
    """Return when the proof says it was made, as a list of none or one."""
    if proof.get("type") != "DataIntegrityProof" or proof.get("cryptosuite") not in (JCS, RDFC):
        return Refused(Reason.UNKNOWN_SUITE, str(proof.get("cryptosuite"))[:40])
    if proof.get("proofPurpose") != PURPOSE:
        return Refused(Reason.WRONG_PURPOSE)
    if "previousProof" in proof:
        return Refused(Reason.STRUCTURE, "proof chains are not followed")
    made: list[datetime] = []
    if "created" in proof:
        created = _moment(proof["created"])
        if created is None:
            return Refused(Reason.MALFORMED, "created")
        if created > now + CLOCK_SKEW:
            return Refused(Reason.FUTURE)
        made.append(created)
    if "expires" in proof:
        expires = _moment(proof["expires"])
        if expires is None:
            return Refused(Reason.MALFORMED, "expires")
        if expires <= now:
            return Refused(Reason.EXPIRED)
    return made


def _check_signature(
    bare: Mapping[str, object],
    proof: Mapping[str, object],
    key: VerifyingKey,
    statements: Callable[[], str],
) -> Refused | None:
    if key.algorithm is not Algorithm.ED25519:
        return Refused(Reason.ALGORITHM, "the suite is one of Ed25519")
    value = proof.get("proofValue")
    if not isinstance(value, str) or not value.startswith("z") or len(value) > 100:
        return Refused(Reason.MALFORMED, "proofValue")
    options = _without(proof, "proofValue")
    if proof["cryptosuite"] == RDFC and not all(
        graphs.is_plain(options[name]) for name in _OPTIONS & options.keys()
    ):
        return Refused(Reason.STRUCTURE, "options that say more than they should")
    try:
        signature = base58_decode(value[1:])
        if proof["cryptosuite"] == JCS:
            unsecured = {**bare, "@context": proof["@context"]} if "@context" in proof else bare
            data = [_jcs_data(unsecured, options)]
        else:
            data = [_rdfc_data(statements(), options, context) for context in _OPTIONS_CONTEXTS]
    except (InvalidKey, VocabError) as error:
        return Refused(Reason.MALFORMED, type(error).__name__)
    if not any(key.verify(signature, one) for one in data):
        return Refused(Reason.BAD_SIGNATURE)
    return None


def _jcs_data(bare: Mapping[str, object], options: Mapping[str, object]) -> bytes:
    """Hash options and document, in this order (vc-di-eddsa §3.3.4)."""
    return hashlib.sha256(canonical(options)).digest() + hashlib.sha256(canonical(bare)).digest()


def _rdfc_data(
    statements: str, options: Mapping[str, object], context: str = terms.DATA_INTEGRITY_V1
) -> bytes:
    """Hash the canonical statements of options, read under `context`, and of the document (vc-di-eddsa §3.2.4)."""
    settings: dict[str, object] = {name: value for name, value in options.items() if name in _OPTIONS}
    of_options = jsonld.canonize({**settings, "@context": context})
    return hashlib.sha256(of_options.encode()).digest() + hashlib.sha256(statements.encode()).digest()


def _may_replace(proof: Mapping[str, object], bare: Mapping[str, object]) -> bool:
    """Tell whether the proof's context is where the document's begins; for the RDF suite, all of it."""
    if "@context" not in bare:
        return False
    prefix, context = proof["@context"], bare["@context"]
    start = prefix if isinstance(prefix, list) else [prefix]
    whole = context if isinstance(context, list) else [context]
    if not start or (proof.get("cryptosuite") == RDFC and len(start) != len(whole)):
        return False
    ours, theirs = {"@context": whole[: len(start)]}, {"@context": start}
    try:
        # What is written alike is alike: so it is nearly always, and told much sooner.
        return jsonld.write(ours) == jsonld.write(theirs) or canonical(ours) == canonical(theirs)
    except (VocabError, ValueError):
        return False


def _shorter(one: object, other: object) -> object:
    def length(context: object) -> int:
        return len(context) if isinstance(context, list) else 1

    return other if length(other) <= length(one) else one


def _moment(value: object) -> datetime | None:
    """Read an XML Schema dateTimeStamp: a time without its zone could mean any of 26 hours."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _without(mapping: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in mapping.items() if name not in names}
