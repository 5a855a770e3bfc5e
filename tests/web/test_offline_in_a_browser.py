"""The page that is carried away, opened from a disk in a browser without a network, and its file handed in without scripts."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from node.sealing.alerts import open_mailbox
from node.sealing.dialogue import Entry, Submission
from node.sealing.receipts import source_keys
from tests.rig.processes import Served
from tests.web.door import ACCOUNT, CANARY, answer_form, keep_words

pytestmark = pytest.mark.browser


async def test_a_page_from_a_disk_seals_without_a_network_and_its_file_is_taken_without_scripts(
    browser: Any, door: Served, tmp_path: Path
) -> None:
    page_file = tmp_path / "form.html"
    with urllib.request.urlopen(f"{door.origin}/alert/offline.html") as answer:  # noqa: S310  # our loopback
        page_file.write_bytes(answer.read())
    context = await browser.new_context(
        locale="en-GB", viewport={"width": 390, "height": 844}, accept_downloads=True
    )
    await context.set_offline(True)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(page_file.as_uri())
    await answer_form(page)
    await page.click("#seal")
    async with page.expect_download() as download:
        words = await keep_words(page)
    await page.wait_for_selector("#arrived:visible")
    # Whether the file was saved nobody but its owner knows: until then everything is kept.
    assert await page.input_value("[name=summary]") == ACCOUNT
    async with page.expect_download() as again:
        await page.click("#save-again")
    second = Path(await (await again.value).path()).read_bytes()
    assert second == Path(await (await download.value).path()).read_bytes()
    await page.click("#have-file")
    await page.wait_for_selector("#forgotten:has-text('has forgotten')")
    assert not await page.is_visible("#save-again")
    assert await page.input_value("[name=summary]") == ""
    assert await page.locator("#words li").count() == 0
    package = tmp_path / "alert.sealed"
    await (await download.value).save_as(package)
    await context.close()

    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    assert CANARY.encode() not in package.read_bytes()

    plain = await browser.new_context(java_script_enabled=False, locale="en-GB")
    visitor = await plain.new_page()
    await visitor.goto(f"{door.origin}/alert")
    await visitor.click("noscript a[href*='/alert/sealed']")
    await visitor.set_input_files("#package", str(package))
    await visitor.click("button[type=submit]")
    assert await visitor.inner_text("h1") == "It arrived"
    await plain.close()

    keys = source_keys(" ".join(words), door.origin)
    asking = urllib.request.Request(  # noqa: S310  # our loopback
        f"{door.origin}/api/v1/mailbox", headers={"authorization": f"Mailbox {keys.mailbox_token}"}
    )
    with urllib.request.urlopen(asking) as answer:  # noqa: S310  # our loopback
        entry = open_mailbox(json.load(answer), keys, desk=[]).entries[0]
    assert isinstance(entry, Entry)
    assert isinstance(entry.content, Submission)
    assert entry.content.answers["summary"] == ACCOUNT
    assert len(entry.content.attachments) == 1
