"""The door of last resort filled in from top to bottom: all of it is taken, and none of it is lost when it cannot be."""

from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from node.intake.alerts import Attachment
from node.intake.uploads import MAX_FILES
from tests.rig.alerts import a_member

FILES = [("attachments", (f"{n}.pdf", b"x" * 900, "application/pdf")) for n in range(MAX_FILES)]


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node whose operator opened this door."""
    return partial(settings, plain_door="1")


@pytest.fixture(autouse=True)
async def people(node: Any) -> None:
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)


class FilledIn(HTMLParser):
    """What a browser sends of a page in which everything is ticked, chosen and written into."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._menu = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "text")
        match tag, kind:
            case "input", "hidden" | "radio":
                self.fields[name] = [value]
            case "input", "checkbox":
                self.fields.setdefault(name, []).append(value)
            case ("input", "text") | ("textarea", _):
                self.fields[name] = ["2026" if "date" in name else "7"]
            case "select", _:
                self._menu = name
            case "option", _ if self._menu:
                self.fields[self._menu] = [value]


async def test_every_box_ticked_with_as_many_files_as_may_be_is_taken(
    node: Any, visitor: httpx.AsyncClient
) -> None:
    filled = FilledIn((await visitor.get("/alert/plain?lang=en")).text).fields

    answer = await visitor.post("/alert/plain?lang=en", data=filled, files=FILES)

    assert sum(map(len, filled.values())) > 300
    assert answer.status_code == 200, answer.text
    async with node.database.read() as session:
        assert len((await session.scalars(select(Attachment))).all()) == MAX_FILES
