"""Following from one's own account, in a browser without scripts, with the keyboard alone: to the page of the visitor's own server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.rig.processes import Served
from tests.web.door import barriers

FOLLOW = "https://w3id.org/fep/3b86/Follow"
FOCUSED = "document.activeElement.matches"
PHONE = {"width": 390, "height": 844}

pytestmark = pytest.mark.browser


@contextmanager
def a_home(template: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The visitor's own server, on this machine, and what it is asked. `{here}` in the template is its origin."""
    asked: list[tuple[str, str]] = []

    class Home(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("referer", "")))
            is_finger = self.path.startswith("/.well-known/webfinger")
            link = {"rel": FOLLOW, "template": template.replace("{here}", here)}
            body = (
                json.dumps({"subject": "acct:you@x", "links": [link]}).encode()
                if is_finger
                else b"<p>Here</p>"
            )
            self.send_response(200)
            self.send_header("content-type", "application/jrd+json" if is_finger else "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Home) as server:
        here = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield urlsplit(here).netloc, asked
        finally:
            server.shutdown()
            thread.join()


async def tab_to(page: Any, selector: str) -> None:
    for _ in range(200):
        await page.keyboard.press("Tab")
        if await page.evaluate(f"{FOCUSED}({json.dumps(selector)})"):
            return
    raise AssertionError(f"no Tab leads to {selector}")


async def test_a_visitor_comes_to_their_own_server_with_the_keyboard_alone(
    browser: Any, door: Served
) -> None:
    with a_home("{here}/intents?o={object}") as (home, asked):
        context = await browser.new_context(java_script_enabled=False, locale="fr-FR", viewport=PHONE)
        page = await context.new_page()
        strangers: list[str] = []
        page.on("request", lambda request: strangers.append(request.url))

        await page.goto(f"{door.origin}/follow")
        await tab_to(page, "#account")
        await page.keyboard.type(f"@you@{home}")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".notice a.button")
        # Nothing of that server is loaded before the visitor goes there.
        assert [url for url in strangers if not url.startswith(door.origin)] == []
        assert await page.get_by_text(f"Continuer sur {home}").count() == 1
        await tab_to(page, ".notice a.button")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"http://{home}/intents**")
        await context.close()

        # axe needs scripts, which the page has none of.
        looking = await (await browser.new_context(viewport=PHONE)).new_page()
        found = {}
        for path in ("/follow", f"/follow?account=@you@{home}"):
            await looking.goto(door.origin + path)
            found[path.partition("=")[0]] = await barriers(looking)
        assert await looking.locator(".notice a.button").count() == 1
        await looking.context.close()

    actor = f"{door.origin}/actors/cases".replace(":", "%3A").replace("/", "%2F")
    assert found == {"/follow": [], "/follow?account": []}
    assert (f"/intents?o={actor}", "") in asked


@pytest.mark.parametrize("template", ["javascript:alert(1)//{object}", "http://10.0.0.1/?o={object}"])
async def test_an_evil_answer_leads_to_the_page_that_most_servers_have(
    browser: Any, door: Served, template: str
) -> None:
    with a_home(template) as (home, _):
        context = await browser.new_context(locale="en-GB")
        page = await context.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message))

        await page.goto(f"{door.origin}/follow?account=@you@{home}")
        await page.click(".notice a.button")
        await page.wait_for_url(f"http://{home}/authorize_interaction**")
        await context.close()

    assert said == []


async def test_what_is_no_account_is_said_beside_the_field(browser: Any, door: Served) -> None:
    context = await browser.new_context(locale="es-ES")
    page = await context.new_page()

    await page.goto(f"{door.origin}/follow?account=you")
    found = await barriers(page)
    described = await page.get_attribute("#account", "aria-describedby")
    await context.close()

    assert found == []
    assert described == "account-help account-problem"
