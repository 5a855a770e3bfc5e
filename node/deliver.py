"""One delivery: load the signed bytes, post them to one inbox, say what came of it. Runs at least once; a peer that gets it twice sees one id."""

import logging
from datetime import timedelta

from federation.delivery import Delivered, Gone, Later, Refused, backoff, post
from federation.requests import Dialect
from node.outbox import Dead, Done, Dropped, Job, Outcome, Postponed
from node.peers.actors import host_of
from node.peers.hosts import dialect_of, is_blocked, remember_dialect
from node.peers.sending import sent_activity
from node.runtime import Node

log = logging.getLogger(__name__)

# With the longest wait between tries of twelve hours, these span about five days: then the host is set aside.
LAST_ATTEMPT = 20


async def deliver(node: Node, job: Job) -> Outcome:
    """Deliver one activity to one inbox. The network is asked with no transaction open."""
    inbox, actor = str(job.payload["inbox"]), str(job.payload["actor"])
    host = host_of(inbox)
    async with node.database.read() as session:
        sent = await sent_activity(session, str(job.payload["activity"]))
        known = await dialect_of(session, host)
        blocked = await is_blocked(session, host)
    if sent is None:
        return Dead("the activity is not there any more")
    if blocked:
        return Dead("the host is blocked")
    now = node.clock.now()
    outcome = await post(
        node.http,
        inbox,
        sent.body,
        signer=node.keyring.signer(actor, "rsa"),
        ed25519=node.keyring.signer(actor, "ed25519"),
        now=now,
        dialect=Dialect(known) if known else None,
    )
    match outcome:
        case Delivered(_, dialect):
            if dialect != known:
                async with node.database.begin() as session:
                    await remember_dialect(session, host, dialect)
            return Done()
        case Later(reason, when, _):
            if job.attempts >= LAST_ATTEMPT:
                log.warning("delivery.given-up", extra={"host": host, "reason": reason})
                return Dead(reason)
            log.info("delivery.later", extra={"host": host, "attempt": job.attempts + 1, "reason": reason})
            return Postponed(when or now + max(backoff(job.attempts + 1), timedelta(seconds=1)), reason)
        case Gone(reason):
            log.info("delivery.gone", extra={"host": host})
            return Dropped(reason)
        case Refused(reason, _):
            log.warning("delivery.refused", extra={"host": host, "reason": reason})
            return Dead(reason)
