"""One actor on bovine_herd, with bovine's database, inbox and delivery; it accepts every follower."""

import uuid

from bovine.activitystreams import factories_for_actor_object
from bovine.crypto.multibase import encode_public_key_to_multibase
from bovine.crypto.types import CryptographicSecret
from bovine.types import Visibility
from bovine_herd import BovineHerd
from bovine_process import default_inbox_process, handle_outbox_item, process_outbox_item
from bovine_process.types import ProcessingItem
from bovine_store import BovineAdminStore
from bovine_store.store.collection import collection_all
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quart import Quart
from signing import Courier

NAME = "peer"
HELLO = "Hello (fictional)."
MULTIKEY = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]


class Peer:
    """The actor, what it knows, and what it can be told to do. `settle` comes once bovine has opened its database."""

    def __init__(self, app: Quart, origin: str, *, knock: str, database: str) -> None:
        self.app = BovineHerd(app, start_background_task_inbox=self._take_in, db_url=f"sqlite://{database}")
        self.origin = origin
        self.knock = knock
        self.accepted: list[str] = []
        self.rejected: list[str] = []
        self.liked: list[str] = []
        # What stands at an address of this server besides what bovine shows.
        self.shown: dict[str, dict] = {}

    async def settle(self) -> None:
        """Make the actor, with an Ed25519 key beside the RSA key that bovine gives it."""
        admin = BovineAdminStore(domain=self.origin)
        name = await admin.register(NAME)
        store = self.app.config["bovine_store"]
        self.id = (await store.actor_for_name(name)).actor_id
        private = Ed25519PrivateKey.generate()
        self.key = CryptographicSecret(f"{self.id}#ed25519-key", private)
        multikey = {
            "id": self.key.key_id,
            "type": "Multikey",
            "controller": self.id,
            "publicKeyMultibase": encode_public_key_to_multibase(private.public_key()),
        }
        described = {
            "name": "A peer on bovine (fictional)",
            "assertionMethod": [multikey],
            "@context": MULTIKEY,
        }
        await admin.set_properties_for_actor(name, described)
        self.actor = await store.actor_for_name(name)
        self.actor.client = Courier(self.actor.client, self.key, self.knock)
        self.server = await store.application_actor_for_url(self.origin)
        self.server.client = Courier(self.server.client, self.key, self.knock)
        profile = self.actor.actor_object.build(visibility=Visibility.OWNER)
        self.activities, self.objects = factories_for_actor_object(profile)

    async def state(self) -> dict:
        about = self.actor.actor_object
        return {
            "followers": await collection_all(self.id, about.followers),
            "following": await collection_all(self.id, about.following),
            "accepted": self.accepted,
            "rejected": self.rejected,
            "liked": self.liked,
        }

    # ---- what it can be told; each returns what was sent ------------------------------------------------------------

    async def follow(self, actor: str) -> dict:
        return await self._publish(self.activities.follow(actor).build())

    async def unfollow(self, actor: str, follow: str) -> dict:
        undone = {"id": follow, "type": "Follow", "actor": self.id, "object": actor}
        return await self._publish(
            self.activities.undo(undone, include_activity=True).build() | {"to": [actor]}
        )

    async def note(self, to: str | None = None, content: str = HELLO, inReplyTo: str | None = None) -> dict:
        note = self.objects.note(content=content, in_reply_to=inReplyTo).as_public()
        if to:
            note.to.add(to)
        return await self._publish(self.activities.create(note.build()).build())

    async def like(self, actor: str, object: str) -> dict:
        return await self._publish(self.activities.like(object).build() | {"to": [actor]})

    async def announce(self, actor: str, object: str) -> dict:
        return await self._publish(self.activities.announce(object).as_public().build() | {"cc": [actor]})

    async def post(
        self,
        inbox: str,
        activity: dict,
        *,
        unproven: dict | None = None,
        altered: dict | None = None,
        forwarded: bool = False,
    ) -> dict:
        """Post an activity of the actor with proofs, one on an object with a `@context` of its own, which is shown; returns the status.

        unproven   members of the object changed after the proofs and before the signature.
        altered    members of the object changed after both.
        forwarded  signed by the server's own actor.
        """
        courier = (self.server if forwarded else self.actor).client
        about = activity["object"]
        if "@context" in about:
            about = self.shown[about["id"]] = courier.prove(about)
        told = courier.prove(
            activity | {"id": f"{self.id}#{uuid.uuid4()}", "actor": self.id, "object": about}
        )
        if unproven:
            told = told | {"object": about | unproven}
        under = told | {"object": about | altered} if altered else None
        return {"status": (await courier.send(inbox, told, altered=under)).status}

    # ---- what bovine leaves to whoever uses it ----------------------------------------------------------------------

    async def _publish(self, activity: dict) -> dict:
        item = await handle_outbox_item(ProcessingItem(self.id, activity), self.actor)
        await process_outbox_item(item, self.actor)
        return item.data

    async def _take_in(self, item: ProcessingItem, _: object) -> None:
        self.app.add_background_task(self._work_off, item)

    async def _work_off(self, item: ProcessingItem) -> None:
        kind, sender, about = (item.data.get(name) for name in ("type", "actor", "object"))
        await default_inbox_process(item, self.actor)
        match kind:
            case "Follow":
                await self._publish(self.activities.accept(item.data).build())
            case "Accept":
                self.accepted.append(sender)
            case "Reject":
                self.rejected.append(sender)
            case "Like":
                self.liked.append(about)
