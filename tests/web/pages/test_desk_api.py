"""The desk from outside: who is let in, what another site cannot do, and a case's way with two people and with one."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from node import audit
from node.audit import AuditEntry
from node.casework.pictures import MAX_BYTES, Picture
from node.intake.manifest import IntakeManifest
from node.intake.uploads import MAX_PART_BYTES
from node.publishing.publications import publication_of, versions_of
from node.sealing.age import seal
from node.staff.accounts import Staff
from tests.node.casework.test_pictures import a_picture, png_of
from tests.rig.alerts import (
    a_file,
    a_member,
    a_person,
    a_recipient,
    an_alert,
    an_enrolment,
    as_request,
    b64,
    case_fields,
    mailbox_token,
    sealed_to,
    seeded,
)
from vocab.terms import ACTIVITY_JSON
from web.app import make_app
from web.pages.cases import OCTETS
from web.pages.publications import FRESH

API = "/api/v1/desk"
ALERT = seeded("id one").hex()[:32]
CASE = "c" * 32
INTERNAL = a_recipient("internal")
ROLES = {
    "Ana": ["intake", "verifier", "editor"],
    "Boris": ["verifier", "publisher"],
    "Olga": ["administrator"],
    "Otto": ["auditor"],
}


@dataclass
class Desk:
    """One person's browser."""

    client: httpx.AsyncClient
    origin: str

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(API + path)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        kind = OCTETS if path.endswith("/pictures") else "application/json"
        return await self.client.request(
            method,
            API + path,
            content=b"" if body is None else json.dumps(body).encode(),
            headers={"origin": self.origin, "content-type": kind} | headers,
        )

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.send("POST", path, body)

    async def move(self, move: str, body: Any = None) -> httpx.Response:
        return await self.post(f"/cases/{CASE}/{move}", {} if body is None else body)


@pytest.fixture
async def people(node: Any) -> dict[str, Staff]:
    """Four people of the organisation."""
    async with node.database.begin() as session:
        return {name: await a_member(session, name, roles) for name, roles in ROLES.items()}


class Desks:
    """Opens browsers on one application."""

    def __init__(self, node: Any) -> None:
        self._app = make_app(node)
        self.origin: str = node.settings.origin
        self.clients: list[httpx.AsyncClient] = []

    def visitor(self) -> Desk:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app), base_url=self.origin)
        self.clients.append(client)
        return Desk(client, self.origin)

    async def of(self, name: str) -> Desk:
        desk = self.visitor()
        response = await desk.post("/session", {"name": name, "auth": b64(a_person(name).auth)})
        assert response.status_code == 200, response.text
        return desk


@pytest.fixture
async def desks(node: Any, people: dict[str, Staff]) -> Any:
    opened = Desks(node)
    yield opened
    for client in opened.clients:
        await client.aclose()


@pytest.fixture
async def alert(node: Any, desks: Desks) -> str:
    """A sealed alert that has arrived."""
    visitor = desks.visitor().client
    await visitor.get("/.well-known/social-rights-tracker/intake")
    async with node.database.read() as session:
        manifest = await session.scalar(select(IntakeManifest))
    response = await visitor.post(
        "/api/v1/alerts", content=json.dumps(as_request(an_alert(manifest))).encode()
    )
    assert response.status_code == 201, response.text
    return ALERT


def wraps_for(*people: Staff) -> list[dict[str, str]]:
    return [{"holder": one.id, "sealed": b64(sealed_to(one.age, {"of": "internal"}))} for one in people]


def a_record(seq: int, kind: str = "check") -> dict[str, Any]:
    return {"seq": seq, "type": kind, "sealed": b64(sealed_to(INTERNAL, {"a": kind}))}


@pytest.fixture
async def case(desks: Desks, alert: str, people: dict[str, Staff]) -> tuple[Desk, Desk]:
    """A case that Ana opened, with a check of hers; her desk and Boris's."""
    ana, boris = await desks.of("Ana"), await desks.of("Boris")
    opened = await ana.post(
        f"/alerts/{alert}/case",
        {"id": CASE, "internal": INTERNAL, "wraps": wraps_for(people["Ana"], people["Boris"])},
    )
    assert opened.status_code == 201, opened.text
    assert (await ana.post(f"/cases/{CASE}/records", a_record(1))).status_code == 201
    return ana, boris


async def published(case: tuple[Desk, Desk]) -> dict[str, Any]:
    """The way of that case into public."""
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    await boris.move("confirm")
    await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": case_fields()})
    text = (await ana.move("submit", {"consent": True})).json()["draft"]
    response = await boris.move("approve", {"sha256": text["sha256"]})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


# ---- coming in -----------------------------------------------------------------------------------------------------

CLOSED = [
    ("GET", "/session"),
    ("GET", "/staff"),
    ("POST", "/staff"),
    ("DELETE", "/staff/x"),
    ("GET", "/audit"),
    ("GET", "/alerts"),
    ("GET", f"/alerts/{ALERT}"),
    ("GET", f"/alerts/{ALERT}/attachments/{ALERT}"),
    ("POST", f"/alerts/{ALERT}/messages"),
    ("POST", f"/alerts/{ALERT}/close"),
    ("POST", f"/alerts/{ALERT}/case"),
    ("GET", "/cases"),
    ("GET", f"/cases/{CASE}"),
    ("POST", f"/cases/{CASE}/records"),
    ("POST", f"/cases/{CASE}/propose"),
    ("POST", f"/cases/{CASE}/confirm"),
    ("POST", f"/cases/{CASE}/return"),
    ("PUT", f"/cases/{CASE}/draft"),
    ("POST", f"/cases/{CASE}/pictures"),
    ("GET", f"/cases/{CASE}/pictures/{'0' * 64}"),
    ("POST", f"/cases/{CASE}/submit"),
    ("POST", f"/cases/{CASE}/approve"),
    ("POST", f"/cases/{CASE}/reject"),
    ("POST", f"/cases/{CASE}/correct"),
    ("POST", f"/cases/{CASE}/withdraw"),
]
BODIES: dict[str, Any] = {
    "/staff": {"roles": ["intake"]},
    "messages": {"seq": 2, "sealed": ""},
    "close": {"reason": "spam"},
    "case": {"id": CASE, "internal": INTERNAL, "wraps": [{"holder": "x", "sealed": ""}]},
    "records": {"seq": 1, "type": "check", "sealed": ""},
    "propose": {"standard": "P3"},
    "draft": {"fields": {}},
    "reject": {"reason": "No."},
    "correct": {"fields": {}, "note": "x"},
    "withdraw": {"reason": "safety"},
}


def body_of(method: str, path: str) -> Any:
    if method in {"GET", "DELETE"}:
        return None
    return BODIES.get(path, BODIES.get(path.rpartition("/")[2], {}))


async def test_who_is_not_signed_in_learns_nothing_but_that(desks: Desks) -> None:
    visitor = desks.visitor()

    for method, path in CLOSED:
        response = await visitor.send(method, path, body_of(method, path))

        assert response.status_code == 401, (method, path)
        assert set(response.json()) == {"error", "code"}
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://a.example.evil.example"},
        {"origin": "http://a.example"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=["other", "null", "longer", "http", "sister"],
)
async def test_another_site_can_do_nothing(desks: Desks, headers: dict[str, str]) -> None:
    ana = await desks.of("Ana")

    for method, path in CLOSED:
        if method != "GET":
            response = await ana.send(method, path, body_of(method, path), **headers)
            assert response.status_code == 403, (method, path)


async def test_a_request_without_an_origin_or_with_a_form_is_refused(desks: Desks) -> None:
    ana = await desks.of("Ana")

    without = await ana.client.post(f"{API}/cases/{CASE}/confirm", json={})
    form = await ana.send("POST", f"/cases/{CASE}/confirm", {}, **{"content-type": "text/plain"})

    assert (without.status_code, form.status_code) == (403, 415)


async def test_a_wrong_passphrase_and_an_unknown_name_get_the_same_answer(desks: Desks) -> None:
    visitor = desks.visitor()

    wrong = await visitor.post("/session", {"name": "Ana", "auth": b64(b"x" * 32)})
    unknown = await visitor.post("/session", {"name": "Nobody", "auth": b64(b"x" * 32)})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert "set-cookie" not in wrong.headers


async def test_the_salt_of_a_name_tells_not_whether_it_is_known(desks: Desks) -> None:
    visitor = desks.visitor()

    known = (await visitor.get("/salt?name=Ana")).json()
    unknown = [(await visitor.get("/salt?name=Nobody")).json() for _ in range(2)]

    assert known == {"salt": b64(an_enrolment("Ana").salt)}
    assert unknown[0] == unknown[1] != known
    assert len(unknown[0]["salt"]) == len(known["salt"])


async def test_an_invented_salt_does_not_change_when_keys_do(node: Any, desks: Desks) -> None:
    visitor = desks.visitor()
    before = (await visitor.get("/salt?name=Nobody")).json()

    node.keyring.take_over(node.keyring.rotate(node.settings, now=node.clock.now()))

    assert node.keyring.generation == 2
    assert (await visitor.get("/salt?name=Nobody")).json() == before


async def test_too_many_tries_on_one_name_have_to_wait(node: Any, desks: Desks) -> None:
    visitor = desks.visitor()
    for _ in range(10):
        await visitor.post("/session", {"name": "Ana", "auth": b64(b"x" * 32)})

    refused = await visitor.post("/session", {"name": "Ana", "auth": b64(a_person("Ana").auth)})
    other = await visitor.post("/session", {"name": "Boris", "auth": b64(a_person("Boris").auth)})
    node.clock.forward(minutes=10)
    later = await visitor.post("/session", {"name": "Ana", "auth": b64(a_person("Ana").auth)})

    assert (refused.status_code, other.status_code, later.status_code) == (429, 200, 200)
    assert int(refused.headers["retry-after"]) > 0


async def test_the_cookie_is_out_of_reach_of_scripts_pages_and_other_sites(desks: Desks) -> None:
    visitor = desks.visitor()

    response = await visitor.post("/session", {"name": "Ana", "auth": b64(a_person("Ana").auth)})

    cookie = response.headers["set-cookie"]
    assert cookie.startswith("srt-desk=")
    for part in ("HttpOnly", "SameSite=strict", "Secure", "Path=/api/v1/desk"):
        assert part in cookie
    assert response.json()["staff"]["roles"] == sorted(ROLES["Ana"])
    assert response.json()["vault"] == b64(an_enrolment("Ana").vault) or response.json()["vault"]


async def test_a_session_ends_when_it_is_left_and_when_it_is_idle(node: Any, desks: Desks) -> None:
    ana, boris = await desks.of("Ana"), await desks.of("Boris")
    token = ana.client.cookies["srt-desk"]

    left = await ana.send("DELETE", "/session")
    node.clock.forward(minutes=31)

    assert left.status_code == 204
    ana.client.cookies.set("srt-desk", token)
    assert (await ana.get("/session")).status_code == 401
    assert (await boris.get("/session")).status_code == 401


# ---- people --------------------------------------------------------------------------------------------------------


async def test_only_an_administrator_invites_and_closes_accounts(
    desks: Desks, people: dict[str, Staff]
) -> None:
    for name in ("Ana", "Boris", "Otto"):
        desk = await desks.of(name)
        assert (await desk.post("/staff", {"roles": ["intake"]})).status_code == 403
        assert (await desk.send("DELETE", f"/staff/{people['Ana'].id}")).status_code == 403


async def test_a_link_makes_one_account_and_its_token_is_behind_the_hash(node: Any, desks: Desks) -> None:
    olga = await desks.of("Olga")
    link = (await olga.post("/staff", {"roles": ["intake", "verifier"]})).json()["link"]
    address, _, token = link.partition("#")
    enrolment = an_enrolment("Chloé")
    body = {
        "token": token,
        "name": "Chloé",
        "salt": b64(enrolment.salt),
        "auth": b64(enrolment.auth),
        "vault": b64(enrolment.vault),
        "recovery_vault": b64(enrolment.recovery_vault),
        "age": enrolment.age,
        "ed25519": enrolment.ed25519,
    }
    visitor = desks.visitor()

    classical = await visitor.post(
        "/welcome", body | {"age": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}
    )
    first = await visitor.post("/welcome", body)
    again = await visitor.post("/welcome", body)

    assert address == f"{desks.origin}/desk/welcome"
    assert (classical.status_code, first.status_code, again.status_code) == (400, 201, 404)
    assert first.json()["roles"] == ["intake", "verifier"]
    assert (await (await desks.of("Chloé")).get("/session")).status_code == 200


async def test_who_leaves_is_out_at_once_and_loses_the_keys(
    node: Any, desks: Desks, alert: str, people: dict[str, Staff]
) -> None:
    boris, olga = await desks.of("Boris"), await desks.of("Olga")
    assert (await boris.get(f"/alerts/{alert}")).json()["wraps"]

    response = await olga.send("DELETE", f"/staff/{people['Boris'].id}")

    assert response.status_code == 204
    assert (await boris.get("/alerts")).status_code == 401
    listed = {one["name"]: one["left"] for one in (await olga.get("/staff")).json()}
    assert listed == dict.fromkeys(ROLES, False) | {"Boris": True}
    assert (await desks.visitor().client.get("/.well-known/social-rights-tracker/intake")).status_code == 503


async def test_staff_are_listed_with_the_recipients_keys_are_wrapped_for(desks: Desks) -> None:
    found = (await (await desks.of("Otto")).get("/staff")).json()

    assert {one["name"] for one in found} == set(ROLES)
    assert all(set(one) == {"id", "name", "roles", "age", "ed25519", "left"} for one in found)


async def test_the_auditor_reads_what_was_done_and_nobody_else_on_cases_does(
    node: Any, desks: Desks, case: tuple[Desk, Desk]
) -> None:
    ana, _ = case
    otto = await desks.of("Otto")

    found = (await otto.get("/audit")).json()
    rest = (await otto.get(f"/audit?after={found['head']['seq']}")).json()

    assert (await ana.get("/audit")).status_code == 403
    assert found["holds"]
    assert found["entries"][-1]["hash"] == found["head"]["hash"]
    assert rest["entries"] == []
    assert "case.opened" in {entry["action"] for entry in found["entries"]}
    assert set(found["people"].values()) <= {*ROLES}
    async with node.database.begin() as session:
        await session.execute(update(AuditEntry).where(AuditEntry.seq == 1).values(actor="nobody"))
    assert not (await otto.get("/audit?after=x")).json()["holds"]


# ---- alerts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Olga", "Otto"])
async def test_administrators_and_auditors_open_nothing(desks: Desks, alert: str, name: str) -> None:
    person = await desks.of(name)

    for method, path in CLOSED:
        if "alerts" in path or "cases" in path:
            response = await person.send(method, path, body_of(method, path))
            assert response.status_code == 403, (method, path)


async def test_an_alert_is_shown_with_the_readers_own_wraps_only(
    node: Any, desks: Desks, alert: str, people: dict[str, Staff]
) -> None:
    ana = await desks.of("Ana")

    listed = (await ana.get("/alerts")).json()
    shown = (await ana.get(f"/alerts/{alert}")).json()

    assert [
        (one["id"], one["received_on"], one["state"], one["case"], one["attachments"]) for one in listed
    ] == [(alert, "2026-11-21", "received", None, 0)]
    async with node.database.read() as session:
        manifest = await session.scalar(select(IntakeManifest))
        read = [entry.action for entry in await audit.entries_of(session, alert)]
    own = {one.compartment for one in an_alert(manifest).wraps if one.holder == people["Ana"].id}
    assert {one["compartment"] for one in shown["wraps"]} == own == {"dialogue", "identity"}
    assert len(shown["wraps"]) == 2
    assert set(shown) >= {"source", "compartments", "objects", "attachments", "state", "received_on"}
    assert read == ["alert.read"]


async def test_a_sealed_file_is_handed_out_whole_and_never_shown(node: Any, desks: Desks) -> None:
    source, sealed = desks.visitor().client, seal(b"a fictional film " * 300_000, a_recipient("dialogue one"))
    parts = [sealed[at : at + MAX_PART_BYTES] for at in range(0, len(sealed), MAX_PART_BYTES)]
    file = a_file(parts)
    for number, part in enumerate(parts):
        await source.put(f"/api/v1/uploads/{file.upload}/{number}", content=part)
    await source.get("/.well-known/social-rights-tracker/intake")
    async with node.database.read() as session:
        manifest = await session.scalar(select(IntakeManifest))
    alert = an_alert(manifest, attachments=(file,))
    await source.post("/api/v1/alerts", content=json.dumps(as_request(alert)).encode())
    ana, boris = await desks.of("Ana"), await desks.of("Boris")

    response = await ana.get(f"/alerts/{alert.id}/attachments/{file.upload}")

    assert len(parts) > 1
    assert response.content == sealed
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["cache-control"] == "no-store"
    assert (await boris.get("/alerts")).json()[0]["attachments"] == 1
    other = await ana.get(f"/alerts/{'0' * 32}/attachments/{file.upload}")
    assert other.status_code == 404


async def test_a_question_waits_for_the_source_and_an_answer_for_the_desk(desks: Desks, alert: str) -> None:
    ana, source = await desks.of("Ana"), desks.visitor().client
    sealed = b64(sealed_to(a_recipient("dialogue one"), {"text": "a question"}))
    mine = {"authorization": f"Mailbox {mailbox_token().hex()}"}

    taken = await ana.post(f"/alerts/{alert}/messages", {"seq": 1, "sealed": sealed})
    asked = await ana.post(f"/alerts/{alert}/messages", {"seq": 2, "sealed": sealed})
    found = (await source.get("/api/v1/mailbox", headers=mine)).json()
    await source.post("/api/v1/mailbox/messages", json={"seq": 3, "sealed": sealed}, headers=mine)

    assert (taken.status_code, asked.status_code) == (409, 201)
    assert found["state"] == "needs-answer"
    assert found["objects"][1]["author"] == "desk"
    assert (await ana.get(f"/alerts/{alert}")).json()["state"] == "open"


async def test_an_alert_is_closed_for_a_reason_of_the_list_and_once(desks: Desks, alert: str) -> None:
    ana, boris = await desks.of("Ana"), await desks.of("Boris")

    assert (await boris.post(f"/alerts/{alert}/close", {"reason": "spam"})).status_code == 403
    assert (await ana.post(f"/alerts/{alert}/close", {"reason": "boring"})).status_code == 400
    assert (await ana.post(f"/alerts/{alert}/close", {"reason": "duplicate"})).json()["state"] == "closed"
    assert (await ana.post(f"/alerts/{alert}/close", {"reason": "duplicate"})).status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        f"/alerts/{'0' * 32}",
        f"/cases/{'0' * 32}",
        "/alerts/x",
        f"/alerts/{ALERT}/attachments/{'0' * 32}",
    ],
)
async def test_what_is_not_there_is_not_found(desks: Desks, alert: str, path: str) -> None:
    assert (await (await desks.of("Ana")).get(path)).status_code == 404


# ---- cases ---------------------------------------------------------------------------------------------------------


async def test_a_case_is_opened_once_with_wraps_for_the_people_of_cases(
    desks: Desks, alert: str, people: dict[str, Staff]
) -> None:
    ana = await desks.of("Ana")

    async def open_with(*holders: Staff, **changes: Any) -> int:
        body = {"id": CASE, "internal": INTERNAL, "wraps": wraps_for(*holders)} | changes
        return (await ana.post(f"/alerts/{alert}/case", body)).status_code

    mine, his, admin = people["Ana"], people["Boris"], people["Olga"]
    assert await open_with(his) == 400
    assert await open_with(mine, admin) == 400
    assert await open_with(mine, mine) == 400
    assert (
        await open_with(mine, internal="age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
        == 400
    )
    assert await open_with(mine, wraps=[{"holder": mine.id, "sealed": b64(b"plain")}]) == 400
    assert await open_with(mine, his) == 201
    assert await open_with(mine, his) == 409
    assert (await ana.post(f"/alerts/{alert}/close", {"reason": "spam"})).status_code == 409


async def test_records_stand_in_line_and_are_sealed(case: tuple[Desk, Desk]) -> None:
    ana, boris = case

    assert (await boris.post(f"/cases/{CASE}/records", a_record(1))).status_code == 409
    assert (await boris.post(f"/cases/{CASE}/records", a_record(3))).status_code == 409
    assert (await boris.post(f"/cases/{CASE}/records", a_record(2, "note"))).status_code == 201
    plain = a_record(3) | {"sealed": b64(b"I think the source is Fictional Person A.")}
    assert (await ana.post(f"/cases/{CASE}/records", plain)).status_code == 400


async def test_one_person_alone_gets_no_further_than_a_proposal(case: tuple[Desk, Desk]) -> None:
    ana, boris = case

    early = await boris.move("propose", {"standard": "P3"})
    await ana.move("propose", {"standard": "P3"})
    alone = await ana.move("confirm")
    back = await ana.move("return")

    assert (early.status_code, alone.status_code, back.status_code) == (409, 403, 403)
    assert alone.json()["error"] == "You proposed this finding; a second person confirms it."
    shown = (await ana.get(f"/cases/{CASE}")).json()
    assert {move["action"]: (move["open"], move["why"]) for move in shown["moves"]} == {
        "record": (True, ""),
        "confirm": (False, "You proposed this finding; a second person confirms it."),
        "return": (False, "You proposed this finding; a second person confirms or returns it."),
    }


async def test_two_people_publish_a_case_and_one_of_them_could_not(
    node: Any, case: tuple[Desk, Desk], people: dict[str, Staff]
) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    confirmed = (await boris.move("confirm")).json()
    drafted = (await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": case_fields()})).json()
    without_consent = await ana.move("submit")
    submitted = (await ana.move("submit", {"consent": True})).json()

    by_writer = await ana.move("approve", {"sha256": drafted["draft"]["sha256"]})
    other_text = await boris.move("approve", {"sha256": "0" * 64})
    no_text = await boris.move("approve")
    done = await boris.move("approve", {"sha256": drafted["draft"]["sha256"]})

    assert (confirmed["state"], drafted["state"], submitted["state"]) == (
        "confirmed",
        "drafting",
        "in-review",
    )
    assert (without_consent.status_code, set(without_consent.json()["fields"])) == (400, {"consent"})
    assert (by_writer.status_code, other_text.status_code, no_text.status_code) == (403, 409, 409)
    assert done.json()["state"] == "published"
    assert done.json()["publication"]["url"].startswith("https://a.example/cases/")
    async with node.database.read() as session:
        publication = await publication_of(session, CASE)
        assert publication is not None
        versions = await versions_of(session, publication.id)
        await audit.verify(session)
    assert (versions[0].drafted_by, versions[0].approved_by) == (people["Ana"].id, people["Boris"].id)


async def test_what_is_published_says_nothing_of_the_sealed_record(
    node: Any, case: tuple[Desk, Desk], desks: Desks
) -> None:
    answer = await published(case)

    public = await desks.visitor().client.get("/api/v1/cases")

    assert public.json()["total"] == 1
    for secret in (CASE, ALERT, "Ana", "Boris", INTERNAL, "age1pq1"):
        assert secret not in public.text
    assert CASE not in answer["publication"]["url"]


async def test_the_source_learns_that_the_case_is_published_and_withdrawn(
    case: tuple[Desk, Desk], desks: Desks
) -> None:
    ana, boris = case
    source = desks.visitor().client
    mine = {"authorization": f"Mailbox {mailbox_token().hex()}"}
    await published(case)
    assert (await source.get("/api/v1/mailbox", headers=mine)).json()["state"] == "published"

    await ana.move("withdraw", {"reason": "consent-withdrawn"})
    await boris.move("approve")

    assert (await source.get("/api/v1/mailbox", headers=mine)).json()["state"] == "closed"


async def test_a_correction_needs_two_people_and_is_listed(node: Any, case: tuple[Desk, Desk]) -> None:
    ana, boris = case
    await published(case)
    node.clock.forward(minutes=5)
    fields = case_fields(title={"en": "Families kept for years in one emergency room"}, corrections=[])

    silent = await ana.move("correct", {"fields": fields, "note": " ", "consent": True})
    proposed = (
        await ana.move(
            "correct", {"fields": fields, "note": "The title was made more exact.", "consent": True}
        )
    ).json()
    alone = await ana.move("approve", {"sha256": proposed["draft"]["sha256"]})
    done = (await boris.move("approve", {"sha256": proposed["draft"]["sha256"]})).json()

    assert (silent.status_code, alone.status_code) == (400, 403)
    assert (done["state"], done["publication"]["state"]) == ("published", "corrected")
    assert done["draft"]["fields"]["corrections"] == [
        {"date": "2026-11-21", "text": {"en": "The title was made more exact."}}
    ]


async def test_a_withdrawal_needs_two_people_and_a_reason_of_the_list(case: tuple[Desk, Desk]) -> None:
    ana, boris = case
    await published(case)

    assert (await ana.move("withdraw", {"reason": "regret"})).status_code == 400
    proposed = (await ana.move("withdraw", {"reason": "safety"})).json()
    assert (proposed["state"], proposed["withdrawal"]["reason"]) == ("withdrawal-proposed", "safety")
    kept = (await boris.move("reject", {"reason": "The danger has passed."})).json()
    assert (kept["state"], kept["publication"]["state"]) == ("published", "live")
    await boris.move("withdraw", {"reason": "safety"})
    assert (await boris.move("approve")).status_code == 403


async def test_a_draft_is_an_allow_list_and_names_what_is_wrong(case: tuple[Desk, Desk]) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    await boris.move("confirm")

    response = await ana.send(
        "PUT",
        f"/cases/{CASE}/draft",
        {"fields": case_fields(sender_contact_name="Fictional", title={"en": "x"})},
    )

    assert response.status_code == 400
    assert {"sender_contact_name", "title"} <= set(response.json()["fields"])
    assert (await ana.get(f"/cases/{CASE}")).json()["draft"] is None


@pytest.mark.parametrize(
    ("paragraphs", "replies", "reach"), [(1, 0, "whole"), (40, 0, "shortened"), (40, 12, "partial")]
)
async def test_a_draft_says_whether_other_servers_would_show_all_of_it(
    case: tuple[Desk, Desk], paragraphs: int, replies: int, reach: str
) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    await boris.move("confirm")
    reply = {"date": "2026-05-11", "type": "disputed", "text": {"en": "A long reply. " * 300}}
    content = {"en": "\n\n".join(["A fictional paragraph. " * 20] * paragraphs)}
    fields = case_fields(content=content, authority_replies=[reply] * replies)

    saved = (await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": fields})).json()

    assert saved["draft"]["reach"] == reach
    assert (await boris.get(f"/cases/{CASE}")).json()["draft"]["reach"] == reach


async def test_a_draft_of_few_people_comes_back_coarser(case: tuple[Desk, Desk]) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    await boris.move("confirm")

    response = await ana.send(
        "PUT",
        f"/cases/{CASE}/draft",
        {"fields": case_fields(scale="one", region="Small valley", started_on="2024-09-12")},
    )

    fields = response.json()["draft"]["fields"]
    assert (fields["region"], fields["started_on"]) == (None, "2024")


async def test_personal_data_stops_a_text_until_somebody_answers_for_it(case: tuple[Desk, Desk]) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    await boris.move("confirm")
    steps = {"en": "A letter went to the public office at office@authority.example."}
    await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": case_fields(domestic_steps=steps)})

    stopped = await ana.move("submit", {"consent": True})
    cleared = await ana.move(
        "submit", {"consent": True, "cleared": {"domestic_steps": "The address of a public office."}}
    )

    assert (stopped.status_code, set(stopped.json()["fields"])) == (400, {"domestic_steps"})
    assert cleared.json()["state"] == "in-review"
    assert "domestic_steps: The address of a public office." in cleared.json()["history"][-1]["reason"]


async def test_a_case_that_is_not_upheld_ends_and_the_alert_with_it(case: tuple[Desk, Desk]) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "N1"})

    done = (await boris.move("confirm")).json()

    assert (done["state"], done["moves"]) == ("closed", [])
    assert (await ana.get(f"/alerts/{ALERT}")).json()["state"] == "closed"


async def test_the_history_names_each_step_and_never_shrinks(
    case: tuple[Desk, Desk], people: dict[str, Staff]
) -> None:
    ana, boris = case
    await ana.move("propose", {"standard": "P4"})
    await boris.move("return", {"reason": "One source only."})
    await ana.move("propose", {"standard": "P3"})

    shown = (await boris.move("confirm")).json()

    assert [(step["action"], shown["people"][step["by"]]) for step in shown["history"]] == [
        ("opened", "Ana"),
        ("recorded-check", "Ana"),
        ("proposed", "Ana"),
        ("returned", "Boris"),
        ("proposed", "Ana"),
        ("confirmed", "Boris"),
    ]
    assert shown["history"][3]["reason"] == "One source only."


async def test_the_list_of_cases_says_whose_turn_it_is(case: tuple[Desk, Desk]) -> None:
    ana, _ = case
    before = (await ana.get("/cases")).json()
    await ana.move("propose", {"standard": "P3"})

    after = (await ana.get("/cases")).json()

    assert [(one["state"], one["waiting_for"]) for one in before + after] == [
        ("verifying", "verifier"),
        ("assessed", "second-verifier"),
    ]


# ---- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/desk", "/desk/welcome"])
@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_the_pages_hold_no_data_and_are_not_kept(desks: Desks, path: str, language: str) -> None:
    response = await desks.visitor().client.get(f"{path}?lang={language}")

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert "Ana" not in response.text


# ---- a forgotten passphrase ----------------------------------------------------------------------------------------


def recovering(name: str = "Ana", proof: bytes | None = None) -> dict[str, str]:
    return {"name": name, "recovery_auth": b64(a_person(name).recovery_auth if proof is None else proof)}


@pytest.mark.parametrize("body", [recovering(proof=b"x" * 32), recovering("Nobody")])
async def test_wrong_recovery_words_get_one_answer(desks: Desks, body: dict[str, str]) -> None:
    answered = await desks.visitor().post("/recovery", body)

    assert answered.status_code == 401
    assert answered.json() == {"error": "The name and the recovery words do not belong together."}


async def test_recovery_words_cannot_be_tried_out(desks: Desks) -> None:
    visitor = desks.visitor()
    for _ in range(10):
        await visitor.post("/recovery", recovering(proof=b"x" * 32))

    assert (await visitor.post("/recovery", recovering())).status_code == 429


async def test_another_site_recovers_nothing(desks: Desks) -> None:
    answered = await desks.visitor().send("POST", "/recovery", recovering(), origin="https://evil.example")

    assert answered.status_code == 403


async def test_the_words_fetch_the_second_vault_and_a_new_passphrase_ends_the_sessions(
    desks: Desks, people: dict[str, Staff]
) -> None:
    ana, visitor = await desks.of("Ana"), desks.visitor()

    fetched = await visitor.post("/recovery", recovering())
    new = {"salt": b64(seeded("s")[:16]), "auth": b64(seeded("new")), "vault": b64(people["Ana"].vault)}
    changed = await visitor.post("/recovery/passphrase", recovering() | new)

    assert fetched.json() == {"recovery_vault": b64(people["Ana"].recovery_vault)}
    assert changed.status_code == 204
    assert (await ana.get("/session")).status_code == 401
    signed_in = await visitor.post("/session", {"name": "Ana", "auth": b64(seeded("new"))})
    assert signed_in.status_code == 200


async def test_only_an_administrator_lets_somebody_begin_anew(desks: Desks, people: dict[str, Staff]) -> None:
    ana, olga = await desks.of("Ana"), await desks.of("Olga")
    path = f"/staff/{people['Boris'].id}/reset"

    assert (await ana.post(path, {})).status_code == 403
    made = await olga.post(path, {})

    assert made.status_code == 201
    assert "/desk/welcome#" in made.json()["link"]
    listed = {one["name"]: one["left"] for one in (await olga.get("/staff")).json()}
    assert listed["Boris"]


# ---- pictures ------------------------------------------------------------------------------------------------------

ALT = {"en": "A corridor with four doors (drawing)"}


async def add_picture(desk: Desk, data: bytes | None = None) -> httpx.Response:
    return await desk.client.post(
        f"{API}/cases/{CASE}/pictures",
        content=a_picture() if data is None else data,
        headers={"origin": desk.origin, "content-type": OCTETS},
    )


async def confirmed(case: tuple[Desk, Desk]) -> tuple[Desk, Desk]:
    ana, boris = case
    await ana.move("propose", {"standard": "P3"})
    await boris.move("confirm")
    return ana, boris


async def test_a_picture_is_public_with_the_text_that_two_people_stand_behind_and_not_before(
    node: Any, case: tuple[Desk, Desk], desks: Desks
) -> None:
    ana, boris = await confirmed(case)
    reader = desks.visitor().client
    added = (await add_picture(ana)).json()
    shown = f"/pictures/{added['sha256']}.jpg"
    fields = case_fields(image={"sha256": added["sha256"], "alt": ALT, "path": "/evil", "width": 9})

    without_words = await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": case_fields(image=added)})
    drafted = (await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": fields})).json()["draft"]
    text = (await ana.move("submit", {"consent": True})).json()["draft"]
    before = await reader.get(shown)
    at_desk = await boris.get(f"/cases/{CASE}/pictures/{added['sha256']}")
    alone = await ana.move("approve", {"sha256": text["sha256"]})
    done = await boris.move("approve", {"sha256": text["sha256"]})
    url = done.json()["publication"]["url"]
    served = await reader.get(shown)
    page = (await reader.get(url, headers={"accept": "text/html"})).text
    article = (await reader.get(url, headers={"accept": ACTIVITY_JSON})).json()

    assert (without_words.status_code, set(without_words.json()["fields"])) == (400, {"image"})
    # Of the picture only its words are the writer's.
    assert drafted["fields"]["image"] == {**added, "alt": ALT}
    assert (before.status_code, at_desk.status_code, alone.status_code) == (404, 200, 403)
    assert at_desk.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (served.status_code, served.headers["content-type"]) == (200, "image/jpeg")
    assert hashlib.sha256(served.content).hexdigest() == added["sha256"]
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"] == "default-src 'none'; sandbox"
    # A cache that had it for long would show it when it is withdrawn: who has it asks whether it stands.
    assert served.headers["cache-control"] == f"{FRESH['Cache-Control']}, must-revalidate"
    again = await reader.get(shown, headers={"if-none-match": served.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == served.headers["cache-control"]
    assert (await reader.get(shown.replace(".jpg", ".png"))).status_code == 404
    assert f'<img src="{shown}" width="320" height="200" alt="{ALT["en"]}"' in page
    assert f'<meta property="og:image" content="https://a.example{shown}">' in page
    assert article["image"]["url"] == f"https://a.example{shown}"
    assert article["image"]["name"] == ALT["en"]

    node.clock.forward(minutes=5)
    await ana.move("withdraw", {"reason": "safety"})
    await boris.move("approve")

    assert (await reader.get(shown)).status_code == 404
    assert (await reader.get(shown, headers={"if-none-match": served.headers["etag"]})).status_code == 404
    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Picture)) == 0


async def test_a_picture_cannot_be_swapped_behind_an_approval(case: tuple[Desk, Desk], desks: Desks) -> None:
    """What was approved is the hash of the text, and in it the hash of the pixels."""
    ana, boris = await confirmed(case)
    added = (await add_picture(ana)).json()
    fields = case_fields(image={**added, "alt": ALT})
    first = (await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": fields})).json()["draft"]
    other = (await add_picture(ana, a_picture(size=(200, 200)))).json()
    second = (
        await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": case_fields(image={**other, "alt": ALT})})
    ).json()["draft"]

    await ana.move("submit", {"consent": True})
    swapped = await boris.move("approve", {"sha256": first["sha256"]})
    # Once a text waits for a second person, nobody adds another.
    late = await add_picture(ana)

    assert first["sha256"] != second["sha256"]
    assert (swapped.status_code, late.status_code) == (409, 409)
    reader = desks.visitor().client
    assert (await reader.get(f"/pictures/{added['sha256']}.jpg")).status_code == 404


async def test_only_who_writes_the_text_adds_a_picture_and_only_one_of_this_case(
    case: tuple[Desk, Desk], desks: Desks
) -> None:
    ana, _ = case
    too_early = await add_picture(ana)
    await confirmed(case)
    by_other_site = await ana.client.post(
        f"{API}/cases/{CASE}/pictures", content=a_picture(), headers={"origin": "https://evil.example"}
    )
    by_administrator = await add_picture(await desks.of("Olga"))
    unknown = case_fields(image={"sha256": "0" * 64, "alt": ALT})
    of_nobody = await ana.send("PUT", f"/cases/{CASE}/draft", {"fields": unknown})
    seen_by_auditor = await (await desks.of("Otto")).get(f"/cases/{CASE}/pictures/{'0' * 64}")

    assert (too_early.status_code, by_other_site.status_code, by_administrator.status_code) == (409, 403, 403)
    assert (of_nobody.status_code, set(of_nobody.json()["fields"])) == (400, {"image"})
    assert seen_by_auditor.status_code == 403


async def test_a_picture_of_almost_five_megabytes_is_taken_and_a_larger_file_is_not(
    case: tuple[Desk, Desk],
) -> None:
    ana, _ = await confirmed(case)

    taken = await add_picture(ana, a_picture() + b"\0" * (MAX_BYTES - 60_000))
    too_large = await add_picture(ana, a_picture() + b"\0" * MAX_BYTES)

    assert (taken.status_code, too_large.status_code) == (201, 413)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "x.svg", f"{'0' * 64}.jpg", f"{'0' * 64}", "%2e%2e/x.png"]
)
async def test_no_other_file_has_an_address_among_pictures(desks: Desks, name: str) -> None:
    assert (await desks.visitor().client.get(f"/pictures/{name}")).status_code == 404


@pytest.mark.parametrize(
    "attack",
    [
        "84 a drawing with a script",
        "84 a page that begins like a picture",
        "84 a name that leads upwards",
        "84 50,000 pixels to a side",
    ],
)
async def test_what_staff_choose_is_a_picture_by_its_bytes_and_by_nothing_else(
    case: tuple[Desk, Desk], caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    """Whoever sent it to them may have made it: Mastodon CVE-2023-36460."""
    caplog.set_level("INFO")
    ana, _ = await confirmed(case)
    found = {
        "84 a drawing with a script": b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        "84 a page that begins like a picture": b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script>",
        "84 50,000 pixels to a side": png_of(50_000, 50_000),
    }
    if attack not in found:
        # There is no name to lead anywhere: the bytes are all that is read.
        answer = await ana.client.post(
            f"{API}/cases/{CASE}/pictures",
            content=a_picture(),
            headers={
                "origin": ana.origin,
                "content-type": OCTETS,
                "content-disposition": 'attachment; filename="../../x.html"',
            },
        )
        assert answer.json()["path"] == f"/pictures/{answer.json()['sha256']}.jpg"
        return

    answer = await add_picture(ana, found[attack])

    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"image"}
    assert [vars(record)["reason"] for record in caplog.records if record.msg == "picture.refused"]
