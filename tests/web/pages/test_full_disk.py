"""A full disk behind the scripted pages: it is named in the source's language, nothing typed is lost, and the same alert arrives later."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from node.intake.alerts import Alert
from node.runtime import Node
from tests.rig.alerts import a_member
from tests.web.door import barriers, keep_words

SUMMARY = "Men wait in front of the door (fictional)"

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
async def people(node: Node) -> None:
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)


@pytest.fixture
async def phone(node: Node, visitor: httpx.AsyncClient, browser: Any) -> AsyncIterator[Any]:
    """A French phone whose requests go straight to the application."""
    context = await browser.new_context(viewport={"width": 390, "height": 800}, locale="fr-FR")

    async def answer(route: Any) -> None:
        asked = route.request
        found = await visitor.request(
            asked.method, asked.url, headers=await asked.all_headers(), content=asked.post_data_buffer
        )
        await route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    await context.route("**/*", answer)
    page = await context.new_page()
    await page.clock.set_fixed_time(node.clock.now())
    yield page
    await context.close()


async def fill_disk(node: Node) -> None:
    async with node.database.begin() as session:
        pages = (await session.execute(text("PRAGMA page_count"))).scalar()
        await session.execute(text(f"PRAGMA max_page_count = {pages}"))


async def clear_disk(node: Node) -> None:
    async with node.database.begin() as session:
        await session.execute(text("PRAGMA max_page_count = 1000000"))


async def alerts(node: Node) -> list[Alert]:
    async with node.database.read() as session:
        return list(await session.scalars(select(Alert)))


async def test_a_full_disk_is_named_nothing_typed_is_lost_and_the_same_alert_arrives_later(
    node: Node, phone: Any
) -> None:
    await phone.goto(f"{node.settings.origin}/alert/urgent")
    await phone.click("#begin")
    await phone.check("[name=urgency][value=high]")
    await phone.fill("[name=summary]", SUMMARY)
    while not await phone.is_visible("#seal"):
        await phone.click(".step[data-current] [data-next]")
    await fill_disk(node)
    await phone.click("#seal")
    words = await keep_words(phone)
    await phone.wait_for_selector("#sending-error:visible")

    assert "Le serveur de l’organisation est plein en ce moment" in await phone.inner_text("#sending-error")
    assert "Rien de ce que vous avez saisi n’est perdu" in await phone.inner_text("#sending-error")
    assert await phone.input_value("[name=summary]") == SUMMARY
    assert await barriers(phone) == []
    assert await alerts(node) == []
    await clear_disk(node)
    await phone.click("#retry")
    await phone.wait_for_selector("#arrived:visible")

    assert len(words) == 12
    assert len(await alerts(node)) == 1
