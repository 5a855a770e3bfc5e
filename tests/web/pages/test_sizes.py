"""What the pages of a source weigh on the wire, scripts and styles included, and what may never be compressed."""

import gzip
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.usefixtures("people")

KB = 1000
MOST = 100 * KB  # of a page with everything it fetches, from the first byte to "It arrived"
CARRIED = 180 * KB  # of the page to carry away, which has inside what others fetch only when it is asked for
# Fetched by those who want them alone: copies of documents without hidden details, a locked draft.
CHOSEN = ("cleaning-", "drafts-")
MOST_CHOSEN = 60 * KB
FIRST = 45 * KB  # before anything is begun
PAGES = (
    "/alert",
    "/alert/urgent",
    "/alert/receipt",
    "/alert/sealed",
    "/alert/plain",
    "/alert/plain/receipt",
)
READS = {"Accept-Encoding": "gzip"}  # what every browser reads, also without TLS, as at an onion address


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node with every door open."""
    return partial(settings, plain_door="1")


async def weigh(visitor: httpx.AsyncClient, address: str) -> tuple[int, str]:
    """(bytes of the body on the wire, text)"""
    response = await visitor.get(address, headers=READS)
    assert response.status_code == 200, address
    return int(response.headers["content-length"]), response.text


@dataclass(frozen=True)
class Weight:
    """Bytes as sent: the page itself, all it begins with, all that sending takes, and what only some ask for on top."""

    own: int
    first: int
    whole: int
    chosen: int


async def load(visitor: httpx.AsyncClient, page: str) -> Weight:
    own, text = await weigh(visitor, page)
    first = own
    later: set[str] = set()
    chosen: set[str] = set()
    for address in re.findall(r'<(?:link|script|img)\b[^>]*?\b(?:href|src)="(/[^"]+)"', text):
        size, content = await weigh(visitor, html.unescape(address))
        first += size
        for row in map(json.loads, re.findall(r"srt\.load\((\[\[.*?\]\])\)", content)):
            files = {f"/static/built/{file}" for _, file, _ in row}
            if row[-1][0].startswith(CHOSEN):
                chosen |= files
            else:
                later |= files
    here = set(re.findall(r'src="(/[^"]+)"', text))

    async def sum_of(parts: set[str]) -> int:
        return sum([(await weigh(visitor, part))[0] for part in sorted(parts)])

    return Weight(own, first, first + await sum_of(later - here), await sum_of(chosen - later - here))


@pytest.mark.parametrize("language", ["en", "fr", "es"])
@pytest.mark.parametrize("page", PAGES)
async def test_no_page_of_a_source_weighs_a_hundred_kilobytes_whatever_it_fetches(
    visitor: httpx.AsyncClient, page: str, language: str
) -> None:
    weight = await load(visitor, f"{page}?lang={language}")

    assert weight.whole < MOST
    assert weight.chosen < MOST_CHOSEN


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_the_page_to_carry_away_is_light_enough_to_be_fetched_on_a_bad_line(
    visitor: httpx.AsyncClient, language: str
) -> None:
    size, _ = await weigh(visitor, f"/alert/offline.html?lang={language}")

    assert size < CARRIED


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_the_form_is_light_until_it_is_begun(visitor: httpx.AsyncClient, language: str) -> None:
    weight = await load(visitor, f"/alert?lang={language}")

    assert weight.own < 25 * KB
    assert weight.first < FIRST < weight.whole  # what seals comes later, and does come


async def test_a_file_is_sent_in_the_smallest_form_its_reader_can_read(visitor: httpx.AsyncClient) -> None:
    _, text = await weigh(visitor, "/alert")
    script = re.findall(r'<script defer src="([^"]+)"', text)[-1]
    sent = {}
    for readable in ("br, gzip", "gzip", "br;q=0, gzip;q=0.5", "gzip;q=0", "identity", ""):
        async with visitor.stream("GET", script, headers={"Accept-Encoding": readable}) as response:
            raw = b"".join([piece async for piece in response.aiter_raw()])
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["content-type"].startswith("text/javascript")
        assert "immutable" in response.headers["cache-control"]
        sent[readable] = (response.headers.get("content-encoding"), raw)

    encodings = [encoding for encoding, _ in sent.values()]
    assert encodings == ["br", "gzip", "gzip", None, None, None]
    whole = sent["identity"][1]
    assert gzip.decompress(sent["gzip"][1]) == whole
    assert len(sent["br, gzip"][1]) < len(sent["gzip"][1]) < len(whole)


async def test_a_file_that_did_not_change_is_not_sent_again_in_any_form(visitor: httpx.AsyncClient) -> None:
    _, text = await weigh(visitor, "/alert")
    for address in re.findall(r'<(?:link|script)\b[^>]*?\b(?:href|src)="(/static/[^"]+)"', text):
        for readable in ("br", "gzip", "identity"):
            headers = {"Accept-Encoding": readable}
            first = await visitor.get(address, headers=headers)
            again = await visitor.get(address, headers=headers | {"If-None-Match": first.headers["etag"]})
            assert again.status_code == 304
            for name in ("cache-control", "etag", "vary"):
                assert again.headers[name] == first.headers[name]


async def test_what_somebody_typed_is_never_compressed(visitor: httpx.AsyncClient) -> None:
    """A compressed page that holds a secret beside a guess tells by its length whether the guess was right."""
    words = {"words": "abandon " * 12}
    fields = {"kind": "violation", "summary": "Fictional. " * 200}
    answers = [
        await visitor.post("/alert/plain/receipt", data=words, headers=READS),
        await visitor.post(
            "/alert/plain", files={name: (None, text) for name, text in fields.items()}, headers=READS
        ),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert len(answers[1].content) > 2 * KB
    assert [answer.headers.get("content-encoding") for answer in answers] == [None, None]
