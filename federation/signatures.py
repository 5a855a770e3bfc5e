"""HTTP Message Signatures, RFC 9421: sign, read, verify.

Inbound, exactly one acceptable signature counts; several are never OR-ed (§7.2.6), and everything derived from the
target comes from our own configured origin, never from forwarding headers.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from federation import addresses, structured
from federation.checks import (
    CRITICAL_FIELDS,
    Presented,
    check_bodies,
    check_times,
    find_fields,
    has_body_to_sign,
    is_for_us,
)
from federation.digests import BodyDigest
from federation.keys import Algorithm, Signer, VerifyingKey
from federation.negotiation import ALGORITHMS, Wish
from federation.requests import STRANGER_WINDOW, Dialect, Reason, Refused, SignedRequest, Verified, host_of

LABEL = "sig1"
# How much of what signatures share is kept: an activity goes to many hosts within a second.
REMEMBERED = 256

_DERIVED = frozenset(
    ("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query")
)
# The two fields of signatures are dictionaries: RFC 9651 §4.2 joins their lines, and a label that comes twice is refused there.
_ONCE = CRITICAL_FIELDS - {b"signature"}
_ACCEPTED = {"rsa-v1_5-sha256": Algorithm.RSA, "rsa-pss-sha512": Algorithm.RSA, "ed25519": Algorithm.ED25519}
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")
_PARAMETERS = {"created": int, "expires": int, "keyid": str, "alg": str, "nonce": str, "tag": str}


def sign(
    method: str,
    url: str,
    *,
    signer: Signer,
    now: datetime,
    digest: BodyDigest | None = None,
    content_type: bytes | None = None,
    more: Sequence[tuple[bytes, bytes]] = (),
    wish: Wish | None = None,
) -> list[tuple[bytes, bytes]]:
    """Return the headers that sign a request to `url`, with an RSA or Ed25519 key.

    digest   of the body, for every request that has one; `content_type` goes with it and is covered.
    more     further headers to be sent, and covered; names in lower case.
    wish     what the other server asked for, beyond this; its signer is the one to sign with.
    """
    address = addresses.parse(url)
    sent = list(more)
    if digest is not None:
        of_body = [(b"content-digest", digest.content_digest)]
        if content_type is not None:
            of_body.append((b"content-type", content_type))
        sent = of_body + sent
    covered, label, extra = tuple(sent), LABEL, ""
    if wish is not None:
        covered += _asked(wish, covered, address)
        label, extra = wish.label, structured.write_parameters(wish.parameters)
    rest, field = _shared(
        covered, int(now.timestamp()), signer.key_id, ALGORITHMS[signer.algorithm], label, extra
    )
    base = f'"@method": {method}\n"@target-uri": {address.url}\n'.encode("ascii") + rest
    signature = base64.b64encode(signer.sign(base)).decode("ascii")
    return [
        (b"host", address.authority.encode("ascii")),
        *sent,
        (b"signature-input", field),
        (b"signature", f"{label}=:{signature}:".encode("ascii")),
    ]


def read_signature(request: SignedRequest) -> Presented | Refused:
    """Read the one acceptable signature of a request, and refuse what needs no key to be refused."""
    fields, repeated = find_fields(request.headers)
    field = fields.get(b"signature-input")
    if field is None:
        return Refused(Reason.MISSING)
    if repeated and repeated & _ONCE:
        return Refused(Reason.DUPLICATE, "a header that may come once")
    try:
        inputs = structured.parse_list_dictionary(field)
        signatures = structured.parse_byte_dictionary(fields.get(b"signature", b""))
    except structured.NotStructured as error:
        return Refused(Reason.MALFORMED, str(error))

    acceptable: list[Presented] = []
    refusal = Refused(Reason.MISSING)
    for label, members in inputs.items():
        signature = signatures.get(label)
        if signature is None:
            refusal = Refused(Reason.MALFORMED, "a label without a signature")
            continue
        presented = _present(members, signature, request, fields)
        if isinstance(presented, Refused):
            refusal = presented
        else:
            acceptable.append(presented)
    if not acceptable:
        return refusal
    if len(acceptable) > 1:
        return Refused(Reason.SEVERAL_SIGNATURES)
    wrong = check_bodies(request, fields, needs=b"content-digest" if has_body_to_sign(request) else None)
    return acceptable[0] if wrong is None else Refused(wrong)


def verify(
    presented: Presented,
    request: SignedRequest,
    key: VerifyingKey,
    *,
    now: datetime,
    origin: str,
    window: timedelta = STRANGER_WINDOW,
) -> Verified | Refused:
    """Check a signature that `read_signature` gave, with the key its `key_id` names, for this server and this hour."""
    if presented.algorithm is not None and _ACCEPTED[presented.algorithm] is not key.algorithm:
        return Refused(Reason.ALGORITHM, "alg and key disagree")
    if not is_for_us(presented.fields, origin):
        return Refused(Reason.OTHER_HOST)
    created = presented.created or 0
    off = check_times((created,), presented.expires, now=now, window=window)
    if off is not None:
        return Refused(off)

    base = signature_base(
        presented.covered, presented.parameters, request, fields=presented.fields, origin=origin
    )
    if isinstance(base, Refused):
        return base
    check = key.verify_pss if presented.algorithm == "rsa-pss-sha512" else key.verify
    if not check(presented.signature, base):
        return Refused(Reason.BAD_SIGNATURE)
    return Verified(
        key_id=presented.key_id,
        dialect=Dialect.RFC9421_ED25519 if key.algorithm is Algorithm.ED25519 else Dialect.RFC9421,
        created=datetime.fromtimestamp(created, UTC),
    )


def signature_base(
    covered: Sequence[str],
    parameters: str,
    request: SignedRequest,
    *,
    fields: Mapping[bytes, bytes],
    origin: str,
) -> bytes | Refused:
    """Return the signature base of RFC 9421 §2.5 over a request.

    parameters   the value of "@signature-params": the inner list with its parameters, serialised.
    """
    lines: list[bytes] = []
    for name in covered:
        if name.startswith("@"):
            value = _derived(name, request, origin)
        else:
            found = fields.get(name.encode("ascii"))
            if found is None:
                return Refused(Reason.MALFORMED, "a covered header is absent")
            if b"\n" in found or b"\r" in found:
                return Refused(Reason.MALFORMED, "a folded header")
            value = found.strip(b" \t")
        lines.append(b'"' + name.encode("ascii") + b'": ' + value)
    lines.append(b'"@signature-params": ' + parameters.encode("ascii"))
    return b"\n".join(lines)


@lru_cache(maxsize=REMEMBERED)
def _shared(
    covered: tuple[tuple[bytes, bytes], ...],
    created: int,
    key_id: str,
    algorithm: str,
    label: str,
    extra: str,
) -> tuple[bytes, bytes]:
    """What the signatures of one activity have in common wherever it goes: how their bases end, and `Signature-Input`."""
    names = " ".join(('"@method" "@target-uri"', *(f'"{name.decode("ascii")}"' for name, _ in covered)))
    parameters = f'({names});created={created};keyid="{key_id}";alg="{algorithm}"{extra}'.encode("ascii")
    lines = [b'"%b": %b' % field for field in (*covered, (b"@signature-params", parameters))]
    return b"\n".join(lines), label.encode("ascii") + b"=" + parameters


def _asked(
    wish: Wish, covered: Sequence[tuple[bytes, bytes]], address: addresses.Address
) -> tuple[tuple[bytes, bytes], ...]:
    """What is to be covered beyond what is anyway: components that derive from where a request of ours goes."""
    known = {"@method", "@target-uri", *(name.decode("ascii") for name, _ in covered)}
    request = SignedRequest("", address.target.encode("ascii"), [])
    return tuple(
        (name.encode("ascii"), _derived(name, request, address.origin))
        for name in wish.components
        if name not in known
    )


def _derived(name: str, request: SignedRequest, origin: str) -> bytes:
    path, _, query = request.path_with_query.partition(b"?")
    if name == "@method":
        return request.method.encode("ascii")
    if name == "@target-uri":
        return origin.encode("ascii") + request.path_with_query
    if name == "@authority":
        return host_of(origin).encode("ascii")
    if name == "@scheme":
        return origin.partition("://")[0].encode("ascii")
    if name == "@request-target":
        return request.path_with_query
    # §2.2.7: the query keeps its "?", and an absent one is "?" alone.
    return (path or b"/") if name == "@path" else b"?" + query


def _present(
    members: structured.InnerList, signature: bytes, request: SignedRequest, fields: dict[bytes, bytes]
) -> Presented | Refused:
    covered = _components(members.items)
    if isinstance(covered, Refused):
        return covered
    parameters = members.parameters
    for key, value in parameters.items():
        kind = _PARAMETERS.get(key)
        if kind is not None and (not isinstance(value, kind) or isinstance(value, bool | structured.Token)):
            return Refused(Reason.MALFORMED, key)
    key_id, algorithm, created = parameters.get("keyid"), parameters.get("alg"), parameters.get("created")
    if not isinstance(key_id, str) or not key_id:
        return Refused(Reason.MALFORMED, "keyid")
    if not isinstance(created, int) or created < 0:
        return Refused(Reason.NO_TIME)
    if algorithm is not None and algorithm not in _ACCEPTED:
        return Refused(Reason.ALGORITHM, str(algorithm))
    if not _covers_enough(covered, request):
        return Refused(Reason.THIN_COVERAGE)
    expires, nonce = parameters.get("expires"), parameters.get("nonce")
    inner = " ".join(f'"{name}"' for name in covered)
    return Presented(
        dialect=Dialect.RFC9421,
        key_id=key_id,
        signature=signature,
        algorithm=str(algorithm) if algorithm is not None else None,
        covered=covered,
        created=created,
        expires=expires if isinstance(expires, int) else None,
        nonce=nonce if isinstance(nonce, str) else None,
        fields=fields,
        parameters=f"({inner}){structured.write_parameters(parameters)}",
        lines=(),
    )


@lru_cache(maxsize=256)
def _components(items: tuple[tuple[str, bool], ...]) -> tuple[str, ...] | Refused:
    """Return the names of the covered components, or why they are not accepted; remembered, for they recur."""
    covered = tuple(name for name, _ in items)
    if len(set(covered)) != len(covered):
        return Refused(Reason.DUPLICATE, "components")
    for name, has_parameters in items:
        if has_parameters or not (
            name in _DERIVED if name.startswith("@") else set(name) <= _NAME_CHARACTERS
        ):
            # ;req, ;bs, ;tr, ;sf, ;key change what is signed: not understood is not accepted (§3.2).
            return Refused(Reason.UNKNOWN_COMPONENT, name)
    return covered


def _covers_enough(covered: tuple[str, ...], request: SignedRequest) -> bool:
    if "@method" not in covered:
        return False
    if "@target-uri" not in covered:
        # The target as it stands in the request line is path and query in one (§2.2.5).
        needed = {"@authority", "@request-target" if "@request-target" in covered else "@path"}
        if "@path" in needed and b"?" in request.path_with_query:
            # A request without a query need not sign that it has none (apsig 0.6 and bovine 0.5 do not); one with does.
            needed.add("@query")
        if not needed.issubset(covered):
            return False
    return "content-digest" in covered or not has_body_to_sign(request)
