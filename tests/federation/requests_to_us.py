"""Builders of signed requests: each gives a valid one, and the test says what is different."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from federation import cavage, signatures
from federation.digests import BodyDigest
from federation.keys import Signer
from federation.requests import Dialect, Refused, SignedRequest, Verified
from federation.verification import read_signature, verify
from tests.rig.keys import ed25519_key, rsa_key

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ORIGIN = "https://node.example"
INBOX = f"{ORIGIN}/inbox"
BODY = b'{"type":"Create"}'
KEY_ID = "https://peer.example/actors/cases#main-key"
RSA = rsa_key("peer").signer(KEY_ID)
ED25519 = ed25519_key("peer").signer(KEY_ID)
TYPE = b"application/activity+json"

Headers = list[tuple[bytes, bytes]]


def signed(
    dialect: Dialect = Dialect.CAVAGE,
    method: str = "POST",
    url: str = INBOX,
    *,
    body: bytes = BODY,
    now: datetime = NOW,
    signer: Signer | None = None,
) -> SignedRequest:
    """A request as our own side signs it."""
    signer = signer or (ED25519 if dialect is Dialect.RFC9421_ED25519 else RSA)
    sign: Callable[..., Headers] = cavage.sign if dialect is Dialect.CAVAGE else signatures.sign
    digest = {"digest": BodyDigest.of(body), "content_type": TYPE} if method == "POST" else {}
    headers = sign(method, url, signer=signer, now=now, **digest)
    target = "/" + url.split("/", 3)[3]
    return SignedRequest(method, target.encode(), headers, body if method == "POST" else b"")


def cavage_signed(
    covered: str = "(request-target) host date digest",
    *,
    method: str = "POST",
    target: str = "/inbox",
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    without: Sequence[str] = (),
    parameters: dict[str, str] | None = None,
    template: str | None = None,
    signer: Signer = RSA,
) -> SignedRequest:
    """A request in the old dialect, signed by hand over whatever the test says.

    headers      replace or add; parameters likewise, as written: numbers bare, strings quoted.
    template     the whole Signature field, with {signature}.
    """
    fields = {
        "host": "node.example",
        "date": cavage.imf_date(NOW),
        "digest": BodyDigest.of(body).digest.decode(),
        "content-type": TYPE.decode(),
    } | (headers or {})
    values = {"keyId": f'"{signer.key_id}"', "algorithm": '"rsa-sha256"', "headers": f'"{covered}"'}
    values |= parameters or {}
    lines = []
    for name in covered.split():
        if name == "(request-target)":
            lines.append(f"{name}: {method.lower()} {target}")
        elif name in ("(created)", "(expires)"):
            lines.append(f"{name}: {values.get(name[1:-1], '')}")
        else:
            lines.append(f"{name}: {fields.get(name, '')}")
    signature = base64.b64encode(signer.sign("\n".join(lines).encode())).decode()
    values = {name: value for name, value in values.items() if name not in without}
    field = ",".join(f"{name}={value}" for name, value in values.items()) + f',signature="{signature}"'
    if template is not None:
        field = template.format(signature=signature)
    sent = [(name.encode(), value.encode()) for name, value in fields.items() if name not in without]
    return SignedRequest(method, target.encode(), [*sent, (b"signature", field.encode())], body)


def rfc9421_signed(
    components: str = '"@method" "@target-uri" "content-digest"',
    parameters: str | None = None,
    *,
    method: str = "POST",
    target: str = "/inbox",
    body: bytes = BODY,
    headers: Headers | None = None,
    label: str = "sig1",
    signer: Signer = RSA,
) -> SignedRequest:
    """A request in the new dialect, signed by hand over whatever the test says."""
    fields: Headers = [
        (b"host", b"node.example"),
        (b"date", cavage.imf_date(NOW).encode()),
        (b"content-digest", BodyDigest.of(body).content_digest),
        (b"content-type", TYPE),
    ]
    fields += headers or []
    if parameters is None:
        parameters = f';created={int(NOW.timestamp())};keyid="{signer.key_id}"'
    by_name: dict[bytes, bytes] = {}
    for field, given in fields:
        by_name[field] = by_name[field] + b", " + given if field in by_name else given
    path, _, query = target.partition("?")
    derived = {
        "@method": method,
        "@target-uri": ORIGIN + target,
        "@authority": "node.example",
        "@scheme": "https",
        "@request-target": target,
        "@path": path,
        "@query": f"?{query}",
    }
    lines = []
    for component in components.split():
        name = component.split(";")[0].strip('"')
        value = derived.get(name) or by_name.get(name.encode(), b"").decode()
        lines.append(f"{component}: {value}")
    lines.append(f'"@signature-params": ({components}){parameters}')
    signature = base64.b64encode(signer.sign("\n".join(lines).encode())).decode()
    fields.append((b"signature-input", f"{label}=({components}){parameters}".encode()))
    fields.append((b"signature", f"{label}=:{signature}:".encode()))
    return SignedRequest(method, target.encode(), fields, body)


def changed(request: SignedRequest, **headers: bytes | None) -> SignedRequest:
    """The same request with headers replaced, added (underscores for hyphens) or, for None, taken away."""
    names = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    kept = [(name, value) for name, value in request.headers if name not in names]
    added = [(name, value) for name, value in names.items() if value is not None]
    return SignedRequest(request.method, request.path_with_query, kept + added, request.body)


def judge(
    request: SignedRequest, *, signer: Signer = RSA, now: datetime = NOW, origin: str = ORIGIN
) -> Verified | Refused:
    """What the inbound door says to a request, with the signer's own key at hand."""
    presented = read_signature(request)
    if isinstance(presented, Refused):
        return presented
    return verify(presented, request, signer.public, now=now, origin=origin)


def reason(outcome: object) -> str:
    """Why it was refused, or "verified"."""
    return outcome.reason.value if isinstance(outcome, Refused) else "verified"
