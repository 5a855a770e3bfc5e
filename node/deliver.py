"""One delivery: load the signed bytes, post them to one inbox, say what came of it. Runs at least once; a peer that gets it twice sees one id."""

import logging
from datetime import timedelta

from federation.delivery import Delivered, Gone, Later, Refused, backoff, post
from federation.requests import Dialect
from node.outbox import Dead, Done, Dropped, Job, Outcome, Postponed
from node.peers.actors import host_of
from node.peers.hosts import host_at, is_blocked, remember_answer, remember_failure
from node.peers.sending import sent_activity
from node.peers.synchronising import offer, origin_of
from node.runtime import Node

log = logging.getLogger(__name__)

# A host that takes nothing for so long is set aside: asked once a day, and at once when we hear from it.
SET_ASIDE_AFTER = timedelta(days=5)
# Who follows us is compared with a host now and then, not at every delivery.
SYNCHRONISE_EVERY = timedelta(days=1)
PROBE_EVERY = timedelta(days=1)
# After that what waits for it is given up; what is published later still tries it, once each.
GIVEN_UP_AFTER = timedelta(days=35)


async def deliver(node: Node, job: Job) -> Outcome:
    """Deliver one activity to one inbox. The network is asked with no transaction open."""
    inbox, actor = str(job.payload["inbox"]), str(job.payload["actor"])
    host, now = host_of(inbox), node.clock.now()
    async with node.database.read() as session:
        sent = await sent_activity(session, str(job.payload["activity"]))
        about = await host_at(session, host)
        blocked = await is_blocked(session, host)
        known_at = about.synchronised_at if about else None
        told: tuple[tuple[bytes, bytes], ...] = ()
        if sent is not None and sent.is_public and (known_at is None or now - known_at >= SYNCHRONISE_EVERY):
            told = await offer(session, actor, origin_of(inbox))
    if sent is None:
        return Dead("the activity is not there any more")
    if blocked:
        return Dead("the host is blocked")
    known = about.dialect if about else None
    outcome = await post(
        node.http,
        inbox,
        sent.body,
        signer=node.keyring.signer(actor, "rsa"),
        ed25519=node.keyring.signer(actor, "ed25519"),
        now=now,
        dialect=Dialect(known) if known else None,
        more=told,
    )
    match outcome:
        case Delivered(_, dialect):
            if about is None or dialect != known or about.failing_since is not None or told:
                async with node.database.begin() as session:
                    await remember_answer(session, host, dialect, synchronised_at=now if told else None)
            return Done()
        case Later(reason, when, _):
            since = about.failing_since if about else None
            if since is None:
                async with node.database.begin() as session:
                    since = await remember_failure(session, host, now=now)
            if now - since >= GIVEN_UP_AFTER:
                log.warning("delivery.given-up", extra={"host": host, "reason": reason})
                return Dropped(reason)
            if now - since >= SET_ASIDE_AFTER:
                log.info("delivery.set-aside", extra={"host": host, "since": since.date().isoformat()})
                return Postponed(now + PROBE_EVERY, reason)
            log.info("delivery.later", extra={"host": host, "attempt": job.attempts + 1, "reason": reason})
            return Postponed(when or now + max(backoff(job.attempts + 1), timedelta(seconds=1)), reason)
        case Gone(reason):
            log.info("delivery.gone", extra={"host": host})
            return Dropped(reason)
        case Refused(reason, _):
            log.warning("delivery.refused", extra={"host": host, "reason": reason})
            return Dead(reason)
