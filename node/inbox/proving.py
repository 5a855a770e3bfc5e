"""What stands behind an activity or an object: the actor's own proof on it, or an older signature of theirs over its statements."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from federation import ldsignatures, proofs
from federation.errors import NotThere
from federation.requests import Refused
from node.inbox.receive import REFETCH_AFTER
from node.peers.directory import find_actor, proving_keys
from node.runtime import Node
from vocab.activities import Activity, read_activity


class RefusedActivity(Exception):
    """An activity that is not taken; the reason is for the log."""


async def authorised(node: Node, activity: Activity, signer: str) -> Activity:
    """The activity when its signer is its actor; else what the actor's own proof or signature on it holds for.

    A proof that does not hold is not made up for by a signature (FEP-8b32). Raises RefusedActivity.
    """
    if activity.actor == signer:
        return activity
    try:
        await find_actor(node, activity.actor, max_age=timedelta(days=7))
    except NotThere as error:
        raise RefusedActivity("forwarded for an actor that is not there") from error
    if "signature" in activity.raw and "proof" not in activity.raw:
        return await _signed(node, activity)
    return await prove_activity(node, activity)


async def prove_activity(node: Node, activity: Activity) -> Activity:
    """The activity as its actor's own proof on it holds for. Raises RefusedActivity."""
    return of_the_same((await prove(node, activity.raw, activity.actor)).document, activity, "proof")


async def prove(node: Node, document: Mapping[str, object], owner: str) -> proofs.Proven:
    """What the owner's own proof holds for: use that, never the document as it came. Raises RefusedActivity."""
    keys, retired = await proving_keys(node, owner)
    named = proofs.verification_methods(document)
    if not isinstance(named, Refused) and not set(named) <= set(keys):
        # Perhaps a new key; its owner is asked again, but not at every try.
        await find_actor(node, owner, max_age=REFETCH_AFTER)
        keys, retired = await proving_keys(node, owner)
    # A graph takes long to sort, and whoever sent it was not believed yet: the loop goes on meanwhile.
    outcome = await asyncio.to_thread(proofs.check, document, keys, now=node.clock.now())
    if isinstance(outcome, Refused):
        raise RefusedActivity(f"proof: {outcome.reason}")
    if not outcome.is_older_than(retired):
        raise RefusedActivity("proof: made with a key after it was retired")
    return outcome


async def _signed(node: Node, activity: Activity) -> Activity:
    """What an RsaSignature2017 of the actor holds for: compacted anew, never the tree that came. Raises RefusedActivity."""
    key_id = ldsignatures.creator(activity.raw)
    keys, retired = await proving_keys(node, activity.actor)
    if isinstance(key_id, str) and key_id not in keys:
        await find_actor(node, activity.actor, max_age=REFETCH_AFTER)
        keys, retired = await proving_keys(node, activity.actor)
    if isinstance(key_id, Refused) or key_id not in keys:
        raise RefusedActivity("signature: by no key of the actor")
    outcome = await asyncio.to_thread(ldsignatures.check, activity.raw, keys[key_id], now=node.clock.now())
    if isinstance(outcome, Refused):
        raise RefusedActivity(f"signature: {outcome.reason}")
    if key_id in retired and outcome.created > retired[key_id]:
        raise RefusedActivity("signature: made with a key after it was retired")
    return of_the_same(outcome.document, activity, "signature")


def of_the_same(document: Mapping[str, object], activity: Activity, what: str) -> Activity:
    """What was proven, if that is of the activity whose actor's keys were asked: a context can give another meaning to `actor`."""
    found = read_activity(document)
    if (found.id, found.actor) != (activity.id, activity.actor):
        raise RefusedActivity(f"{what}: of another activity")
    return found
