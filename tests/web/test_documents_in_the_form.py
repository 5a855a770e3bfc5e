"""A document in the form: what it tells is said before anything is sent, by a part of the page that comes only when it is needed."""

from typing import Any

import pytest

from tests.rig.processes import Served
from tests.web.browser.test_cleaning import AUTHOR, DOCX, a_pdf, written, zipped
from tests.web.door import ACCOUNT, barriers, keep_words

PDF = "application/pdf"

pytestmark = pytest.mark.browser


async def at_the_files(page: Any, origin: str) -> None:
    """On a desk all parts of the form stand on one page."""
    await page.goto(f"{origin}/alert")
    await page.click("#begin")
    await page.wait_for_selector("#f-attachments:visible")


async def choose(page: Any, name: str, content: bytes, kind: str = PDF) -> str:
    await page.set_input_files("#f-attachments", files=[{"name": name, "mimeType": kind, "buffer": content}])
    line = page.locator(f"#files li:has-text('{name}')")
    await line.locator("fieldset, .help").wait_for()
    return str(await line.inner_text())


async def test_documents_say_what_they_hide_and_offer_a_clean_copy_or_say_why_there_is_none(
    browser: Any, door: Served
) -> None:
    page = await (await browser.new_context(locale="en-GB")).new_page()
    scripts: list[str] = []
    page.on("request", lambda request: scripts.append(request.url.rsplit("/", 1)[1]))
    await at_the_files(page, door.origin)
    before = [one for one in scripts if one.startswith("cleaning")]
    locked = a_pdf(hides=False)
    locked.encrypt("a fictional passphrase", algorithm="RC4-128")

    letter = await choose(page, "letter.pdf", written(a_pdf()))
    office = await choose(page, "letter.docx", zipped(DOCX), "application/octet-stream")
    shut = await choose(page, "shut.pdf", written(locked))

    assert before == []
    assert len([one for one in scripts if one.startswith("cleaning")]) == 1
    for told in (AUTHOR, "other files inside it", "scripts", "names in comments", "without hidden details"):
        assert told in letter
    assert AUTHOR in office
    assert "locked with a password" in shut
    assert "Send a copy" not in shut
    assert await barriers(page) == []


async def test_what_telephones_record_is_taken_and_the_page_says_that_it_does_not_look_into_it(
    browser: Any, door: Served
) -> None:
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await at_the_files(page, door.origin)

    for ending in ("mp4", "mp3", "mov", "m4a", "ogg", "opus", "3gp", "heic"):
        said = await choose(page, f"kitchen.{ending}", b"fictional", "application/octet-stream")
        assert "could not look into this file" in said
    letter = {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"fictional"}
    await page.set_input_files("#f-attachments", files=[letter])

    assert "look into" not in await page.inner_text("#files li:has-text('letter.txt')")
    assert not await page.is_visible("#error-attachments")


async def test_a_copy_that_cannot_be_made_is_named(browser: Any, door: Served) -> None:
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await at_the_files(page, door.origin)
    await choose(page, "yard.jpg", b"no picture (fictional)", "image/jpeg")
    await page.check("#files input >> nth=1")
    await page.check("input[value=violation]")
    await page.fill("[name=summary]", ACCOUNT)
    await page.select_option("[name=state]", "IE")
    await page.click("#seal")
    await keep_words(page)

    await page.wait_for_selector("#sending-error:has-text('A copy of yard.jpg without hidden details')")


async def test_a_part_that_was_altered_on_the_way_does_not_run_and_the_page_says_so(
    browser: Any, door: Served
) -> None:
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await at_the_files(page, door.origin)

    async def other(route: Any) -> None:
        await route.fulfill(status=200, content_type="text/javascript", body="document.title = 'altered'")

    await page.route("**/static/built/cleaning-*", other)

    said = await choose(page, "letter.pdf", written(a_pdf()))

    assert "could not be fetched" in said
    assert "Send a copy" not in said
    assert await page.title() != "altered"
