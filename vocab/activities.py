"""Activities: what one actor tells others. Reading those of any software, writing ours in the lowest common shape.

Reading is tolerant about shape and strict about identity: one type we know, one actor, one id. Whether the actor may say
so is decided above. ActivityPub §6-7; AS2 Vocabulary §3.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from vocab import properties
from vocab.errors import NotAnActivity
from vocab.jsonld import write
from vocab.properties import present, written
from vocab.terms import ACTIVITY_CONTEXT, CONTEXT

ACTIVITY_TYPES: Final = frozenset(
    {
        *(
            "Accept",
            "Add",
            "Announce",
            "Arrive",
            "Block",
            "Create",
            "Delete",
            "Dislike",
            "Flag",
            "Follow",
            "Ignore",
        ),
        *(
            "Invite",
            "Join",
            "Leave",
            "Like",
            "Listen",
            "Move",
            "Offer",
            "Question",
            "Read",
            "Reject",
            "Remove",
        ),
        *("TentativeAccept", "TentativeReject", "Travel", "Undo", "Update", "View"),
        # FEP-044f and GoToSocial; Misskey and Pleroma.
        *("QuoteRequest", "LikeRequest", "ReplyRequest", "AnnounceRequest", "EmojiReact", "EmojiReaction"),
    }
)
# Beside an activity within: what makes a case of an object, and what is left of one.
_TREATED: Final = ACTIVITY_TYPES | {"Article", "Tombstone"}
# A Follow goes to whom it is about.
_MAX_ADDRESSED: Final = 4
_MAX_BARE_BYTES: Final = 2_000
_WORDS: Final = frozenset({"content", "name", "summary", "source"})
_ANSWERS: Final = frozenset({"Accept", "Reject"})
_INTRANSITIVE: Final = frozenset({"Arrive", "Question", "Travel"})
# Each object of these is looked at. Whoever names several in any other has said what nobody here would do whole.
_OF_SEVERAL: Final = frozenset({"Delete", "Flag"})

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity, as received.

    object_ids  the ids of its objects, linked or embedded: of several for a Delete or a Flag alone; none where what is embedded has none.
    object      the embedded object as received; None when it is only linked. Not to be trusted before it is proven.
    raw         the document itself, for proofs and for keeping.
    """

    id: str
    type: str
    actor: str
    object_ids: tuple[str, ...] = ()
    object: Json | None = None
    target: str | None = None
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    published: datetime | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @property
    def object_id(self) -> str | None:
        """The id of its object, of several the first; None where it has none."""
        return next(iter(self.object_ids), None)

    @property
    def object_type(self) -> str | None:
        """The type of the embedded object; of several the one that is treated as something of its own here, else the first."""
        if self.object is None:
            return None
        return properties.one_type(self.object, _TREATED) or next(iter(properties.types(self.object)), None)


def read_activity(
    document: Mapping[str, object], *, nameless: str | None = None, signer: str | None = None
) -> Activity:
    """Read an activity of any software. Raises NotUnderstood, most often NotAnActivity, with the reason.

    nameless  what it is called here where it has no id of its own (ActivityPub §3.1, transient); None where it needs one.
    signer    who said an Accept or Reject that names no actor (f2ap); None where it needs one.
    """
    plain = properties.simplified(document)
    kind = _only_type(plain, ACTIVITY_TYPES)
    if kind is None:
        raise NotAnActivity(f"type {properties.types(plain)!r} is no activity")
    own_id = properties.iri(plain, "id") if plain.get("id") else nameless
    if own_id is None or not properties.is_http(own_id):
        raise NotAnActivity(f"{kind} without an http(s) id")
    actor = properties.iri(plain, "actor") if plain.get("actor") or kind not in _ANSWERS else signer
    if actor is None or not properties.is_http(actor):
        raise NotAnActivity(f"{kind} without exactly one actor")
    embedded = properties.embedded(plain, "object")
    object_ids = properties.iris(plain, "object")
    if kind not in _INTRANSITIVE and embedded is None and not object_ids:
        raise NotAnActivity(f"{kind} without an object")
    _refuse_several(kind, plain)
    if embedded is not None and kind not in _OF_SEVERAL:
        _only_type(embedded, _TREATED)
    return Activity(
        id=own_id,
        type=kind,
        actor=actor,
        object_ids=object_ids,
        object=embedded,
        target=properties.iri(plain, "target"),
        to=properties.audience(plain, "to"),
        cc=properties.audience(plain, "cc"),
        published=properties.instant(plain, "published"),
        raw=dict(document),
    )


def _only_type(document: Mapping[str, object], known: frozenset[str]) -> str | None:
    """The one of its types that is known, or None. Raises NotAnActivity for what has several: whoever reads another does something else."""
    found = set(properties.types(document)) & known
    if len(found) > 1:
        raise NotAnActivity(f"types {sorted(found)!r} at once")
    return next(iter(found), None)


def _refuse_several(kind: str, plain: Mapping[str, object]) -> None:
    """Raise NotAnActivity where one of several objects would be taken for all: the first was done, and the rest left in silence."""
    items = plain.get("object")
    if kind == "Flag" or not isinstance(items, list) or len(items) < 2:
        return
    if len(items) > properties.MAX_ITEMS:
        raise NotAnActivity(f"{kind} of more than {properties.MAX_ITEMS} objects")
    named = {properties.iri_of(item) for item in items}
    if None in named:
        raise NotAnActivity(f"{kind} of several objects, one of which has no id")
    if len(named) > 1 and kind not in _OF_SEVERAL:
        raise NotAnActivity(f"{kind} of several objects")


def follow(id: str, actor: str, object: str) -> Json:  # the words of the specification
    """Write a Follow of the actor `object`."""
    return _activity("Follow", id, actor, object, to=[object])


def accept(
    id: str,
    actor: str,
    asked: Mapping[str, object],
    *,
    result: str | None = None,
    context: object = ACTIVITY_CONTEXT,
) -> Json:
    """Write the Accept of a Follow, or of a request to quote, which is embedded with what names it and nothing else.

    result  the address of what the request was for.
    Threads answers 500 to an Accept that only names the Follow; Lemmy and Pleroma expect it embedded.
    """
    return present({**_answer("Accept", id, actor, asked), "@context": context, "result": result})


def reject(id: str, actor: str, follow: Mapping[str, object]) -> Json:
    """Write the Reject of a Follow, embedded likewise."""
    return _answer("Reject", id, actor, follow)


def essence(asked: Mapping[str, object]) -> Json:
    """Return what an answer has to say of a Follow or a request: who asks what of whom.

    One that is short and says nothing else stays as it was sent, for Threads answers 500 to an altered one. Of any other the addresses
    remain: our proof would stand over words of strangers, and they would fill our disk. Mastodon, GoToSocial, Misskey and Lemmy read
    no more of it.
    """
    sent = _without_context(asked)
    if _is_bare(sent):
        return sent
    plain = properties.simplified(asked)
    addressed = {key: list(properties.iris(plain, key)[:_MAX_ADDRESSED]) or None for key in ("to", "cc")}
    return present(
        {
            "id": properties.iri(plain, "id"),
            "type": properties.one_type(plain, ACTIVITY_TYPES),
            "actor": properties.iri(plain, "actor"),
            "object": properties.iri(plain, "object"),
            "instrument": properties.iri(plain, "instrument"),
            **addressed,
        }
    )


def _is_bare(sent: Json) -> bool:
    """Tell whether there is nothing in it but short texts, none of which is for people to read."""
    texts = (text for value in sent.values() for text in (value if isinstance(value, list) else (value,)))
    return (
        not properties.simplified(sent).keys() & _WORDS
        and all(isinstance(text, str) for text in texts)
        and len(write(sent)) <= _MAX_BARE_BYTES
    )


def undo(
    id: str,
    actor: str,
    activity: Mapping[str, object],
    *,
    to: Sequence[str] = (),
    published: datetime | None = None,
) -> Json:
    """Write the Undo of an activity of the same actor, embedded, addressed as it was unless `to` says otherwise."""
    inner = _without_context(activity)
    addressed = list(to) or list(properties.iris(activity, "to")) or list(properties.iris(activity, "object"))
    cc = properties.iris(activity, "cc")
    return _activity("Undo", id, actor, inner, to=addressed, cc=cc, published=published)


def create(
    id: str,
    actor: str,
    object: Mapping[str, object],
    *,
    to: Sequence[str],
    cc: Sequence[str],
    published: datetime,
) -> Json:
    """Write the Create of an object, embedded whole."""
    return _activity("Create", id, actor, dict(object), to=to, cc=cc, published=published, context=CONTEXT)


def update(
    id: str,
    actor: str,
    object: Mapping[str, object],
    *,
    to: Sequence[str],
    cc: Sequence[str],
    published: datetime,
) -> Json:
    """Write the Update of an object, embedded whole.

    The object carries `published` and a strictly newer `updated`, or Mastodon takes it for a change of counts and
    GoToSocial refuses it.
    """
    return _activity("Update", id, actor, dict(object), to=to, cc=cc, published=published, context=CONTEXT)


def delete(
    id: str,
    actor: str,
    object: str | Mapping[str, object],
    *,
    to: Sequence[str],
    cc: Sequence[str] = (),
    published: datetime | None = None,
) -> Json:
    """Write the Delete of an object: its Tombstone, or only its id."""
    inner = object if isinstance(object, str) else dict(object)
    return _activity("Delete", id, actor, inner, to=to, cc=cc, published=published, context=CONTEXT)


def announce(
    id: str,
    actor: str,
    object: str | Mapping[str, object],
    *,
    to: Sequence[str],
    cc: Sequence[str] = (),
    published: datetime | None = None,
) -> Json:
    """Write the Announce of an object by its id, so that everyone fetches it from its own home; or of somebody's activity.

    An activity is embedded as it came, its `@context` and proof with it, or the proof would not hold (FEP-1b12).
    """
    inner = object if isinstance(object, str) else dict(object)
    return _activity("Announce", id, actor, inner, to=to, cc=cc, published=published)


def add(
    id: str,
    actor: str,
    object: str,
    *,
    target: str,
    to: Sequence[str],
    cc: Sequence[str] = (),
    published: datetime | None = None,
) -> Json:
    """Write the Add of an object to a collection of the actor's own."""
    return _activity("Add", id, actor, object, target=target, to=to, cc=cc, published=published)


def remove(
    id: str,
    actor: str,
    object: str,
    *,
    target: str,
    to: Sequence[str],
    cc: Sequence[str] = (),
    published: datetime | None = None,
) -> Json:
    """Write the Remove of an object from a collection of the actor's own."""
    return _activity("Remove", id, actor, object, target=target, to=to, cc=cc, published=published)


def move(
    id: str,
    actor: str,
    target: str,
    *,
    to: Sequence[str],
    cc: Sequence[str] = (),
    published: datetime | None = None,
) -> Json:
    """Write the Move of an actor to its new account, whose `alsoKnownAs` names the old one. FEP-7628."""
    return _activity("Move", id, actor, actor, target=target, to=to, cc=cc, published=published)


def flag(id: str, actor: str, objects: Sequence[str], *, text: str) -> Json:
    """Write the Flag of an actor, first, and of objects of theirs. To nobody but the server it is sent to."""
    return {**_activity("Flag", id, actor, list(objects), to=[objects[0]]), "content": text}


def _answer(kind: str, own_id: str, actor: str, asked: Mapping[str, object]) -> Json:
    inner = essence(asked)
    asker = properties.iri(inner, "actor")
    return _activity(kind, own_id, actor, inner, to=[asker] if asker else [])


def _activity(
    kind: str,
    own_id: str,
    actor: str,
    inner: object,
    *,
    to: Sequence[str],
    cc: Sequence[str] = (),
    target: str | None = None,
    published: datetime | None = None,
    context: object = ACTIVITY_CONTEXT,
) -> Json:
    return present(
        {
            "@context": context,
            "id": own_id,
            "type": kind,
            "actor": actor,
            "published": written(published) if published else None,
            "to": list(to),
            "cc": list(cc),
            "object": inner,
            "target": target,
        }
    )


def _without_context(activity: Mapping[str, object]) -> Json:
    return {key: value for key, value in activity.items() if key != "@context"}
