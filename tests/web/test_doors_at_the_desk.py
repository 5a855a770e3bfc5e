"""The desk is told by which door an alert came: entered by staff, a file of the stock tool, or taken back by its source."""

import http.client
from pathlib import Path
from typing import Any

import pytest

from node.sealing.age import _payload_key
from node.sealing.header import write_header
from node.sealing.recipients import wrap
from node.sealing.stream import encrypt_chunks
from tests.rig.processes import Served
from tests.web.door import answer_form, keep_words, sign_in

LETTER = b"A fictional letter that somebody sealed with the stock tool."

pytestmark = pytest.mark.browser


def ask(port: int, method: str, path: str, body: bytes = b"") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body)
        return connection.getresponse().read()
    finally:
        connection.close()


async def test_staff_enter_an_alert_open_an_age_file_and_stop_a_source_from_writing(
    browser: Any, organisation: Served
) -> None:
    port = organisation.port
    listed = [line for line in ask(port, "GET", "/alert/keys.txt").decode().splitlines() if line[:1] != "#"]
    key, nonce = bytes(16), bytes(range(16))
    header = write_header([wrap(key, one) for one in listed], key)
    ask(
        port,
        "PUT",
        "/alert/sealed",
        header + nonce + b"".join(encrypt_chunks(_payload_key(key, nonce), [LETTER])),
    )
    context = await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await sign_in(page, organisation.origin, "Berta")

    await page.click("a[href*='#/alerts/']")
    await page.wait_for_selector("[data-door]:has-text('cannot be asked')")
    assert await page.is_visible("[data-take]")
    async with page.expect_download() as download:
        await page.click("[data-door] button.primary")
    assert Path(await (await download.value).path()).read_bytes() == LETTER

    form = await context.new_page()
    await form.goto(f"{organisation.origin}/desk/enter")
    await answer_form(form)
    await form.click("#seal")
    await keep_words(form)
    await form.wait_for_selector("#arrived:visible")
    await form.close()

    await page.evaluate("location.hash = '#/alerts'")
    await page.click("[data-list] li:not(:has([aria-current])) a, ul a[href*='#/alerts/'] >> nth=1")
    await page.wait_for_selector("article.file [data-name]")
    if not await page.is_visible("text=Entered by a colleague"):
        await page.evaluate("location.hash = '#/alerts'")
        await page.click("a[href*='#/alerts/'] >> nth=0")
    await page.wait_for_selector("[data-door]:has-text('Entered by a colleague')")
    await page.click("[data-door] button")
    await page.wait_for_selector("[data-door]:has-text('write no more')")
    await page.wait_for_selector("[data-door] button:has-text('write again')")

    assert errors == []
    await context.close()
