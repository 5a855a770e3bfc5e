"""The source's path by keyboard alone, under the strict policy, with nothing asked of anybody else: on a phone and on a desk,
without compilers as in a careful browser, over a slow line, and at another address than the node's own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.rig.chromium import WITHOUT_COMPILERS, find, launched
from tests.rig.processes import Served, free_port
from tests.web.desk import read_alert
from tests.web.door import ACCOUNT, BILL, barriers, running_organisation
from web.locale import translations

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
MOST_STEPS = 600
SLOW_MS = 180_000  # without compilers, beside other tests
QUESTION = "Since when have they carried water? (fictional)"
REPLY = "Since the second of May (fictional)."
SLOW = {"offline": False, "latency": 300, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
KB = 1000
BUSY = "Too much is arriving at the moment. Please try again in an hour."

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two people at the desk, and a second name under which the same server answers, as an onion service does."""
    port = free_port()
    directory = tmp_path_factory.mktemp("keyboard")
    with running_organisation(directory, port=port, onion=f"http://localhost:{port}") as server:
        yield server


@dataclass
class Visit:
    """A page, driven by keys alone, and what went wrong on it."""

    page: Any
    origin: str
    is_phone: bool
    wrong: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    barriers: dict[str, list[str]] = field(default_factory=dict)

    async def to(self, selector: str) -> None:
        """Press Tab until the focus is there; a place that no Tab leads to fails the test."""
        for _ in range(MOST_STEPS):
            if await self.page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {selector}")

    async def press(self, selector: str, key: str = "Enter") -> None:
        await self.to(selector)
        await self.page.keyboard.press(key)

    async def write(self, selector: str, text: str) -> None:
        await self.to(selector)
        await self.page.keyboard.insert_text(text)

    async def next_part(self) -> None:
        """On a phone one part is shown at a time; on a desk all stand on one page."""
        if self.is_phone:
            await self.press(".step[data-current] [data-next]")

    async def look(self, name: str) -> None:
        if found := await barriers(self.page):
            self.barriers[name] = found

    async def shown(self, selector: str) -> None:
        await self.page.wait_for_selector(f"{selector}:visible", timeout=SLOW_MS)

    def was_clean(self) -> bool:
        assert self.wrong == []
        assert self.strangers == []
        assert self.barriers == {}
        return True


@asynccontextmanager
async def visit(browser: Any, origin: str, viewport: dict[str, int]) -> AsyncIterator[Visit]:
    context = await browser.new_context(locale="en-GB", viewport=viewport)
    page = await context.new_page()
    visited = Visit(page, origin, viewport["width"] < 864)
    page.on("pageerror", lambda error: visited.wrong.append(str(error)))
    # A breach of the policy, and a script with another hash than it should have, are told on the console.
    page.on("console", lambda said: visited.wrong.append(said.text) if said.type == "error" else None)
    page.on(
        "request", lambda one: visited.strangers.append(one.url) if not one.url.startswith(origin) else None
    )
    yield visited
    await context.close()


async def send_by_keys(source: Visit) -> str:
    """The form from its opening to "It arrived"; returns the words."""
    page = source.page
    await page.goto(f"{source.origin}/alert")
    await source.look("opening")
    await source.press("#begin")
    await source.shown("#alert")
    await source.press("[name=kind]", "Space")
    await source.look("form")
    await source.next_part()
    await source.write("[name=summary]", ACCOUNT)
    await source.next_part()
    await source.to("[name=state]")
    await page.keyboard.type("Irel")
    for _ in range(5):
        await source.next_part()
    async with page.expect_file_chooser(timeout=SLOW_MS) as chosen:
        await source.press("#f-attachments")
    bill = {"name": "bill (fictional).pdf", "mimeType": "application/pdf", "buffer": BILL}
    await (await chosen.value).set_files([bill])
    await source.shown("#files li")
    await source.look("file")
    for _ in range(4):
        await source.next_part()
    words = await note_by_keys(source)
    await source.shown("#arrived")
    await source.look("arrived")
    return words


async def note_by_keys(source: Visit) -> str:
    """From the last part of a form to the sending; returns the words."""
    await source.press("#seal")
    await source.shown("#words li")
    await source.look("words")
    words: list[str] = await source.page.locator("#words li").all_inner_texts()
    await source.press("#noted")
    for which in ("first", "second"):
        number = int((await source.page.inner_text(f"label[for=word-{which}]")).split()[-1])
        await source.write(f"#word-{which}", words[number - 1])
    await source.look("two words")
    await source.page.keyboard.press("Enter")
    return " ".join(words)


async def urgent_by_keys(source: Visit, language: str = "en") -> str:
    """The short form, with the two answers it needs, as far as the sending; returns the words."""
    await source.page.goto(f"{source.origin}/alert/urgent?lang={language}")
    await source.look("opening")
    await source.press("#begin")
    await source.shown("#alert")
    await source.look("form")
    await source.press("[name=urgency]", "Space")
    await source.write("[name=summary]", ACCOUNT)
    while source.is_phone and not await source.page.is_visible("#seal"):
        await source.next_part()
    return await note_by_keys(source)


async def answer_by_keys(source: Visit, words: str) -> None:
    """Come back, read the question, answer it."""
    page = source.page
    await page.goto(f"{source.origin}/alert/receipt")
    await source.look("coming back")
    await source.write("#words-typed", words)
    await page.keyboard.press("Enter")
    await source.shown("#mailbox")
    assert QUESTION in await page.inner_text("#exchange")
    await source.look("mailbox")
    await source.write("#answer-text", REPLY)
    await source.press("#send-answer")
    await page.wait_for_selector(f"#exchange li:has-text('{REPLY}')", timeout=SLOW_MS)


async def whole_path(source: Visit, server: Served) -> None:
    words = await send_by_keys(source)
    opened = await read_alert(server, words, "Berta", question=QUESTION)
    assert opened.submission is not None
    assert opened.submission.answers["summary"] == ACCOUNT
    assert opened.submission.answers["state"] == "IE"
    await answer_by_keys(source, words)
    answered = await read_alert(server, words, "Carl")
    assert REPLY in str(answered.entries[-1])


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
async def test_an_alert_and_its_dialogue_need_no_mouse_and_nobody_else(
    browser: Any, organisation: Served, viewport: dict[str, int]
) -> None:
    async with visit(browser, organisation.origin, viewport) as source:
        await whole_path(source, organisation)

    assert source.was_clean()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
async def test_what_is_urgent_is_sent_without_a_mouse(
    browser: Any, organisation: Served, viewport: dict[str, int]
) -> None:
    async with visit(browser, organisation.origin, viewport) as source:
        words = await urgent_by_keys(source)
        await source.shown("#arrived")
        await source.look("arrived")

    assert source.was_clean()
    opened = await read_alert(organisation, words, "Berta")
    assert opened.submission is not None
    assert opened.submission.answers["summary"] == ACCOUNT


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_a_refusal_speaks_the_language_of_the_page_whatever_the_server_says(
    browser: Any, organisation: Served, language: str
) -> None:
    async with visit(browser, organisation.origin, DESK) as source:
        said = {"error": "A sentence for tools.", "code": "throttled"}
        await source.page.route(
            "**/api/v1/alerts",
            lambda route: route.fulfill(status=429, json=said, headers={"Retry-After": "600"}),
        )
        await urgent_by_keys(source, language)
        await source.shown("#sending-error")
        shown = await source.page.inner_text("#sending-error")

    assert shown == translations(language).gettext(BUSY)


@pytest.mark.thorough
async def test_the_whole_path_works_without_compilers(organisation: Served) -> None:
    """Tor Browser at the level "Safer" has neither a just-in-time compiler nor WebAssembly.

    In the suite, `tests/web/browser/test_bundle.py` seals with the built scripts without either.
    """
    await asyncio.to_thread(find)
    async with (
        launched(WITHOUT_COMPILERS) as careful,
        visit(careful, organisation.origin, PHONE) as source,
    ):
        await source.page.goto(f"{organisation.origin}/alert")
        assert await source.page.evaluate("typeof WebAssembly") == "undefined"
        await whole_path(source, organisation)

    assert source.was_clean()


async def test_over_a_slow_line_the_form_opens_in_seconds_and_weighs_less_than_a_picture(
    browser: Any, organisation: Served
) -> None:
    """50 kB a second and 0.3 s to the server: a telephone in the country, or Tor on a bad day."""
    async with visit(browser, organisation.origin, PHONE) as source:
        line = await source.page.context.new_cdp_session(source.page)
        arrived: list[float] = []
        line.on("Network.loadingFinished", lambda event: arrived.append(event["encodedDataLength"]))
        await line.send("Network.enable")
        await line.send("Network.emulateNetworkConditions", SLOW)
        await source.page.goto(f"{organisation.origin}/alert")
        await source.shown("#begin")
        weight_seen = sum(arrived)
        await source.press("#begin")
        await source.shown("#alert")
        weight_begun = sum(arrived)
        await line.send("Network.disable")
        await whole_path(source, organisation)

    assert source.was_clean()
    assert 0 < weight_seen < 60 * KB  # a second and a half
    assert weight_seen < weight_begun < 100 * KB  # what was sent until something can be typed


async def test_a_part_that_does_not_arrive_is_asked_for_again_and_one_that_was_altered_never_runs(
    browser: Any, organisation: Served
) -> None:
    async with visit(browser, organisation.origin, PHONE) as source:
        lost = 2
        asked: list[str] = []

        async def lose(route: Any) -> None:
            asked.append(route.request.url)
            if len(asked) <= lost:
                await route.abort()
            else:
                await route.continue_()

        await source.page.route("**/static/built/sealing-*", lose)
        await source.page.goto(f"{organisation.origin}/alert")
        await source.press("#begin")
        await source.shown("#alert")
    assert len(asked) == lost + 1

    async with visit(browser, organisation.origin, PHONE) as source:

        async def alter(route: Any) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, body=(await answer.text()) + ";window.altered = true;")

        await source.page.route("**/static/built/sealing-*", alter)
        await source.page.goto(f"{organisation.origin}/alert")
        await source.press("#begin")
        await source.shown("#cannot")
        assert not await source.page.is_visible("#alert")
        assert await source.page.evaluate("window.altered") is None


async def test_at_another_address_of_the_node_keys_keep_the_nodes_name(
    browser: Any, organisation: Served
) -> None:
    """As at an onion address: what is sealed and signed there names the node, and nothing is asked of its other address."""
    onion = f"http://localhost:{organisation.port}"
    assert onion != organisation.origin
    async with visit(browser, onion, DESK) as source:
        await whole_path(source, organisation)

    assert source.was_clean()
