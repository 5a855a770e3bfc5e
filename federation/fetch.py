"""Get an actor or another document from its own server, and take it only if it speaks for the address it was found at.

Nothing of an answer is used whose `id` is not the final URL. How one address is asked is told in `retrieval`.
Spec: ActivityPub §3.1 and §3.2; FEP-fe34; Mastodon CVE-2024-23832 and CVE-2024-25623 for what happens otherwise.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

import httpx

from federation import addresses
from federation.allowance import Allowance
from federation.errors import BadAnswer, FetchError, Mismatch, NotListed, Unavailable, Unreachable
from federation.keys import Signer
from federation.negotiation import Spoken
from federation.retrieval import Document, Permit, Retrieval
from vocab.actors import Actor, PublicKey, read_actor, read_keys
from vocab.errors import VocabError

# Asked for with the actor; whoever lists more would make each request that they sign cost as many.
MAX_LINKED_KEYS = 4
FAILURES_REMEMBERED = 4096
FAILURE_LASTS = timedelta(minutes=5)
# For a key, whatever its address leads to and from whom: each of those that are asked for at once has its own.
KEY_SECONDS = 30.0
# What may be over in a moment: a restart, a limit. Short, for whoever is told to come back does so after half a minute.
PASSING_LASTS = timedelta(seconds=15)

Found = TypeVar("Found")


async def fetch_document(by: Retrieval, url: str) -> Document:
    """Return the document at `url`, whose `id` is that address or the one it was redirected to, byte for byte.

    An id may have a fragment (`https://one.example/#me`): it is found in the document before it by whoever asks for it so.
    A document that names another id is fetched once more, from there; nothing of the first answer is used.
    Raises FetchError: NotThere for 404 and 410, Unreachable for what may pass, Mismatch for a foreign id, and the other members of the family.
    """
    address = _document_of(url)
    document, final = await by.get(address)
    own_id = document.get("id")
    if own_id == final or (own_id == url and final == address):
        return document
    if not isinstance(own_id, str) or not own_id:
        raise BadAnswer("a document without an id", url=address)
    document, final = await by.get(_document_of(own_id))
    if document.get("id") != final or final != own_id:
        raise Mismatch("the document names another id than its address, twice", url=address)
    return document


async def fetch_actor(by: Retrieval, url: str) -> Actor:
    """Return the actor at `url`, with the keys that are its own.

    A key counts only if it names the actor as its owner and lies on the actor's origin; a sharedInbox on another
    origin is left out, and so is everything else that is not the actor's to say. Keys that the actor lists by their
    address alone are asked for there.
    Raises FetchError; BadAnswer when the document is no actor.
    """
    return await _with_linked_keys(_actor_of(await fetch_document(by, url), url), by, {})


async def fetch_key_owner(by: Retrieval, key_id: str) -> Actor:
    """Return the actor who lists the key `key_id` as its own.

    Handles the three kinds of key id: a fragment of the actor, the actor itself (which may stand for its only RSA key), and a
    document of its own (GoToSocial's `/main-key`, which shows a stub of the actor). Of a key document only the name of the owner is used; the owner is
    then asked (FEP-fe34, reciprocal claim).
    Raises FetchError; NotListed when the owner does not list the key.
    """
    url = _document_of(key_id)
    document, final = await by.get(url)
    asked = {url: (document, final)}
    own_id = document.get("id")
    if not (isinstance(own_id, str) and _document_of(own_id) == final == url and "inbox" in document):
        owner = next((key.owner for key in read_keys(document) if key.id == key_id), None)
        if owner is None or not addresses.same_origin(owner, key_id):
            raise Mismatch("no owner of that key on its own server", url=key_id)
        url, document = owner, await fetch_document(by, owner)
    actor = await _with_linked_keys(_actor_of(document, url), by, asked)
    if actor.key(key_id) is None:
        if key_id == actor.id and actor.linked_keys:
            raise Unreachable("a key that it lists cannot be had just now", url=key_id)
        raise NotListed("its owner does not list that key", url=key_id, owner=actor)
    return actor


class Fetcher:
    """Fetches each address once at a time, not again for a while after it failed (a short one, if it may pass), and little of a host because strangers name it.

    A thousand signed requests that name one unknown key cost one fetch (Fedify CVE-2026-34148). A thousand that name another each,
    or another actor each, on somebody else's server would make us knock there a thousand times: what was not there and what strangers
    named is counted together, of each origin and of its site (`allowance.py`).
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Hold the client; the caller holds this, one per process."""
        self._http = http
        self._spoken = Spoken()
        self._allowance = Allowance()
        self._running: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._failed: OrderedDict[tuple[str, str], tuple[datetime, FetchError]] = OrderedDict()

    async def document(
        self, url: str, *, signer: Signer | None, now: datetime, permit: Permit | None = None
    ) -> Document:
        """`fetch_document`, once at a time."""
        return await self._once(
            ("document", url),
            now,
            lambda: self.document_now(url, signer=signer, now=now, permit=permit),
        )

    async def document_now(
        self, url: str, *, signer: Signer | None, now: datetime, permit: Permit | None = None
    ) -> Document:
        """`fetch_document`, whoever else asks for it and whether it failed before or not."""
        return await fetch_document(self._by(signer, now, permit), url)

    async def actor(
        self,
        url: str,
        *,
        signer: Signer | None,
        now: datetime,
        permit: Permit | None = None,
        for_stranger: bool = False,
    ) -> Actor:
        """`fetch_actor`, once at a time.

        for_stranger  somebody whom nobody here follows names it: as `spend` has it.
        """
        return await self._once(
            ("actor", url),
            now,
            lambda: fetch_actor(self._by(signer, now, permit), url),
            first=partial(self.spend, url, now=now) if for_stranger else None,
        )

    async def key_owner(
        self,
        key_id: str,
        *,
        signer: Signer | None,
        now: datetime,
        permit: Permit | None = None,
        is_followed: bool = False,
    ) -> Actor:
        """`fetch_key_owner`, once at a time and in so much time. One that is not there is spent; NotNow when too much was.

        is_followed  its document is that of an actor whom we follow, which is asked for still, once a second.
        """

        async def fetch() -> Actor:
            try:
                async with asyncio.timeout(KEY_SECONDS):
                    return await fetch_key_owner(self._by(signer, now, permit), key_id)
            except TimeoutError as error:
                raise Unreachable(f"no key in {KEY_SECONDS:g} seconds", url=key_id) from error

        require = partial(self._allowance.require, key_id, now=now, is_followed=is_followed)
        return await self._once(("key", key_id), now, fetch, first=require)

    def spend(self, url: str, *, now: datetime) -> None:
        """Count what is about to be asked for because a stranger named it. Raises NotNow when too much of that server was."""
        self._allowance.spend(url, now=now)

    def count(self, url: str, *, now: datetime) -> None:
        """Count what was asked of a server for nothing: it was not there, or a stranger named it."""
        self._allowance.count(url, now=now)

    async def close(self) -> None:
        """Ask nothing more: whoever waits for an answer is cancelled with it."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _by(self, signer: Signer | None, now: datetime, permit: Permit | None) -> Retrieval:
        return Retrieval(self._http, signer, now, permit, self._spoken, self._allowance)

    async def _once(
        self,
        key: tuple[str, str],
        now: datetime,
        fetch: Callable[[], Coroutine[Any, Any, Found]],
        *,
        first: Callable[[], None] | None = None,
    ) -> Found:
        failure = self._failed.get(key)
        if failure is not None and now < failure[0]:
            if isinstance(failure[1], NotListed):
                # Names of keys to come can be guessed (`#main-key-2`): whoever named one before it was listed must not have it refused
                # when it is. Only who was asked just now is believed to have none.
                raise Unreachable("it was not listed a moment ago", url=failure[1].url)
            # A copy: an exception that is raised again and again grows a traceback.
            raise copy(failure[1])
        running = self._running.get(key)
        if running is None:
            if first is not None:
                first()
            running = asyncio.create_task(fetch())
            self._running[key] = running
            running.add_done_callback(lambda task: self._finish(key, now, task))
        # Whoever stops waiting does not stop it for the others. The kind in the key says what the task gives.
        return cast(Found, await asyncio.shield(running))

    def _finish(self, key: tuple[str, str], now: datetime, task: asyncio.Task[Any]) -> None:
        self._running.pop(key, None)
        self._failed.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, FetchError):
            self._failed[key] = (_remembered_until(error, now), error)
            if len(self._failed) > FAILURES_REMEMBERED:
                self._failed.popitem(last=False)
            if key[0] == "key":
                self.count(key[1], now=now)


def _remembered_until(error: FetchError, now: datetime) -> datetime:
    if isinstance(error, NotListed):
        return now + PASSING_LASTS
    if not isinstance(error, Unreachable):
        return now + FAILURE_LASTS
    wish = error.retry_at if isinstance(error, Unavailable) else None
    return min(max(wish or now, now + PASSING_LASTS), now + FAILURE_LASTS)


def _document_of(url: str) -> str:
    return url.partition("#")[0]


def _actor_of(document: Document, url: str) -> Actor:
    try:
        actor = read_actor(document)
    except VocabError as error:
        raise BadAnswer(f"not an actor: {error}", url=url) from error
    if actor.id != document.get("id"):
        raise Mismatch("another id than the one it was found under", url=url)
    return _only_its_own(actor)


async def _with_linked_keys(actor: Actor, by: Retrieval, asked: Mapping[str, tuple[Document, str]]) -> Actor:
    """Add the keys that the actor lists by address, each as its own document shows it; what cannot be had so is left out.

    Those whose documents cannot be had just now stay in `linked_keys`: nobody is to take them for keys that are listed no more.

    asked   what was found just now, and need not be asked for again.
    """
    linked = actor.linked_keys[:MAX_LINKED_KEYS]
    if not linked:
        return actor
    found = await asyncio.gather(*(_linked_key(at, actor.id, by, asked.get(at)) for at in linked))
    return replace(
        actor,
        keys=(*actor.keys, *(key for key in found if isinstance(key, PublicKey))),
        linked_keys=tuple(at for at, key in zip(linked, found, strict=True) if isinstance(key, Unreachable)),
    )


async def _linked_key(
    address: str, owner: str, by: Retrieval, asked: tuple[Document, str] | None
) -> PublicKey | Unreachable | None:
    try:
        document, final = asked or await by.get_there(address)
        keys = read_keys(document)
    except Unreachable as error:
        return error
    except (FetchError, VocabError):
        return None
    # Both ways, byte for byte: the owner lists the address, and what is found there has that id and names the owner.
    if final != address or document.get("id") != address:
        return None
    return next((key for key in keys if (key.id, key.owner) == (address, owner)), None)


def _only_its_own(actor: Actor) -> Actor:
    """Leave out what an actor may not say: keys, inboxes and collections of others."""
    if not addresses.same_origin(actor.inbox, actor.id):
        raise Mismatch("an inbox on another server", url=actor.id)
    times = Counter(key.id for key in actor.keys)

    def own(url: str | None) -> str | None:
        return url if url is not None and addresses.same_origin(url, actor.id) else None

    def is_within(key_id: str) -> bool:
        # A fragment is part of the document before it, and what stands below an actor is theirs (GoToSocial's `/main-key`): a
        # neighbour must not take it away by listing it first. BookWyrm has a slash there that the actor's id has not.
        document, hash_, _ = key_id.partition("#")
        home = _document_of(actor.id).rstrip("/")
        return document.rstrip("/") == home or (not hash_ and document.startswith((f"{home}/", f"{home}?")))

    single = [key for key in actor.keys if times[key.id] == 1 and own(key.id)]
    # What stands anywhere else has to say itself whose it is.
    elsewhere = (key.id for key in single if not is_within(key.id))
    linked = (key for key in actor.linked_keys if own(key) and not times[key])

    return replace(
        actor,
        # An id that stands for two keys stands for none.
        keys=tuple(key for key in single if is_within(key.id)),
        # A fragment is no document of its own, and what the actor shows it need not be asked for.
        linked_keys=tuple(key for key in (*elsewhere, *linked) if "#" not in key),
        shared_inbox=own(actor.shared_inbox),
        outbox=own(actor.outbox),
        followers=own(actor.followers),
        following=own(actor.following),
        featured=own(actor.featured),
    )
