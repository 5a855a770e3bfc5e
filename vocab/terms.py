"""IRIs, media types and the `@context` lists we write.

Each constant names its namespace document. Contexts are well-known ones that every receiver has bundled, and the rest
inline, so that no server ever has to fetch anything to understand us.
"""

from typing import Final

# https://www.w3.org/TR/activitystreams-vocabulary/
AS: Final = "https://www.w3.org/ns/activitystreams"
AS_NAMESPACE: Final = f"{AS}#"
PUBLIC: Final = f"{AS}#Public"
# AS2 §"Public addressing" through JSON-LD compaction: Threads and Ghost write the short form.
PUBLIC_ALIASES: Final = frozenset({PUBLIC, "as:Public", "Public"})

# https://www.w3.org/TR/activitypub/#retrieving-objects
ACTIVITY_JSON: Final = "application/activity+json"
LD_JSON: Final = f'application/ld+json; profile="{AS}"'
JRD_JSON: Final = "application/jrd+json"

# https://w3id.org/security, https://www.w3.org/TR/vc-data-integrity/, https://www.w3.org/TR/cid-1.0/
SECURITY_V1: Final = "https://w3id.org/security/v1"
DATA_INTEGRITY_V1: Final = "https://w3id.org/security/data-integrity/v1"
DATA_INTEGRITY_V2: Final = "https://w3id.org/security/data-integrity/v2"
MULTIKEY_V1: Final = "https://w3id.org/security/multikey/v1"

# https://schema.org
SCHEMA: Final = "https://schema.org/"

# https://w3id.org/fep/844e, the registry of what software implements.
RFC9421: Final = "https://datatracker.ietf.org/doc/html/rfc9421"

# Our own terms; their page for people is /ns/v1 of every node.
SRT: Final = "https://w3id.org/social-rights-tracker/ns#"

ACTOR_TYPES: Final = frozenset({"Application", "Group", "Organization", "Person", "Service"})

_TEXTS: Final = {"@container": "@language"}


def _texts(name: str) -> dict[str, object]:
    return {f"srt:{name}": {"@id": f"srt:{name}", **_TEXTS}}


def _links(name: str) -> dict[str, object]:
    return {f"srt:{name}": {"@id": f"srt:{name}", "@type": "@id"}}


def _ordered(name: str) -> dict[str, object]:
    return {f"srt:{name}": {"@id": f"srt:{name}", "@container": "@list"}}


# What the terms of a case mean to a JSON-LD processor: which are texts by language, which are links, which keep their
# order. Everything else under `srt:` is a plain string, number or truth value and needs no entry.
CASE_TERMS: Final[dict[str, object]] = {
    "srt": SRT,
    "schema": SCHEMA,
    "Hashtag": "as:Hashtag",
    # FEP-044f, with the words of GoToSocial.
    "gts": "https://gotosocial.org/ns#",
    "interactionPolicy": {"@id": "gts:interactionPolicy", "@type": "@id"},
    **{
        name: {"@id": f"gts:{name}", "@type": "@id"}
        for name in ("canLike", "canReply", "canAnnounce", "canQuote")
    },
    "always": {"@id": "gts:always", "@type": "@id"},
    "automaticApproval": {"@id": "gts:automaticApproval", "@type": "@id"},
    "sensitive": "as:sensitive",
    # FEP-1311, in the words of W3C Controlled Identifiers.
    "digestMultibase": {
        "@id": "https://w3id.org/security#digestMultibase",
        "@type": "https://w3id.org/security#multibase",
    },
    # FEP-bad1.
    "history": {"@id": "https://w3id.org/fep/bad1/history", "@type": "@id"},
    **_texts("summary"),
    **_texts("text"),
    **_texts("contentWarning"),
    **_texts("verificationStatement"),
    **_texts("domesticSteps"),
    **_texts("transferability"),
    **_texts("resultsEvidence"),
    **_ordered("otherState"),
    **_ordered("provision"),
    **_ordered("discriminationGround"),
    **_ordered("violationType"),
    **_ordered("civicSpaceType"),
    **_ordered("goodPracticeType"),
    **_ordered("context"),
    **_ordered("integratedRight"),
    **_ordered("group"),
    **_ordered("actor"),
    **_ordered("evidenceType"),
    **_ordered("publicSource"),
    **_ordered("authorityReplies"),
    **_ordered("followUps"),
    **_ordered("related"),
    **_ordered("corrections"),
    **_links("source"),
    **_links("link"),
    **_links("case"),
}

# Written into every object of ours and every activity that carries one.
CONTEXT: Final[list[object]] = [AS, DATA_INTEGRITY_V1, CASE_TERMS]

# Written into activities that carry no object of ours: Follow, Accept, Announce of a link.
ACTIVITY_CONTEXT: Final[list[object]] = [AS, DATA_INTEGRITY_V1]

# Written into what answers those who ask (FEP-044f; GoToSocial for what is not a quote).
STAMP_CONTEXT: Final[list[object]] = [
    AS,
    DATA_INTEGRITY_V1,
    {
        "gts": "https://gotosocial.org/ns#",
        "QuoteRequest": "https://w3id.org/fep/044f#QuoteRequest",
        "QuoteAuthorization": "https://w3id.org/fep/044f#QuoteAuthorization",
        **{
            name: f"gts:{name}"
            for what in ("Like", "Reply", "Announce")
            for name in (f"{what}Request", f"{what}Authorization")
        },
        # As the context at https://gotosocial.org/ns has it, by its older name: whoever expands, like Fedify, knows no other.
        "LikeAuthorization": "gts:LikeApproval",
        "interactingObject": {"@id": "gts:interactingObject", "@type": "@id"},
        "interactionTarget": {"@id": "gts:interactionTarget", "@type": "@id"},
    },
]

# Written into collections that say whose they are (FEP-5711).
COLLECTION_CONTEXT: Final[list[object]] = [
    AS,
    {
        name: {"@id": f"https://w3id.org/fep/5711#{name}", "@type": "@id"}
        for name in ("outboxOf", "followersOf", "followingOf", "repliesOf")
    }
    | {"srt": SRT},
]

# Written into actors.
ACTOR_CONTEXT: Final[list[object]] = [
    AS,
    SECURITY_V1,
    DATA_INTEGRITY_V1,
    MULTIKEY_V1,
    {
        "toot": "http://joinmastodon.org/ns#",
        "schema": "http://schema.org#",
        "srt": SRT,
        "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
        # The context of ActivityStreams names `alsoKnownAs` and not this; what it does not name is lost to who expands.
        "movedTo": {"@id": "as:movedTo", "@type": "@id"},
        "discoverable": "toot:discoverable",
        "indexable": "toot:indexable",
        "featured": {"@id": "toot:featured", "@type": "@id"},
        # FEP-521a; neither multikey/v1 nor data-integrity/v1 names it at the top of a document.
        "assertionMethod": {
            "@id": "https://w3id.org/security#assertionMethod",
            "@type": "@id",
            "@container": "@set",
        },
        "attributionDomains": {"@id": "toot:attributionDomains", "@type": "@id"},
        # FEP-2c59 and FEP-844e.
        "webfinger": {
            "@id": "https://purl.archive.org/socialweb/webfinger#webfinger",
            "@type": "http://www.w3.org/2001/XMLSchema#string",
        },
        "implements": {
            "@id": "https://w3id.org/fep/844e#implements",
            "@type": "@id",
            "@container": "@set",
        },
        "PropertyValue": "schema:PropertyValue",
        "value": "schema:value",
    },
]
