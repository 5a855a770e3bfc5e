"""The desk in real browsers: two people, one source, from a sealed alert to a published case and its withdrawal."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.node.casework.test_pictures import a_picture
from tests.rig.processes import Served
from tests.web.door import (
    ACCOUNT,
    BILL,
    CANARY,
    PASSPHRASE,
    SENDER,
    barriers,
    running_organisation,
    send_alert,
    sign_in,
    unlock,
)

TITLE = "Eleven families without water (fictional)"
WORDS_OF_PICTURE = "A tap without water (noise, fictional)"
CHECKED = (
    "Two neighbours were interviewed apart from each other and three bills were read. The town was not asked."
)

pytestmark = pytest.mark.browser


class Visitor:
    """Opens pages that fail the test when a script of theirs does."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.errors: list[str] = []

    async def page(self, width: int = 1280, height: int = 900) -> Any:
        context = await self._browser.new_context(
            locale="en-GB", viewport={"width": width, "height": height}, accept_downloads=True
        )
        page = await context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page


@pytest.fixture
def organisation(tmp_path: Path) -> Iterator[Served]:
    """A node of the test's own: whoever tries again begins where nothing was done before."""
    with running_organisation(tmp_path) as server:
        yield server


@pytest.fixture
async def visitor(browser: Any) -> Any:
    """Whoever opens pages in this test."""
    visitor = Visitor(browser)
    yield visitor
    assert visitor.errors == []


async def test_a_wrong_passphrase_gets_one_sentence_and_no_page(
    visitor: Visitor, organisation: Served
) -> None:
    page = await visitor.page()
    await page.goto(f"{organisation.origin}/desk#/alerts")
    await page.fill("#signin-name", "Berta")
    await page.fill("#signin-passphrase", "not the passphrase")

    await page.click(".signin button[type=submit]")
    await page.wait_for_selector("#error-signin:visible", timeout=60_000)

    assert await page.inner_text("#error-signin") == "Name and passphrase do not belong together."
    assert await page.locator(".room").count() == 0


async def test_a_link_to_join_works_once(visitor: Visitor, organisation: Served) -> None:
    page = await visitor.page()

    await page.goto(f"{organisation.origin}/desk/welcome")

    assert await page.is_visible("#no-token")
    assert not await page.is_visible("#enrol")


async def test_the_passphrase_never_leaves_and_a_reload_takes_the_keys(
    visitor: Visitor, organisation: Served
) -> None:
    page = await visitor.page()
    sent: list[bytes] = []
    page.on("request", lambda request: sent.append(request.url.encode() + (request.post_data_buffer or b"")))

    await page.goto(f"{organisation.origin}/desk")
    await page.fill("#signin-name", "Berta")
    await unlock(page)
    kept = await page.evaluate("[localStorage.length, sessionStorage.length]")
    await page.reload()
    await page.wait_for_selector("#signin-passphrase")

    assert not any(PASSPHRASE.encode() in request for request in sent)
    assert kept == [0, 0]
    assert await page.input_value("#signin-name") == "Berta"
    assert await page.locator(".room").count() == 0


async def test_ten_minutes_without_a_touch_lock_the_desk(visitor: Visitor, organisation: Served) -> None:
    page = await visitor.page()
    await page.clock.install()
    await sign_in(page, organisation.origin, "Berta")

    await page.clock.fast_forward("10:05")
    await page.wait_for_selector(".signin")

    assert "ten minutes" in await page.inner_text(".signin [data-why]")
    assert await page.locator(".room").count() == 0


async def test_from_a_sealed_alert_to_a_published_case_and_out_again(
    browser: Any, visitor: Visitor, organisation: Served, tmp_path: Path
) -> None:
    origin = organisation.origin
    words = await send_alert(browser, origin)
    berta, carl = await visitor.page(), await visitor.page()
    await sign_in(berta, origin, "Berta")
    await sign_in(carl, origin, "Carl")
    found: dict[str, list[str]] = {}

    # The desk opens what was sealed, also the file and the part about the source.
    await berta.click(".lines a")
    await berta.wait_for_selector("[data-opened]:visible")
    alert = await berta.inner_text("[data-opened]")
    assert ACCOUNT in alert
    assert CANARY in alert
    # Who the source is takes a reason and another custodian, although Berta keeps the key herself.
    assert SENDER not in alert
    await berta.fill("[data-ask-identity] textarea", "The town asks whom to answer (fictional).")
    await berta.click("[data-ask-identity] button")
    await berta.wait_for_selector("text=nobody decides about their own request")
    await carl.click("[data-room=alerts]")
    await carl.click(".lines a")
    await carl.wait_for_selector("[data-decide]")
    assert "The town asks whom to answer" in await carl.inner_text("[data-decide]")
    found["identity"] = await barriers(carl)
    await carl.click("[data-decide] button[value=yes]")
    await carl.wait_for_selector("text=Berta may see this until")
    assert SENDER not in await carl.inner_text("[data-opened]")
    await berta.reload()
    await unlock(berta)
    await berta.wait_for_selector("[data-opened]:visible")
    assert SENDER in await berta.inner_text("[data-opened]")
    async with berta.expect_download() as download:
        await berta.click("[data-files] button")
    saved = tmp_path / "bill.pdf"
    await (await download.value).save_as(saved)
    assert saved.read_bytes() == BILL
    found["alert"] = await barriers(berta)

    # A question goes out, the answer comes back.
    await berta.fill("#ask-text", "Is the water still cut off?")
    await berta.click("[data-ask] button")
    await berta.wait_for_selector("[data-exchange] li >> nth=1")
    await answer(visitor, origin, words, "Yes, since May.")
    await berta.reload()
    await unlock(berta)
    assert "Yes, since May." in await berta.inner_text("[data-exchange]")

    # The case: a check, a finding, and a second person who confirms it.
    await berta.click("[data-take]")
    await berta.click("[data-take-form] button[type=submit]")
    await berta.click("[data-move=record]")
    await berta.fill("#record-claim", "The water was cut in May.")
    await berta.fill("#record-evidence", "Three bills, all paid.")
    await berta.check("[name=result][value=supports]")
    await berta.select_option("#record-source_grade", "B")
    await berta.click("[data-panel] button[type=submit]")
    await berta.wait_for_selector(".records dl")
    await berta.click("[data-move=propose]")
    await berta.check("[name=standard][value=P3]")
    await berta.click("[data-panel] button[type=submit]")
    await berta.wait_for_selector("[data-move=confirm][aria-disabled=true]")
    assert "a second person confirms it" in await berta.inner_text("#why-confirm")
    found["case"] = await barriers(berta)

    await carl.click("[data-room=cases]")
    await carl.click('.lines a[href*="cases"]')
    await carl.click("[data-move=confirm]")
    for box in ("read", "tried", "free"):
        await carl.check(f"[data-panel] [name={box}]")
    await carl.click("[data-panel] button[type=submit]")
    await carl.wait_for_selector("[data-move=draft]")

    # The text: only what the editor takes over, and what is missing said beside its field.
    await berta.reload()
    await unlock(berta)
    await berta.click("[data-move=draft]")
    await berta.click("[data-copy-choices]")
    assert await berta.input_value("[data-field=summary] textarea") == ""
    await berta.click("[data-field=summary] > .copy")
    await berta.fill("[data-field=title] input", TITLE)
    await berta.click("[data-save]")
    await berta.wait_for_selector("#error-verification_statement:visible")
    found["draft"] = await barriers(berta)
    await berta.check("[name=verification][value=documented]")
    await berta.fill("[data-field=verification_statement] textarea", CHECKED)
    await berta.select_option("[data-panel] [name=status]", "active")
    await berta.fill("[data-panel] [name=status_date]", "2026-11-01")
    await berta.click("[data-field=violation_types] summary >> nth=-1")
    await berta.check("[name=violation_types][value=cut-off-of-utilities]")
    await berta.click("[data-field=other_states] summary")
    await berta.check("[name=other_states][value=FR]")
    # A State that is bound by the older Charter has other rights to choose from.
    await berta.check("[name=charter][value='1961']")
    assert not await berta.is_visible("[data-field=provisions] [data-show-in='1996']")
    await berta.click("[data-field=provisions] [data-show-in='1961'] summary >> nth=0")
    assert "Art. 1§1 (1961)" in await berta.inner_text(
        "[data-field=provisions] [data-show-in='1961'] details[open]"
    )
    await berta.check("[name=charter][value='1996']")
    # A picture: what is none is said beside its field; one that is drawn anew needs words.
    assert not await berta.is_visible("[data-field=image_alt]")
    await berta.set_input_files(
        "#draft-image", {"name": "x.png", "mimeType": "image/png", "buffer": b"<svg/>"}
    )
    await berta.wait_for_selector("#error-image:visible")
    assert await berta.inner_text("#error-image") == "Choose a JPEG, PNG or WebP picture."
    await berta.set_input_files(
        "#draft-image", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": a_picture()}
    )
    await berta.wait_for_selector("[data-field=image] img:visible")
    await berta.click("[data-save]")
    await berta.wait_for_selector("#error-image:visible")
    await berta.fill("[data-field=image_alt] textarea", WORDS_OF_PICTURE)
    found["picture"] = await barriers(berta)
    found["long"] = await write_long(berta)
    await berta.click("[data-move=submit]")
    await berta.check("[data-panel] [name=consent]")
    await berta.click("[data-panel] button[type=submit]")
    await berta.wait_for_selector("[data-move=approve][aria-disabled=true]")
    assert await berta.inner_text("#why-approve") == "You wrote this text; a second person approves it."

    # The second person reads exactly that text, and it is public.
    await carl.reload()
    await unlock(carl)
    await carl.click("[data-move=approve]")
    read = await carl.inner_text("[data-panel] .paper")
    assert TITLE in read
    assert ACCOUNT in read
    assert "France" in read
    assert CANARY not in read
    assert WORDS_OF_PICTURE in read
    # Exactly these pixels are approved with the text: the second person sees them.
    await carl.wait_for_function("document.querySelector('[data-panel] .paper img').naturalWidth === 320")
    found["approval"] = await barriers(carl)
    await carl.click("[data-panel] button[type=submit]")
    await carl.wait_for_selector("[data-panel] [data-error]:visible")
    await carl.check("[data-panel] [name=read]")
    await carl.click("[data-panel] button[type=submit]")
    address = await carl.get_attribute("[data-text-by] a", "href")
    assert address is not None
    async with httpx.AsyncClient(trust_env=False) as reader:
        public = await reader.get(address, headers={"accept": "text/html"})
        assert public.status_code == 200
        assert TITLE in public.text
        assert "CANARY" not in public.text
        shown = re.search(
            rf'<img src="(/pictures/[0-9a-f]{{64}}.jpg)"[^>]*alt="{re.escape(WORDS_OF_PICTURE)}"', public.text
        )
        assert shown is not None
        picture = origin + shown[1]
        assert (await reader.get(picture)).headers["content-type"] == "image/jpeg"
        assert SENDER not in public.text
    pairs = await carl.inner_text("[data-pairs]")
    assert re.search(r"proposed by Berta\s+confirmed by Carl", pairs)
    assert re.search(r"written by Berta\s+approved by Carl", pairs)

    # Out again, with two hands once more.
    await carl.click("[data-move=withdraw]")
    await carl.check("[name=reason][value=consent-withdrawn]")
    await carl.click("[data-panel] button[type=submit]")
    await carl.wait_for_selector("[data-move=approve][aria-disabled=true]")
    await berta.reload()
    await unlock(berta)
    await berta.click("[data-move=approve]")
    await berta.click("[data-panel] button[type=submit]")
    await berta.wait_for_selector("text=Withdrawn on")
    async with httpx.AsyncClient(trust_env=False) as reader:
        assert (await reader.get(address)).status_code == 410
        assert (await reader.get(picture)).status_code == 404

    assert {name: barrier for name, barrier in found.items() if barrier} == {}


async def write_long(page: Any) -> list[str]:
    """Save a long text, which is said while it is written and when it is saved; then the text as it was. Returns the barriers."""
    hint, account = page.locator("[data-panel] [data-reach]"), "[data-field=content] textarea"
    assert not await hint.is_visible()
    await page.fill(account, "\n\n".join(["A paragraph of a long account (fictional). " * 10] * 45))
    assert "with a link to the whole" in await hint.inner_text()
    found: list[str] = await barriers(page)

    # Larger than any server takes: said once, in the reader's words, and as no fault of one answer.
    refusal = {"error": "Something does not hold.", "fields": {"size": "Too long, for tools."}}
    await page.route("**/draft", lambda route: route.fulfill(status=400, json=refusal))
    await page.click("[data-save]")
    await page.wait_for_selector("[data-panel] [data-error]:visible")
    said = await page.inner_text("[data-panel] [data-error]")
    assert said.startswith("Together these texts are too long")
    assert not await hint.is_visible()
    found += await barriers(page)
    await page.unroute("**/draft")

    await page.click("[data-save]")
    await page.wait_for_selector("[data-text-reach]:visible")
    assert "with a link to the whole" in await page.inner_text("[data-text-reach]")
    found += await barriers(page)
    await page.click("[data-move=draft]")
    assert await hint.is_visible()
    await page.fill(account, "")
    assert not await hint.is_visible()
    await page.click("[data-save]")
    # The panel is open as long as the answer is not there, and hides the rest of the text.
    await page.wait_for_selector("[data-panel] [data-save]", state="detached")
    assert not await page.locator("[data-text-reach]").is_visible()
    return found


async def answer(visitor: Visitor, origin: str, words: list[str], said: str) -> None:
    """Come back with the words and answer."""
    page = await visitor.page(width=390, height=844)
    await page.goto(f"{origin}/alert/receipt")
    await page.fill("#words-typed", "  ".join(words).upper())
    await page.click("#open")
    await page.wait_for_selector("#mailbox:visible")
    assert "There is a question for you" in await page.inner_text("#state")
    await page.fill("#answer-text", said)
    await page.click("#send-answer")
    await page.wait_for_selector("#exchange li >> nth=2")
    assert await barriers(page) == []
    await page.context.close()


async def test_keys_move_through_the_lists_and_can_be_switched_off(
    visitor: Visitor, organisation: Served
) -> None:
    page = await visitor.page()
    await sign_in(page, organisation.origin, "Carl")

    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.matches('[data-filter]')")
    await page.locator("h1").focus()
    await page.keyboard.press("g")
    await page.keyboard.press("p")
    await page.wait_for_selector(".people")
    await page.keyboard.press("?")
    assert await page.is_visible("#keys")
    found = await barriers(page)
    await page.uncheck("#keys-on")
    await page.click("#keys button")
    await page.locator("h1").focus()
    await page.keyboard.press("g")
    await page.keyboard.press("a")

    assert found == []
    assert await page.is_visible(".people")
