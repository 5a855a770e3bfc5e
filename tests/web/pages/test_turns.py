"""The doors without scripts under load: who fetched a page and waited is let in, who only sends is not, and nothing typed is lost."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from node.intake.alerts import Alert
from node.intake.pressure import Pressure
from tests.web.pages.test_sealed import age_file

pytestmark = pytest.mark.usefixtures("people")

WAIT = timedelta(seconds=30)
FIELDS = {"kind": "violation", "state": "IE", "summary": "Fictional. The stairwell is flooded."}


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node with every door open."""
    return partial(settings, plain_door="1")


@pytest.fixture
def flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Much arrives at present."""
    monkeypatch.setattr(Pressure, "wait", lambda self, *, now: WAIT)


async def kept(node: Any) -> int:
    async with node.database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(Alert)) or 0)


async def sealed_file(visitor: httpx.AsyncClient) -> bytes:
    lines = (await visitor.get("/alert/keys.txt")).text.splitlines()
    return age_file([line for line in lines if not line.startswith("#")])


def ticket_in(page: httpx.Response) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def hand_in(
    visitor: httpx.AsyncClient, path: str, ticket: str | None, content: bytes
) -> httpx.Response:
    fields = FIELDS if path == "/alert/plain" else {}
    ticketed = {} if ticket is None else {"ticket": ticket}
    name = "attachments" if path == "/alert/plain" else "package"
    # In the order of the page: the ticket stands before what it is for.
    return await visitor.post(f"{path}?lang=en", data=ticketed | fields, files={name: ("file.age", content)})


@pytest.mark.parametrize("path", ["/alert/sealed", "/alert/plain"])
async def test_on_an_ordinary_day_nobody_waits(node: Any, visitor: httpx.AsyncClient, path: str) -> None:
    page = await visitor.get(path)
    answer = await hand_in(visitor, path, None, await sealed_file(visitor))

    assert "seconds" not in page.text
    assert answer.status_code == 200
    assert await kept(node) == 1


@pytest.mark.usefixtures("flood")
@pytest.mark.parametrize("path", ["/alert/sealed", "/alert/plain"])
async def test_under_load_a_page_that_waited_is_taken_once_and_nothing_else_is(
    node: Any, visitor: httpx.AsyncClient, clock: Any, path: str
) -> None:
    content = await sealed_file(visitor)
    page = await visitor.get(f"{path}?lang=en")
    ticket = ticket_in(page)
    refused = [await hand_in(visitor, path, one, content) for one in (None, "1.2.3", ticket)]

    assert "30 seconds" in page.text
    assert [answer.status_code for answer in refused] == [429, 429, 429]
    assert [answer.headers["retry-after"] for answer in refused] == ["30", "30", "30"]
    assert ticket_in(refused[2]) == ticket  # it goes on waiting
    assert ticket_in(refused[1]) not in ("1.2.3", ticket)
    assert await kept(node) == 0

    clock.forward(seconds=30)
    taken = await hand_in(visitor, path, ticket, content)
    again = await hand_in(visitor, path, ticket, content)

    assert (taken.status_code, again.status_code) == (200, 429)
    assert await kept(node) == 1


@pytest.mark.usefixtures("flood")
async def test_what_was_typed_is_still_there_when_the_page_has_to_wait(visitor: httpx.AsyncClient) -> None:
    page = await hand_in(visitor, "/alert/plain", None, b"fictional")

    assert page.status_code == 429
    assert FIELDS["summary"] in page.text
    assert "wait 30 seconds" in page.text


@pytest.mark.usefixtures("flood")
async def test_a_ticket_is_not_lost_to_a_file_that_could_not_be_taken(
    node: Any, visitor: httpx.AsyncClient, clock: Any
) -> None:
    ticket = ticket_in(await visitor.get("/alert/sealed"))
    clock.forward(seconds=30)

    assert (await hand_in(visitor, "/alert/sealed", ticket, b"in clear " * 100)).status_code == 400
    assert (await hand_in(visitor, "/alert/sealed", ticket, await sealed_file(visitor))).status_code == 200


@pytest.mark.usefixtures("flood")
async def test_a_tool_waits_with_a_ticket_in_a_header(
    node: Any, visitor: httpx.AsyncClient, clock: Any
) -> None:
    content = await sealed_file(visitor)
    price = (await visitor.get("/api/v1/work")).json()
    refused = await visitor.put("/alert/sealed", content=content, headers={"accept": "application/json"})
    clock.forward(seconds=price["wait_seconds"])
    taken = await visitor.put("/alert/sealed", content=content, headers={"ticket": price["ticket"]})

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert taken.status_code == 201


@pytest.mark.usefixtures("flood")
@pytest.mark.parametrize(("language", "said"), [("fr", "attendre 30 secondes"), ("es", "Espere 30 segundos")])
async def test_the_refusal_is_in_the_language_of_the_page(
    visitor: httpx.AsyncClient, language: str, said: str
) -> None:
    page = await visitor.post(f"/alert/sealed?lang={language}", files={"package": ("a.age", b"x")})

    assert said in page.text


async def test_what_arrives_at_these_doors_counts_as_load(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Any] = []
    monkeypatch.setattr(Pressure, "count", lambda self, *, now: counted.append(now))
    await hand_in(visitor, "/alert/sealed", None, b"in clear " * 100)
    assert counted == []

    await hand_in(visitor, "/alert/sealed", None, await sealed_file(visitor))
    await hand_in(visitor, "/alert/plain", None, b"fictional")
    assert len(counted) == 2
