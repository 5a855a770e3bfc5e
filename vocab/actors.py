"""Actors: organisations, services and people with an inbox, and the keys they show.

Reading those of any software, writing ours: `publicKey` one object with the id `<actor>#main-key` (arrays break many
readers), `assertionMethod` a list of Multikeys. ActivityPub §4; FEP-521a; FEP-5feb; FEP-d556.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from vocab import properties, states
from vocab.errors import NotAnActor
from vocab.markup import shown_host
from vocab.properties import Properties, present, written
from vocab.terms import ACTOR_CONTEXT, ACTOR_TYPES

MAIN_KEY: Final = "main-key"
ED25519_KEY: Final = "ed25519-key"

# did:key and Multikey: base58btc of the multicodec prefix 0xed01 always begins so.
_ED25519_PREFIX: Final = "z6Mk"
_MAX_NAME: Final = 2048
_MAX_SUMMARY: Final = 20_000
_MAX_KEYS: Final = 10
# Of RSA with 16,384 bits, more than anybody has, it takes 3,000.
_MAX_KEY: Final = 4_000


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as an actor shows it: `spki_pem` for RSA, `multibase` for Ed25519. Not yet parsed, not yet trusted.

    expires   from then on it makes nothing valid; what it made before stays so (Controlled Identifiers §2.2.1).
    revoked   it ended because it was lost or stolen: written as `revoked` too, and of the two dates the earlier one is read.
    """

    id: str
    owner: str
    algorithm: Literal["rsa", "ed25519"]
    spki_pem: str | None = None
    multibase: str | None = None
    expires: datetime | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """One actor. `summary` is HTML of the actor's own making: sanitise before showing it.

    webfinger   `name@host`, as the actor says it; to be looked up before it is believed (FEP-2c59).
    implements  address and name of each thing its software says it can do (FEP-844e).
    states      codes of the States in which an organisation works, as it says itself.
    linked_keys addresses of keys that it lists and does not show: each has a document of its own, to be asked for.
                Of an actor that was fetched: those that could not be had just now.
    """

    id: str
    type: str
    preferred_username: str
    inbox: str
    name: str | None = None
    summary: str | None = None
    shared_inbox: str | None = None
    outbox: str | None = None
    followers: str | None = None
    following: str | None = None
    featured: str | None = None
    url: str | None = None
    icon: str | None = None
    keys: tuple[PublicKey, ...] = ()
    published: datetime | None = None
    discoverable: bool = False
    indexable: bool = False
    manually_approves_followers: bool = False
    also_known_as: tuple[str, ...] = ()
    moved_to: str | None = None
    attribution_domains: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    webfinger: str | None = None
    implements: tuple[tuple[str, str], ...] = ()
    states: tuple[str, ...] = ()
    linked_keys: tuple[str, ...] = ()

    def key(self, key_id: str) -> PublicKey | None:
        """Return the key with this id, if the actor shows it; for the actor's own id, where no key has that, its only RSA key.

        So software signs that names the actor and not the key (activitypub-express, older PeerTube). Of two, neither is meant.
        """
        exact = next((key for key in self.keys if key.id == key_id), None)
        if exact is not None or key_id != self.id:
            return exact
        rsa = [key for key in self.keys if key.algorithm == "rsa"]
        return rsa[0] if len(rsa) == 1 else None

    def may_be_named_at(self, address: str) -> bool:
        """Say whether a page may be shown as this actor's: on its own host, or on one it names in `attributionDomains`.

        A named host stands for itself and what lies below it, at a dot: `notvictim.example` and `victim.example.evil.example`
        are other hosts than `victim.example` (Mastodon GHSA-rwcw-vq68-g34p).
        """
        host = shown_host(address).lower()
        if not host or not properties.is_http(address):
            return False
        named = (
            shown_host(f"https://{name.strip().strip('.')}/").lower() for name in self.attribution_domains
        )
        return host == shown_host(self.id).lower() or any(
            name and (host == name or host.endswith(f".{name}")) for name in named
        )


def read_actor(document: Mapping[str, object]) -> Actor:
    """Read an actor of any software. Raises NotUnderstood, most often NotAnActor, with the reason.

    Absent `discoverable` and `indexable` mean no (FEP-5feb). Keys are those the actor claims for itself; a key with
    another owner is left out.
    """
    plain = properties.simplified(document)
    kind = properties.one_type(plain, ACTOR_TYPES)
    if kind is None:
        raise NotAnActor(f"type {properties.types(plain)!r} is no actor")
    own_id = properties.iri(plain, "id")
    if own_id is None or not properties.is_http(own_id):
        raise NotAnActor(f"{kind} without an http(s) id")
    inbox = properties.iri(plain, "inbox")
    if inbox is None or not properties.is_http(inbox):
        raise NotAnActor(f"{kind} without an inbox")
    endpoints = properties.embedded(plain, "endpoints") or {}
    webfinger = (properties.text(plain, "webfinger") or "").removeprefix("acct:")[:_MAX_NAME] or None
    icon = properties.embedded(plain, "icon")
    return Actor(
        id=own_id,
        type=kind,
        # What it is called in its handle, for those who leave the name itself out.
        preferred_username=properties.legible(properties.text(plain, "preferredUsername"), _MAX_NAME)
        or (webfinger or "").rpartition("@")[0],
        inbox=inbox,
        name=properties.legible(properties.words(plain, "name"), _MAX_NAME),
        summary=properties.legible(properties.text(plain, "summary"), _MAX_SUMMARY),
        shared_inbox=properties.iri(endpoints, "sharedInbox"),
        outbox=properties.iri(plain, "outbox"),
        followers=properties.iri(plain, "followers"),
        following=properties.iri(plain, "following"),
        featured=properties.iri(plain, "featured"),
        url=properties.link_to_page(plain),
        icon=properties.link_to_page(icon) if icon else properties.iri(plain, "icon"),
        keys=read_keys(plain),
        published=properties.instant(plain, "published"),
        discoverable=properties.flag(plain, "discoverable") or False,
        indexable=(properties.flag(plain, "indexable") or False)
        and not properties.refuses_indexing(properties.robots(plain)),
        manually_approves_followers=properties.flag(plain, "manuallyApprovesFollowers") or False,
        also_known_as=properties.iris(plain, "alsoKnownAs")[:256],
        moved_to=properties.iri(plain, "movedTo"),
        attribution_domains=tuple(
            item for item in _list(plain.get("attributionDomains"))[:256] if isinstance(item, str)
        ),
        fields=_fields(plain),
        webfinger=webfinger,
        implements=_implements(plain),
        states=read_states(plain),
        linked_keys=_linked_keys(plain),
    )


def read_states(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the codes of the States an actor, or an entry of a list of actors, names as those it works in; others are left out."""
    named = document.get("srt:state")
    given = named if isinstance(named, list) else [named]
    return tuple(dict.fromkeys(code for code in given if isinstance(code, str) and states.is_state(code)))


def read_keys(document: Mapping[str, object]) -> tuple[PublicKey, ...]:
    """Return the keys a document shows: of an actor, of GoToSocial's stub of one, or of a key that stands alone.

    A `publicKey` without an id has the actor's (SemApps 0.6 shows it so, as a blank node). Only keys that name the document's own
    id as owner, none that name nobody; for a key that stands alone the owner is what it names, and the caller has to ask that
    owner whether the key is its own (FEP-fe34).
    """
    plain = properties.simplified(document)
    own_id = properties.iri(plain, "id")
    if "publicKeyPem" in plain or "publicKeyMultibase" in plain:
        alone = _key(plain, None)
        return (alone,) if alone else ()
    shown = [*properties.objects(plain, "publicKey"), *properties.objects(plain, "assertionMethod")]
    keys = (_key(item, own_id) for item in shown[:_MAX_KEYS])
    return tuple(dict.fromkeys(key for key in keys if key is not None and key.owner == own_id))


def _linked_keys(plain: Properties) -> tuple[str, ...]:
    listed = (*properties.strings(plain, "publicKey"), *properties.strings(plain, "assertionMethod"))
    return tuple(dict.fromkeys(item for item in listed[:_MAX_KEYS] if properties.is_http(item)))


def _key(item: Properties, holder: str | None) -> PublicKey | None:
    is_nameless = "publicKeyPem" in item and str(item.get("id", "_:")).startswith("_:")
    key_id = holder if is_nameless else properties.iri(item, "id")
    owner = properties.iri(item, "owner") or properties.iri(item, "controller")
    if key_id is None or owner is None:
        return None
    ends = [properties.instant(item, name) for name in ("expires", "revoked") if name in item]
    dated = [end for end in ends if end is not None]
    if len(dated) < len(ends):
        # A date that cannot be read might be one that has passed.
        return None
    expires, revoked = min(dated, default=None), "revoked" in item
    if any(
        len(properties.text(item, name) or "") > _MAX_KEY for name in ("publicKeyPem", "publicKeyMultibase")
    ):
        return None
    if pem := properties.text(item, "publicKeyPem"):
        return PublicKey(key_id, owner, "rsa", spki_pem=pem, expires=expires, revoked=revoked)
    multibase = properties.text(item, "publicKeyMultibase")
    if multibase and multibase.startswith(_ED25519_PREFIX):
        return PublicKey(key_id, owner, "ed25519", multibase=multibase, expires=expires, revoked=revoked)
    return None


def write_actor(actor: Actor) -> dict[str, object]:
    """Write an actor of ours.

    The first RSA key becomes `publicKey`, every Ed25519 key a Multikey of `assertionMethod`. `url`, `inbox` and the
    collections share one host with the id.
    """
    rsa = next((key for key in actor.keys if key.algorithm == "rsa"), None)
    return present(
        {
            "@context": ACTOR_CONTEXT,
            "id": actor.id,
            "type": actor.type,
            "preferredUsername": actor.preferred_username,
            "name": actor.name,
            "summary": actor.summary,
            "url": actor.url,
            "icon": {"type": "Image", "url": actor.icon} if actor.icon else None,
            "published": written(actor.published) if actor.published else None,
            "inbox": actor.inbox,
            "outbox": actor.outbox,
            "followers": actor.followers,
            "following": actor.following,
            "featured": actor.featured,
            "endpoints": {"sharedInbox": actor.shared_inbox} if actor.shared_inbox else None,
            "discoverable": actor.discoverable,
            "indexable": actor.indexable,
            "manuallyApprovesFollowers": actor.manually_approves_followers,
            "attributionDomains": list(actor.attribution_domains),
            "alsoKnownAs": list(actor.also_known_as),
            "movedTo": actor.moved_to,
            "webfinger": actor.webfinger,
            "generator": {
                "type": "Application",
                "implements": [{"href": href, "name": name} for href, name in actor.implements],
            }
            if actor.implements
            else None,
            "attachment": [
                {"type": "PropertyValue", "name": name, "value": value} for name, value in actor.fields
            ],
            "srt:state": list(actor.states),
            "publicKey": {"id": rsa.id, "owner": rsa.owner, "publicKeyPem": rsa.spki_pem} if rsa else None,
            "assertionMethod": write_multikeys(actor.keys),
        }
    )


def write_multikeys(keys: Iterable[PublicKey]) -> list[dict[str, object]]:
    """Write the Ed25519 keys among them as Multikeys, each with its end if it has one."""
    return [
        present(
            {
                "id": key.id,
                "type": "Multikey",
                "controller": key.owner,
                "publicKeyMultibase": key.multibase,
                "expires": written(key.expires) if key.expires else None,
                "revoked": written(key.expires) if key.expires and key.revoked else None,
            }
        )
        for key in keys
        if key.algorithm == "ed25519"
    ]


def _fields(plain: Properties) -> tuple[tuple[str, str], ...]:
    rows = (
        (properties.text(item, "name"), properties.text(item, "value"))
        for item in properties.objects(plain, "attachment")[:50]
        if "PropertyValue" in properties.types(item) or "schema:PropertyValue" in properties.types(item)
    )
    return tuple((name[:_MAX_NAME], value[:_MAX_NAME]) for name, value in rows if name and value)


def _implements(plain: Properties) -> tuple[tuple[str, str], ...]:
    generator = properties.embedded(plain, "generator") or {}
    features = (
        (properties.iri_of(item), properties.text(item, "name") or "")
        for item in properties.objects(generator, "implements")[:50]
    )
    return tuple((href, name[:_MAX_NAME]) for href, name in features if href)


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
