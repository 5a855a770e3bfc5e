"""Readers' pages of cases: what is there, what is gone, what is said in which language, and what must never be shown."""

import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from node.runtime import Node
from tests.web.pages.readers import HTML, put, sample, sample_host, withdraw, words
from vocab import samples


async def test_a_case_that_was_never_there_answers_404_in_words(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/cases/nothing", headers=HTML)

    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.text


async def test_a_withdrawn_case_answers_410_with_date_and_reason_and_no_text(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    url = await put(node, sample("01"))
    await withdraw(node, url, "factual-error")

    answer = await visitor.get("/cases/sample-01", headers=HTML)

    assert answer.status_code == 410
    assert "21 November 2026" in answer.text
    assert "Factual error" in answer.text
    assert "emergency accommodation" not in answer.text
    assert 'rel="canonical"' not in answer.text


async def test_a_withdrawal_for_somebodys_safety_does_not_say_so(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    url = await put(node, sample("01"))
    await withdraw(node, url, "safety")

    page = words((await visitor.get("/cases/sample-01", headers=HTML)).text)

    assert "publisher's decision" in page
    assert "afety" not in page


async def test_markup_in_a_text_of_others_is_shown_and_not_obeyed(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    evil = "<script>alert(1)</script> and <img src=x onerror=alert(1)> " + "words " * 20
    case = sample(
        "06", summary={"de": evil, "en": evil}, content={"de": evil}, title={"de": "</title><b>Titel"}
    )
    await put(node, case, "06", host="de.tracker.example")

    page = (await visitor.get("/cases/de.tracker.example/sample-06", headers=HTML)).text

    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<b>Titel" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_no_sealed_part_of_a_sample_reaches_any_page(node: Node, visitor: httpx.AsyncClient) -> None:
    for found in samples.cases():
        number = str(found["id"]).removeprefix("sample-")
        await put(node, sample(number), number)

    pages = [await visitor.get(path, headers=HTML) for path in ("/", "/cases", "/cases?page=2")]
    pages += [await visitor.get(f"/cases/{found['id']}", headers=HTML) for found in samples.cases()]
    pages += [await visitor.get(f"/feeds/cases.{kind}") for kind in ("atom", "json")]

    for answer in pages:
        assert answer.status_code == 200, answer.url
        assert not re.search(r"SEALED-CANARY|sender\.invalid|Invented Street", answer.text), answer.url


async def test_every_fictional_case_carries_the_word(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01"))

    for path in ("/", "/cases", "/cases/sample-01"):
        page = (await visitor.get(path, headers=HTML)).text
        assert '<strong class="fictional">Fictional</strong>' in page, path


async def test_a_case_page_has_the_whole_anatomy(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01"))

    page = words((await visitor.get("/cases/sample-01", headers=HTML)).text)

    for heading in (
        "In short",
        "How it was checked",
        "What the authority says",
        "In time",
        "Corrections",
        "Where this comes from",
        "Check it yourself",
        "Cite",
    ):
        assert heading in page, heading
    assert "Art. 17§1" in page
    assert "since September 2024" in page
    assert "Signature verified" in page
    assert "The council explains the lack of larger units" in page
    assert "an official document, a judgment, a statistic" in page  # the definition of its standard of proof


async def test_silence_of_an_authority_is_shown_with_its_date(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01", authority_replies=[{"date": "2026-04-20", "type": "none"}]))

    page = words((await visitor.get("/cases/sample-01", headers=HTML)).text)

    assert "Asked for its view; no reply by 20 April 2026." in page


async def test_a_correction_is_dated_and_shown(node: Node, visitor: httpx.AsyncClient) -> None:
    now = node.clock.now()
    await put(node, sample("06"), "06", published_at=now - timedelta(days=9), updated_at=now)

    page = words((await visitor.get("/cases/sample-06", headers=HTML)).text)

    assert "This case was corrected on 21 November 2026." in page
    assert "Zahl der wöchentlichen Wartestunden" in page or "9 July 2026" in page


async def test_a_case_not_looked_at_for_a_year_says_so(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01", status_date="2025-01-31"))

    page = words((await visitor.get("/cases/sample-01", headers=HTML)).text)

    assert "31 January 2025 more than a year ago" in page


async def test_a_case_shows_in_the_readers_language_with_the_original_one_link_away(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    await put(node, sample("04"), "04")

    english = (await visitor.get("/cases/sample-04", headers=HTML)).text
    original = (await visitor.get("/cases/sample-04?text=uk", headers=HTML)).text

    assert '<h1 lang="en" dir="ltr">Pensions of displaced people' in english
    assert '<a href="/cases/sample-04?text=uk" lang="uk" hreflang="uk">українська</a>' in english
    assert '<h1 lang="uk" dir="ltr">Пенсії переселенців' in original


@pytest.mark.parametrize("tag", ["sr-Latn", "pt-BR", "zh-Hant-TW", "aa-Aaaa-999"])
async def test_a_case_is_shown_that_is_also_in_a_language_with_a_script_or_a_country(
    node: Node, visitor: httpx.AsyncClient, tag: str
) -> None:
    case = sample("01")
    await put(node, sample("01", title={**case.title, tag: "The same case in another language"}))

    page = await visitor.get("/cases/sample-01", headers=HTML)

    assert page.status_code == 200
    assert f'<a href="/cases/sample-01?text={tag}" lang="{tag}"' in page.text


async def test_the_linked_data_of_a_page_parses_and_ends_where_it_should(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    case = sample("01", title={"en": "A title with </script><script>alert(1)</script> in it"})
    await put(node, case)

    page = (await visitor.get("/cases/sample-01", headers=HTML)).text
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)

    assert found is not None
    data = json.loads(found[1])
    assert data["@type"] == "Report"
    assert data["headline"] == case.title["en"]
    assert data["url"] == "https://a.example/cases/sample-01"


async def test_a_page_names_its_activitypub_self(node: Node, visitor: httpx.AsyncClient) -> None:
    url = await put(node, sample("01"))

    page = (await visitor.get("/cases/sample-01", headers=HTML)).text

    assert f'<link rel="alternate" type="application/activity+json" href="{url}">' in page
    assert '<meta name="fediverse:creator" content="@cases@a.example">' in page
    assert '<meta property="og:title"' in page


async def test_the_case_of_another_is_a_copy_that_says_whose_it_is(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    host = sample_host("02")
    url = await put(node, sample("02"), "02", host=host)

    listing = (await visitor.get("/cases", headers=HTML)).text
    page = (await visitor.get(f"/cases/{host}/sample-02", headers=HTML)).text

    assert f'href="/cases/{host}/sample-02"' in listing
    assert f'<link rel="canonical" href="{url}">' in page
    assert "published this case and answers for it. This page is our copy" in words(page)
    assert "application/ld+json" not in page  # what search engines read stands with its publisher


async def test_every_filter_is_a_link_that_gives_the_same_list_again(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    for number in ("01", "02", "13"):
        await put(node, sample(number), number)

    page = (await visitor.get("/cases?article=17&state=FR&lang=en", headers=HTML)).text

    assert "1 case" in words(page)
    assert "Children refused school enrolment" in page
    assert '<option value="FR" selected>France (1)</option>' in page
    assert 'href="/cases?article=17&amp;lang=en"' in page  # the chip of the State, taken back
    assert 'href="/feeds/cases.atom?state=FR&amp;article=17&amp;lang=en"' in page


async def test_an_empty_list_does_not_claim_that_nothing_happened(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    await put(node, sample("01"))

    page = (await visitor.get("/cases?state=AL", headers=HTML)).text

    assert "No published case matches this." in page
    assert "That is not evidence that nothing happened" in page
    assert '<option value="AL" selected>Albania</option>' in page


async def test_a_first_node_without_cases_has_a_front_and_a_list(visitor: httpx.AsyncClient) -> None:
    for path in ("/", "/cases"):
        answer = await visitor.get(path, headers=HTML)
        assert answer.status_code == 200
        assert "No case has been published yet." in answer.text


async def test_pages_lead_to_each_other(node: Node, visitor: httpx.AsyncClient) -> None:
    start = node.clock.now() - timedelta(days=40)
    for n in range(21):
        await put(node, sample("01"), f"{n:03}", published_at=start + timedelta(days=n))

    first = (await visitor.get("/cases", headers=HTML)).text
    second = (await visitor.get("/cases?page=2", headers=HTML)).text

    assert 'rel="next" href="/cases?page=2"' in first
    assert 'rel="prev" href="/cases"' in second
    assert "Page 2 of 2" in words(second)


@pytest.mark.parametrize("number", ["9" * 5000, "0" * 5000, "-1", "٢", "1e3", ""])
@pytest.mark.parametrize("path", ["/cases", "/feeds/cases.atom", "/feeds/cases.json", "/api/v1/cases"])
async def test_a_page_of_no_number_is_the_first(
    node: Node, visitor: httpx.AsyncClient, path: str, number: str
) -> None:
    url = await put(node, sample("02"), "a-case")

    page = await visitor.get(path, params={"page": number})

    assert page.status_code == 200
    assert urlsplit(url).path in page.text


async def test_an_address_that_names_a_language_keeps_it(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("02"), "02")

    page = (await visitor.get("/cases?lang=fr", headers=HTML)).text

    assert '<html lang="fr">' in page
    assert 'href="/cases/sample-02?lang=fr"' in page
    assert "Inscription scolaire refusée" in page
    assert 'hreflang="es">Español' in page


async def test_readers_get_no_cookie(node: Node, visitor: httpx.AsyncClient) -> None:
    await put(node, sample("01"))

    for path in ("/", "/cases?lang=es", "/cases/sample-01", "/about", "/follow", "/ns/v1"):
        assert "set-cookie" not in (await visitor.get(path, headers=HTML)).headers, path


async def test_a_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    await put(node, sample("01"))

    for path in ("/", "/cases", "/cases/sample-01", "/about", "/follow", "/ns/v1"):
        page = (await visitor.get(path, headers=HTML)).text
        for address in re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"', page):
            assert address.startswith("/static/"), (path, address)
        for address in re.findall(r'<link rel="(?:stylesheet|icon)"[^>]*href="([^"]+)"', page):
            assert address.startswith("/static/"), (path, address)
        assert not re.search(r'\sstyle="|\son[a-z]+="|<style', page), path


async def test_a_content_warning_stands_above_the_account(node: Node, visitor: httpx.AsyncClient) -> None:
    url = await put(node, sample("01", content_warning={"en": "Violence against <children>"}))

    page = (await visitor.get(url)).text

    assert "<strong>Content warning:</strong>" in page
    assert "Violence against &lt;children&gt;" in page
    assert page.index("Violence against") < page.index('id="summary"')
