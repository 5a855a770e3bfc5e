"""Somebody asks whether they may quote a case of ours (FEP-044f). Everybody may; the stamp that says so is served while the case is.

Nothing of the post itself is fetched or shown.
"""

from node.entries.entries import Entry
from node.inbox.proving import RefusedActivity
from node.peers.actors import host_of
from node.peers.directory import find_actor
from node.peers.sending import new_activity_id, send
from node.publishing.quotes import KIND, stamp_address
from node.publishing.reactions import Reaction, count_of, keep_reaction
from node.runtime import Node
from vocab import activities, properties
from vocab.activities import Activity
from vocab.terms import QUOTE_CONTEXT

MAX_ID_CHARACTERS = 2000
# Posts of one actor that quote one case: each is kept for as long as the case.
MAX_QUOTES = 20


async def on_quote_request(node: Node, activity: Activity) -> None:
    """Note who quotes which case with what, and answer with the address of the stamp."""
    asked = properties.simplified(activity.raw)
    post = properties.iri(asked, "instrument")
    if post is None or len(post) > MAX_ID_CHARACTERS or not properties.is_http(post):
        raise RefusedActivity("QuoteRequest without a post")
    if host_of(post) != host_of(activity.actor):
        raise RefusedActivity("QuoteRequest for a post on another host")
    them = await find_actor(node, activity.actor)
    now = node.clock.now()
    async with node.database.begin() as session:
        case = await session.get(Entry, activity.object_id or "")
        if case is None or not case.own or case.withdrawn_at is not None:
            raise RefusedActivity("QuoteRequest for something that is not public here")
        known = await session.get(Reaction, post)
        if known is not None and (known.kind, known.actor, known.case_url) != (KIND, activity.actor, case.id):
            raise RefusedActivity("QuoteRequest for a post that is known as something else")
        if known is None and await count_of(session, KIND, case.id, by=activity.actor) >= MAX_QUOTES:
            raise RefusedActivity("too many quotes of one case by one actor")
        if not await keep_reaction(
            session, id=post, kind=KIND, actor=activity.actor, case_url=case.id, now=now
        ):
            raise RefusedActivity("too many quotes of one case by one site")
        answer = activities.accept(
            new_activity_id(node.settings),
            case.actor,
            {**activity.raw, "instrument": post},
            result=stamp_address(case.id, post),
            context=QUOTE_CONTEXT,
        )
        await send(session, node.keyring, answer, inboxes=[them.delivery_inbox], now=now)
    await node.bell.ring()
