"""Who an activity is for, and into which inboxes that folds. Pure."""

from collections.abc import Iterable, Mapping

from federation import addresses
from vocab.actors import Actor
from vocab.terms import PUBLIC_ALIASES

_AUDIENCE = ("to", "cc", "audience")
_BLIND = ("bto", "bcc")


def recipients(activity: Mapping[str, object]) -> tuple[str, ...]:
    """Return the ids an activity is addressed to, in order and once: actors and collections, without the public."""
    found: dict[str, None] = {}
    for name in (*_AUDIENCE, *_BLIND):
        value = activity.get(name)
        for item in value if isinstance(value, list) else [value]:
            target = item.get("id") if isinstance(item, Mapping) else item
            if isinstance(target, str) and target and target not in PUBLIC_ALIASES:
                found[target] = None
    return tuple(found)


def is_public(activity: Mapping[str, object]) -> bool:
    """Tell whether an activity is addressed to everybody, listed or not."""
    for name in _AUDIENCE:
        value = activity.get(name)
        if any(
            item in PUBLIC_ALIASES
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, str)
        ):
            return True
    return False


def without_blind(activity: Mapping[str, object]) -> dict[str, object]:
    """Return the activity and its object without `bto` and `bcc`, which nobody else may see (ActivityPub §6)."""
    bare = {name: value for name, value in activity.items() if name not in _BLIND}
    inner = bare.get("object")
    if isinstance(inner, Mapping):
        bare["object"] = {name: value for name, value in inner.items() if name not in _BLIND}
    return bare


def fold(actors: Iterable[Actor], *, our_origin: str) -> dict[str, tuple[str, ...]]:
    """Return the inboxes to post to, each with the ids of the actors it stands for: one request per server.

    A sharedInbox counts only on its actor's own origin: elsewhere it would send one server's mail to another.
    Actors of our own origin are left out; nothing is posted to oneself.
    """
    inboxes: dict[str, list[str]] = {}
    for actor in actors:
        if addresses.same_origin(actor.id, our_origin):
            continue
        shared = actor.shared_inbox
        inbox = shared if shared is not None and addresses.same_origin(shared, actor.id) else actor.inbox
        held = inboxes.setdefault(inbox, [])
        if actor.id not in held:
            held.append(actor.id)
    return {inbox: tuple(ids) for inbox, ids in inboxes.items()}
