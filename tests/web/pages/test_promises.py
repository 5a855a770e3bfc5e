"""A promised hour at every door of a source: said before anything is sent, and only then told to the server."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from node.intake.duty import Duty, make_promise
from node.intake.forms import publish_draft, save_draft
from node.runtime import Node
from node.staff.accounts import NODE
from tests.rig.alerts import a_member
from tests.web.door import barriers, keep_words
from tests.web.pages.readers import words
from vocab.jsonld import parse
from vocab.sourceform import Purpose, SourceForm, bundled

URGENT = {"summary": "Men wait in front of the door (fictional)", "urgency": "imminent"}
PROMISED = "promises that a person answers within 3 days of its arrival"


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    return partial(settings, plain_door="1")


@pytest.fixture(autouse=True)
async def people(node: Node) -> None:
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)


async def promise(node: Node) -> None:
    async with node.database.begin() as session:
        await make_promise(session, 72, by=NODE, now=node.clock.now())


async def duties(node: Node) -> list[Duty]:
    async with node.database.read() as session:
        return list(await session.scalars(select(Duty)))


async def send_plain(visitor: httpx.AsyncClient, path: str, fields: dict[str, str]) -> None:
    answer = await visitor.post(path, files={name: (None, text) for name, text in fields.items()})
    assert answer.status_code == 200, answer.text


async def test_without_scripts_it_is_said_before_sending_and_counted_for_what_is_urgent_alone(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    before = words((await visitor.get("/alert/plain/urgent?lang=en")).text)
    await send_plain(visitor, "/alert/plain/urgent", URGENT)
    assert await duties(node) == []
    await promise(node)

    page = words((await visitor.get("/alert/plain/urgent?lang=en")).text)
    await send_plain(visitor, "/alert/plain/urgent", URGENT)
    await send_plain(visitor, "/alert/plain", URGENT | {"kind": "violation", "state": "IE"})

    assert "has not promised an hour" in before
    assert PROMISED in page
    assert "the server notes the hour in which it arrives" in page
    assert [one.hours for one in await duties(node)] == [72]


async def test_what_an_organisation_wrote_about_its_hours_is_still_read_beside_its_promise(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    document = dict(parse(bundled(Purpose.URGENT).body))
    form = SourceForm.parse(document | {"notice": {"en": "We answer by six in the evening (fictional)."}})
    now = node.clock.now()
    async with node.database.begin() as session:
        await save_draft(session, form, by=NODE, now=now)
        await publish_draft(session, Purpose.URGENT, sha256=form.sha256, by=NODE, now=now)
    alone = words((await visitor.get("/alert/urgent?lang=en")).text)
    await promise(node)
    both = words((await visitor.get("/alert/urgent?lang=en")).text)
    carried = words((await visitor.get("/alert/urgent/offline.html?lang=en")).text)

    assert "We answer by six in the evening (fictional)." in alone
    for page in (both, carried):
        assert "We answer by six in the evening (fictional)." in page
        assert PROMISED in page


@pytest.mark.browser
async def test_the_short_form_says_the_promise_and_its_script_tells_the_server_what_it_holds_for(
    node: Node, visitor: httpx.AsyncClient, browser: Any
) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 800}, locale="en-GB")

    async def answer(route: Any) -> None:
        asked = route.request
        found = await visitor.request(
            asked.method, asked.url, headers=await asked.all_headers(), content=asked.post_data_buffer
        )
        await route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    await context.route("**/*", answer)
    phone = await context.new_page()
    await phone.clock.set_fixed_time(node.clock.now())
    for has_promise in (False, True):
        if has_promise:
            await promise(node)
        await phone.goto(f"{node.settings.origin}/alert/urgent")
        assert (PROMISED in await phone.inner_text("#opening")) is has_promise
        await phone.click("#begin")
        await phone.check("[name=urgency][value=high]")
        await phone.fill("[name=summary]", URGENT["summary"])
        while not await phone.is_visible("#seal"):
            await phone.click(".step[data-current] [data-next]")
        await phone.click("#seal")
        await keep_words(phone)
        await phone.wait_for_selector("#arrived:visible")
        assert (PROMISED in await phone.inner_text("#arrived")) is has_promise
        assert len(await duties(node)) == has_promise
    assert await barriers(phone) == []
    await context.close()
