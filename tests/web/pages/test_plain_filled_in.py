"""The door of last resort filled in from top to bottom: all of it is taken, and none of it is lost when it cannot be."""

import re
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from node.errors import Invalid, NoRoom, Throttled, TooLarge
from node.intake import parts
from node.intake.alerts import Alert, Attachment, UploadPart
from node.intake.switch import close_intake
from node.intake.uploads import MAX_FILES, MAX_PART_BYTES
from vocab.sourceform import Purpose, bundled

pytestmark = pytest.mark.usefixtures("people")

FILES = [("attachments", (f"{n}.pdf", b"x" * 900, "application/pdf")) for n in range(MAX_FILES)]


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node whose operator opened this door."""
    return partial(settings, plain_door="1")


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


BEFORE, AFTER = "the canary sang", "the bell rang"


def cut(size: int) -> bytes:
    """A form as a browser sends it, with an answer before its file and one after."""
    out = b""
    for name, content in (
        ("form", bundled(Purpose.ALERT).sha256.encode()),
        ("kind", b"violation"),
        ("state", b"IE"),
        ("summary", BEFORE.encode()),
        ('attachments"; filename="film.mp4', b"x" * size),
        ("confidential_account", AFTER.encode()),
    ):
        out += (
            b'--b\r\nContent-Disposition: form-data; name="'
            + name.encode()
            + b'"\r\n\r\n'
            + content
            + b"\r\n"
        )
    return out + b"--b--\r\n"


async def hand_in(visitor: httpx.AsyncClient, size: int = 9000, language: str = "en") -> httpx.Response:
    return await visitor.post(
        f"/alert/plain?lang={language}",
        content=cut(size),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )


@pytest.mark.parametrize(
    ("language", "said"), [("en", "still below"), ("fr", "toujours ci-dessous"), ("es", "sigue más abajo")]
)
async def test_a_door_that_closed_meanwhile_hands_back_what_was_typed_and_says_where_else_to_go(
    node: Any, visitor: httpx.AsyncClient, language: str, said: str
) -> None:
    await visitor.get("/alert/plain")
    async with node.database.begin() as session:
        await close_intake(session, "Fictional Helpline, by day", by="ada", now=node.clock.now())

    answer = await hand_in(visitor, language=language)

    assert answer.status_code == 503
    for words in (BEFORE, AFTER, said, "Fictional Helpline"):
        assert answer.text.count(words) == 1
    assert bundled(Purpose.ALERT).sha256 not in re.sub("<input[^>]+>", "", answer.text)
    assert 'type="submit"' not in answer.text
    assert await kept(node) == ([], [])


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (NoRoom("full"), 503),
        (Throttled("much waits", retry_after=60), 429),
        (TooLarge("a file is too large"), 413),
        (Invalid("an empty part"), 400),
    ],
)
@pytest.mark.parametrize("size", [9000, 3 * MAX_PART_BYTES])
async def test_a_file_that_cannot_be_kept_loses_no_answer_after_it(
    node: Any,
    visitor: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
    status: int,
    size: int,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr(parts, "store_part", refuse)
    answer = await hand_in(visitor, size)

    assert answer.status_code == status
    assert BEFORE in answer.text
    assert AFTER in answer.text
    assert 'type="submit"' in answer.text
    assert await kept(node) == ([], [])


async def test_one_file_too_many_loses_no_answer(node: Any, visitor: httpx.AsyncClient) -> None:
    answer = await visitor.post("/alert/plain?lang=en", data={"summary": BEFORE}, files=[*FILES, FILES[0]])

    assert answer.status_code == 413
    assert BEFORE in answer.text


async def kept(node: Any) -> tuple[list[Alert], list[UploadPart]]:
    async with node.database.read() as session:
        return list(await session.scalars(select(Alert))), list(await session.scalars(select(UploadPart)))
