"""Readers' pages in a browser: nothing runs off the side of a phone, the themes hold, and scripts are not needed."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from node.runtime import Node
from tests.web.pages.readers import put, sample

pytestmark = pytest.mark.browser

PATHS = ("/", "/cases", "/cases?state=AL", "/cases/sample-06", "/about", "/follow", "/ns/v1", "/nothing")
PAPER = {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 25, 31)"}


@pytest.fixture
async def filled(node: Node) -> Node:
    """A node with long German words, Ukrainian, and a case of every kind."""
    for number in ("01", "04", "05", "06", "07", "19"):
        await put(node, sample(number), number)
    return node


@pytest.fixture
async def phone(browser: Any, visitor: httpx.AsyncClient) -> AsyncIterator[Any]:
    """A phone without scripts, 390 pixels wide, whose requests go straight to the application."""
    context = await browser.new_context(viewport={"width": 390, "height": 800}, java_script_enabled=False)

    async def answer(route: Any) -> None:
        found = await visitor.get(route.request.url, headers=await route.request.all_headers())
        await route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    await context.route("**/*", answer)
    yield await context.new_page()
    await context.close()


async def test_no_page_runs_off_the_side_of_a_phone(filled: Node, phone: Any) -> None:
    wide = []
    for path in PATHS:
        sign = "&" if "?" in path else "?"
        await phone.goto(f"{filled.settings.origin}{path}{sign}lang=fr")  # of the three, the longest words
        width = await phone.locator("html").evaluate("html => html.scrollWidth")
        if width > 390:
            wide.append((path, width))
    assert wide == []


async def test_the_switch_of_themes_works_without_scripts(filled: Node, phone: Any) -> None:
    await phone.goto(filled.settings.origin)
    body = phone.locator("body")

    for theme in ("dark", "light"):
        await phone.locator(f"#theme-{theme}").check()
        seen = await body.evaluate("body => getComputedStyle(body).backgroundColor")
        assert seen == PAPER[theme]


async def test_filters_work_without_scripts(filled: Node, phone: Any) -> None:
    await phone.goto(f"{filled.settings.origin}/cases")
    await phone.get_by_role("link", name="Search and filter").click()
    await phone.get_by_label("State").select_option("DE")
    await phone.get_by_role("button", name="Show").click()

    assert "state=DE" in phone.url
    assert await phone.get_by_role("heading", name="1 case").is_visible()
