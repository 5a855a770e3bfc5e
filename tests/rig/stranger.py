"""A server of somebody we never met: an actor document of any shape, and posts signed any way, also wrongly."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from federation import cavage, signatures
from federation.digests import BodyDigest
from federation.keys import PrivateKey, Signer
from federation.requests import SignedRequest
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_actor
from node.peers.follows import follow
from node.peers.ours import local_actor_at
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.town import Town
from vocab.actors import Actor, PublicKey, write_actor
from vocab.terms import ACTIVITY_JSON, AS


class Stranger:
    """One actor at https://{host}/users/{name}; `documents` is what its server serves, by path."""

    def __init__(
        self, town: Town, host: str = "stranger.example", name: str = "sam", *, key: str = "stranger"
    ) -> None:
        self.town = town
        self.host = host
        self.id = f"https://{host}/users/{name}"
        self.rsa: PrivateKey = rsa_key(key)
        self.ed25519: PrivateKey = ed25519_key(key)
        self.documents: dict[str, Any] = {
            f"/users/{name}": self.actor(),
            f"/users/{name}/outbox": self._outbox(),
        }
        self.asked: list[str] = []
        self.received: list[dict[str, Any]] = []
        town.wires.apps[host] = httpx.MockTransport(self._serve)

    @property
    def key_id(self) -> str:
        return f"{self.id}#main-key"

    def signer(self, key_id: str | None = None) -> Signer:
        return self.rsa.signer(key_id or self.key_id)

    def prover(self) -> Signer:
        return self.ed25519.signer(f"{self.id}#ed25519-key")

    def actor(self, **changed: Any) -> dict[str, Any]:
        document = write_actor(
            Actor(
                id=self.id,
                type="Organization",
                preferred_username=self.id.rsplit("/", 1)[1],
                name="A stranger (fictional)",
                inbox=f"{self.id}/inbox",
                outbox=f"{self.id}/outbox",
                followers=f"{self.id}/followers",
                keys=(
                    PublicKey(self.key_id, self.id, "rsa", spki_pem=self.rsa.public.pem),
                    PublicKey(
                        f"{self.id}#ed25519-key", self.id, "ed25519", multibase=self.ed25519.public.multibase
                    ),
                ),
            )
        )
        return document | changed

    def activity(self, kind: str, object_: object, *, number: int = 1, **more: Any) -> dict[str, Any]:
        return {
            "@context": AS,
            "id": f"https://{self.host}/activities/{kind.lower()}-{number}",
            "type": kind,
            "actor": self.id,
            "object": object_,
            **more,
        }

    async def post(
        self,
        to: str,
        activity: Mapping[str, Any] | bytes,
        *,
        now: datetime | None = None,
        dialect: str = "cavage",
        headers: Mapping[str, str | None] | None = None,
        key_id: str | None = None,
        signed_as: str | None = None,
        content_type: str = ACTIVITY_JSON,
        body: bytes | None = None,
    ) -> httpx.Response:
        """Post to the shared inbox of a site, signed as told.

        headers    replace or (None) drop headers after signing.
        signed_as  sign for this URL instead of the one that is posted to.
        body       post these bytes instead of those that were signed.
        """
        url = f"{self.town[to].origin}/inbox"
        content = activity if isinstance(activity, bytes) else json.dumps(activity).encode()
        sign = cavage.sign if dialect == "cavage" else signatures.sign
        signed = sign(
            "POST",
            signed_as or url,
            signer=self.signer(key_id),
            now=now or self.town.clock.now(),
            digest=BodyDigest.of(content),
            content_type=content_type.encode(),
        )
        sent = {name.decode(): value.decode() for name, value in signed} | {"content-type": content_type}
        for name, value in (headers or {}).items():
            if value is None:
                sent.pop(name, None)
            else:
                sent[name] = value
        async with self.town.visitor(to) as http:
            return await http.post(url, content=content if body is None else body, headers=sent)

    def posting(self, to: str, activity: Mapping[str, Any], *, body: bytes | None = None) -> SignedRequest:
        """What that would be at the door of the site's inbox, signed now. body: other bytes than those that were signed."""
        content = json.dumps(activity).encode()
        signed = cavage.sign(
            "POST",
            f"{self.town[to].origin}/inbox",
            signer=self.signer(),
            now=self.town.clock.now(),
            digest=BodyDigest.of(content),
            content_type=ACTIVITY_JSON.encode(),
        )
        return SignedRequest("POST", b"/inbox", signed, content if body is None else body)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if request.method == "POST":
            self.received.append(json.loads(request.content))
            return httpx.Response(202)
        document = self.documents.get(request.url.path)
        if document is None:
            return httpx.Response(404)
        if isinstance(document, httpx.Response):
            return document
        return httpx.Response(200, content=json.dumps(document), headers={"content-type": ACTIVITY_JSON})

    def _outbox(self) -> dict[str, Any]:
        return {
            "@context": AS,
            "id": f"{self.id}/outbox",
            "type": "OrderedCollection",
            "totalItems": 0,
            "orderedItems": [],
        }

    async def befriend(self, name: str) -> None:
        """They follow that site, and that site follows them."""
        node = self.town[name].node
        us = local_actor_at(node.settings, node.settings.main_actor)
        assert us is not None
        await self.post(name, self.activity("Follow", us.id))
        them = await find_actor(node, self.id)
        async with node.database.begin() as session:
            row = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
        await self.post(name, self.activity("Accept", row.activity))
        await self.town.settle()


def known_actor(url: str, *, shared_inbox: str | None = None, fetched_at: datetime) -> RemoteActor:
    """The row of an actor whose document was read: for tests in which only that they are known matters."""
    host = host_of(url)
    return RemoteActor(
        id=url,
        host=host,
        type="Person",
        handle=f"x@{host}",
        name="x",
        url=url,
        inbox=f"{url}/inbox",
        shared_inbox=shared_inbox,
        fetched_at=fetched_at,
    )
