"""The source's door from outside: strict bodies, safe answers, and nothing in the logs that could hurt a source."""

import hashlib
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event, func, select

from node.database import Row
from node.errors import NotFound
from node.intake.alerts import Alert, UploadPart
from node.intake.chores import purge_uploads
from node.intake.manifest import IntakeManifest
from node.intake.switch import close_intake
from node.intake.uploads import MAX_PART_BYTES, MAX_PARTS
from node.outbox import Job
from node.sealing.age import seal
from node.worker import run_due
from tests.rig.alerts import (
    a_file,
    a_member,
    a_recipient,
    an_alert,
    as_request,
    b64,
    mailbox_token,
    sealed_to,
    seeded,
)

MANIFEST = "/.well-known/social-rights-tracker/intake"
UPLOAD = seeded("upload a file").hex()[:32]


@pytest.fixture
async def manifest(node: Any, visitor: httpx.AsyncClient) -> IntakeManifest:
    """Two people read alerts here; this is the list a source's client fetched."""
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)
    response = await visitor.get(MANIFEST)
    assert response.status_code == 200
    async with node.database.read() as session:
        row: IntakeManifest | None = await session.scalar(select(IntakeManifest))
    assert row is not None
    assert row.body == response.content
    return row


def post(body: Any, **changes: Any) -> dict[str, Any]:
    return {"content": json.dumps(body | changes).encode(), "headers": {"content-type": "application/json"}}


def authorization(label: str = "one") -> dict[str, str]:
    return {"authorization": f"Mailbox {mailbox_token(label).hex()}"}


# ---- the door is closed --------------------------------------------------------------------------------------------


async def test_with_one_reader_the_door_is_closed(node: Any, visitor: httpx.AsyncClient) -> None:
    async with node.database.begin() as session:
        await a_member(session, "Ana")

    response = await visitor.get(MANIFEST)

    assert response.status_code == 503
    assert response.json() == {"error": "No alerts are taken here at present.", "code": "door-closed"}


async def test_the_last_list_stays_to_be_read_with_while_the_door_is_closed(
    node: Any, visitor: httpx.AsyncClient
) -> None:
    async with node.database.begin() as session:
        await a_member(session, "Ana")
    unsigned = await visitor.get(MANIFEST, params={"latest": ""})
    async with node.database.begin() as session:
        await a_member(session, "Boris")
    present = await visitor.get(MANIFEST)

    async with node.database.begin() as session:
        await close_intake(session, "", by="node", now=node.clock.now())
    by_hand = await visitor.get(MANIFEST, params={"latest": ""})

    assert unsigned.json()["code"] == "door-closed"
    assert (await visitor.get(MANIFEST)).status_code == 503
    assert by_hand.content == present.content
    assert by_hand.headers["cache-control"] == "no-store"


async def test_a_private_person_is_led_to_organisations_by_state_and_loses_nothing_typed(
    visitor: httpx.AsyncClient,
) -> None:
    page = (await visitor.get("/alert?lang=fr")).text

    assert 'href="/organisations?lang=fr" target="_blank" rel="noopener noreferrer"' in page
    assert "Organisations par État" in page


async def test_the_form_of_a_closed_door_is_served_all_the_same(visitor: httpx.AsyncClient) -> None:
    for language in ("en", "fr", "es"):
        assert (await visitor.get(f"/alert?lang={language}")).status_code == 200


async def test_a_list_that_holds_is_served_without_writing(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    written: list[str] = []

    def note(conn: object, cursor: object, statement: str, *rest: object) -> None:
        written.append(statement)

    event.listen(node.database.engine.sync_engine, "before_cursor_execute", note)
    await visitor.get(MANIFEST)
    await visitor.get("/alert")

    assert written
    assert not [one for one in written if one.startswith(("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE"))]


async def test_an_alert_at_a_closed_door_is_refused(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    from node.casework.team import deactivate
    from node.staff.accounts import active_staff

    async with node.database.begin() as session:
        await deactivate(session, (await active_staff(session))[0].id, by=None, now=node.clock.now())

    response = await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest))))

    assert response.status_code == 503


# ---- strict bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"v":1,"v":1}',
        b'{"v":NaN}',
        b'\xef\xbb\xbf{"v":1}',
        b"[" * 10_000,
    ],
    ids=["empty", "null", "list", "cut", "not-utf8", "twice", "nan", "bom", "deep"],
)
async def test_what_is_not_strict_json_is_refused(
    visitor: httpx.AsyncClient, manifest: IntakeManifest, body: bytes
) -> None:
    response = await visitor.post("/api/v1/alerts", content=body)

    assert response.status_code == 400
    assert set(response.json()) <= {"error", "code", "fields"}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"v": "1"},
        {"id": "short"},
        {"id": "0" * 32 + "\n"},
        {"id": "G" * 32},
        {"id": None},
        {"mailbox": "0" * 63},
        {"wraps": {}},
        {"wraps": [{"compartment": "internal", "holder": "x", "sealed": ""}]},
        {"objects": [{"compartment": "dialogue", "seq": 1, "sealed": "not base64!"}]},
        {"objects": [{"compartment": "dialogue", "seq": 1.5, "sealed": ""}]},
        {"objects": [{"compartment": "dialogue", "seq": 0, "sealed": ""}]},
        {"source": {"age": "age1pq1x"}},
        {"attachments": [{"upload": "0" * 32, "parts": 9, "size": 1, "sha256": "0" * 64}]},
        {
            "attachments": [
                {"upload": "0" * 32, "parts": 1, "size": 1, "sha256": "0" * 64, "name": "photo.jpg"}
            ]
        },
        {"user_agent": "Mozilla"},
        {"ip": "192.0.2.1"},
    ],
)
async def test_a_field_that_is_not_as_it_must_be_is_refused(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest, change: dict[str, Any]
) -> None:
    response = await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest)), **change))

    assert response.status_code == 400
    assert "photo.jpg" not in response.text
    assert "192.0.2.1" not in response.text
    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Alert)) == 0


async def test_a_body_that_is_too_large_is_refused(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    response = await visitor.post("/api/v1/alerts", content=b'{"v":"' + b"x" * 1024 * 1024 + b'"}')

    assert response.status_code == 413


async def test_a_length_is_read_with_however_many_zeros_before_it(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    """`int` reads 4,300 digits."""
    for length, status in (("1", 400), ("9999999", 413)):
        said = {"content-length": "0" * 5_000 + length}

        assert (await visitor.post("/api/v1/alerts", content=b"x", headers=said)).status_code == status


async def test_a_body_that_unfolds_is_refused(visitor: httpx.AsyncClient, manifest: IntakeManifest) -> None:
    response = await visitor.post("/api/v1/alerts", content=b"x", headers={"content-encoding": "gzip"})

    assert response.status_code == 415


async def test_a_manifest_that_is_not_known_is_named_as_the_reason(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    response = await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest)), manifest="0" * 64))

    assert (response.status_code, response.json()) == (409, {"error": "manifest", "code": "conflict"})


async def test_what_is_not_sealed_is_refused_with_a_safe_sentence(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    alert = an_alert(manifest)
    plain = replace(alert.objects[0], sealed=b"My name is a secret and I live in a house.")

    response = await visitor.post(
        "/api/v1/alerts", **post(as_request(replace(alert, objects=(plain, alert.objects[1]))))
    )

    assert response.status_code == 400
    assert response.json() == {"error": "This is not an age file.", "code": "invalid"}


# ---- receiving -----------------------------------------------------------------------------------------------------


async def test_an_alert_is_received_once_however_often_it_is_sent(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    body = as_request(an_alert(manifest))

    first = await visitor.post("/api/v1/alerts", **post(body))
    again = await visitor.post("/api/v1/alerts", **post(body))
    other = await visitor.post("/api/v1/alerts", **post(body, mailbox="0" * 64))

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json() == {"received_on": "2026-11-21", "state": "received"}
    assert first.headers["cache-control"] == "no-store"
    assert "set-cookie" not in first.headers


# ---- files ---------------------------------------------------------------------------------------------------------


def a_sealed_file() -> bytes:
    return seal(b"a fictional photograph " * 400_000, a_recipient("dialogue one"))


def cut(data: bytes) -> list[bytes]:
    return [data[at : at + MAX_PART_BYTES] for at in range(0, len(data), MAX_PART_BYTES)]


async def test_a_file_arrives_in_parts_and_is_claimed(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    parts = cut(a_sealed_file())
    for number, part in enumerate(parts):
        for _ in range(2):
            response = await visitor.put(f"/api/v1/uploads/{UPLOAD}/{number}", content=part)
            assert response.status_code == 204
    alert = an_alert(manifest, attachments=(a_file(parts),))

    response = await visitor.post("/api/v1/alerts", **post(as_request(alert)))

    assert response.status_code == 201
    mailbox = (await visitor.get("/api/v1/mailbox", headers=authorization())).json()
    assert mailbox["attachments"] == as_request(alert)["attachments"]


async def test_a_part_is_never_replaced(node: Any, visitor: httpx.AsyncClient) -> None:
    await visitor.put(f"/api/v1/uploads/{UPLOAD}/0", content=b"one")

    response = await visitor.put(f"/api/v1/uploads/{UPLOAD}/0", content=b"two")

    assert response.status_code == 409
    with pytest.raises(NotFound):
        await node.blobs.get(hashlib.sha256(b"two").hexdigest())


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        (f"{UPLOAD}/0", b"", 400),
        (f"{UPLOAD}/0", b"x" * (MAX_PART_BYTES + 1), 413),
        (f"{UPLOAD}/{MAX_PARTS}", b"x", 413),
        (f"{UPLOAD}/-1", b"x", 404),
        ("..%2f..%2fetc/0", b"x", 404),
        ("ABCDEF" + UPLOAD[6:], b"x", 404),
    ],
)
async def test_a_part_that_cannot_be_is_refused(
    visitor: httpx.AsyncClient, path: str, content: bytes, status: int
) -> None:
    assert (await visitor.put(f"/api/v1/uploads/{path}", content=content)).status_code == status


async def test_files_that_are_not_whole_are_refused(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    parts = cut(a_sealed_file())
    file = a_file(parts)
    for number, part in enumerate(parts[:-1]):
        await visitor.put(f"/api/v1/uploads/{UPLOAD}/{number}", content=part)

    missing = await visitor.post(
        "/api/v1/alerts", **post(as_request(an_alert(manifest, attachments=(file,))))
    )
    await visitor.put(f"/api/v1/uploads/{UPLOAD}/{len(parts) - 1}", content=parts[-1])
    wrong_hash = replace(file, sha256="0" * 64)
    altered = await visitor.post(
        "/api/v1/alerts", **post(as_request(an_alert(manifest, attachments=(wrong_hash,))))
    )
    wrong_size = replace(file, size=file.size - 1)
    short = await visitor.post(
        "/api/v1/alerts", **post(as_request(an_alert(manifest, attachments=(wrong_size,))))
    )
    twice = await visitor.post(
        "/api/v1/alerts", **post(as_request(an_alert(manifest, attachments=(file, file))))
    )

    assert {one.status_code for one in (missing, altered, short, twice)} == {400}
    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).where(UploadPart.alert_id.is_not(None))) == 0


async def test_a_plain_file_is_refused(visitor: httpx.AsyncClient, manifest: IntakeManifest) -> None:
    plain = [b"\xff\xd8\xff a photograph that is not sealed " * 100]
    await visitor.put(f"/api/v1/uploads/{UPLOAD}/0", content=plain[0])

    response = await visitor.post(
        "/api/v1/alerts", **post(as_request(an_alert(manifest, attachments=(a_file(plain),))))
    )

    assert response.status_code == 400


async def test_a_file_belongs_to_one_alert(visitor: httpx.AsyncClient, manifest: IntakeManifest) -> None:
    parts = cut(a_sealed_file())
    for number, part in enumerate(parts):
        await visitor.put(f"/api/v1/uploads/{UPLOAD}/{number}", content=part)
    file = a_file(parts)
    await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest, "one", attachments=(file,)))))

    response = await visitor.post(
        "/api/v1/alerts", **post(as_request(an_alert(manifest, "two", attachments=(file,))))
    )

    assert response.status_code == 400


async def test_parts_that_nobody_claims_are_forgotten(node: Any, visitor: httpx.AsyncClient) -> None:
    await visitor.put(f"/api/v1/uploads/{UPLOAD}/0", content=b"left behind")
    name = hashlib.sha256(b"left behind").hexdigest()
    async with node.database.read() as session:
        job = await session.scalar(select(Job).where(Job.kind == "purge-uploads"))
    assert job is not None

    await purge_uploads(node, job)
    assert await node.blobs.get(name) == b"left behind"
    node.clock.forward(days=2)
    await purge_uploads(node, job)
    await purge_uploads(node, job)

    assert job.not_before <= node.clock.now()
    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(UploadPart)) == 0


# ---- the mailbox ---------------------------------------------------------------------------------------------------


async def test_wrong_unknown_and_malformed_tokens_get_the_same_answer(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest))))
    tries: list[dict[str, str]] = [
        authorization("nobody"),
        {},
        {"authorization": "Mailbox"},
        {"authorization": "Mailbox zz"},
        {"authorization": f"Bearer {mailbox_token().hex()}"},
        {"authorization": f"Mailbox {mailbox_token().hex().upper()}"},
        {"authorization": f"Mailbox {mailbox_token().hex()} "[:-2]},
        {"authorization": f"Mailbox {an_alert(manifest).mailbox}"},
    ]

    answers = [await visitor.get("/api/v1/mailbox", headers=one) for one in tries]

    assert {one.status_code for one in answers} == {404}
    assert len({one.content for one in answers}) == 1
    assert len({tuple(sorted(one.headers.items())) for one in answers}) == 1


async def test_a_receipt_opens_its_mailbox_and_nothing_else(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    alert = an_alert(manifest)
    await visitor.post("/api/v1/alerts", **post(as_request(alert)))
    await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest, "two"))))

    response = await visitor.get("/api/v1/mailbox", headers=authorization())

    found = response.json()
    assert response.headers["cache-control"] == "no-store"
    assert (found["id"], found["state"], found["received_on"]) == (alert.id, "received", "2026-11-21")
    own = {wrap.compartment: b64(wrap.sealed) for wrap in alert.wraps if wrap.holder == "source"}
    assert {wrap["compartment"]: wrap["sealed"] for wrap in found["wraps"]} == own
    assert [(one["compartment"], one["seq"], one["author"]) for one in found["objects"]] == [
        ("dialogue", 1, "source"),
        ("identity", 1, "source"),
    ]


async def test_an_answer_takes_the_next_place_and_no_other(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest))))
    sealed = b64(sealed_to(a_recipient("dialogue one"), {"text": "an answer"}))

    async def send(seq: int, label: str = "one") -> int:
        response = await visitor.post(
            "/api/v1/mailbox/messages", json={"seq": seq, "sealed": sealed}, headers=authorization(label)
        )
        return response.status_code

    assert [await send(seq) for seq in (1, 3, 2, 2, 3)] == [409, 409, 201, 409, 201]
    assert await send(4, "nobody") == 404
    assert await send(0) == 400


@pytest.mark.parametrize("sealed", [b"a plain answer", seal(b"unpadded", a_recipient("x"))])
async def test_an_answer_that_is_not_sealed_is_refused(
    visitor: httpx.AsyncClient, manifest: IntakeManifest, sealed: bytes
) -> None:
    await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest))))

    response = await visitor.post(
        "/api/v1/mailbox/messages", json={"seq": 2, "sealed": b64(sealed)}, headers=authorization()
    )

    assert response.status_code == 400


# ---- what must not be there ----------------------------------------------------------------------------------------


async def test_the_journey_of_a_source_leaves_nothing_in_the_logs(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    alert = an_alert(manifest)
    told = {
        "user-agent": "FictionalBrowser/7",
        "referer": "https://news.example/",
        "x-forwarded-for": "192.0.2.77",
    }
    part = a_sealed_file()[:MAX_PART_BYTES]

    await visitor.put(f"/api/v1/uploads/{UPLOAD}/0", content=part, headers=told)
    await visitor.post("/api/v1/alerts", **(post(as_request(alert)) | {"headers": told}))
    await visitor.post("/api/v1/alerts", **(post(as_request(alert), mailbox="1" * 64) | {"headers": told}))
    await visitor.get("/api/v1/mailbox", headers=told | authorization())
    await visitor.get("/api/v1/mailbox", headers=told | authorization("nobody"))
    await visitor.post(
        "/api/v1/mailbox/messages",
        json={"seq": 2, "sealed": b64(alert.objects[0].sealed)},
        headers=told | authorization(),
    )

    written = "\n".join(
        f"{record.getMessage()} {vars(record)}" for record in caplog.records if record.name != "httpx"
    )
    for secret in (
        "FictionalBrowser",
        "news.example",
        "192.0.2.77",
        "127.0.0.1",
        mailbox_token().hex(),
        mailbox_token("nobody").hex(),
        alert.mailbox,
        alert.id,
        UPLOAD,
        alert.source_age,
        alert.source_ed25519,
        b64(alert.objects[0].sealed)[:40],
        "AGE-SECRET-KEY",
    ):
        assert secret not in written


async def test_nothing_that_a_source_does_is_in_the_log_beside_its_moment(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> list[tuple[str, str]]:
        ours = (one for one in caplog.records if one.name != "httpx")
        return [(one.getMessage(), getattr(one, "day", "")) for one in ours]

    caplog.set_level(logging.INFO)
    alert = an_alert(manifest)
    answers = []
    for number in (1, 2):
        answers += [
            await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest, f"number {number}")))),
            await visitor.post("/api/v1/alerts", **post(as_request(alert), manifest="0" * 64)),
            await visitor.get("/api/v1/mailbox", headers=authorization("nobody")),
            await visitor.put(f"/api/v1/uploads/{UPLOAD}/0", content=b"part %d" % number),
            await visitor.get("/alert/words/none"),
        ]
        await run_due(node)
        node.clock.forward(hours=1)
    assert [answer.status_code for answer in answers] == [201, 409, 404, 204, 404, 201, 409, 404, 409, 404]
    assert lines() == []

    node.clock.forward(hours=24)
    await run_due(node)
    assert lines() == [("desk.alerts-waiting", "2026-11-21")]
    # Elsewhere refusals are still told.
    assert (await visitor.get("/cases/none")).status_code == 404
    assert lines()[1:] == [("request.refused", "")]


async def test_the_database_keeps_neither_the_token_nor_who_asked(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    told = {"user-agent": "FictionalBrowser/7", "x-forwarded-for": "192.0.2.77"}
    await visitor.post("/api/v1/alerts", **(post(as_request(an_alert(manifest))) | {"headers": told}))
    await visitor.get("/api/v1/mailbox", headers=told | authorization())

    async with node.database.read() as session:
        tables = [await session.execute(table.select()) for table in Row.metadata.sorted_tables]
        dump = "".join(repr(table.all()) for table in tables)
    for secret in ("FictionalBrowser", "192.0.2.77", mailbox_token().hex(), repr(mailbox_token())):
        assert secret not in dump


async def test_no_answer_of_the_door_sets_a_cookie_or_may_be_kept(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    for path in ("/alert", "/alert/receipt", MANIFEST, "/api/v1/mailbox"):
        response = await visitor.get(path)
        assert "set-cookie" not in response.headers
        assert response.headers["cache-control"] == "no-store"


async def test_the_expired_list_is_followed_by_the_next_one(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    node.clock.forward(**{"days": (manifest.not_after - node.clock.now()) / timedelta(days=1)})

    renewed = (await visitor.get(MANIFEST)).json()
    response = await visitor.post("/api/v1/alerts", **post(as_request(an_alert(manifest))))

    assert (renewed["epoch"], renewed["previous"]) == (2, manifest.sha256)
    assert (response.status_code, response.json()) == (409, {"error": "manifest", "code": "conflict"})
