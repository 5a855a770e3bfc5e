"""Access in real browsers: a newcomer asks and is given it, somebody leaves, and a new key keeps them out."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.runtime import Node
from tests.rig.processes import Served
from tests.web.door import (
    ACCOUNT,
    PASSPHRASE,
    barriers,
    join,
    join_by_link,
    keep_words,
    running_organisation,
    send_alert,
    sign_in,
    unlock,
)

pytestmark = pytest.mark.browser

READERS = ("intake", "verifier")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node with two people who read alerts, and an administrator."""

    async def olga(node: Node) -> None:
        await join(node, "Olga", roles=("administrator",))

    with running_organisation(tmp_path_factory.mktemp("organisation"), olga, roles=READERS) as server:
        yield server


async def picture(page: Any, name: str) -> None:
    """Keep what is seen, where somebody asked for pictures."""
    if directory := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=str(Path(directory) / f"{name}.png"), full_page=True)


async def a_page(browser: Any, width: int = 1280) -> Any:
    return await (
        await browser.new_context(locale="en-GB", viewport={"width": width, "height": 900})
    ).new_page()


async def test_a_newcomer_is_given_access_and_who_leaves_is_kept_out(browser: Any, server: Served) -> None:
    origin = server.origin
    words = await send_alert(browser, origin)
    await join_by_link(browser, server, "Dora", *READERS)
    berta, dora, olga = await a_page(browser), await a_page(browser, 390), await a_page(browser)
    found: dict[str, list[str]] = {}

    # The alert came before Dora did: she sees who can help, and asks.
    await sign_in(dora, origin, "Dora")
    await dora.click(".lines a")
    await dora.wait_for_selector("[data-ask-access]:visible")
    said = await dora.inner_text(".access")
    assert "Berta" in said
    assert "Carl" in said
    assert ACCOUNT not in await dora.inner_text("main")
    await picture(dora, "access-ask-390")
    found["ask"] = await barriers(dora)
    await dora.click("[data-ask-access]")
    await dora.wait_for_selector("text=You asked for access on")

    # Berta gives it, after the signed list has vouched for Dora's keys.
    await sign_in(berta, origin, "Berta")
    await berta.click(".lines a")
    await berta.wait_for_selector("text=Dora waits for access")
    await berta.focus("[data-give]")
    await berta.keyboard.press("Enter")
    await berta.wait_for_selector("text=in the list your organisation signed")
    await picture(berta, "access-give-1280")
    found["give"] = await barriers(berta)
    await berta.click("[data-give-form] [data-submit]")
    await berta.wait_for_selector("text=Dora: given by Berta")
    await dora.reload()
    await unlock(dora)
    await dora.wait_for_selector("[data-opened]:visible")
    assert ACCOUNT in await dora.inner_text("[data-opened]")

    # Carl leaves. The desk asks for a new key and says what that does not undo.
    await sign_in(olga, origin, "Olga")
    await olga.click("[data-room=people]")
    await olga.click("button[aria-label='Close the account of Carl']")
    assert "undoes nothing" in await olga.inner_text("[data-close-account]")
    await picture(olga, "people-close-1280")
    found["close"] = await barriers(olga)
    await olga.click("[data-close-account] button[type=submit]")
    await olga.wait_for_selector("button[aria-label='Close the account of Carl']", state="detached")
    await berta.reload()
    await unlock(berta)
    await berta.wait_for_selector("[data-due]:visible")
    assert "Carl could open this and left" in await berta.inner_text("[data-due]")
    await berta.click("[data-renew]")
    await berta.wait_for_selector("[data-give-form]:visible")
    await picture(berta, "access-renew-1280")
    found["renew"] = await barriers(berta)
    await berta.click("[data-give-form] [data-submit]")
    await berta.wait_for_selector("[data-due]", state="hidden")

    # What is written now is under the new key; the source answers under it, and Dora reads all of it.
    await berta.fill("#ask-text", "Is the water still cut off?")
    await berta.click("[data-ask] button")
    await berta.wait_for_selector("[data-exchange] li >> nth=1")
    source = await a_page(browser, 390)
    await source.goto(f"{origin}/alert/receipt")
    await source.fill("#words-typed", " ".join(words))
    await source.click("#open")
    await source.wait_for_selector("#mailbox:visible")
    assert "Is the water still cut off?" in await source.inner_text("#exchange")
    await source.fill("#answer-text", "Yes, since May.")
    await source.click("#send-answer")
    await source.wait_for_selector("#exchange li >> nth=2")
    await dora.reload()
    await unlock(dora)
    await dora.wait_for_selector("[data-exchange] li >> nth=2")
    exchange = await dora.inner_text("[data-exchange]")
    assert "Is the water still cut off?" in exchange
    assert "Yes, since May." in exchange
    kept = json.loads(server.run("audit", "verify", "--json"))

    assert kept["ok"]
    assert {name: barrier for name, barrier in found.items() if barrier} == {}


async def test_the_recovery_words_open_the_desk_again(browser: Any, server: Served) -> None:
    link = json.loads(server.run("staff", "invite", "--role", "intake", "--json"))["link"]
    page = await a_page(browser, 390)
    await page.goto(link)
    await page.fill("#enrol-name", "Emil")
    await page.fill("#enrol-passphrase", "a passphrase that will be forgotten")
    await page.fill("#enrol-again", "a passphrase that will be forgotten")
    await page.click("#make-keys")
    words = await keep_words(page)
    await page.wait_for_selector("#enrolled:visible", timeout=60_000)

    await page.goto(f"{server.origin}/desk")
    await page.click("[data-recover]")
    await page.fill("#recover-name", "Emil")
    await page.fill("#recover-words", " ".join(words[:11]))
    await page.fill("#recover-passphrase", PASSPHRASE)
    await page.fill("#recover-again", PASSPHRASE)
    await page.click(".signin button[type=submit]")
    await page.wait_for_selector("#error-recover:visible")
    assert "not twelve words" in await page.inner_text("#error-recover")
    await picture(page, "recover-390")
    found = await barriers(page)
    await page.fill("#recover-words", " ".join(words).upper())
    await page.click(".signin button[type=submit]")
    await page.wait_for_selector("text=Your passphrase was changed", timeout=60_000)
    await unlock(page)

    assert found == []
    assert await page.is_visible("#lock")
