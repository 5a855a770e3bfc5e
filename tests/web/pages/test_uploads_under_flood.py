"""What a stranger can make the server read and keep: nothing is read before what is cheap holds, and what waits counts as load."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from node.blobs import MAX_READERS, Blobs
from node.errors import Invalid, TooLarge
from node.intake import pressure, uploads
from node.intake.manifest import IntakeManifest
from node.intake.pressure import FIRST_BITS, WINDOW, Pressure
from node.intake.receive import SealedAlert
from node.intake.uploads import MAX_FILES, SealedFile, check_files
from node.sealing.age import seal
from tests.rig.alerts import a_file, a_member, a_recipient, an_alert, as_request
from web.pages.sending import manifest_now

CONTENT = seal(b"a fictional photograph", a_recipient("dialogue one"))
FILE = a_file([CONTENT])


@pytest.fixture
async def manifest(node: Any) -> IntakeManifest:
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)
    return await manifest_now(node)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blobs that were read."""
    seen: list[str] = []
    stream = Blobs.stream

    def watched(self: Blobs, name: str) -> AsyncIterator[bytes]:
        seen.append(name)
        return stream(self, name)

    monkeypatch.setattr(Blobs, "stream", watched)
    return seen


async def put(visitor: httpx.AsyncClient, file: SealedFile = FILE) -> httpx.Response:
    return await visitor.put(f"/api/v1/uploads/{file.upload}/0", content=CONTENT)


async def post(visitor: httpx.AsyncClient, alert: SealedAlert) -> httpx.Response:
    return await visitor.post(
        "/api/v1/alerts",
        content=json.dumps(as_request(alert)),
        headers={"content-type": "application/json"},
    )


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ([FILE] * MAX_FILES, {}),
        ([FILE], {"manifest": "0" * 64}),
        ([FILE], {"wraps": ()}),
        ([FILE], {"identity": a_recipient("dialogue one")}),
        ([replace(FILE, size=FILE.size - 1)], {}),
        ([replace(FILE, parts=2)], {}),
    ],
)
async def test_nothing_is_read_for_an_alert_that_is_refused_anyway(
    visitor: httpx.AsyncClient,
    manifest: IntakeManifest,
    read: list[str],
    files: Sequence[SealedFile],
    changes: dict[str, Any],
) -> None:
    await put(visitor)

    answer = await post(visitor, an_alert(manifest, attachments=tuple(files), **changes))

    assert answer.status_code in (400, 409)
    assert read == []


async def test_an_alert_that_is_here_already_is_not_read_again(
    visitor: httpx.AsyncClient, manifest: IntakeManifest, read: list[str]
) -> None:
    await put(visitor)
    alert = an_alert(manifest, attachments=(FILE,))

    assert [(await post(visitor, alert)).status_code for _ in range(3)] == [201, 200, 200]
    assert len(read) == 1


async def test_nobody_who_is_not_signed_in_makes_the_desk_read(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest, read: list[str]
) -> None:
    await put(visitor)
    request = as_request(an_alert(manifest, attachments=(FILE,)))
    answer = await visitor.post(
        f"/api/v1/desk/alerts/{request['id']}/messages",
        json={
            "seq": 2,
            "sealed": request["objects"][0]["sealed"],
            "attachments": request["attachments"],
        },
        headers={"origin": node.settings.origin},
    )

    assert answer.status_code == 401
    assert read == []


async def test_one_file_too_many_is_refused_and_one_named_twice(node: Any) -> None:
    for files, kind in (([FILE] * (MAX_FILES + 1), TooLarge), ([FILE, FILE], Invalid)):
        async with node.database.read() as session:
            with pytest.raises(kind):
                await check_files(session, node.blobs, files)


async def test_no_more_than_two_files_are_read_at_once_and_no_connection_waits_with_them(
    node: Any, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(visitor)
    present, most = 0, 0
    go_on = asyncio.Event()

    async def slow(_: Blobs, __: str) -> AsyncIterator[bytes]:
        nonlocal present, most
        present += 1
        most = max(most, present)
        await go_on.wait()
        yield CONTENT
        present -= 1

    async def check() -> None:
        async with node.database.read() as session:
            await check_files(session, node.blobs, [FILE])

    monkeypatch.setattr(Blobs, "stream", slow)
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(check())
        while most < MAX_READERS:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        held = node.database.engine.pool.checkedout()
        go_on.set()

    assert most == MAX_READERS
    assert held == 0


def test_files_that_wait_raise_the_price_of_sending_and_are_forgotten_with_the_arrivals(now: Any) -> None:
    load = Pressure()
    load.weigh(uploads.MAX_WAITING_BYTES // 2 - 1, now=now)
    assert load.bits(now=now) == 0

    load.count(now=now)
    assert load.bits(now=now) == FIRST_BITS
    load.weigh(uploads.MAX_WAITING_BYTES, now=now)
    assert load.bits(now=now) == FIRST_BITS + 2
    assert load.wait(now=now) > timedelta()
    assert load.bits(now=now + WINDOW) == 0


async def test_work_is_asked_for_once_half_the_room_waits(
    visitor: httpx.AsyncClient, manifest: IntakeManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "HEAVY_BYTES", len(CONTENT))
    before = await post(visitor, an_alert(manifest))
    await put(visitor)

    after = await post(visitor, an_alert(manifest, "two"))

    assert (before.status_code, after.status_code) == (201, 428)
    assert after.json()["bits"] == FIRST_BITS
