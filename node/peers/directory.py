"""Looking somebody up: what we know, or what their own server says now. The network is asked with no transaction open."""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from federation import addresses
from federation.errors import FetchError, Forbidden, Mismatch, NotListed, Unreachable
from federation.keys import Signer, VerifyingKey, read_multibase, read_pem
from federation.requests import Dialect
from federation.webfinger import agree, finger, handle_of, parse_handle
from node.peers.actors import FRESH, RemoteActor, RemoteKey, host_of, keys_of, known_key, remember_actor
from node.peers.habits import expect_dialect
from node.peers.hosts import Standing, blocked, standings
from node.runtime import Node
from vocab.actors import Actor
from vocab.terms import RFC9421

log = logging.getLogger(__name__)

HANDLE_SECONDS = 5.0
"""A person waits for it, and the page can be read without."""


async def find_actor(
    node: Node,
    actor_id: str,
    *,
    max_age: timedelta = FRESH,
    invited: bool = False,
    for_stranger: bool = False,
    or_known: bool = True,
) -> RemoteActor:
    """A remote actor, fetched when unknown or older than `max_age`. Raises FetchError when it cannot be had.

    invited       an operator asks: a server that speaks with members only may look at who is to become one.
    for_stranger  somebody whom we do not follow names them: little of one host is asked for so, and then NotNow raised.
    or_known      what we know will do where their server cannot be asked just now; else Unreachable is raised.
    """
    now = node.clock.now()
    async with node.database.read() as session:
        known = await session.get(RemoteActor, actor_id)
    if known is not None and known.gone_at is None and now - known.fetched_at < max_age:
        return known
    try:
        actor = await ask_actor(node, actor_id, invited=invited, for_stranger=for_stranger)
        if actor.id != actor_id and not invited:
            # Only a person who pasted an address may be led on; an activity names its actor by id.
            raise Mismatch("another actor is found there", url=actor_id)
    except Forbidden:
        raise
    except FetchError as error:
        if known is None or known.gone_at is not None or (isinstance(error, Unreachable) and not or_known):
            raise
        return known
    async with node.database.begin() as session:
        return await keep_actor(session, actor, now=now)


async def ask_actor(node: Node, actor_id: str, *, invited: bool = False, for_stranger: bool = False) -> Actor:
    """What an actor's own server says of it now, whatever we know; nothing is kept. Raises FetchError.

    invited, for_stranger  as `find_actor` has them.
    """
    await require_open(node, actor_id, invited=invited)
    return await node.fetcher.actor(
        actor_id,
        signer=fetch_signer(node),
        now=node.clock.now(),
        permit=partial(require_open, node, invited=invited),
        for_stranger=for_stranger,
    )


async def find_key(
    node: Node, key_id: str, *, refresh: bool = False, is_followed: bool = False
) -> RemoteKey | None:
    """The key with that id, from its owner's own document; None when the owner lists none such.

    refresh      ask again even when we hold one: its owner may have rotated it.
    is_followed  its document is that of an actor whom we follow.
    Raises FetchError when the owner cannot be asked.
    """
    if not refresh:
        async with node.database.read() as session:
            known = await known_key(session, key_id)
        if known is not None:
            return known
    await require_open(node, key_id)
    now = node.clock.now()
    try:
        actor = await node.fetcher.key_owner(
            key_id,
            signer=fetch_signer(node),
            now=now,
            permit=partial(require_open, node),
            is_followed=is_followed,
        )
    except NotListed as error:
        # The keys that it does list may be new: who names others in vain keeps nobody from being heard with those.
        async with node.database.begin() as session:
            if await session.get(RemoteActor, error.owner.id) is not None:
                await keep_actor(session, error.owner, now=now)
        raise
    async with node.database.begin() as session:
        await keep_actor(session, actor, now=now)
        key = await known_key(session, key_id)
    return key if key is not None and key.owner == actor.id else None


async def find_by_handle(node: Node, handle: str) -> RemoteActor:
    """The actor behind `name@host`, asked of its host by WebFinger; actor and handle must lead to each other. Raises FetchError."""
    now = node.clock.now()
    permit = partial(require_open, node, invited=True)
    found = await finger(node.http, parse_handle(handle), permit=permit)
    actor = await ask_actor(node, found.actor_id, invited=True)
    await agree(node.http, found, actor, permit=permit)
    async with node.database.begin() as session:
        return await keep_actor(session, actor, now=now)


async def find_handle(node: Node, them: RemoteActor) -> str:
    """The handle an actor goes by, which may be at another domain than its server, where both confirm it now.

    Where they do not, or not in time: its name at its own server, which nobody else can give it.
    """
    try:
        async with asyncio.timeout(HANDLE_SECONDS):
            actor = await ask_actor(node, them.id)
            if actor.id != them.id:
                raise Mismatch("another actor is found there", url=them.id)
            return str(await handle_of(node.http, actor, permit=partial(require_open, node)))
    except (FetchError, TimeoutError) as error:
        log.info("handle.unconfirmed", extra={"reason": str(error), "host": them.host})
        return them.handle


async def find_remote(node: Node, text: str) -> RemoteActor:
    """A remote actor that somebody here names, by its address or its handle. Raises FetchError."""
    if text.startswith(("https://", "http://")):
        return await find_actor(node, text, invited=True)
    return await find_by_handle(node, text)


async def find_document(
    node: Node, url: str, *, invited: bool = False, for_stranger: bool = False
) -> dict[str, object]:
    """A document from its own address, asked for by the instance actor. Raises FetchError.

    invited, for_stranger  as `find_actor` has them.
    """
    now = node.clock.now()
    if for_stranger:
        node.fetcher.spend(url, now=now)
    return await node.fetcher.document_now(
        url,
        signer=fetch_signer(node),
        now=now,
        permit=partial(require_open, node, invited=invited),
    )


async def require_open(node: Node, url: str, *, invited: bool = False) -> None:
    """Raises Forbidden where this server does not ask: itself, a blocked host, or one that its mode shuts out."""
    host = host_of(url)
    # In each spelling: a default port is no other server.
    if node.settings.authority in (host, (addresses.origin_of(url) or "").rpartition("/")[2]):
        # What is ours is in the database; asking ourselves over the network is a loop that a stranger can start.
        raise Forbidden("this server does not ask itself", url=url)
    async with node.database.read() as session:
        if invited and node.settings.federation == "members":
            shut = bool(await blocked(session, [host]))
        else:
            shut = (await standings(session, node.settings, [host]))[host] is Standing.SHUT
    if shut:
        raise Forbidden("this server does not speak with that host", url=url)


async def keep_actor(session: AsyncSession, actor: Actor, *, now: datetime) -> RemoteActor:
    """Keep what its own server says of an actor, and what that says of how to speak with the server."""
    row = await remember_actor(session, actor, now=now)
    if any(feature == RFC9421 for feature, _ in actor.implements):
        await expect_dialect(session, row.host, Dialect.RFC9421)
    return row


async def proving_keys(node: Node, owner: str) -> tuple[dict[str, VerifyingKey], dict[str, datetime]]:
    """Every key an actor lists, parsed, by key id; and of those that were retired, since when."""
    async with node.database.read() as session:
        rows = await keys_of(session, owner)
    return (
        {row.id: verifying_key(row.algorithm, row.material) for row in rows},
        {row.id: row.expires_at for row in rows if row.expires_at is not None},
    )


def verifying_key(algorithm: str, material: str) -> VerifyingKey:
    """A key as `RemoteKey` holds it, as an object that verifies; parsing is remembered. Raises InvalidKey."""
    return read_pem(material) if algorithm == "rsa" else read_multibase(material)


def fetch_signer(node: Node) -> Signer:
    """Who signs what we fetch: the instance actor."""
    return node.keyring.signer(node.settings.instance_actor, "rsa")
