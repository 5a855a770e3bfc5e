"""Files with an answer and with a question, in real browsers: sealed here, opened there, interrupted, and taken up again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.rig.processes import Served
from tests.web.door import barriers, send_alert, sign_in

NAME = "letter (fictional).txt"
# Two parts of four mebibytes and a little more.
LETTER = b"SEALED-CANARY a fictional letter, line after line\n" * 180_000
REPLY = b"SEALED-CANARY what the desk sends back (fictional)\n" * 40

pytestmark = pytest.mark.browser


async def saved(page: Any, button: Any, to: Path) -> bytes:
    async with page.expect_download() as download:
        await button.click()
    await (await download.value).save_as(to)
    return to.read_bytes()


async def test_files_go_both_ways_and_an_interrupted_one_goes_on_where_it_stopped(
    browser: Any, organisation: Served, tmp_path: Path
) -> None:
    words = " ".join(await send_alert(browser, organisation.origin))
    errors: list[str] = []
    phone = await (
        await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    ).new_page()
    desk = await (await browser.new_context(locale="en-GB")).new_page()
    for page in (phone, desk):
        page.on("pageerror", lambda error: errors.append(str(error)))

    async def come_back() -> None:
        await phone.goto(f"{organisation.origin}/alert/receipt")
        await phone.fill("#words-typed", words)
        await phone.click("#open")
        await phone.wait_for_selector("#exchange li")

    # The second part does not get through until the source tries again.
    await come_back()
    sent: list[str] = []
    cut = True

    async def part(route: Any) -> None:
        number = route.request.url.rsplit("/", 1)[1]
        if cut and number == "1":
            await route.abort()
            return
        sent.append(number)
        await route.continue_()

    await phone.route("**/api/v1/uploads/**", part)
    await phone.clock.install()
    await phone.click("#add-files")
    await phone.set_input_files(
        "#f-attachments", files=[{"name": NAME, "mimeType": "text/plain", "buffer": LETTER}]
    )
    chosen = await barriers(phone)
    await phone.click("#send-answer")
    for _ in range(60):
        await phone.clock.run_for(20_000)
        if await phone.is_visible("#error-answer"):
            break
        await asyncio.sleep(0.2)
    assert "could not be reached" in await phone.inner_text("#error-answer")
    cut = False
    await phone.click("#send-answer")
    await phone.wait_for_selector(f"#exchange .files:has-text('{NAME}')")
    assert sent == ["0", "1", "2"]

    # The desk opens it, and sends one of its own.
    await sign_in(desk, organisation.origin, "Berta")
    await desk.click(".lines a")
    await desk.wait_for_selector(f"[data-exchange] .files:has-text('{NAME}')")
    read = await saved(desk, desk.locator("[data-exchange] .files button"), tmp_path / "read.txt")
    await desk.set_input_files(
        "#ask-files", files=[{"name": "form (fictional).txt", "mimeType": "text/plain", "buffer": REPLY}]
    )
    await desk.fill("#ask-text", "Please fill this in.")
    await desk.click("form[data-ask] button[type=submit]")
    await desk.wait_for_selector("[data-exchange] .files:has-text('form (fictional).txt')")
    at_the_desk = await barriers(desk)

    # The source opens both, its own too.
    await come_back()
    theirs = phone.locator("#exchange li:not(.mine) .files button")
    own = phone.locator("#exchange li.mine .files button").last
    reply = await saved(phone, theirs, tmp_path / "reply.txt")
    letter = await saved(phone, own, tmp_path / "letter.txt")
    in_the_exchange = await barriers(phone)

    assert (read, reply, letter) == (LETTER, REPLY, LETTER)
    assert (errors, chosen, at_the_desk, in_the_exchange) == ([], [], [], [])
    assert not any(
        b"SEALED-CANARY" in path.read_bytes() for path in organisation.data.rglob("*") if path.is_file()
    )


async def test_a_file_that_the_server_swapped_is_not_handed_over(browser: Any, organisation: Served) -> None:
    words = " ".join(await send_alert(browser, organisation.origin))
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await page.goto(f"{organisation.origin}/alert/receipt")
    await page.fill("#words-typed", words)
    await page.click("#open")
    await page.wait_for_selector("#exchange .files button")
    downloads: list[Any] = []
    page.on("download", lambda download: downloads.append(download))

    async def other(route: Any) -> None:
        answer = await route.fetch()
        body = bytearray(await answer.body())
        body[-1] ^= 1
        await route.fulfill(response=answer, body=bytes(body))

    await page.route("**/api/v1/mailbox/attachments/**", other)
    await page.click("#exchange .files button")
    await page.wait_for_selector("#exchange .files small:has-text('not whole')")

    assert downloads == []
