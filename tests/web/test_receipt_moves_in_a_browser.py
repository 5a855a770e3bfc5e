"""What a source does with its alert after sending, in a real browser: yes or no, a proof to keep, and an end to all of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rig.processes import Served
from tests.web.door import send_alert

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


async def test_a_source_changes_its_mind_keeps_a_proof_and_deletes_everything(
    browser: Any, organisation: Served
) -> None:
    words = " ".join(await send_alert(browser, organisation.origin))
    context = await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    async def open_mailbox() -> None:
        await page.goto(f"{organisation.origin}/alert/receipt")
        await page.fill("#words-typed", words)
        await page.click("#open")

    await open_mailbox()
    await page.wait_for_selector("#consent-said:has-text('answered in the form')")
    await page.click("#consent-yes")
    await page.wait_for_selector("#consent-said:has-text('you agreed')")
    await page.click("#consent-no")
    await page.wait_for_selector("#consent-said:has-text('did not agree')")

    async with page.expect_download() as download:
        await page.click("#prove")
    proof = json.loads(Path(await (await download.value).path()).read_text())
    assert proof["statement"]["type"] == "proof-of-filing"

    await page.click("#burn")
    await page.click("#burn-now")
    await page.wait_for_selector("#opening-said:has-text('Everything was deleted')")
    await open_mailbox()
    await page.wait_for_selector("#error-words:has-text('Nothing was found')")

    assert errors == []
    await context.close()
