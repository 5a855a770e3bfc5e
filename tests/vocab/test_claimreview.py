"""schema.org: a case is a verified report, a checked statement a ClaimReview, and neither passes for the other."""

import json
from datetime import UTC, datetime
from typing import Any

from vocab import claimreview, samples
from vocab.cases import PublicCase
from vocab.claimreview import Claim, Rating

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PAGE: dict[str, Any] = {
    "url": "https://a.example/cases/1",
    "publisher": "Sample (fictional)",
    "publisher_url": "https://a.example/",
    "published": NOW,
}


def a_case(number: int) -> PublicCase:
    return PublicCase.parse(samples.fields(samples.cases()[number]))


def test_a_testimony_is_never_a_claim_review() -> None:
    for number in range(20):
        document = claimreview.verified_case(a_case(number), **PAGE)
        assert '"@type": "Claim' not in json.dumps(document)
        assert document["@type"] == "Report"
        assert document["creativeWorkStatus"] == "Fictional"


def test_the_report_of_a_case_speaks_the_language_of_the_page() -> None:
    french: dict[str, Any] = claimreview.verified_case(a_case(1), language="fr", **PAGE)
    other = claimreview.verified_case(a_case(1), language="sv", updated=NOW, **PAGE)

    assert french["inLanguage"] == "fr"
    assert french["review"]["reviewRating"]["alternateName"] == "Prépondérance des probabilités"
    assert french["temporalCoverage"] == "2025-09/2026-02"
    assert other["inLanguage"] == "en"
    assert other["dateModified"] == "2026-11-21T09:00:00Z"


def test_a_rating_is_the_standard_of_proof_or_else_the_level_of_verification() -> None:
    assert claimreview.rating(a_case(0), "en") == Rating(4, best=5, worst=0, name="Balance of probabilities")
    assert claimreview.rating(a_case(4), "en") == Rating(1, best=3, worst=0, name="Documented")


def test_what_goes_on_has_an_open_end() -> None:
    assert claimreview.verified_case(a_case(0), **PAGE)["temporalCoverage"] == "2024-09/.."


def test_a_checked_statement_names_what_was_said_and_by_whom() -> None:
    claim = Claim(
        "All benefits are paid in time.", "Ministry (fictional)", "https://m.example/1", "2026-10-01"
    )
    document: dict[str, Any] = claimreview.claim_review(
        claim, Rating(1, best=5, worst=1, name="False"), **PAGE
    )

    assert document["@type"] == "ClaimReview"
    assert document["claimReviewed"] == claim.text
    assert document["reviewRating"]["alternateName"] == "False"
    assert document["itemReviewed"]["datePublished"] == "2026-10-01"
