"""An administrator changes what sources are asked: a copy, a preview, a new version; and the desk still reads the older ones."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.rig.processes import Served
from tests.web.door import SLOW_MS, barriers, keep_words, running_organisation, sign_in

PHONE = {"width": 390, "height": 844}
EVERYTHING = ("intake", "verifier", "administrator")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node whose two people read alerts and look after forms."""
    with running_organisation(tmp_path_factory.mktemp("organisation"), roles=EVERYTHING) as server:
        yield server


@pytest.fixture
async def desk(browser: Any, server: Served) -> Any:
    """Somebody signed in, on a phone; an uncaught error of its scripts fails the test."""
    page = await (await browser.new_context(locale="en-GB", viewport=PHONE)).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await sign_in(page, server.origin, "Berta")
    yield page
    await page.context.close()
    assert errors == []


async def test_without_signing_in_nothing_of_the_editor_is_shown(browser: Any, server: Served) -> None:
    page = await (await browser.new_context(locale="en-GB")).new_page()

    await page.goto(f"{server.origin}/desk/forms")

    await page.wait_for_selector("#closed:visible")
    assert "sign in" in await page.inner_text("#closed")
    assert not await page.is_visible("#forms")
    assert (await page.goto(f"{server.origin}/api/v1/desk/forms/alert/preview")).status == 401
    await page.context.close()


async def test_a_form_is_copied_changed_looked_at_and_published_and_old_alerts_keep_their_words(
    browser: Any, desk: Any, server: Served
) -> None:
    await send_short(browser, server.origin, "What is happening?")
    await desk.goto(f"{server.origin}/desk/forms")
    await desk.click("[data-purpose=urgent]")
    await desk.click("#copy-form")
    await desk.wait_for_selector("#editor section")
    assert await barriers(desk) == []
    assert await desk.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    # What has to stay cannot be taken out, and a label in no language is refused beside its name.
    assert await desk.locator('#q-summary button[aria-label^="Take out"]').count() == 0
    await desk.click("#q-own_request summary")
    for language in ("en", "fr", "es"):
        await desk.fill(f"#label-own_request-{language}", "")
    await desk.click("#save-form")
    await desk.wait_for_selector("#problems li")
    assert "It has no words" in await desk.inner_text("#problems")
    assert await barriers(desk) == []

    await desk.fill("#label-own_request-en", "What would you wish for?")
    await desk.click("#q-summary summary")
    await desk.fill("#label-summary-en", "Which alarm rings?")
    await desk.select_option("#add-0", "own_string")
    await desk.click("p:has(#add-0) button")
    own = await desk.evaluate("document.activeElement.closest('details').id.slice(2)")
    await desk.fill(f"#label-{own}-en", "Which bell?")
    await desk.click("#save-form")
    await desk.wait_for_selector('#said:has-text("Saved.")')

    seen = await desk.context.new_page()
    await seen.goto(f"{server.origin}/api/v1/desk/forms/urgent/preview?lang=en")
    await seen.click("#begin")
    await seen.wait_for_selector("#alert:visible")
    assert "Which alarm rings?" in await seen.inner_text("#alert")
    assert "Which bell?" in await seen.inner_text("#alert")
    assert await seen.locator("#seal").is_disabled()
    await seen.close()
    assert "Which alarm rings?" not in await text_of(browser, f"{server.origin}/alert/urgent")

    await desk.click("#publish-form")
    await desk.click("#publish-form")
    await desk.wait_for_selector('#standing:has-text("version 1")')
    assert "Which alarm rings?" in await text_of(browser, f"{server.origin}/alert/urgent")
    await send_short(browser, server.origin, "Which alarm rings?")

    await sign_in(desk, server.origin, "Berta")
    await desk.wait_for_selector("[data-lines] li a")
    shown = []
    for address in await desk.locator("[data-lines] li a").evaluate_all("all => all.map((one) => one.hash)"):
        await desk.evaluate(f"location.hash = '{address}'")
        await desk.wait_for_selector(".by-form > p.quiet", timeout=SLOW_MS)
        shown.append("Which alarm rings?" in await desk.inner_text(".by-form"))
        await desk.evaluate("location.hash = '#/alerts'")
        await desk.wait_for_selector(".by-form", state="detached")
    assert sorted(shown) == [False, True]


async def test_a_form_can_be_changed_with_the_keyboard_alone(desk: Any, server: Served) -> None:
    await desk.goto(f"{server.origin}/desk/forms")
    await desk.wait_for_selector("#forms:visible")
    await desk.focus("#copy-form")
    await desk.keyboard.press("Enter")
    await desk.wait_for_selector("#editor section")
    await desk.focus("#q-region summary")
    await desk.keyboard.press("Enter")
    await desk.focus('#q-region button[aria-label^="Up"]')

    await desk.keyboard.press("Enter")

    order = await desk.locator("#editor details.shelf").evaluate_all("all => all.map((one) => one.id)")
    assert order.index("q-region") < order.index("q-state")
    assert await desk.evaluate("document.activeElement.closest('details').id") == "q-region"
    await desk.focus("#drop-form")
    await desk.keyboard.press("Enter")
    await desk.keyboard.press("Enter")
    await desk.wait_for_selector("#editor:empty", state="attached")


async def send_short(browser: Any, origin: str, label: str) -> None:
    page = await (await browser.new_context(locale="en-GB", viewport=PHONE)).new_page()
    await page.goto(f"{origin}/alert/urgent")
    await page.click("#begin")
    await page.check("[name=urgency][value=imminent]")
    assert label in await page.inner_text("[data-field=summary]")
    await page.fill("[name=summary]", "Fictional.")
    while not await page.is_visible("#seal"):
        await page.click(".step[data-current] [data-next]")
    await page.click("#seal")
    await keep_words(page)
    await page.wait_for_selector("#arrived:visible")
    await page.context.close()


async def text_of(browser: Any, url: str) -> str:
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await page.goto(url)
    text: str = await page.content()
    await page.context.close()
    return text
