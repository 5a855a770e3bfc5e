"""The hot door: verify a signed activity, keep it for good, and only then say that it was received.

Order of checks: content encoding and size (the web's door), host policy, signature and digest, actor against signer, strict JSON, then
one group commit for everything that arrived meanwhile. JSON-LD is not touched here; `process` does that afterwards.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import msgspec

from federation.errors import FederationError, Forbidden, NotNow, NotThere, Unreachable
from federation.requests import Refused, SignedRequest
from federation.verification import Presented, read_signature
from node.errors import NotYet
from node.inbox.envelopes import DONE_AGAIN, host_in, name_of, read_envelope
from node.inbox.keeping import Keeper, beside, own_digest
from node.inbox.shedding import Limits, Shedder, Teller
from node.inbox.signers import Busy, HeldKey, NotAsked, Signers, Tried
from node.peers.actors import RemoteActor, host_of, is_at_home, known_key
from node.peers.hearing import Hearing
from node.peers.hosts import Standing, standings
from node.peers.synchronising import HEADER, compare
from node.runtime import Node
from vocab.errors import VocabError
from vocab.jsonld import parse
from vocab.properties import types

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_048_576
COME_BACK_AFTER = timedelta(seconds=30)
COMPARE_AGAIN = timedelta(hours=1)
HOSTS_REMEMBERED = 10_000
# How many are verified before others have their turn: a millisecond's work. How many wait for theirs, of a quarter of a megabyte at most.
AT_ONCE, LINE = 8, 256


Told = TypeVar("Told")


class Answer(StrEnum):
    """What the sender is told: one of these, and nothing more."""

    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    BUSY = "busy"
    LATER = "later"
    FAILED = "failed"


class _Claim(msgspec.Struct):
    """An activity as it says itself what it is, and the signature that came with it. Nothing of it is proven yet."""

    request: SignedRequest
    types: set[str]
    id: str | None
    name: str
    actor: str
    presented: Presented
    key_host: str
    is_about_itself: bool
    is_of_its_signer: bool


class Inbox:
    """The receiving side of one process: parsed keys, and activities waiting for the next commit."""

    def __init__(
        self, node: Node, limits: Limits | None = None, *, handled: Collection[str] | None = None
    ) -> None:
        """handled  the types that have an effect here: nothing is kept of any other. None: all are kept, and looked at later."""
        self._node = node
        self._handled = handled
        self._shedder = Shedder(node, limits or Limits())
        self._teller = Teller(node)
        self._hearing = Hearing(node)
        self._signers = Signers(node, self._shedder)
        self._compared: OrderedDict[str, datetime] = OrderedDict()
        self._keeper = Keeper(node, self._shedder)
        self._line: deque[tuple[SignedRequest, Callable[[Answer], None]]] = deque()

    async def receive(self, request: SignedRequest) -> Answer:
        """Take in one signed POST, and wait for the answer."""
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.take(request, partial(_settle, told))
        return await told

    def take(self, request: SignedRequest, tell: Callable[[Answer], None]) -> None:
        """Take in one signed POST. What is ACCEPTED is durable; a repeat of it is accepted without effect.

        The reason of a refusal goes to the log, never to the sender.

        tell  is called once.
        """
        self._line.append((request, tell))
        if len(self._line) == 1:
            asyncio.get_running_loop().call_soon(self._look)
        elif len(self._line) >= LINE:
            self._look_at_some()

    def _look(self) -> None:
        """Look at some of those in line; at the next once whoever else is ready, commits above all, had their turn."""
        self._look_at_some()
        if self._line:
            asyncio.get_running_loop().call_soon(self._look)
        self._keeper.expect(more=bool(self._line))

    def _look_at_some(self) -> None:
        self._keeper.expect(more=True)
        for _ in range(min(AT_ONCE, len(self._line))):
            request, tell = self._line.popleft()
            try:
                self._look_at(request, tell)
            except Exception:
                log.exception("inbox.failed")
                # Perhaps it was telling that failed: those behind it in line are looked at all the same.
                with suppress(Exception):
                    tell(Answer.FAILED)

    def _look_at(self, request: SignedRequest, tell: Callable[[Answer], None]) -> None:
        """Verify what memory is enough for, which is nearly all. It waits for its commit without a task of its own: that would cost as
        much as the signature."""
        claim = self._read(request)
        if isinstance(claim, Answer):
            tell(claim)
            return
        tried = None if self._needs_asking(claim) else self._signers.try_held(claim.presented, request)
        if not isinstance(tried, HeldKey) or self._has_more_to_do(claim, tried):
            self._node.beside(self._go_on(claim, tried, tell))
            return
        row = self._judge(claim, tried)
        if isinstance(row, Answer):
            tell(row)
            return

        def kept(outcome: bool | Exception) -> None:
            answer = Answer.FAILED
            try:
                answer = self._said(outcome, claim.actor)
            finally:
                # Whatever breaks before: whoever waits would wait for ever.
                tell(answer)

        self._keeper.keep(row, kept)

    def _read(self, request: SignedRequest) -> _Claim | Answer:
        """What needs nobody to be asked, and no key."""
        envelope = read_envelope(request.body)
        if envelope is None:
            return self._refuse(Answer.MALFORMED, "json", "")
        actor, name = envelope.actor_id, name_of(envelope, request.body)
        if not host_in(name) or not host_in(actor):
            return self._refuse(Answer.MALFORMED, "no-id-or-actor", "")
        if not is_at_home(name, actor):
            return self._refuse(Answer.UNAUTHORISED, "id-on-another-host", actor)

        presented = read_signature(request)
        if isinstance(presented, Refused):
            return self._refuse(Answer.UNAUTHORISED, presented.reason, actor)
        key_host = host_in(presented.key_id)
        if not key_host:
            return self._refuse(Answer.UNAUTHORISED, "key-without-an-address", actor)
        return _Claim(
            request,
            envelope.types,
            envelope.id,
            name,
            actor,
            presented,
            key_host,
            envelope.is_about_itself,
            envelope.is_of_its_signer,
        )

    def _needs_asking(self, claim: _Claim) -> bool:
        """Whether the database has to be asked before the signature is looked at."""
        return claim.is_about_itself or not self._shedder.has_room(
            claim.key_host, waiting=self._keeper.waiting
        )

    def _has_more_to_do(self, claim: _Claim, key: HeldKey) -> bool:
        """Whether more is done about it than to keep it."""
        return (
            HEADER in claim.presented.fields
            or not self._hearing.knows(key.host, claim.presented.dialect)
            or not self._has_effect(claim.types)
        )

    async def _go_on(
        self, claim: _Claim, tried: HeldKey | Tried | None, tell: Callable[[Answer], None]
    ) -> None:
        """Ask for what memory was not enough for, and tell the answer.

        tried  the key that signed; or a key in memory by which the signature did not hold.
        """
        try:
            key = tried if isinstance(tried, HeldKey) else await self._find_key(claim, tried)
            answer = key if isinstance(key, Answer) else await self._keep(claim, key)
        except Exception:
            log.exception("inbox.failed")
            answer = Answer.FAILED
        tell(answer)

    async def _find_key(self, claim: _Claim, tried: Tried | None) -> HeldKey | Answer:
        """The key that signed, or the answer without it."""
        actor, presented = claim.actor, claim.presented
        if claim.is_about_itself and not await self._is_known(presented.key_id, actor):
            # Most farewells are of accounts that nobody here ever heard of: nothing to do, and nothing to fetch.
            return Answer.ACCEPTED
        if await self._shedder.is_busy(claim.key_host, waiting=self._keeper.waiting):
            return self._refuse(Answer.BUSY, "too-much", actor)
        try:
            key = await self._signers.verify(presented, claim.request, in_turn=True, tried=tried)
        except (Busy, NotNow):
            return self._refuse(Answer.BUSY, "too-many-keys", actor)
        except Unreachable as error:
            # Nothing is known against the signature, and a 4xx is final for some (Lemmy for all of them, Misskey but for 429): one
            # restart of a small server would lose what it says. 503 is sent again by Mastodon, Misskey, GoToSocial and Lemmy.
            return self._refuse(Answer.LATER, f"key-unreachable {type(error).__name__}", actor)
        except Forbidden:
            return self._refuse(Answer.FORBIDDEN, "shut-out", actor)
        except NotThere:
            if claim.is_about_itself and "Delete" in claim.types:
                # Somebody we know is gone, and their key with them: nobody can prove it any more.
                return Answer.ACCEPTED
            return self._refuse(Answer.UNAUTHORISED, "no-such-key", actor)
        except FederationError as error:
            return self._refuse(Answer.UNAUTHORISED, f"key-unreachable {type(error).__name__}", actor)
        return self._refuse(Answer.UNAUTHORISED, key.reason, actor) if isinstance(key, Refused) else key

    async def _keep(self, claim: _Claim, key: HeldKey) -> Answer:
        """Keep it, and do what follows from that."""
        row = self._judge(claim, key)
        if isinstance(row, Answer):
            return row
        if self._has_effect(claim.types):
            kept: asyncio.Future[bool | Exception] = asyncio.get_running_loop().create_future()
            self._keeper.keep(row, partial(_settle, kept))
            answer = self._said(await kept, claim.actor)
        else:
            # What has no effect is held to all that others are, and answered alike.
            answer = self._said(await self._keeper.may_speak(claim.actor, key.owner), claim.actor)
        presented = claim.presented
        if answer is Answer.ACCEPTED:
            await beside(self._hearing.speaks(key.host, presented.dialect))
        if key.owner == claim.actor and HEADER in presented.fields and HEADER.decode() in presented.covered:
            await beside(self._compare(claim.actor, presented.fields[HEADER]))
        return answer

    def _judge(self, claim: _Claim, key: HeldKey) -> dict[str, Any] | Answer:
        """What is to be kept of an activity whose signature holds by that key, if its owner may say it."""
        actor, name, owner = claim.actor, claim.name, key.owner
        if key.host != claim.key_host:
            return self._refuse(Answer.UNAUTHORISED, "key-owner-on-another-host", actor)
        if owner != actor and not claim.id:
            return self._refuse(Answer.UNAUTHORISED, "passed-on-without-an-id", actor)
        if owner != actor and claim.is_of_its_signer:
            return self._refuse(Answer.UNAUTHORISED, "an-answer-of-somebody-else", actor)
        if owner != actor:
            # Whoever forwards an activity must not make us take the actor's own for a repeat of it.
            digest = hashlib.sha256(f"{owner}\n{actor}\n{name}".encode()).digest()
        elif claim.types & DONE_AGAIN:
            digest = hashlib.sha256(own_digest(actor, name) + claim.presented.signature).digest()
        else:
            digest = own_digest(actor, name)
        if self._keeper.has(digest):
            # A repeat of what this process has committed: nothing more of it is read, and nothing is written for it.
            return Answer.ACCEPTED
        body = claim.request.body
        try:
            # What two readers could read differently (a name twice, half a character, 1e400) was perhaps not read above as it is
            # read afterwards. Last, because it costs most: only who can sign makes us read on.
            parse(body)
        except VocabError as error:
            return self._refuse(Answer.MALFORMED, f"json {type(error).__name__}", actor)
        return {"digest": digest, "activity_id": name, "actor": actor, "signer": owner, "body": body}

    def _said(self, outcome: bool | Exception, actor: str) -> Answer:
        """The answer when it was tried to keep it."""
        if isinstance(outcome, Exception):
            log.error("inbox.failed", exc_info=outcome)
            return Answer.FAILED
        return Answer.ACCEPTED if outcome else self._refuse(Answer.FORBIDDEN, "shut-out", actor)

    async def caller(self, request: SignedRequest, *, asks: bool = True) -> str | None:
        """The actor who signed a GET; None when nobody did, not well enough, or somebody who is shut out.

        asks  False: by a key that is here, or not at all.
        Raises NotYet when the key cannot be had just now: nothing is known against the signature then, and nothing for it.
        """
        presented = read_signature(request)
        if isinstance(presented, Refused):
            return None
        try:
            key = await self._signers.verify(presented, request, asks=asks)
        except (Busy, NotAsked, Unreachable) as error:
            reason = f"key-unreachable {type(error).__name__}"
            raise NotYet(reason, retry_after=int(COME_BACK_AFTER.total_seconds())) from error
        except FederationError:
            return None
        if isinstance(key, Refused) or key.host != host_in(presented.key_id):
            return None
        if self._hearing.is_replay(presented):
            return None
        async with self._node.database.read() as session:
            found = await standings(session, self._node.settings, [key.host])
        return key.owner if found[key.host] is not Standing.SHUT else None

    async def _is_known(self, key_id: str, actor: str) -> bool:
        if self._signers.has(key_id):
            return True
        async with self._node.database.read() as session:
            return (
                await known_key(session, key_id) is not None
                or await session.get(RemoteActor, actor) is not None
            )

    def _has_effect(self, types_: set[str]) -> bool:
        """Whether it may be of a type that is handled: what names none here may do so in another spelling."""
        if self._handled is None or not types_.isdisjoint(self._handled):
            return True
        said = types({"type": list(types_)})
        return not all(said) or not said or any(kind in self._handled for kind in said)

    async def _compare(self, actor: str, field: bytes) -> None:
        """Who of ours follows them, as they see it (FEP-8fcf); not at every delivery."""
        now = self._node.clock.now()
        if now - self._compared.get(actor, now - COMPARE_AGAIN) < COMPARE_AGAIN:
            return
        self._compared[actor] = now
        self._compared.move_to_end(actor)
        while len(self._compared) > HOSTS_REMEMBERED:
            self._compared.popitem(last=False)
        async with self._node.database.begin() as session:
            await compare(session, self._node.settings, actor, field, now=now)

    def _refuse(self, answer: Answer, reason: str, actor: str) -> Answer:
        if (count := self._teller.refused(reason)) is not None:
            host = host_of(actor) if actor else ""
            log.info("inbox.refused", extra={"reason": str(reason), "host": host, "count": count})
        return answer


def _settle(told: asyncio.Future[Told], outcome: Told) -> None:
    # Whoever waited may be gone.
    if not told.done():
        told.set_result(outcome)
