"""How the peer signs what it posts, and what it finds in a proof: with bovine's code, or with apsig's."""

import base64
import copy
import hashlib
import json
from dataclasses import dataclass
from urllib.parse import urldefrag, urlsplit

import aiohttp
from apsig import ProofSigner, ProofVerifier
from apsig.exceptions import UnknownSignatureError, VerificationFailedError
from apsig.rfc9421 import RFC9421Signer
from bovine import BovineActor
from bovine.clients.signed_http import SignedHttpClient
from bovine.clients.signed_http_methods import signed_post
from bovine.crypto.types import CryptographicSecret
from bovine.parse import Actor
from bovine.utils import now_isoformat

ACTIVITY_JSON = "application/activity+json"


@dataclass
class Courier:
    """Stands where bovine's actor has its client: puts the actor's proof on what it posts, and signs the request.

    http   bovine's client, which signs every GET.
    key    the Ed25519 key of the actor, for proofs.
    knock  cavage: bovine makes signature and proof; rfc9421: apsig makes both.
    """

    http: SignedHttpClient
    key: CryptographicSecret
    knock: str

    async def get(self, url: str, headers: dict | None = None) -> aiohttp.ClientResponse:
        return await self.http.get(url, headers or {})

    async def post(self, url: str, body: str) -> aiohttp.ClientResponse:
        return await self.send(url, self.prove(json.loads(body)))

    def prove(self, document: dict) -> dict:
        """The document with a proof: bovine's has no `@context` of its own, apsig's repeats the document's."""
        if self.knock == "cavage":
            return self.key.sign_document(document)
        options = {
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "proofPurpose": "assertionMethod",
            "verificationMethod": self.key.key_id,
            "created": now_isoformat(),
        }
        return ProofSigner(self.key.private_key).sign(document, options)

    async def send(self, url: str, document: dict, *, altered: dict | None = None) -> aiohttp.ClientResponse:
        """Post it as it is; or sign for it, and post something else under that signature."""
        body = json.dumps(document)
        session = Switching(self.http.session, json.dumps(altered)) if altered else self.http.session
        if self.knock == "cavage":
            return await signed_post(session, self.http.secret, url, body, self.http.digest_method)
        headers = rfc9421(self.http.secret, url, body.encode())
        return await session.post(url, data=body, headers=headers)


@dataclass
class Switching:
    """A client session that posts another body than the one it is given."""

    session: aiohttp.ClientSession
    body: str

    async def post(self, url: str, *, data: str, headers: dict) -> aiohttp.ClientResponse:
        return await self.session.post(url, data=self.body, headers=headers)


def rfc9421(secret: CryptographicSecret, url: str, body: bytes) -> dict[str, str]:
    """The headers of a POST, signed by apsig. Left alone it covers no digest, and writes one that nobody can read."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    signer = RFC9421Signer(secret.private_key, secret.key_id)
    signer.sign_headers = ["@method", "@authority", "@path", "content-type", "content-digest"]
    parts = urlsplit(url)
    covered = {"content-type": ACTIVITY_JSON, "content-digest": digest}
    signed = signer.sign("POST", parts.path, parts.netloc, covered, body) | {"content-digest": digest}
    del signed["content-length"]  # of what is signed; not always of what is sent
    return signed


async def proofs_of(document: object, actor: BovineActor, around: object = None) -> list[dict] | None:
    """Whether each proof of a document holds, as apsig sees it; None where it carries none.

    around  the `@context` of what embeds it, for a document without one.
    Bovine finds the key in its owner's actor document. Its own verify_document forgets the proof's `@context`
    (bovine.utils.pydantic_to_json dumps without aliases), so it can say nothing about proofs that have one.
    """
    if not isinstance(document, dict) or not document.get("proof"):
        return None
    proofs = document["proof"] if isinstance(document["proof"], list) else [document["proof"]]
    return [await _look({"@context": around} | document | {"proof": proof}, actor) for proof in proofs]


async def _look(document: dict, actor: BovineActor) -> dict:
    method = document["proof"]["verificationMethod"]
    owner = Actor(await actor.get(urldefrag(method).url), domain=urlsplit(method).netloc)
    key = {known.id: known for known in owner.cryptographic_identifiers}[method]
    try:
        # It takes the proof apart where it stands.
        ProofVerifier(key.public_key).verify(copy.deepcopy(document), raise_on_fail=True)
        verified = "assertionMethod" in key.verification_relationships
    except (VerificationFailedError, UnknownSignatureError):
        verified = False
    return {
        "cryptosuite": document["proof"]["cryptosuite"],
        "verified": verified,
        "key": method,
        "controller": key.controller,
    }
