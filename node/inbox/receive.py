"""The hot door: verify a signed activity, keep it for good, and only then say that it was received.

Order of checks: content encoding and size (the web's door), host policy, signature and digest, actor against signer, strict JSON, then
one group commit for everything that arrived meanwhile. JSON-LD is not touched here; `process` does that afterwards.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from federation.errors import FederationError, Forbidden, NotNow, NotThere, Unreachable
from federation.keys import VerifyingKey
from federation.requests import OWN_WINDOW, STRANGER_WINDOW, Reason, Refused, SignedRequest, Verified
from federation.verification import Presented, read_signature, verify
from node.errors import NotYet
from node.inbox.keeping import Keeper, beside, own_digest
from node.inbox.shedding import Limits, Shedder, Teller
from node.peers.actors import RemoteActor, RemoteKey, host_of, is_at_home, known_key
from node.peers.directory import find_key, require_open, verifying_key
from node.peers.follows import is_admitted, is_followed
from node.peers.hearing import Hearing
from node.peers.hosts import Standing, standings
from node.peers.synchronising import HEADER, compare
from node.runtime import Node
from vocab.errors import VocabError
from vocab.jsonld import parse
from vocab.properties import types

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_048_576
MAX_ID_CHARACTERS = 2000
CACHED_KEYS = 10_000
REFETCH_AFTER = timedelta(minutes=5)
# Then a key in memory is looked up again: its owner may have said since, to another process, that it is lost.
HELD_FOR = timedelta(seconds=30)
# A key that does not fit may have been renewed since it was read here: looked at again this often.
READ_AGAIN = timedelta(seconds=1)
# Whoever signs with a key that is being asked for anew waits for that so long, and so many at most; then they come back.
RENEWAL_SECONDS = 10.0
RENEWAL_WAITERS = 64
COME_BACK_AFTER = timedelta(seconds=30)
COMPARE_AGAIN = timedelta(hours=1)
HOSTS_REMEMBERED = 10_000


class Answer(StrEnum):
    """What the sender is told: one of these, and nothing more."""

    ACCEPTED = "accepted"
    MALFORMED = "malformed"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    BUSY = "busy"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class _Key:
    owner: str
    host: str
    key: VerifyingKey
    fetched_at: datetime
    expires_at: datetime | None
    window: timedelta
    read_at: datetime


# What people do again under the same id (Misskey, Pixelfed: follow, leave, follow): told from a repeat by its signature. Whoever
# handles these may do so twice.
DONE_AGAIN = frozenset(
    {"Follow", "Undo", "Accept", "Reject", "Like", "Dislike", "EmojiReact", "Announce", "Block", "Update"}
)


# What may come without an id (ActivityPub §3.1, transient): nobody names it again. Mastodon's Add and Remove of what stands first,
# Likes of older NodeBB, Deletes of django-activitypub. A Follow is answered by its id, and others fetch what was created or announced.
NAMELESS = frozenset(
    {
        *("Accept", "Reject", "Undo", "Update", "Delete", "Add", "Remove", "Block", "Flag", "Move"),
        *("Like", "Dislike", "EmojiReact"),
    }
)


class _Reference(msgspec.Struct):
    id: str = ""


class _Envelope(msgspec.Struct):
    """The few members that are needed before the activity is kept."""

    id: str | None = None
    type: str | list[str] = ""
    actor: str | _Reference | list[str | _Reference] = ""
    object: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def types(self) -> set[str]:
        return {self.type} if isinstance(self.type, str) else set(self.type)

    @property
    def actor_id(self) -> str:
        actor = self.actor
        if isinstance(actor, list):
            # Several act together: nobody's key speaks for all of them.
            actor = actor[0] if len(actor) == 1 else ""
        return actor if isinstance(actor, str) else actor.id


_decode = msgspec.json.Decoder(_Envelope).decode


def name_of(envelope: _Envelope, body: bytes) -> str:
    """Its id; of what may come without one, the same bytes of the same actor are the same. Empty where one is needed."""
    if envelope.id or not envelope.types or not envelope.types <= NAMELESS:
        return envelope.id or ""
    return f"{envelope.actor_id}#{hashlib.sha256(body).hexdigest()}"


class _Busy(Exception):
    """Too many keys of this host are being fetched already."""


@dataclass(slots=True, eq=False)
class _Renewal:
    """A key that is being asked for anew, and how many requests wait for it."""

    task: asyncio.Task[_Key]
    waiting: int = 0


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
        self._keys: OrderedDict[str, _Key] = OrderedDict()
        self._failed: OrderedDict[str, datetime] = OrderedDict()
        self._renewals: dict[str, _Renewal] = {}
        self._compared: OrderedDict[str, datetime] = OrderedDict()
        self._keeper = Keeper(node, self._shedder)

    async def receive(self, request: SignedRequest) -> Answer:
        """Take in one signed POST. What is ACCEPTED is durable; a repeat of it is accepted without effect.

        The reason of a refusal goes to the log, never to the sender.
        """
        try:
            envelope = _decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._refuse(Answer.MALFORMED, "json", "")
        actor, name = envelope.actor_id, name_of(envelope, request.body)
        if not _host_in(name) or not _host_in(actor):
            return self._refuse(Answer.MALFORMED, "no-id-or-actor", "")
        if not is_at_home(name, actor):
            return self._refuse(Answer.UNAUTHORISED, "id-on-another-host", actor)

        presented = read_signature(request)
        if isinstance(presented, Refused):
            return self._refuse(Answer.UNAUTHORISED, presented.reason, actor)
        key_host = _host_in(presented.key_id)
        if not key_host:
            return self._refuse(Answer.UNAUTHORISED, "key-without-an-address", actor)
        if self._is_about_itself(envelope) and not await self._is_known(presented.key_id, actor):
            # Most farewells are of accounts that nobody here ever heard of: nothing to do, and nothing to fetch.
            return Answer.ACCEPTED
        if await self._shedder.is_busy(key_host, waiting=self._keeper.waiting):
            return self._refuse(Answer.BUSY, "too-much", actor)
        try:
            key = await self._verify(presented, request)
        except (_Busy, NotNow):
            return self._refuse(Answer.BUSY, "too-many-keys", actor)
        except Unreachable as error:
            # Nothing is known against the signature, and a 4xx is final for some (Lemmy for all of them, Misskey but for 429): one
            # restart of a small server would lose what it says. 503 is sent again by Mastodon, Misskey, GoToSocial and Lemmy.
            return self._refuse(Answer.LATER, f"key-unreachable {type(error).__name__}", actor)
        except Forbidden:
            return self._refuse(Answer.FORBIDDEN, "shut-out", actor)
        except NotThere:
            if self._is_about_itself(envelope) and envelope.type == "Delete":
                # Somebody we know is gone, and their key with them: nobody can prove it any more.
                return Answer.ACCEPTED
            return self._refuse(Answer.UNAUTHORISED, "no-such-key", actor)
        except FederationError as error:
            return self._refuse(Answer.UNAUTHORISED, f"key-unreachable {type(error).__name__}", actor)
        if isinstance(key, Refused):
            return self._refuse(Answer.UNAUTHORISED, key.reason, actor)
        if key.host != key_host:
            return self._refuse(Answer.UNAUTHORISED, "key-owner-on-another-host", actor)
        owner = key.owner
        if owner != actor and not envelope.id:
            return self._refuse(Answer.UNAUTHORISED, "passed-on-without-an-id", actor)
        if owner != actor:
            # Whoever forwards an activity must not make us take the actor's own for a repeat of it.
            digest = hashlib.sha256(f"{owner}\n{actor}\n{name}".encode()).digest()
        elif envelope.types & DONE_AGAIN:
            digest = hashlib.sha256(own_digest(actor, name) + presented.signature).digest()
        else:
            digest = own_digest(actor, name)
        if self._keeper.has(digest):
            # A repeat of what this process has committed: nothing more of it is read, and nothing is written for it.
            return Answer.ACCEPTED
        try:
            # What two readers could read differently (a name twice, half a character, 1e400) was perhaps not read above as it is
            # read afterwards. Last, because it costs most: only who can sign makes us read on.
            parse(request.body)
        except VocabError as error:
            return self._refuse(Answer.MALFORMED, f"json {type(error).__name__}", actor)

        row = {
            "digest": digest,
            "activity_id": name,
            "actor": actor,
            "signer": owner,
            "body": request.body,
        }
        # What has no effect is held to all that others are, and answered alike.
        is_taken = (
            self._keeper.keep(row) if self._has_effect(envelope) else self._keeper.may_speak(actor, owner)
        )
        answer = Answer.ACCEPTED if await is_taken else Answer.FORBIDDEN
        if answer is Answer.ACCEPTED:
            await beside(self._hearing.speaks(key.host, presented.dialect))
        if owner == actor and HEADER in presented.fields and HEADER.decode() in presented.covered:
            await beside(self._compare(actor, presented.fields[HEADER]))
        return answer if answer is Answer.ACCEPTED else self._refuse(answer, "shut-out", actor)

    async def caller(self, request: SignedRequest) -> str | None:
        """The actor who signed a GET; None when nobody did, not well enough, or somebody who is shut out.

        Raises NotYet when the key cannot be had just now: nothing is known against the signature then, and nothing for it.
        """
        presented = read_signature(request)
        if isinstance(presented, Refused):
            return None
        try:
            key = await self._verify(presented, request)
        except (_Busy, Unreachable) as error:
            reason = f"key-unreachable {type(error).__name__}"
            raise NotYet(reason, retry_after=int(COME_BACK_AFTER.total_seconds())) from error
        except FederationError:
            return None
        if isinstance(key, Refused) or key.host != _host_in(presented.key_id):
            return None
        if self._hearing.is_replay(presented):
            return None
        async with self._node.database.read() as session:
            found = await standings(session, self._node.settings, [key.host])
        return key.owner if found[key.host] is not Standing.SHUT else None

    # ---- keys ------------------------------------------------------------------------------------------------------

    async def _verify(self, presented: Presented, request: SignedRequest) -> _Key | Refused:
        """The key that signed, or why not. A key that fails is asked for anew, once in a while."""
        node = self._node
        before = node.clock.now()
        known = await self._key(presented.key_id)
        outcome = self._check(presented, request, known)
        if isinstance(outcome, Refused) and known.fetched_at >= before:
            # Whoever signs with no key at all can name the keys of a thousand people of one server, which are all there.
            node.fetcher.count(presented.key_id, now=before)
        now = node.clock.now()
        if isinstance(outcome, Refused) and now - known.read_at >= READ_AGAIN:
            known = await self._key(presented.key_id, reread=True)
            outcome = self._check(presented, request, known)
        if isinstance(outcome, Verified):
            return known
        renewal = self._renewals.get(presented.key_id)
        if renewal is None:
            if now - known.fetched_at < REFETCH_AFTER or self._has_failed(presented.key_id, now):
                return outcome
            renewal = self._renewal(presented.key_id)
        renewed = await self._wait(renewal, presented.key_id)
        outcome = self._check(presented, request, renewed)
        return renewed if isinstance(outcome, Verified) else outcome

    def _renewal(self, key_id: str) -> _Renewal:
        """Begin to ask for a key anew; a task of its own, for whoever came first may be gone before the answer is there."""
        renewal = self._renewals[key_id] = _Renewal(asyncio.create_task(self._renewed(key_id)))

        def end(task: asyncio.Task[_Key]) -> None:
            self._renewals.pop(key_id, None)
            if not task.cancelled():
                # Looked at, also when nobody waits any more.
                task.exception()

        renewal.task.add_done_callback(end)
        return renewal

    async def _renewed(self, key_id: str) -> _Key:
        try:
            key = await self._key(key_id, refresh=True)
        except FederationError as error:
            if not isinstance(error, Unreachable):
                self._remember_failure(key_id, self._node.clock.now())
            raise
        self._remember_failure(key_id, self._node.clock.now())
        return key

    async def _wait(self, renewal: _Renewal, key_id: str) -> _Key:
        """The key as its owner lists it now. Perhaps it is the one that signed: nobody is refused before that is known.

        Raises FederationError, _Busy; Unreachable also when it takes too long, or too many wait for it.
        """
        if renewal.waiting >= RENEWAL_WAITERS:
            raise Unreachable("too many wait for that key", url=key_id)
        renewal.waiting += 1
        try:
            async with asyncio.timeout(RENEWAL_SECONDS):
                return await asyncio.shield(renewal.task)
        except TimeoutError as error:
            raise Unreachable("the key is still being asked for", url=key_id) from error
        finally:
            renewal.waiting -= 1

    def _check(self, presented: Presented, request: SignedRequest, known: _Key) -> Verified | Refused:
        settings, now = self._node.settings, self._node.clock.now()
        if known.expires_at is not None and known.expires_at <= now:
            # What a retired key proved stands; it signs no request any more.
            return Refused(Reason.EXPIRED)
        return verify(presented, request, known.key, now=now, origin=settings.origin, window=known.window)

    async def _key(self, key_id: str, *, reread: bool = False, refresh: bool = False) -> _Key:
        """The key from memory, from the database, or from its owner. reread, refresh: not from memory, only from its owner."""
        now = self._node.clock.now()
        held = None if reread or refresh else self._keys.get(key_id)
        if held is not None and now - held.read_at < HELD_FOR:
            self._keys.move_to_end(key_id)
            return held
        row = None
        if not refresh:
            async with self._node.database.read() as session:
                row = await known_key(session, key_id)
        if row is None:
            row = await self._fetch_key(key_id)
        if row is None:
            raise NotThere("the owner lists no such key", url=key_id, status=404)
        # Asked once with the key, never for a delivery.
        async with self._node.database.read() as session:
            is_own = await is_admitted(session, host_of(row.owner))
        window = OWN_WINDOW if is_own else STRANGER_WINDOW
        newer = self._keys.get(key_id)
        if newer is not None and newer.fetched_at > row.fetched_at:
            # It was asked for anew while this was read.
            return newer
        held = _Key(
            row.owner, host_of(row.owner), verifying_key(row), row.fetched_at, row.expires_at, window, now
        )
        self._keys[key_id] = held
        self._keys.move_to_end(key_id)
        while len(self._keys) > CACHED_KEYS:
            self._keys.popitem(last=False)
        return held

    async def _fetch_key(self, key_id: str) -> RemoteKey | None:
        """The key as its owner lists it now; the host's policy is asked before the host is. Raises _Busy, FederationError."""
        await require_open(self._node, key_id)
        document = key_id.partition("#")[0]
        async with self._node.database.read() as session:
            followed = await is_followed(session, document)
        # Whom we follow has a line of their own: nobody fills it by naming keys elsewhere, on their host or on others.
        line = document if followed else host_of(key_id)
        with self._shedder.fetching(key_id, line, is_followed=followed) as is_possible:
            if not is_possible:
                # Many key ids on one host would make us its client (as in Fedify CVE-2026-34148, with other ids).
                raise _Busy
            return await find_key(self._node, key_id, refresh=True, is_followed=followed)

    def _has_failed(self, key_id: str, now: datetime) -> bool:
        """Whether its owner was asked not long ago, and what they said did not help."""
        failed_at = self._failed.get(key_id)
        return failed_at is not None and now - failed_at < REFETCH_AFTER

    def _remember_failure(self, key_id: str, now: datetime) -> None:
        self._failed[key_id] = now
        while len(self._failed) > CACHED_KEYS:
            self._failed.popitem(last=False)

    async def _is_known(self, key_id: str, actor: str) -> bool:
        if key_id in self._keys:
            return True
        async with self._node.database.read() as session:
            return (
                await known_key(session, key_id) is not None
                or await session.get(RemoteActor, actor) is not None
            )

    def _has_effect(self, envelope: _Envelope) -> bool:
        """Whether it may be of a type that is handled: what names none here may do so in another spelling."""
        if self._handled is None or not envelope.types.isdisjoint(self._handled):
            return True
        said = types({"type": list(envelope.types)})
        return not all(said) or not said or any(kind in self._handled for kind in said)

    @staticmethod
    def _is_about_itself(envelope: _Envelope) -> bool:
        if envelope.type not in ("Delete", "Update"):
            return False
        try:
            inner = msgspec.json.decode(envelope.object)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # The first reading skipped over these bytes.
            return False
        return (inner.get("id") if isinstance(inner, dict) else inner) == envelope.actor_id

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


def _host_in(text: str) -> str:
    """The host of an address that can be kept and compared: http(s), and nothing that a database or a log stumbles over. Else empty."""
    if (
        not text.startswith(("https://", "http://"))
        or len(text) > MAX_ID_CHARACTERS
        or not text.isprintable()
    ):
        return ""
    try:
        return host_of(text)
    except ValueError:
        return ""
