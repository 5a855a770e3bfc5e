"""What stands behind an activity or an object: the actor's own proof on it, or an older signature of theirs over its statements."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from federation import ldsignatures, proofs
from federation.addresses import same_origin
from federation.errors import FetchError, NotThere, Unreachable
from federation.keys import VerifyingKey
from federation.requests import Reason, Refused
from node.inbox.keeping import KEPT_FOR
from node.inbox.signers import REFETCH_AFTER
from node.peers.actors import host_of
from node.peers.checking import check_graph, check_proof
from node.peers.directory import find_actor, find_key, proving_keys
from node.peers.follows import follows
from node.runtime import Node
from vocab.activities import Activity, read_activity
from vocab.canonical import canonical
from vocab.jsonld import parse

log = logging.getLogger(__name__)

# A day less than the digest of what came in is kept for: clocks differ.
PASSED_ON_FOR = KEPT_FOR - timedelta(days=1)


class RefusedActivity(Exception):
    """An activity that is not taken; the reason is for the log."""


class EndedKey(RefusedActivity):
    """What somebody else than its actor brings under a key that was retired or lost: its date is the word of whoever has that key."""


async def is_followed(node: Node, actor: str) -> bool:
    """Whether our main actor follows them."""
    async with node.database.read() as session:
        return await follows(session, node.settings.main_actor, actor)


async def authorised(node: Node, activity: Activity, signer: str) -> Activity:
    """The activity when its signer is its actor; else what the actor's own proof or signature on it holds for.

    A proof that does not hold is not made up for by a signature (FEP-8b32), and neither holds for longer than repeats are told from
    what is new: else whoever kept an activity for a year could bring it as news. Nor does one by a key that has ended: its thief
    dates it back, and who brings it is no witness. Raises RefusedActivity, EndedKey among them, FetchError.
    """
    if activity.actor == signer:
        return activity
    _require_named_keys(activity)
    for_stranger = not await is_followed(node, signer)
    try:
        await find_actor(node, activity.actor, max_age=timedelta(days=7), for_stranger=for_stranger)
    except NotThere as error:
        raise RefusedActivity("forwarded for an actor that is not there") from error
    if "proof" in activity.raw:
        proven = await prove(node, activity.raw, activity.actor, for_stranger=for_stranger)
        # A proof holds for members in any order: whoever brings it is not to choose in which it is passed on.
        found = of_the_same(parse(canonical(proven.document)), activity, "proof")
        _require_young("proof", proven.created or found.published, now=node.clock.now())
        await _require_standing_keys(node, activity.actor, proven.key_ids)
        return found
    return await _signed(node, activity, for_stranger=for_stranger)


def _require_young(what: str, made: datetime | None, *, now: datetime) -> None:
    """Raises RefusedActivity when the digest of the activity may be forgotten already; when that was, only who signed it can tell."""
    if made is None or now - made >= PASSED_ON_FOR:
        raise RefusedActivity(f"{what}: too old to be passed on, or without a date")


async def _require_standing_keys(node: Node, owner: str, used: Iterable[str]) -> None:
    """Raises EndedKey when one of these keys of the owner has ended."""
    _, retired = await proving_keys(node, owner)
    now = node.clock.now()
    if any(key_id in retired and retired[key_id] <= now for key_id in used):
        raise EndedKey("passed on under a key that was retired")


def _require_named_keys(activity: Activity) -> None:
    """Before its actor's server is asked anything: whoever signs could name a thousand actors of somebody else's.

    Raises RefusedActivity when the activity names no key that could be its actor's, and so cannot be proven.
    """
    named: tuple[str, ...] | Refused
    if "signature" in activity.raw and "proof" not in activity.raw:
        what, creator = "signature", ldsignatures.creator(activity.raw)
        named = creator if isinstance(creator, Refused) else (creator,)
    else:
        what, named = "proof", proofs.verification_methods(activity.raw)
    if isinstance(named, Refused):
        raise RefusedActivity(f"{what}: {named.reason}")
    if not all(same_origin(key_id, activity.actor) for key_id in named):
        raise RefusedActivity(f"{what}: {Reason.WRONG_KEY}")


async def prove_activity(node: Node, activity: Activity, *, for_stranger: bool = False) -> Activity:
    """The activity as its actor's own proof on it holds for. Raises RefusedActivity, FetchError."""
    proven = await prove(node, activity.raw, activity.actor, for_stranger=for_stranger)
    return of_the_same(proven.document, activity, "proof")


async def prove(
    node: Node, document: Mapping[str, object], owner: str, *, for_stranger: bool = False
) -> proofs.Proven:
    """What the owner's own proof holds for: use that, never the document as it came. Raises RefusedActivity, FetchError."""
    named = proofs.verification_methods(document)
    wanted = () if isinstance(named, Refused) else named
    keys, retired = await _keys_of(node, owner, wanted, for_stranger=for_stranger)
    # A graph takes long to sort, and whoever sent it was not believed yet: the loop goes on meanwhile.
    outcome = await check_proof(node, document, keys, now=node.clock.now())
    if isinstance(outcome, Refused) and outcome.reason is Reason.BAD_SIGNATURE and not for_stranger:
        # Its owner may have another key under the same id by now, as with requests; asked like these, once in a while.
        await find_actor(node, owner, max_age=REFETCH_AFTER, or_known=False)
        newer, retired = await proving_keys(node, owner)
        if newer != keys:
            outcome = await check_proof(node, document, newer, now=node.clock.now())
    if isinstance(outcome, Refused):
        raise RefusedActivity(f"proof: {outcome.reason}")
    if not outcome.is_older_than(retired):
        raise RefusedActivity("proof: made with a key after it was retired")
    return outcome


async def _signed(node: Node, activity: Activity, *, for_stranger: bool) -> Activity:
    """What an RsaSignature2017 of the actor holds for: compacted anew, never the tree that came. Raises RefusedActivity, FetchError."""
    key_id = ldsignatures.creator(activity.raw)
    if isinstance(key_id, Refused):
        raise RefusedActivity(f"signature: {key_id.reason}")
    keys, retired = await _keys_of(node, activity.actor, (key_id,), for_stranger=for_stranger)
    if key_id not in keys:
        raise RefusedActivity("signature: by no key of the actor")
    now = node.clock.now()
    outcome = await check_graph(node, lambda: ldsignatures.check(activity.raw, keys[key_id], now=now))
    if isinstance(outcome, Refused):
        raise RefusedActivity(f"signature: {outcome.reason}")
    if key_id in retired and outcome.created > retired[key_id]:
        raise RefusedActivity("signature: made with a key after it was retired")
    _require_young("signature", outcome.created, now=node.clock.now())
    await _require_standing_keys(node, activity.actor, (key_id,))
    return of_the_same(outcome.document, activity, "signature")


async def _keys_of(
    node: Node, owner: str, named: Iterable[str], *, for_stranger: bool
) -> tuple[dict[str, VerifyingKey], dict[str, datetime]]:
    """What `proving_keys` gives. When one that is named is none of them, its owner is asked again, but not at every try.

    Raises Unreachable where that cannot be done just now: it may be a new key.
    """
    wanted = set(named)
    keys, retired = await proving_keys(node, owner)
    if not wanted <= keys.keys():
        await find_actor(node, owner, max_age=REFETCH_AFTER, for_stranger=for_stranger, or_known=False)
        keys, retired = await proving_keys(node, owner)
    # What its owner lists by address could perhaps not be had when they were asked last, though they could. Not the owner's own address:
    # that stands for no key here, and is there however often strangers name it.
    linked = [
        key_id
        for key_id in wanted - keys.keys() - {owner}
        if "#" not in key_id and same_origin(key_id, owner)
    ]
    if linked:
        await _ask_for(node, linked)
        keys, retired = await proving_keys(node, owner)
    return keys, retired


async def _ask_for(node: Node, linked: Iterable[str]) -> None:
    """Ask for keys that have documents of their own, each once in a while. Raises Unreachable for one that cannot be had just now."""
    for key_id in linked:
        try:
            await find_key(node, key_id, refresh=True)
        except Unreachable:
            raise
        except FetchError as error:
            log.info("proof.no-such-key", extra={"reason": str(error), "host": host_of(key_id)})


def of_the_same(document: Mapping[str, object], activity: Activity, what: str) -> Activity:
    """What was proven, if that is of the activity whose actor's keys were asked: a context can give another meaning to `actor`.

    And to `type`, by which was decided who does what with it: what Alice liked is not what she deleted. Raises RefusedActivity.
    """
    found = read_activity(document)
    if (found.id, found.type, found.actor) != (activity.id, activity.type, activity.actor):
        raise RefusedActivity(f"{what}: of another activity")
    return found
