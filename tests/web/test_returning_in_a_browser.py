"""A source without scripts, on a phone and in French: writes, comes back, reads the whole text, refuses it and deletes everything."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from node.intake.mailbox import find_alert
from node.sealing.receipts import source_keys
from node.staff.accounts import Staff
from tests.rig.processes import Served
from tests.rig.publications import behind
from tests.rig.sources import Source, asks_about_the_draft, in_review
from tests.web.door import ACCOUNT, barriers, running_organisation

FOCUSED = "(({name, type, value}) => [name, type, value])(document.activeElement)"
PHONE = {"width": 390, "height": 844}

pytestmark = pytest.mark.browser


@pytest.fixture
def organisation(tmp_path: Path) -> Iterator[Served]:
    with running_organisation(tmp_path, plain_door="1") as server:
        yield server


async def the_desk_asks(server: Served, words: str) -> None:
    async with behind(server) as node, httpx.AsyncClient(base_url=server.origin) as client:
        keys = source_keys(words, server.origin)
        async with node.database.read() as session:
            people = (await session.scalars(select(Staff).order_by(Staff.name))).all()
            alert = await find_alert(session, bytes.fromhex(keys.mailbox_token))
        source = Source(node, client, SimpleNamespace(id=alert.id, source=keys))  # type: ignore[arg-type]  # only these two are read
        await in_review(node, list(people), source, submit=False)
        await asks_about_the_draft(node, people[0], source)


async def words_shown(page: Any) -> str:
    """The twelve words of the page that comes after the form."""
    await page.wait_for_selector("ol.words li")
    return " ".join(await page.locator("ol.words li").all_inner_texts())


async def press_to(page: Any, name: str, value: str = "") -> None:
    """Go on with Tab, and from choice to choice with the arrow, as far as that control."""
    for _ in range(400):
        await page.keyboard.press("Tab")
        if name not in await page.evaluate(FOCUSED):
            continue
        for _ in range(10):
            if not value or value in await page.evaluate(FOCUSED):
                return
            await page.keyboard.press("ArrowDown")
    raise AssertionError(f"the Tab key never comes to {name}")


async def test_a_source_without_scripts_comes_back_decides_and_deletes_with_the_keyboard_alone(
    browser: Any, organisation: Served
) -> None:
    plain = await browser.new_context(java_script_enabled=False, locale="fr-FR", viewport=PHONE)
    page = await plain.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{organisation.origin}/alert/plain")
    await page.check("[name=kind][value=violation]")
    await page.fill("[name=summary]", ACCOUNT)
    await page.select_option("[name=state]", "IE")
    await page.click("button[type=submit]")
    words = await words_shown(page)
    await the_desk_asks(organisation, words)

    await page.goto(f"{organisation.origin}/alert/plain/receipt")
    await press_to(page, "words")
    await page.keyboard.type(words)
    await press_to(page, "submit")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("dl.whole")
    assert "Peut-on publier exactement ceci" in await page.inner_text("ol.exchange")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    await press_to(page, "words")
    await page.keyboard.type(words)
    await press_to(page, "move", "text-no")
    await press_to(page, "submit")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[role=status]")
    assert "n’avez pas accepté un texte" in await page.inner_text(".receipt")

    await press_to(page, "words")
    await page.keyboard.type(words)
    await press_to(page, "move", "burn")
    await press_to(page, "sure")
    await page.keyboard.press("Space")
    await press_to(page, "submit")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("h1:has-text('Tout a été supprimé')")

    assert all(url.startswith(organisation.origin) for url in asked)
    assert not any(words.split()[0] in url for url in asked)
    assert await plain.cookies() == []
    await plain.close()


async def test_the_pages_without_scripts_have_no_barriers(browser: Any, organisation: Served) -> None:
    context = await browser.new_context(locale="en-GB", viewport=PHONE)
    page = await context.new_page()
    found: dict[str, list[str]] = {}
    await page.goto(f"{organisation.origin}/alert/plain")
    found["form"] = await barriers(page)
    await page.check("[name=kind][value=violation]")
    await page.fill("[name=summary]", ACCOUNT)
    await page.select_option("[name=state]", "IE")
    await page.click("button[type=submit]")
    words = await words_shown(page)
    found["words"] = await barriers(page)
    await the_desk_asks(organisation, words)

    await page.goto(f"{organisation.origin}/alert/plain/receipt")
    found["return"] = await barriers(page)
    await page.fill("#words", words)
    await page.click("button[type=submit]")
    await page.wait_for_selector("h1:has-text('Your alert')")
    found["mailbox"] = await barriers(page)
    await page.fill("#words", words)
    await page.check("[name=move][value=burn]")
    await page.click("button[type=submit]")
    assert "Nothing was deleted" in await page.inner_text("[role=alert]")
    found["unsure"] = await barriers(page)

    assert found == {name: [] for name in found}
    await context.close()
