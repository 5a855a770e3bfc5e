"""The hot door: verify a signed activity, keep it for good, and only then say that it was received.

Order of checks: content encoding and size (the web's door), host policy, signature and digest, actor against signer, then one group
commit for everything that arrived meanwhile. JSON-LD is not touched here; `process` does that afterwards.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import LargeBinary, String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from federation.errors import FederationError, NotThere
from federation.keys import VerifyingKey
from federation.requests import Refused, SignedRequest, Verified
from federation.verification import Presented, read_signature, verify
from node import outbox
from node.database import Row
from node.peers.actors import host_of
from node.peers.directory import find_key, verifying_key
from node.peers.hosts import is_blocked
from node.runtime import Node

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_048_576
CACHED_KEYS = 10_000
REFETCH_AFTER = timedelta(minutes=5)
BATCH = 200


class Received(Row):
    """An activity that came in with a good signature. Its id stays for good; its body until it was processed."""

    __tablename__ = "received"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    activity_id: Mapped[str] = mapped_column(String(2000))
    actor: Mapped[str] = mapped_column(String(2000))
    signer: Mapped[str] = mapped_column(String(2000))
    body: Mapped[bytes | None]
    received_at: Mapped[datetime]


class Answer(StrEnum):
    """What the sender is told: one of these, and nothing more."""

    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class _Key:
    owner: str
    key: VerifyingKey
    fetched_at: datetime


class _Reference(msgspec.Struct):
    id: str = ""


class _Envelope(msgspec.Struct):
    """The few members that are needed before the activity is kept."""

    id: str = ""
    type: str | list[str] = ""
    actor: str | _Reference = ""
    object: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def actor_id(self) -> str:
        return self.actor if isinstance(self.actor, str) else self.actor.id


_decode = msgspec.json.Decoder(_Envelope).decode


class Inbox:
    """The receiving side of one process: parsed keys, and activities waiting for the next commit."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._keys: OrderedDict[str, _Key] = OrderedDict()
        self._failed: OrderedDict[str, datetime] = OrderedDict()
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._committer: asyncio.Task[None] | None = None

    async def receive(self, request: SignedRequest) -> Answer:
        """Take in one signed POST. What is ACCEPTED is durable; a repeat of it is accepted without effect.

        The reason of a refusal goes to the log, never to the sender.
        """
        try:
            envelope = _decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._refuse(Answer.MALFORMED, "json", "")
        actor = envelope.actor_id
        if not envelope.id.startswith(("https://", "http://")) or not actor.startswith(
            ("https://", "http://")
        ):
            return self._refuse(Answer.MALFORMED, "no-id-or-actor", "")
        if host_of(envelope.id) != host_of(actor):
            return self._refuse(Answer.UNAUTHORISED, "id-on-another-host", actor)

        presented = read_signature(request)
        if isinstance(presented, Refused):
            return self._refuse(Answer.UNAUTHORISED, presented.reason, actor)
        if await self._is_blocked(presented.key_id, actor):
            return self._refuse(Answer.FORBIDDEN, "blocked-host", actor)
        try:
            owner = await self._verify(presented, request)
        except NotThere:
            if self._is_farewell(envelope):
                # A Delete of somebody we never knew, whose key is gone with them: nothing to do, and nothing to fetch again.
                return Answer.ACCEPTED
            return self._refuse(Answer.UNAUTHORISED, "no-such-key", actor)
        except FederationError as error:
            return self._refuse(Answer.UNAUTHORISED, f"key-unreachable {type(error).__name__}", actor)
        if isinstance(owner, Refused):
            return self._refuse(Answer.UNAUTHORISED, owner.reason, actor)
        if host_of(owner) != host_of(presented.key_id):
            return self._refuse(Answer.UNAUTHORISED, "key-owner-on-another-host", actor)

        await self._keep(envelope.id, actor, owner, request.body)
        return Answer.ACCEPTED

    def forget_key(self, key_id: str) -> None:
        """Read this key from the database or its owner next time."""
        self._keys.pop(key_id, None)

    # ---- keys ------------------------------------------------------------------------------------------------------

    async def _verify(self, presented: Presented, request: SignedRequest) -> str | Refused:
        """The owner of the key that signed, or why not. A key that fails is asked for anew, once in a while."""
        node = self._node
        known = await self._key(presented.key_id)
        outcome = self._check(presented, request, known)
        if isinstance(outcome, Verified):
            return known.owner
        now = node.clock.now()
        if (
            known.fetched_at > now - REFETCH_AFTER
            or self._failed.get(presented.key_id, datetime.min.replace(tzinfo=now.tzinfo))
            > now - REFETCH_AFTER
        ):
            return outcome
        self._remember_failure(presented.key_id, now)
        renewed = await self._key(presented.key_id, refresh=True)
        outcome = self._check(presented, request, renewed)
        return renewed.owner if isinstance(outcome, Verified) else outcome

    def _check(self, presented: Presented, request: SignedRequest, known: _Key) -> Verified | Refused:
        settings = self._node.settings
        return verify(presented, request, known.key, now=self._node.clock.now(), origin=settings.origin)

    async def _key(self, key_id: str, *, refresh: bool = False) -> _Key:
        if not refresh and (held := self._keys.get(key_id)) is not None:
            self._keys.move_to_end(key_id)
            return held
        row = await find_key(self._node, key_id, refresh=refresh)
        if row is None:
            raise NotThere("the owner lists no such key", url=key_id, status=404)
        held = _Key(row.owner, verifying_key(row), row.fetched_at)
        self._keys[key_id] = held
        self._keys.move_to_end(key_id)
        while len(self._keys) > CACHED_KEYS:
            self._keys.popitem(last=False)
        return held

    def _remember_failure(self, key_id: str, now: datetime) -> None:
        self._failed[key_id] = now
        while len(self._failed) > CACHED_KEYS:
            self._failed.popitem(last=False)

    async def _is_blocked(self, *urls: str) -> bool:
        hosts = {host_of(url) for url in urls}
        if urls[0] in self._keys and len(hosts) == 1:
            # Blocking a host forgets its keys, so a cached key speaks for an allowed host.
            return False
        async with self._node.database.read() as session:
            return any([await is_blocked(session, host) for host in hosts])

    @staticmethod
    def _is_farewell(envelope: _Envelope) -> bool:
        if envelope.type != "Delete":
            return False
        try:
            inner = msgspec.json.decode(envelope.object)
        except msgspec.DecodeError:
            return False
        return (inner.get("id") if isinstance(inner, dict) else inner) == envelope.actor_id

    # ---- keeping ---------------------------------------------------------------------------------------------------

    async def _keep(self, activity_id: str, actor: str, signer: str, body: bytes) -> None:
        """Wait until the activity and its job are committed, together with whatever else arrived meanwhile."""
        row = {
            "digest": hashlib.sha256(f"{actor}\n{activity_id}".encode()).digest(),
            "activity_id": activity_id,
            "actor": actor,
            "signer": signer,
            "body": body,
            "received_at": self._node.clock.now(),
        }
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, kept))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit())
        await kept

    async def _commit(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                await self._write([row for row, _ in batch])
            except Exception as error:  # whoever waits is told; the loop goes on for the next batch
                for _, kept in batch:
                    if not kept.done():
                        kept.set_exception(error)
                continue
            for _, kept in batch:
                if not kept.done():
                    kept.set_result(None)
            await self._node.bell.ring()

    async def _write(self, rows: list[dict[str, Any]]) -> None:
        node = self._node
        insert = sqlite.insert if node.database.is_sqlite else postgresql.insert
        unique = {row["digest"]: row for row in rows}
        async with node.database.begin() as session:
            fresh = set(
                await session.scalars(
                    insert(Received)
                    .values(list(unique.values()))
                    .on_conflict_do_nothing(index_elements=[Received.digest])
                    .returning(Received.digest)
                )
            )
            await outbox.enqueue_many(
                session,
                (
                    outbox.Order(
                        kind="process",
                        payload={"digest": digest.hex()},
                        lane=f"from:{host_of(row['actor'])}",
                        key=f"process:{digest.hex()}",
                    )
                    for digest, row in unique.items()
                    if digest in fresh
                ),
                now=node.clock.now(),
            )

    def _refuse(self, answer: Answer, reason: str, actor: str) -> Answer:
        log.info("inbox.refused", extra={"reason": str(reason), "host": host_of(actor) if actor else ""})
        return answer
