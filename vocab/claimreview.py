"""schema.org: what a case says to search engines and fact-check readers, in its page and inside its Article.

A testimony is not a public claim. A case is therefore a `Report` of our additional type `VerifiedCase`, with a `Review`
that carries the standard of proof as its `Rating`; never a ClaimReview. `claim_review` is for the other thing: a public
statement, of a ministry say, that was checked; it takes the claim as a value of its own, since a case has none.
schema.org/ClaimReview, /Review, /Rating, /Report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vocab import charter, lists, states
from vocab.properties import present, written
from vocab.publiccase import STANDARDS, VERIFICATIONS, PublicCase
from vocab.terms import SRT

_CONTEXT: Final = "https://schema.org"
VERIFIED_CASE: Final = f"{SRT}VerifiedCase"
LICENCE_ADDRESSES: Final[Mapping[str, str]] = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


@dataclass(frozen=True, slots=True)
class Rating:
    """How far a thing is proven: a number between two others, and the words for it."""

    value: int
    best: int
    worst: int
    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A public statement somebody made."""

    text: str
    author: str
    appearance: str | None = None
    made_on: str | None = None


def rating(case: PublicCase, language: str) -> Rating:
    """Return how far the case is proven: by its standard of proof, P0 to P5, else by its level of verification."""
    if case.standard is not None:
        name = lists.label("standards_of_proof", case.standard, language)
        return Rating(int(case.standard[1:]), best=int(STANDARDS[-1][1:]), worst=0, name=name)
    name = lists.label("verification_levels", case.verification, language)
    return Rating(VERIFICATIONS.index(case.verification) + 1, best=len(VERIFICATIONS), worst=0, name=name)


def verified_case(
    case: PublicCase,
    *,
    url: str,
    publisher: str,
    publisher_url: str,
    published: datetime,
    updated: datetime | None = None,
    language: str | None = None,
) -> dict[str, object]:
    """Return the JSON-LD of a case for its HTML page."""
    shown = case.title.language(language or case.language)
    organisation = {"@type": "Organization", "name": publisher, "url": publisher_url}
    return present(
        {
            "@context": _CONTEXT,
            "@type": "Report",
            "additionalType": VERIFIED_CASE,
            "@id": url,
            "url": url,
            "headline": case.title.best(shown),
            "abstract": case.summary.best(shown),
            "inLanguage": shown,
            "datePublished": written(published),
            "dateModified": written(updated) if updated else None,
            "author": organisation,
            "publisher": organisation,
            "license": LICENCE_ADDRESSES[case.licence],
            "isAccessibleForFree": True,
            "creativeWorkStatus": "Fictional" if case.fictional else None,
            "spatialCoverage": {
                "@type": "Country",
                "name": states.state(case.state).name(shown),
                "identifier": case.state,
            },
            "temporalCoverage": f"{case.started_on}/{'..' if case.ongoing else case.ended_on or case.started_on}",
            "about": [
                {
                    "@type": "DefinedTerm",
                    "name": charter.provision(key, case.charter).label(shown),
                    "termCode": charter.provision(key, case.charter).id,
                    "inDefinedTermSet": "https://www.coe.int/en/web/european-social-charter",
                }
                for key in case.provisions
            ],
            "citation": list(case.public_sources),
            "correction": [item.text.best(shown) for item in case.corrections],
            "review": {
                "@type": "Review",
                "author": organisation,
                "reviewBody": case.verification_statement.best(shown),
                "reviewRating": _rating(rating(case, shown)),
            },
        }
    )


def claim_review(
    claim: Claim, verdict: Rating, *, url: str, publisher: str, publisher_url: str, published: datetime
) -> dict[str, object]:
    """Return the JSON-LD of a checked public statement; `url` is on the publisher's own domain."""
    return {
        "@context": _CONTEXT,
        "@type": "ClaimReview",
        "url": url,
        "datePublished": written(published),
        "author": {"@type": "Organization", "name": publisher, "url": publisher_url},
        "claimReviewed": claim.text,
        "itemReviewed": present(
            {
                "@type": "Claim",
                "author": {"@type": "Organization", "name": claim.author},
                "appearance": {"@type": "CreativeWork", "url": claim.appearance}
                if claim.appearance
                else None,
                "datePublished": claim.made_on,
            }
        ),
        "reviewRating": _rating(verdict),
    }


def review_within(case: PublicCase, *, actor: str, published: datetime) -> dict[str, object]:
    """Return the review as it rides inside the Article, in compact names of the prefix `schema`."""
    said = rating(case, case.language)
    return {
        "type": "schema:Review",
        "schema:author": {"id": actor},
        "schema:datePublished": written(published),
        "schema:reviewBody": case.verification_statement.best(case.language),
        "schema:reviewRating": {
            "type": "schema:Rating",
            "schema:ratingValue": said.value,
            "schema:bestRating": said.best,
            "schema:worstRating": said.worst,
            "schema:alternateName": said.name,
        },
    }


def _rating(said: Rating) -> dict[str, object]:
    return {
        "@type": "Rating",
        "ratingValue": said.value,
        "bestRating": said.best,
        "worstRating": said.worst,
        "alternateName": said.name,
    }
