"""Cases of those we follow, as most come in: decided from what was read for many at once, and kept together with many.

Nothing is believed here that `taking` would not believe: the same proofs are checked with the same keys. Whatever is not plain
(a publisher to be asked anew, a key that is not known, a graph to be sorted, a proof that does not hold) goes the ordinary way,
one by one, where it is also said why it is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation import proofs
from federation.errors import InvalidKey
from federation.keys import VerifyingKey, read_multibase
from federation.requests import Refused
from node.effects.proving import RefusedActivity, of_the_same
from node.hub.aggregate import Brought, read_brought
from node.peers.actors import FRESH, RemoteActor, RemoteKey
from node.peers.follows import Follow
from node.settings import Settings
from node.statements import among
from vocab import properties
from vocab.activities import Activity
from vocab.meanings import reads_alike
from vocab.terms import PUBLIC


@dataclass(frozen=True, slots=True)
class Member:
    """An actor whom our main actor follows, with its Ed25519 keys and the ends of those that were retired."""

    id: str
    host: str
    name: str
    indexable: bool
    fetched_at: datetime
    keys: dict[str, VerifyingKey] = field(default_factory=dict)
    retired: dict[str, datetime] = field(default_factory=dict)


_ACTORS, _KEYS, _FOLLOWS = RemoteActor.__table__.c, RemoteKey.__table__.c, Follow.__table__.c
# Built once: it is asked for every batch that is worked off.
_MEMBERS = (
    select(
        _ACTORS.id,
        _ACTORS.host,
        _ACTORS.name,
        _ACTORS.indexable,
        _ACTORS.fetched_at,
        _KEYS.id,
        _KEYS.material,
        _KEYS.expires_at,
    )
    .select_from(
        RemoteActor.__table__.join(Follow.__table__, _FOLLOWS.followed == _ACTORS.id).join(
            RemoteKey.__table__, _KEYS.owner == _ACTORS.id
        )
    )
    .where(
        among(_ACTORS.id, "actors"),
        _FOLLOWS.follower == bindparam("us"),
        _FOLLOWS.state == "accepted",
        _KEYS.algorithm == "ed25519",
    )
)


async def members_among(
    session: AsyncSession, settings: Settings, actors: Collection[str]
) -> dict[str, Member]:
    """Those of the actors whom our main actor follows, and who have keys to prove with."""
    if not actors:
        return {}
    found = await (await session.connection()).execute(
        _MEMBERS, {"actors": actors, "us": settings.main_actor}
    )
    members: dict[str, Member] = {}
    for own_id, host, name, indexable, fetched_at, key_id, material, expires_at in found:
        member = members.setdefault(own_id, Member(own_id, host, name, indexable, fetched_at))
        try:
            member.keys[key_id] = read_multibase(material)
        except InvalidKey:
            continue
        if expires_at is not None:
            member.retired[key_id] = expires_at
    return members


def read_plain(
    settings: Settings, activity: Activity, members: Mapping[str, Member], *, now: datetime
) -> tuple[Brought, ...] | None:
    """The case that an activity brings which its actor signed; none when there is nothing to keep of it.

    None when it is not plain: that must go the ordinary way. Raises VocabError when it is no case.
    """
    # On a node a newer version may be of a reply to a case of ours, of which the desk has to decide anew.
    if activity.type not in (("Create", "Update") if settings.is_hub else ("Create",)):
        return None
    found = _proven(activity, members, now=now)
    if found is None:
        return None
    publisher, proven = found
    said = None
    if is_to_pass_on(settings, activity):
        whole = _holds(activity.raw, publisher, now=now)
        if whole is None or not reads_alike(whole.document):
            return None
        try:
            said = of_the_same(whole.document, activity, "proof")
        except RefusedActivity:
            return None
    brought = read_brought(proven.document, publisher=publisher, proof_key=proven.key_id, said=said, now=now)
    return () if brought is None else (brought,)


def read_shown(activity: Activity, members: Mapping[str, Member], *, now: datetime) -> Brought | None:
    """The case that an activity shows which stands in its actor's outbox: nobody is told anew what was said there.

    None when it is not plain, or not to be kept. Raises VocabError when it is no case.
    """
    found = _proven(activity, members, now=now)
    if found is None:
        return None
    publisher, proven = found
    return read_brought(proven.document, publisher=publisher, proof_key=proven.key_id, now=now)


def _proven(
    activity: Activity, members: Mapping[str, Member], *, now: datetime
) -> tuple[Member, proofs.Proven] | None:
    """Who published the article that is embedded, and what their proof holds for; None where that is not plain."""
    publisher, document = members.get(activity.actor), activity.object
    if publisher is None or document is None or now - publisher.fetched_at >= FRESH:
        return None
    if activity.object_type != "Article" or activity.object_id == activity.actor:
        return None
    if properties.iris(properties.simplified(document), "inReplyTo"):
        return None
    proven = _holds(document, publisher, now=now)
    if proven is None or not reads_alike(proven.document):
        return None
    return publisher, proven


def is_to_pass_on(settings: Settings, activity: Activity) -> bool:
    """Whether a hub passes it on as it was said, if its proof holds: it is for everybody, and for nobody in secret.

    What has no id of its own is for us alone: nobody else could tell it from another.
    """
    for_everybody = PUBLIC in (*activity.to, *activity.cc) and not {"bto", "bcc"} & activity.raw.keys()
    return settings.is_hub and for_everybody and "proof" in activity.raw and bool(activity.raw.get("id"))


def _holds(document: Mapping[str, object], owner: Member, *, now: datetime) -> proofs.Proven | None:
    named = proofs.verification_methods(document)
    if isinstance(named, Refused) or not set(named) <= owner.keys.keys() or proofs.is_of_a_graph(document):
        return None
    outcome = proofs.check(document, owner.keys, now=now)
    if isinstance(outcome, Refused) or not outcome.is_older_than(owner.retired):
        return None
    return outcome
