"""A case on the wire: an Article that any server can show, and the terms from which ours read the same case again.

`content`, `summary` and `preview` are made from the case and are never read back: what this network believes of a case it
reads from plain texts under the prefix `srt`, so no HTML of others becomes a case. FEP-b2b8 (Article), FEP-bad1 (history).
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode, urlsplit

from vocab import casewords, charter, claimreview, jsonld, lists, objects, properties, states
from vocab.errors import InvalidCase, NotACase, TooLarge
from vocab.pictures import read_picture, write_picture
from vocab.properties import own_term, present, written
from vocab.publiccase import PublicCase, Related
from vocab.terms import CONTEXT, LD_JSON, PUBLIC

# Field of the case → term under the prefix. The title travels as `name` and `nameMap`.
_TERMS: Final = {
    "kind": "kind",
    "language": "language",
    "summary": "summary",
    "content": "text",
    "content_warning": "contentWarning",
    "state": "state",
    "other_states": "otherState",
    "region": "region",
    "charter": "charter",
    "provisions": "provision",
    "article_e": "articleE",
    "discrimination_grounds": "discriminationGround",
    "violation_types": "violationType",
    "civic_space_types": "civicSpaceType",
    "good_practice_types": "goodPracticeType",
    "good_practice_source": "goodPracticeSource",
    "transferability": "transferability",
    "results_evidence": "resultsEvidence",
    "contexts": "context",
    "integrated_rights": "integratedRight",
    "groups": "group",
    "scale": "scale",
    "actors": "actor",
    "actor_name": "actorName",
    "started_on": "startedOn",
    "ended_on": "endedOn",
    "ongoing": "ongoing",
    "evidence_types": "evidenceType",
    "public_sources": "publicSource",
    "domestic_steps": "domesticSteps",
    "standard": "standard",
    "verification": "verification",
    "verification_statement": "verificationStatement",
    "status": "status",
    "status_date": "statusDate",
    "licence": "licence",
    "authority_replies": "authorityReplies",
    "follow_ups": "followUps",
    "related": "related",
    "corrections": "corrections",
    "fictional": "fictional",
}
_RECORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "authority_replies": {"date": "date", "type": "replyType", "text": "text", "source": "source"},
    "follow_ups": {"date": "date", "action": "action", "text": "text", "link": "link"},
    "related": {"id": "case", "relation": "relation"},
    "corrections": {"date": "date", "text": "text"},
}
# Lists that may grow: an entry this version does not know is left out, not a reason to refuse the case.
_GROWING: Final = {
    "discrimination_grounds": "discrimination_grounds",
    "violation_types": "violation_types",
    "civic_space_types": "civic_space_restrictions",
    "good_practice_types": "good_practice_types",
    "contexts": "contexts",
    "integrated_rights": "integrated_rights",
    "groups": "groups",
    "actors": "responsible_actors",
    "evidence_types": "evidence_types",
}

# Whoever may see a public case may like, answer, pass on and quote it; who asks first is told so (node/effects/stamping.py). GoToSocial
# before 0.20 reads the older name alone, and takes its absence for nobody.
_FOR_ALL: Final[Mapping[str, object]] = {"automaticApproval": [PUBLIC]}
_EVERYBODY: Final[Mapping[str, object]] = {
    **{name: {"always": [PUBLIC], **_FOR_ALL} for name in ("canLike", "canReply", "canAnnounce")},
    "canQuote": _FOR_ALL,
}

# An Article up to here makes a Create below 60,000 bytes, with its proofs and contexts: Misskey's inbox takes 65,536, Mastodon's
# and ours 1,048,576. With less room than this for each copy of its content, shortening would not bring it there.
_EASY_BYTES: Final = 50_000
_LEAST_CONTENT: Final = 4_000
# What we read ourselves, less room for the Create around an Article and a hub's Announce around that, each with a context, a
# proof and addresses of whatever length. Mastodon takes as many bytes as we do.
MAX_ARTICLE_BYTES: Final = jsonld.MAX_BYTES - 128 * 1024
MAX_ARTICLE_MEMBERS: Final = jsonld.MAX_MEMBERS - 500
# To measure a case that is not published yet.
_ANYWHERE: Final = "https://tracker.example/cases/0"
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class CaseMeta:
    """What surrounds a case on the wire: whose it is, where, since when, for whom."""

    id: str
    actor: str
    url: str
    published: datetime
    updated: datetime | None = None
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    context: str | None = None
    replies: str | None = None


def write_case(
    case: PublicCase,
    *,
    id: str,
    actor: str,
    published: datetime,
    updated: datetime | None = None,
    to: Sequence[str] = (PUBLIC,),
    cc: Sequence[str] = (),
    url: str | None = None,
    context: str | None = None,
    replies: str | None = None,
    history: str | None = None,
) -> Json:
    """Write a case as an Article.

    id, actor, url   share one host. `url` is the page for people, else the id.
    updated          strictly later than the last one when a correction goes out.
    context, replies collections of the conversation, where there are any.
    history          collection of what the author did with it (FEP-bad1).

    Where it would be too large for many servers, `content` ends with a link to the whole: its plain terms have everything.
    """
    language = case.language
    titles = case.title.first(language)
    contents = {spoken: casewords.content(case, spoken) for spoken in titles}
    values = case.fields()
    picture = write_picture(case.image, language, id) if case.image else None
    article = present(
        {
            "@context": CONTEXT,
            "id": id,
            "type": "Article",
            "attributedTo": actor,
            "url": url or id,
            "published": written(published),
            "updated": written(updated) if updated else None,
            "to": list(to),
            "cc": list(cc),
            "context": context,
            "replies": replies,
            "history": history,
            "name": titles[language],
            "nameMap": dict(titles),
            "summary": casewords.summary(case, language),
            # Pictures are covered, and so is the post where the summary is shown as its warning.
            "sensitive": True if case.content_warning else None,
            "content": contents[language],
            # The first key is the language of the post to Mastodon and GoToSocial.
            "contentMap": contents,
            "preview": {
                "type": "Note",
                "attributedTo": actor,
                "published": written(published),
                "content": casewords.preview(case, language),
            },
            # What made it, and never which version: nothing is to be concluded from that (FEP-0151).
            "generator": {"type": "Application", "name": "Social Rights Tracker"},
            # Without it Mastodon offers nobody to quote (FEP-044f).
            "interactionPolicy": _EVERYBODY if PUBLIC in (*to, *cc) else None,
            "image": picture,
            "tag": [*_hashtags(case, id), *(_object_link(other) for other in case.related)],
            # Mastodon, GoToSocial, Misskey and Pleroma show what is attached, and no `image`.
            "attachment": [
                *([picture] if picture else []),
                *(
                    {"type": "Link", "href": address, "name": urlsplit(address).hostname, "rel": "related"}
                    for address in case.public_sources
                ),
            ],
            "location": {"type": "Place", "name": _place(case)},
            "startTime": _moment(case.started_on, end=False),
            "endTime": _moment(case.ended_on, end=True) if case.ended_on else None,
            "schema:license": claimreview.LICENCE_ADDRESSES[case.licence],
            "schema:review": claimreview.review_within(case, actor=actor, published=published),
            **{f"srt:{term}": _outward(name, values[name]) for name, term in _TERMS.items()},
        }
    )
    room = _room(article, contents)
    if room is not None:
        contents = {
            spoken: casewords.content(case, spoken, most=room, whole=url or id) for spoken in contents
        }
        article |= {"content": contents[language], "contentMap": contents}
    return article


def read_case(document: Mapping[str, object]) -> tuple[PublicCase, CaseMeta]:
    """Read the case an Article of this network carries; terms that are not known are passed over.

    Raises NotACase with the reason: another type, no term of ours, or values that the rules of a public case refuse.
    Whether the Article is its author's own is for the caller to prove.
    """
    plain = properties.simplified(document)
    if "Article" not in properties.types(plain):
        raise NotACase(f"type {properties.types(plain)!r} is no Article")
    if own_term(plain, "kind") is None:
        raise NotACase("an Article without the terms of a case")
    meta = _meta(plain)
    language = own_term(plain, _TERMS["language"])
    values: Json = {name: _inward(name, own_term(plain, term), language) for name, term in _TERMS.items()}
    titles = properties.texts(plain, "nameMap")
    if not titles and isinstance(language, str):
        titles = {language: properties.text(plain, "name") or ""}
    values["title"] = _original_first(titles, language)
    values["image"] = read_picture(plain, meta.id, language)
    try:
        return PublicCase.parse(values), meta
    except InvalidCase as error:
        raise NotACase(f"not a public case: {error}") from error


class Reach(StrEnum):
    """How other servers get a case: whole, with the end of its words for people left out, or not those that take little at once."""

    WHOLE = "whole"
    SHORTENED = "shortened"
    PARTIAL = "partial"


def reach(case: PublicCase) -> Reach:
    """Tell how others will get the case, as far as that depends on how long it is; on this network it is always whole."""
    article = write_case(case, id=_ANYWHERE, actor=_ANYWHERE, published=_ANY_TIME)
    whole = {spoken: casewords.content(case, spoken) for spoken in case.title.first(case.language)}
    if article["contentMap"] != whole:
        return Reach.SHORTENED
    return Reach.PARTIAL if len(jsonld.write(article)) > _EASY_BYTES else Reach.WHOLE


def fits(case: PublicCase) -> bool:
    """Tell whether other servers can take the case, wherever it is published: what is larger would reach nobody."""
    article = write_case(case, id=_ANYWHERE, actor=_ANYWHERE, published=_ANY_TIME)
    try:
        jsonld.parse(jsonld.write(article), max_bytes=MAX_ARTICLE_BYTES, max_members=MAX_ARTICLE_MEMBERS)
    except TooLarge:
        return False
    return True


def _room(article: Json, contents: Mapping[str, str]) -> int | None:
    """How many bytes of content in each language leave the Article easy to take; None where nothing is to be left out."""
    size = len(jsonld.write(article))
    # The language of the case stands twice, as `content` and in `contentMap`.
    shown = len(jsonld.write({name: article[name] for name in ("content", "contentMap")}))
    room = (_EASY_BYTES - size + shown) // (1 + len(contents))
    return room if size > _EASY_BYTES and room >= _LEAST_CONTENT else None


def _meta(plain: properties.Properties) -> CaseMeta:
    own_id = properties.iri(plain, "id")
    if own_id is None or not properties.is_http(own_id):
        raise NotACase("a case without an http(s) id")
    actor = properties.iri(plain, "attributedTo")
    if actor is None or not properties.is_http(actor):
        raise NotACase("a case without exactly one author")
    published = properties.instant(plain, "published")
    if published is None:
        raise NotACase("a case without the moment of its publication")
    return CaseMeta(
        id=own_id,
        actor=actor,
        url=properties.link_to_page(plain) or own_id,
        published=published,
        updated=properties.instant(plain, "updated"),
        to=properties.audience(plain, "to"),
        cc=properties.audience(plain, "cc"),
        context=properties.iri(plain, "context"),
        replies=properties.iri(plain, "replies"),
    )


def _outward(name: str, value: object) -> object:
    if name in _RECORDS and isinstance(value, list):
        terms = _RECORDS[name]
        return [present({f"srt:{term}": item[key] for key, term in terms.items()}) for item in value]
    # What is false by default goes without saying; whether a thing goes on does not.
    return None if value is False and name != "ongoing" else value


def _inward(name: str, value: object, language: object) -> object:
    if name in _RECORDS:
        terms = _RECORDS[name]
        return [
            {key: _original_first(own_term(item, term), language) for key, term in terms.items()}
            for item in _items(value)
            if isinstance(item, Mapping)
        ]
    if name in _GROWING:
        return [item for item in _items(value) if lists.has(_GROWING[name], item)]
    if name in ("provisions", "other_states", "public_sources"):
        return _items(value)
    return _original_first(value, language)


def _original_first(value: object, language: object) -> object:
    """Texts with the case's own language in front: no proof, and no graph, says in which order they come."""
    if not isinstance(value, Mapping) or not isinstance(language, str) or language not in value:
        return value
    return {language: value[language], **value}


def _items(value: object) -> list[object]:
    if isinstance(value, Mapping) and "@list" in value:
        value = value["@list"]
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _hashtags(case: PublicCase, own_id: str) -> list[Json]:
    """Return tags for the whole, the State, the articles and the themes; each leads to our own list of such cases."""
    parts = urlsplit(own_id)
    listing = f"{parts.scheme}://{parts.netloc}/cases"
    named: dict[str, dict[str, str]] = {"SocialRights": {}, "EuropeanSocialCharter": {}}
    named[_camel(states.state(case.state).name("en"))] = {"state": case.state}
    for number in case.articles:
        named[f"Article{number}"] = {"article": str(number)}
        for theme in charter.themes_of(number):
            named[_camel(theme)] = {"theme": theme}
    return [
        objects.hashtag(name, f"{listing}?{urlencode(query)}" if query else listing)
        for name, query in named.items()
    ]


def _object_link(other: Related) -> Json:
    # FEP-e232: an object and not a page.
    return {"type": "Link", "mediaType": LD_JSON, "href": other.id, "rel": "related", "name": other.id}


def _camel(words: str) -> str:
    # Each word with a capital, so that a screen reader can tell them apart.
    parts = "".join(letter if letter.isalnum() else " " for letter in words).split()
    return "".join(part[0].upper() + part[1:] for part in parts)


def _place(case: PublicCase) -> str:
    name = states.state(case.state).name(case.language)
    return f"{case.region}, {name}" if case.region else name


def _moment(partial: str, *, end: bool) -> str:
    year, _, month = partial.partition("-")
    if not end:
        return f"{year}-{month or '01'}-01T00:00:00Z"
    month = month or "12"
    return f"{year}-{month}-{monthrange(int(year), int(month))[1]}T23:59:59Z"
