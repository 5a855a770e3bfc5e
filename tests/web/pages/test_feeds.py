"""Atom and JSON feeds: every filter is one, ids never change, what is withdrawn is taken back."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import httpx

from node.runtime import Node
from tests.web.pages.readers import put, sample, withdraw
from web.pages.feeds import Feed, write_atom

ATOM = "{http://www.w3.org/2005/Atom}"
TOMBSTONES = "{http://purl.org/atompub/tombstones/1.0}"


async def test_a_withdrawn_case_becomes_a_deleted_entry(node: Node, visitor: httpx.AsyncClient) -> None:
    url = await put(node, sample("01"))
    await withdraw(node, url, "factual-error")

    feed = ElementTree.fromstring((await visitor.get("/feeds/cases.atom")).content)  # noqa: S314 (our own feed)

    assert feed.findall(f"{ATOM}entry") == []
    gone = feed.find(f"{TOMBSTONES}deleted-entry")
    assert gone is not None
    assert gone.attrib == {"ref": url, "when": "2026-11-21T12:00:00Z"}


async def test_a_correction_is_the_same_entry_updated(node: Node, visitor: httpx.AsyncClient) -> None:
    now = node.clock.now()
    url = await put(node, sample("06"), "06", published_at=now - timedelta(days=2), updated_at=now)

    feed = ElementTree.fromstring((await visitor.get("/feeds/cases.atom")).content)  # noqa: S314 (our own feed)
    entry = feed.find(f"{ATOM}entry")

    assert entry is not None
    assert entry.findtext(f"{ATOM}id") == url
    assert entry.findtext(f"{ATOM}published") == "2026-11-19T12:00:00Z"
    assert entry.findtext(f"{ATOM}updated") == "2026-11-21T12:00:00Z"


async def test_a_filter_holds_in_both_formats(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01"), "01")
    await put(node, sample("02"), "02")

    atom = await visitor.get("/feeds/cases.atom?state=FR&lang=fr")
    feed = (await visitor.get("/feeds/cases.json?state=FR&lang=fr")).json()

    root = ElementTree.fromstring(atom.content)  # noqa: S314 (our own feed)
    assert atom.headers["content-type"].startswith("application/atom+xml")
    assert [entry.findtext(f"{ATOM}id") for entry in root.findall(f"{ATOM}entry")] == [
        "https://a.example/cases/sample-02"
    ]
    assert [item["id"] for item in feed["items"]] == ["https://a.example/cases/sample-02"]
    assert feed["items"][0]["title"].endswith(
        "Inscription scolaire refusée à des enfants faute de justificatif de domicile"
    )
    assert feed["title"].startswith("France")
    assert feed["home_page_url"] == "https://a.example/cases?state=FR&lang=fr"


async def test_the_id_of_a_feed_does_not_depend_on_the_readers_browser(visitor: httpx.AsyncClient) -> None:
    french = await visitor.get("/feeds/cases.atom", headers={"accept-language": "fr"})
    english = await visitor.get("/feeds/cases.atom", headers={"accept-language": "en"})

    ids = {ElementTree.fromstring(feed.content).findtext(f"{ATOM}id") for feed in (french, english)}  # noqa: S314
    assert ids == {"https://a.example/feeds/cases.atom"}


async def test_a_fictional_case_says_so_in_its_title(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01"))

    feed = (await visitor.get("/feeds/cases.json?lang=en")).json()

    assert feed["items"][0]["title"].startswith("[Fictional] ")


def test_characters_that_no_xml_has_do_not_break_the_feed() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    feed = Feed(
        "A bell \x07, and more",
        "https://a.example/feeds/cases.atom",
        "https://a.example/cases",
        "\x1fA\ufffe\uffff",
        "en",
        at,
        (),
        (),
    )

    root = ElementTree.fromstring(write_atom(feed))  # noqa: S314 (our own feed)

    assert root.findtext(f"{ATOM}title") == "A bell , and more"
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "A"
