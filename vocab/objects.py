"""Objects: what activities are about. Articles, Notes, Tombstones, collections and their pages.

Reading those of any software, with HTML sanitised on the way in; writing ours in the lowest common shape: one plain
`type`, `attributedTo` a string, `published` always, `content` beside `contentMap`, `to` and `cc` arrays. AS2 Vocabulary §3.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from vocab import properties
from vocab.errors import NotAnObject
from vocab.markup import sanitised
from vocab.properties import present, written
from vocab.terms import ACTIVITY_CONTEXT, CONTEXT

COLLECTION_TYPES: Final = frozenset({"Collection", "OrderedCollection"})
PAGE_TYPES: Final = frozenset({"CollectionPage", "OrderedCollectionPage"})

# FEP-044f; Pleroma and others; Fedibird; Misskey. Many write several, which name the same; in full they are what a signature over
# statements holds for (federation/graphs.py).
_QUOTES: Final = (
    *("quote", "quoteUrl", "quoteUri", "_misskey_quote"),
    "https://w3id.org/fep/044f#quote",
    "http://fedibird.com/ns#quoteUri",
    "https://misskey-hub.net/ns#_misskey_quote",
)
_MAX_NAME: Final = 2048
_MAX_CONTENT: Final = 200_000
_MAX_ATTACHMENTS: Final = 32
_MAX_TAGS: Final = 100
_MAX_QUOTES: Final = 4

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Tag:
    """A Hashtag, a Mention or a Link to another object."""

    type: str
    name: str | None
    href: str | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file or page beside an object; `name` is the text for those who cannot see it."""

    type: str
    url: str
    name: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """An object with words in it. `summary`, `content` and `contents` are sanitised HTML, `name` is plain text.

    attributed_to  its authors, most often one; where it names none, whoever does it.
    in_reply_to    what it answers, most often one thing.
    quotes         the addresses of what it quotes, however it says so.
    """

    id: str | None
    type: str
    attributed_to: tuple[str, ...]
    name: str | None = None
    summary: str | None = None
    content: str | None = None
    contents: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None
    url: str | None = None
    in_reply_to: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    published: datetime | None = None
    updated: datetime | None = None
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of an object that was taken back."""

    id: str
    former_type: str | None = None
    deleted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A collection or one page of it.

    items       ids, in order; an item that is embedded without an id is left out.
    embedded    the items that came whole, not to be trusted before they are proven.
    """

    id: str | None
    type: str
    total_items: int | None = None
    items: tuple[str, ...] = ()
    embedded: tuple[Json, ...] = ()
    first: str | None = None
    next: str | None = None
    part_of: str | None = None


def read_object(document: Mapping[str, object]) -> Object:
    """Read an object of any software. Raises NotAnObject for what has no type or an id that is no address."""
    plain = properties.simplified(document)
    kinds = properties.types(plain)
    if not kinds:
        raise NotAnObject("no type")
    own_id = properties.iri(plain, "id")
    if own_id is not None and not properties.is_http(own_id):
        raise NotAnObject(f"{kinds[0]} with an id that is no http(s) address")
    contents = {
        language: sanitised(html[:_MAX_CONTENT])
        for language, html in properties.texts(plain, "contentMap").items()
    }
    content = properties.text(plain, "content")
    names, actor = properties.texts(plain, "nameMap"), properties.iri(plain, "actor")
    return Object(
        id=own_id,
        type=kinds[0],
        attributed_to=properties.iris(plain, "attributedTo") or ((actor,) if actor is not None else ()),
        name=_shortened(properties.words(plain, "name")),
        summary=_html(properties.words(plain, "summary")),
        content=_html(content) if content is not None else next(iter(contents.values()), None),
        contents=contents,
        # Mastodon and GoToSocial: the language is the first key.
        language=next(iter(contents), None) or next(iter(names), None),
        url=properties.link_to_page(plain),
        in_reply_to=properties.iris(plain, "inReplyTo"),
        quotes=tuple(
            dict.fromkeys(found for name in _QUOTES for found in properties.iris(plain, name)[:_MAX_QUOTES])
        ),
        published=properties.instant(plain, "published"),
        updated=properties.instant(plain, "updated"),
        to=properties.audience(plain, "to"),
        cc=properties.audience(plain, "cc"),
        tags=tuple(_tag(item) for item in properties.objects(plain, "tag")[:_MAX_TAGS]),
        attachments=tuple(
            found
            for item in properties.objects(plain, "attachment")[:_MAX_ATTACHMENTS]
            if (found := _attachment(item)) is not None
        ),
        is_sensitive=properties.flag(plain, "sensitive") or False,
    )


def read_tombstone(document: Mapping[str, object]) -> Tombstone:
    """Read what is left of an object. Raises NotAnObject when it is still there, or has no id."""
    plain = properties.simplified(document)
    own_id = properties.iri(plain, "id")
    if "Tombstone" not in properties.types(plain) or own_id is None:
        raise NotAnObject("not a Tombstone with an id")
    return Tombstone(own_id, properties.text(plain, "formerType"), properties.instant(plain, "deleted"))


def read_page(document: Mapping[str, object]) -> Page:
    """Read a collection or a page of one. Raises NotAnObject for anything else."""
    plain = properties.simplified(document)
    kind = properties.one_type(plain, COLLECTION_TYPES | PAGE_TYPES)
    if kind is None:
        raise NotAnObject(f"type {properties.types(plain)!r} is no collection")
    key = "orderedItems" if "orderedItems" in plain else "items"
    return Page(
        id=properties.iri(plain, "id"),
        type=kind,
        total_items=properties.count(plain, "totalItems"),
        items=properties.iris(plain, key),
        embedded=properties.objects(plain, key),
        first=properties.iri(plain, "first"),
        next=properties.iri(plain, "next"),
        part_of=properties.iri(plain, "partOf"),
    )


def _tag(item: Mapping[str, object]) -> Tag:
    kind = next(iter(properties.types(item)), "Link")
    return Tag(kind, _shortened(properties.text(item, "name")), properties.iri_of(item.get("href")))


def _attachment(item: Mapping[str, object]) -> Attachment | None:
    address = properties.link_to_page(item) or properties.link_to_page(item, "href")
    if address is None:
        return None
    return Attachment(
        type=next(iter(properties.types(item)), "Document"),
        url=address,
        name=_shortened(properties.text(item, "summary") or properties.text(item, "name")),
        media_type=properties.text(item, "mediaType"),
    )


def _html(html: str | None) -> str | None:
    return sanitised(html[:_MAX_CONTENT]) if html else None


def _shortened(words: str | None) -> str | None:
    return words[:_MAX_NAME] if words else None


# ---- ours ----------------------------------------------------------------------------------------------------------


def note(
    id: str,
    actor: str,
    content: str,
    *,
    language: str,
    published: datetime,
    to: Sequence[str],
    cc: Sequence[str] = (),
    url: str | None = None,
    in_reply_to: str | None = None,
    tags: Sequence[Mapping[str, object]] = (),
) -> Json:
    """Write a Note. `content` is HTML made by `vocab.markup`; no `summary`, which would fold it as a warning."""
    return present(
        {
            "@context": CONTEXT,
            "id": id,
            "type": "Note",
            "attributedTo": actor,
            "inReplyTo": in_reply_to,
            "url": url,
            "published": written(published),
            "to": list(to),
            "cc": list(cc),
            "content": content,
            "contentMap": {language: content},
            "tag": [dict(tag) for tag in tags],
        }
    )


def hashtag(name: str, href: str) -> Json:
    """Write a Hashtag; `name` without the sign."""
    return {"type": "Hashtag", "name": f"#{name}", "href": href}


def ordered_collection(id: str, *, total_items: int, first: str | None = None) -> Json:
    """Write a collection by its count and its first page. Without `first` it shows only how many there are."""
    return present(
        {
            "@context": ACTIVITY_CONTEXT,
            "id": id,
            "type": "OrderedCollection",
            "totalItems": total_items,
            "first": first,
        }
    )


def ordered_collection_page(
    id: str,
    *,
    part_of: str,
    items: Sequence[object],
    next: str | None = None,
    prev: str | None = None,
    total_items: int | None = None,
) -> Json:
    """Write a page of a collection; `items` are ids or whole documents, newest first, and are there even when empty."""
    page = present(
        {
            "@context": CONTEXT,
            "id": id,
            "type": "OrderedCollectionPage",
            "partOf": part_of,
            "totalItems": total_items,
            "next": next,
            "prev": prev,
        }
    )
    return {**page, "orderedItems": list(items)}


def tombstone(
    id: str,
    *,
    actor: str,
    published: datetime,
    deleted: datetime,
    former_type: str = "Article",
    to: Sequence[str] = (),
    cc: Sequence[str] = (),
    extra: Mapping[str, object] | None = None,
) -> Json:
    """Write what stays of an object that was taken back: that it was, and since when. FEP-4f05."""
    return present(
        {
            "@context": CONTEXT,
            "id": id,
            "type": "Tombstone",
            "formerType": former_type,
            "attributedTo": actor,
            "published": written(published),
            "deleted": written(deleted),
            "to": list(to),
            "cc": list(cc),
            **(extra or {}),
        }
    )
