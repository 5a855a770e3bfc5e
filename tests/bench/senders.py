"""Fifty servers that send: their actors, their keys, and deliveries signed beforehand so that sending costs nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from federation.cavage import sign
from federation.digests import BodyDigest
from federation.keys import Signer
from tests.bench.loopback import answer
from tests.rig.keys import rsa_key

KEYS = "abcdefgh"
CONTEXT = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"]
# As other software writes it: an address that nobody here has bundled, and words of its own.
UNKNOWN = [
    CONTEXT[0],
    "https://strange.example/ns",
    {"strange": "https://strange.example/ns#", "mood": "strange:mood"},
]
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
BODY_BYTES = 4784
TYPE = b"application/activity+json"


@dataclass(frozen=True)
class Sender:
    """One actor on a host of its own."""

    actor: str
    signer: Signer

    def document(self) -> bytes:
        return json.dumps(
            {
                "@context": CONTEXT,
                "id": self.actor,
                "type": "Person",
                "preferredUsername": "sender",
                "inbox": f"{self.actor}/inbox",
                "outbox": f"{self.actor}/outbox",
                "followers": f"{self.actor}/followers",
                "publicKey": {
                    "id": self.signer.key_id,
                    "owner": self.actor,
                    "publicKeyPem": self.signer.public.pem,
                },
            }
        ).encode()


def senders(port: int, count: int = 50) -> list[Sender]:
    """Senders at 127.0.1.1, 127.0.1.2, … on one port."""
    found = []
    for index in range(count):
        actor = f"http://127.0.1.{index + 1}:{port}/users/sender"
        found.append(Sender(actor, rsa_key(KEYS[index % len(KEYS)]).signer(f"{actor}#main-key")))
    return found


class Documents:
    """Serves the senders' actor documents; each host serves its own."""

    def __init__(self) -> None:
        self.by_host: dict[bytes, bytes] = {}

    def add(self, found: Sequence[Sender]) -> None:
        for sender in found:
            self.by_host[urlsplit(sender.actor).netloc.encode()] = answer(200, sender.document())

    def __call__(self, url: bytes, host: bytes) -> bytes:
        document = self.by_host.get(host)
        return document if document is not None and url == b"/users/sender" else answer(404)


def deliveries(
    found: Sequence[Sender],
    inbox: str,
    count: int,
    *,
    batch: str,
    spoilt: bool = False,
    context: Sequence[object] = CONTEXT[:1],
) -> list[bytes]:
    """Whole HTTP requests, each a different Create from the next sender, signed with draft-cavage RSA.

    spoilt   with one letter of the body changed after signing.
    context  what the activity says its words mean.
    """
    requests = []
    for number in range(count):
        sender = found[number % len(found)]
        body = _create(sender.actor, f"{batch}-{number}", context)
        headers = sign(
            "POST",
            inbox,
            signer=sender.signer,
            now=datetime.now(UTC),
            digest=BodyDigest.of(body),
            content_type=TYPE,
        )
        if spoilt:
            body = body.replace(b'"Lorem', b'"lorem', 1)
        lines = [b"%s: %s" % header for header in headers]
        lines.append(b"content-length: %d" % len(body))
        target = urlsplit(inbox).path.encode()
        requests.append(b"POST %s HTTP/1.1\r\n%s\r\n\r\n%s" % (target, b"\r\n".join(lines), body))
    return requests


def _create(actor: str, number: str, context: Sequence[object]) -> bytes:
    published = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    addressed = {"to": [PUBLIC], "cc": [f"{actor}/followers"], "published": published}
    article = {
        "id": f"{actor}/articles/{number}",
        "type": "Article",
        "attributedTo": actor,
        "name": "A text to be measured (fictional)",
        "content": "Lorem ipsum ",
        **addressed,
    }
    create = {
        "@context": context[0] if len(context) == 1 else context,
        "id": f"{actor}/articles/{number}#create",
        "type": "Create",
        "actor": actor,
        "object": article,
        **addressed,
    }
    # Without room between members, as servers in JavaScript, Ruby, Go and Rust write it.
    write = partial(json.dumps, separators=(",", ":"))
    size = len(write(create))
    article["content"] = "Lorem ipsum " + "dolor sit amet " * ((BODY_BYTES - size) // 15)
    return write(create).encode()
