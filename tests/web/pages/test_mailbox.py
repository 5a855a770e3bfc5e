"""Burning, consent, proof, blocking, staff at the telephone, and the price of a flood: each refused where it must be."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from node.casework import desk
from node.casework.gates import Clearances
from node.errors import Invalid, Throttled, WrongState
from node.intake.alerts import Alert, Attachment, Consent, Mode, SealedObject, UploadPart, Wrap
from node.intake.filing import commitment, is_proof
from node.intake.pressure import FREE, MOST, MOST_BITS, Pressure, WorkNeeded, work_bits
from node.sealing.alerts import compose_message, open_mailbox
from node.sealing.attachments import File
from tests.rig.alerts import a_member, a_person, b64
from tests.rig.sources import CASE, Source, composed, draft_sha256, in_review, sent


@pytest.fixture
async def source(node: Any, people: list[Any], visitor: httpx.AsyncClient) -> Source:
    return await sent(node, visitor, File("a.txt", "text/plain", b"fictional"))


async def counts(node: Any) -> list[int]:
    async with node.database.read() as session:
        return [
            await session.scalar(select(func.count()).select_from(kind)) or 0
            for kind in (Wrap, SealedObject, Attachment, UploadPart, Consent)
        ]


# ---- burning -------------------------------------------------------------------------------------------------------


async def test_nobody_burns_a_mailbox_without_its_words(node: Any, source: Source) -> None:
    before = await counts(node)

    refused = await source.visitor.delete("/api/v1/mailbox", headers={"authorization": f"Mailbox {'0' * 64}"})

    assert refused.status_code == 404
    assert await counts(node) == before


async def test_a_burnt_mailbox_leaves_a_day_and_nothing_else(node: Any, source: Source) -> None:
    await source.say("yes")

    burnt = await source.send("DELETE", "")
    again = await source.send("DELETE", "")
    unknown = await source.send("GET", "")

    assert (burnt.status_code, again.status_code, unknown.status_code) == (204, 404, 404)
    assert again.content == unknown.content
    assert await counts(node) == [0, 0, 0, 0, 0]
    async with node.database.read() as session:
        (alert,) = await session.scalars(select(Alert))
    assert (alert.state, alert.closed_for) == ("closed", "burnt")
    assert not [path for path in (node.settings.data / "blobs").rglob("*") if path.is_file()]
    everything = json.dumps({c.name: str(getattr(alert, c.key)) for c in Alert.__table__.columns})
    for secret in (
        source.alert.source.mailbox,
        source.alert.source.signing.id,
        source.alert.source.recipient,
    ):
        assert secret not in everything


async def test_no_file_of_the_database_holds_what_was_burnt(node: Any, source: Source) -> None:
    if not node.database.is_sqlite:
        pytest.skip("PostgreSQL's files are its own; run it with --database=sqlite")
    async with node.database.read() as session:
        sealed = [
            *await session.scalars(select(Wrap.sealed)),
            *await session.scalars(select(SealedObject.sealed)),
        ]
    marks = [one[200:232] for one in sealed]
    database = Path(node.database.engine.url.database)

    def found() -> int:
        files = database.parent.glob(f"{database.name}*")
        return sum(mark in content for content in [file.read_bytes() for file in files] for mark in marks)

    assert found() >= len(marks)

    await source.send("DELETE", "")

    assert found() == 0


async def test_what_was_burnt_is_never_published(node: Any, people: list[Any], source: Source) -> None:
    await in_review(node, people, source)
    async with node.database.begin() as session:
        paul = await a_member(session, "Paul", ["publisher"])

    await source.send("DELETE", "")

    async with node.database.begin() as session:
        sha256 = await draft_sha256(session)
        with pytest.raises(WrongState):
            await desk.approve(session, CASE, sha256=sha256, by=paul, now=node.clock.now())
        await session.rollback()


# ---- consent -------------------------------------------------------------------------------------------------------


async def test_a_consent_nobody_signed_or_for_another_day_use_or_place_is_refused(
    node: Any, source: Source
) -> None:
    stranger = Source(node, source.visitor, await composed(node, source.visitor))
    signature = stranger.alert.source.signing.sign({})

    assert (await source.say("yes", signature=signature)).status_code == 400
    assert (await source.say("yes", answer="no")).status_code == 400
    assert (await source.say("yes", use="share")).status_code == 400
    assert (await source.say("yes", use="sell")).status_code == 400
    assert (await source.say("yes", day=date(2020, 1, 1).isoformat())).status_code == 400
    assert (await source.say("yes", seq=2)).status_code == 409
    assert (await stranger.say("yes")).status_code == 404
    assert (await counts(node))[-1] == 0


async def test_a_consent_can_be_taken_back_and_the_last_word_counts(node: Any, source: Source) -> None:
    assert (await source.say("yes")).status_code == 201
    assert (await source.say("yes")).status_code == 201  # the same bytes again
    assert (await source.say("no")).status_code == 409
    assert (await source.say("no", seq=2)).status_code == 201

    record = (await source.send("GET", "")).json()

    assert [one["answer"] for one in record["consents"]] == ["yes", "no"]


async def test_a_text_is_published_only_as_the_source_agreed_to_it(
    node: Any, people: list[Any], source: Source
) -> None:
    await in_review(node, people, source, submit=False)
    async with node.database.read() as session:
        sha256 = await draft_sha256(session)

    async def submit() -> None:
        async with node.database.begin() as session:
            try:
                await desk.submit(session, CASE, Clearances(consent=True), by=people[0], now=node.clock.now())
            finally:
                await session.rollback()

    await source.say("yes", 1, "0" * 64)
    with pytest.raises(Invalid) as other:
        await submit()
    await source.say("no", 2, sha256)
    with pytest.raises(Invalid) as never:
        await submit()
    await source.say("yes", 3, sha256)
    await submit()

    assert "another text" in other.value.problems["consent"]
    assert "does not agree" in never.value.problems["consent"]


# ---- the proof of filing -------------------------------------------------------------------------------------------


async def test_a_proof_tells_a_day_and_an_organisation_and_opens_with_the_nonce_alone(
    node: Any, source: Source
) -> None:
    nonce = "5a" * 32
    proof = (await source.send("POST", "/proof", {"nonce": nonce})).json()
    key = node.keyring.public_keys(node.settings.main_actor)[1].public

    statement, opening = proof["statement"], proof["opening"]
    assert is_proof(statement, key=key)
    assert statement["commitment"] == commitment(bytes.fromhex(nonce), opening["sha256"])
    assert source.alert.id not in json.dumps(statement)
    assert opening["sha256"] not in json.dumps(statement)
    assert not is_proof(statement | {"received_on": "2020-01-01"}, key=key)
    assert not is_proof(statement, key=source.alert.source.signing.id)
    assert (await source.send("POST", "/proof", {"nonce": "5a"})).status_code == 400


# ---- blocked -------------------------------------------------------------------------------------------------------


async def test_a_blocked_mailbox_can_be_read_and_not_written(node: Any, source: Source) -> None:
    async with node.database.begin() as session:
        alert = await session.get(Alert, source.alert.id)
        alert.is_blocked = True
    record = (await source.send("GET", "")).json()
    opened = open_mailbox(record, source.alert.source, desk=[])
    message = compose_message(
        opened, "more of the same", by=source.alert.source.signing, day=node.clock.now().date()
    )

    refused = await source.send("POST", "/messages", message)

    assert record["is_blocked"] is True
    assert refused.status_code == 409
    assert (await source.send("DELETE", "")).status_code == 204


# ---- pressure ------------------------------------------------------------------------------------------------------


def test_work_for_another_alert_node_or_day_shows_nothing(now: Any) -> None:
    day = now.date().isoformat()
    nonce = next(
        str(one)
        for one in range(10**6)
        if work_bits(f"{day}.{one}", node="https://a.example", alert_id="a" * 32, now=now) >= 10
    )

    for node, alert_id, given in (
        ("https://b.example", "a" * 32, f"{day}.{nonce}"),
        ("https://a.example", "b" * 32, f"{day}.{nonce}"),
        ("https://a.example", "a" * 32, f"2020-01-01.{nonce}"),
        ("https://a.example", "a" * 32, f"{day}.{'1' * 40}"),
        ("https://a.example", "a" * 32, ""),
    ):
        assert work_bits(given, node=node, alert_id=alert_id, now=now) < 10


def test_the_price_is_nothing_on_an_ordinary_day_rises_with_a_flood_and_falls_again(clock: Any) -> None:
    pressure = Pressure()
    prices = []
    for _ in range(MOST):
        prices.append(pressure.bits(now=clock.now()))
        pressure.count(now=clock.now())

    assert prices[:FREE] == [0] * FREE
    assert prices == sorted(prices)
    assert prices[-1] <= MOST_BITS
    with pytest.raises(Throttled):
        pressure.require("", node="https://a.example", alert_id="a" * 32, now=clock.now())
    pressure.arrivals.pop()
    with pytest.raises(WorkNeeded):
        pressure.require("", node="https://a.example", alert_id="a" * 32, now=clock.now())
    clock.forward(minutes=11)
    assert pressure.bits(now=clock.now()) == 0


async def test_under_a_flood_an_alert_is_taken_with_its_work_and_not_without(
    node: Any, people: list[Any], visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = await composed(node, visitor)
    monkeypatch.setattr(Pressure, "bits", lambda self, *, now: 8)
    day = node.clock.now().date().isoformat()

    refused = await visitor.post("/api/v1/alerts", content=alert.body)
    price = (await visitor.get("/api/v1/work")).json()["bits"]
    nonce = next(
        str(one)
        for one in range(10**5)
        if work_bits(f"{day}.{one}", node=node.settings.origin, alert_id=alert.id, now=node.clock.now())
        >= price
    )
    taken = await visitor.post("/api/v1/alerts", content=alert.body, headers={"work": f"{day}.{nonce}"})

    assert (refused.status_code, refused.json()) == (428, {"error": "work", "bits": 8})
    assert taken.status_code == 201


# ---- staff at the telephone ----------------------------------------------------------------------------------------


async def test_staff_enter_what_they_were_told_and_the_alert_says_so(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    alert = await composed(node, visitor)
    headers = {"origin": node.settings.origin, "content-type": "application/json"}

    stranger = await visitor.post("/api/v1/desk/alerts", content=alert.body, headers=headers)
    elsewhere = await visitor.post(
        "/api/v1/desk/alerts", content=alert.body, headers=headers | {"origin": "https://evil.example"}
    )
    await visitor.post(
        "/api/v1/desk/session",
        content=json.dumps({"name": "Ana", "auth": b64(a_person("Ana").auth)}).encode(),
        headers=headers,
    )
    entered = await visitor.post("/api/v1/desk/alerts", content=alert.body, headers=headers)
    blocked = await visitor.post(f"/api/v1/desk/alerts/{alert.id}/block", content=b"{}", headers=headers)
    shown = (await visitor.get("/api/v1/desk/alerts")).json()
    unblocked = await visitor.post(f"/api/v1/desk/alerts/{alert.id}/unblock", content=b"{}", headers=headers)

    assert (stranger.status_code, elsewhere.status_code, entered.status_code) == (401, 403, 201)
    assert [(one["mode"], one["is_blocked"]) for one in shown] == [(Mode.STAFF_ENTERED, True)]
    assert (blocked.json()["is_blocked"], unblocked.json()["is_blocked"]) == (True, False)
