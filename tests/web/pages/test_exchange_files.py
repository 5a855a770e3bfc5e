"""Files in the exchange, both ways: claimed with their message, handed to their own mailbox alone, gone with it."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from node.casework import triage
from node.intake import uploads
from node.intake.alerts import Alert, Attachment, UploadPart
from node.intake.pressure import Pressure, work_bits
from node.intake.uploads import SealedFile
from node.sealing.alerts import compose_message, open_attachment, open_mailbox
from node.sealing.attachments import File, SealedUpload, seal_file
from node.sealing.dialogue import Entry, Message
from node.sealing.envelope import from_base64
from node.sealing.errors import MalformedContent, NotForThisKey
from node.sealing.signing import SigningKey, signing_key
from tests.rig.alerts import a_recipient, seeded
from tests.rig.sources import Source, put_parts, sent

LETTER = File("letter (fictional).txt", "text/plain", b"SEALED-CANARY a fictional letter " * 300)


@pytest.fixture
async def source(node: Any, people: list[Any], visitor: httpx.AsyncClient) -> Source:
    return await sent(node, visitor, File("a.txt", "text/plain", b"fictional"))


async def opened(source: Source, *desk: str) -> Any:
    return open_mailbox((await source.send("GET", "")).json(), source.alert.source, desk=desk)


async def a_message(source: Source, file: SealedUpload, *, by: SigningKey | None = None) -> dict[str, Any]:
    day = source.node.clock.now().date()
    key = by or source.alert.source.signing
    return compose_message(await opened(source), "Here it is.", by=key, day=day, files=[file])


async def a_file(source: Source, file: File = LETTER) -> SealedUpload:
    return seal_file(file, (await opened(source)).dialogue.recipient)


async def fetch(source: Source, upload: str, part: int = 0) -> httpx.Response:
    return await source.send("GET", f"/attachments/{upload}/{part}")


async def files_kept(node: Any) -> list[int]:
    async with node.database.read() as session:
        return [
            await session.scalar(select(func.count()).select_from(kind)) or 0
            for kind in (Attachment, UploadPart)
        ]


async def test_a_file_of_the_source_comes_with_its_message_and_opens_again(
    node: Any, source: Source, visitor: httpx.AsyncClient
) -> None:
    file = await a_file(source)
    await put_parts(visitor, file)

    posted = await source.send("POST", "/messages", await a_message(source, file))
    mailbox = await opened(source)
    content = mailbox.entries[-1].content
    part = await fetch(source, file.attachment.upload)

    assert posted.status_code == 201
    assert content == Message("Here it is.", (file.attachment,))
    assert open_attachment(mailbox, content.attachments[0], part.content) == LETTER.content
    assert LETTER.name.encode() not in part.content
    assert part.headers["cache-control"] == "no-store"


async def test_a_file_of_the_desk_reaches_its_source(
    node: Any, people: list[Any], source: Source, visitor: httpx.AsyncClient
) -> None:
    ana = signing_key(seeded("ed25519 Ana"))
    file = await a_file(source)
    await put_parts(visitor, file)
    message = await a_message(source, file, by=ana)
    wires = [SealedFile(**one) for one in message["attachments"]]
    async with node.database.begin() as session:
        await triage.ask_source(
            session,
            source.alert.id,
            seq=message["seq"],
            sealed=from_base64(message["sealed"]),
            files=wires,
            by=people[0],
            now=node.clock.now(),
        )

    mailbox = await opened(source, ana.id)
    entry = mailbox.entries[-1]
    part = await fetch(source, file.attachment.upload)

    assert isinstance(entry, Entry)
    assert entry.author == "desk"
    assert isinstance(entry.content, Message)
    assert open_attachment(mailbox, entry.content.attachments[0], part.content) == LETTER.content


async def test_a_message_whose_file_is_missing_torn_or_claimed_is_refused_whole(
    node: Any, source: Source, visitor: httpx.AsyncClient
) -> None:
    file = await a_file(source)
    message = await a_message(source, file)
    (wire,) = message["attachments"]

    missing = await source.send("POST", "/messages", message)
    await put_parts(visitor, file)
    torn = await source.send("POST", "/messages", message | {"attachments": [wire | {"sha256": "0" * 64}]})
    short = await source.send("POST", "/messages", message | {"attachments": [wire | {"parts": 2}]})
    twice = await source.send("POST", "/messages", message | {"attachments": [wire, wire]})
    before = len((await opened(source)).entries)
    first = await source.send("POST", "/messages", message)
    again = await source.send("POST", "/messages", await a_message(source, file))

    assert [one.status_code for one in (missing, torn, short, twice)] == [400] * 4
    assert (before, first.status_code, again.status_code) == (1, 201, 400)
    assert len((await opened(source)).entries) == 2


async def test_a_foreign_receipt_gets_nothing_of_a_file(
    node: Any, source: Source, visitor: httpx.AsyncClient
) -> None:
    file = await a_file(source)
    await put_parts(visitor, file)
    await source.send("POST", "/messages", await a_message(source, file))
    stranger = await sent(node, visitor)

    foreign = await fetch(stranger, file.attachment.upload)
    never = await fetch(stranger, "0" * 32)
    nobody = await visitor.get(f"/api/v1/mailbox/attachments/{file.attachment.upload}/0")
    beyond = await fetch(source, file.attachment.upload, 1)
    unclaimed = await fetch(source, (await a_file(source)).attachment.upload)

    assert {one.status_code for one in (foreign, never, nobody, beyond, unclaimed)} == {404}
    assert foreign.content == never.content


async def test_a_part_of_another_case_or_compartment_or_of_another_file_does_not_open(
    node: Any, source: Source, visitor: httpx.AsyncClient
) -> None:
    mine, other = await a_file(source), await a_file(source, replace(LETTER, content=b"another"))
    mailbox = await opened(source)
    elsewhere = seal_file(LETTER, a_recipient("identity"))
    stranger = await sent(node, visitor)
    theirs = await a_file(stranger)

    for swapped in (elsewhere, theirs):
        with pytest.raises(NotForThisKey):
            open_attachment(mailbox, mine.attachment, swapped.parts[0].data)
    with pytest.raises(MalformedContent):
        open_attachment(mailbox, mine.attachment, other.parts[0].data)


async def test_files_cost_the_work_of_an_alert_and_words_alone_do_not(
    node: Any, source: Source, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await a_file(source)
    await put_parts(visitor, file)
    monkeypatch.setattr(Pressure, "bits", lambda self, *, now: 8)
    day, now = node.clock.now().date().isoformat(), node.clock.now()
    message = await a_message(source, file)

    refused = await source.send("POST", "/messages", message)
    nonce = next(
        str(one)
        for one in range(10**5)
        if work_bits(f"{day}.{one}", node=node.settings.origin, alert_id=source.alert.id, now=now) >= 8
    )
    source.headers["work"] = f"{day}.{nonce}"
    taken = await source.send("POST", "/messages", message)
    del source.headers["work"]
    words = compose_message(
        await opened(source), "And words.", by=source.alert.source.signing, day=now.date()
    )

    assert (refused.status_code, refused.json()) == (428, {"error": "work", "bits": 8})
    assert taken.status_code == 201
    assert (await source.send("POST", "/messages", words)).status_code == 201


async def test_an_exchange_holds_so_many_files_and_a_blocked_one_takes_none(
    node: Any, source: Source, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await a_file(source)
    await put_parts(visitor, file)
    message = await a_message(source, file)
    many = json.loads(json.dumps(message)) | {"attachments": message["attachments"] * 11}

    too_many = await source.send("POST", "/messages", many)
    monkeypatch.setattr(uploads, "MAX_FILES_OF_ALERT", 1)
    full = await source.send("POST", "/messages", message)
    monkeypatch.undo()
    async with node.database.begin() as session:
        (await session.get(Alert, source.alert.id)).is_blocked = True
    blocked = await source.send("POST", "/messages", message)

    assert (too_many.status_code, full.status_code, blocked.status_code) == (400, 413, 409)
    assert await files_kept(node) == [1, 2]


async def test_burning_the_mailbox_takes_the_files_of_both_sides(
    node: Any, source: Source, visitor: httpx.AsyncClient
) -> None:
    file = await a_file(source)
    await put_parts(visitor, file)
    await source.send("POST", "/messages", await a_message(source, file))
    assert await files_kept(node) == [2, 2]

    await source.send("DELETE", "")

    assert await files_kept(node) == [0, 0]
    assert not [path for path in (node.settings.data / "blobs").rglob("*") if path.is_file()]
    assert (await fetch(source, file.attachment.upload)).status_code == 404
