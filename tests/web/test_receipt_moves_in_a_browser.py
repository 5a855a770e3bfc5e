"""What a source does with its alert after sending, in a real browser: yes or no, a proof to keep, and an end to all of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from node.intake.switch import close_intake
from tests.rig.processes import Served
from tests.rig.publications import behind
from tests.web.door import running_organisation, send_alert

pytestmark = pytest.mark.browser


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
    await page.wait_for_selector("#share-said:has-text('answered in the form')")
    await page.click("#share-yes")
    await page.wait_for_selector("#share-said:has-text('you agreed to share')")
    await page.click("#share-no")
    await page.wait_for_selector("#share-said:has-text('did not agree to share')")
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


async def test_a_mailbox_outlives_a_door_that_is_closed_and_a_clock_that_is_wrong(
    browser: Any, tmp_path: Path
) -> None:
    with running_organisation(tmp_path) as server:
        words = " ".join(await send_alert(browser, server.origin))
        async with behind(server) as node, node.database.begin() as session:
            await close_intake(session, "", by="node", now=node.clock.now())
        context = await browser.new_context(locale="en-GB")
        page = await context.new_page()

        async def open_mailbox() -> None:
            await page.goto(f"{server.origin}/alert/receipt")
            await page.fill("#words-typed", words)
            await page.click("#open")
            await page.wait_for_selector("#exchange li.mine")

        await page.goto(f"{server.origin}/alert")
        assert await page.is_visible("#cannot")
        await open_mailbox()
        await page.fill("#answer-text", "Fictional. The water is still cut.")
        await page.click("#send-answer")
        await page.wait_for_selector("#exchange >> text=The water is still cut.")
        await page.click("#consent-no")
        await page.wait_for_selector("#consent-said:has-text('did not agree')")

        await page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=40))
        await open_mailbox()
        await page.click("#consent-yes")
        await page.wait_for_selector("#moves-said:has-text('please set its clock')")
        await page.click("#burn")
        await page.click("#burn-now")
        await page.wait_for_selector("#opening-said:has-text('Everything was deleted')")
        await context.close()
