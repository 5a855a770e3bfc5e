"""schema.org: a case is a verified report, a checked statement a ClaimReview, and neither passes for the other."""

import json
from datetime import UTC, datetime

from vocab import claimreview, samples
from vocab.cases import PublicCase
from vocab.claimreview import Claim, Rating

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PAGE = {
    "url": "https://a.example/cases/1",
    "publisher": "Sample (fictional)",
    "publisher_url": "https://a.example/",
    "published": NOW,
}


def a_case(number: int) -> PublicCase:
    return PublicCase.parse(samples.fields(samples.cases()[number]))


def test_a_testimony_is_never_a_claim_review() -> None:
    for number in range(20):
        document = claimreview.verified_case(a_case(number), **PAGE)  # type: ignore[arg-type]  # one set of words for many tests
        assert '"@type": "Claim' not in json.dumps(document)
        assert document["@type"] == "Report"
        assert document["creativeWorkStatus"] == "Fictional"


def test_the_report_of_a_case_speaks_the_language_of_the_page() -> None:
    french = claimreview.verified_case(a_case(1), language="fr", **PAGE)  # type: ignore[arg-type]  # as above
    other = claimreview.verified_case(a_case(1), language="sv", updated=NOW, **PAGE)  # type: ignore[arg-type]  # as above

    assert french["inLanguage"] == "fr"
    assert french["review"]["reviewRating"]["alternateName"] == "Prépondérance des probabilités"  # type: ignore[index]  # written just now
    assert french["temporalCoverage"] == "2025-09/2026-02"
    assert other["inLanguage"] == "en"
    assert other["dateModified"] == "2026-11-21T09:00:00Z"


def test_a_rating_is_the_standard_of_proof_or_else_the_level_of_verification() -> None:
    assert claimreview.rating(a_case(0), "en") == Rating(4, best=5, worst=0, name="Balance of probabilities")
    assert claimreview.rating(a_case(4), "en") == Rating(1, best=3, worst=0, name="Documented")


def test_what_goes_on_has_an_open_end() -> None:
    assert claimreview.verified_case(a_case(0), **PAGE)["temporalCoverage"] == "2024-09/.."  # type: ignore[arg-type]  # as above


def test_a_checked_statement_names_what_was_said_and_by_whom() -> None:
    claim = Claim(
        "All benefits are paid in time.", "Ministry (fictional)", "https://m.example/1", "2026-10-01"
    )
    document = claimreview.claim_review(claim, Rating(1, best=5, worst=1, name="False"), **PAGE)  # type: ignore[arg-type]  # as above

    assert document["@type"] == "ClaimReview"
    assert document["claimReviewed"] == claim.text
    assert document["reviewRating"]["alternateName"] == "False"  # type: ignore[index]  # written just now
    assert document["itemReviewed"]["datePublished"] == "2026-10-01"  # type: ignore[index]  # written just now
