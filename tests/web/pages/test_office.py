"""The office at the desk: who may not is refused, what is missing is asked for, and each change leaves its entry."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.audit import AuditEntry
from node.casework.retention import Kind, holds, terms
from node.casework.team import intake_terms
from node.intake.manifest import current_manifest
from node.intake.receive import receive_alert
from node.intake.switch import closure
from node.outbox import enqueue
from node.peers.hosts import decisions
from node.peers.reports import MAX_OBJECTS, Report, keep_report, open_reports
from node.publishing.featured import featured_cases
from node.publishing.publications import Publication
from tests.rig.alerts import a_member, a_person, an_alert, b64
from tests.rig.keys import keyring
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from tests.web.pages.test_replies import NOTE, a_reply, arrive, listed, publish_known
from web.pages import deliveries, policies, published

ORIGIN = "https://a.example"
ROLES = {
    "Eva": ["editor"],
    "Paul": ["publisher"],
    "Vera": ["verifier"],
    "Ines": ["intake"],
    "Olga": ["administrator"],
    "Aude": ["auditor"],
    "Cora": ["custodian"],
}
MAY = {
    "/desk/replies": {"Eva", "Paul"},
    "/desk/published": {"Eva", "Paul", "Vera", "Ines"},
    "/desk/positions": {"Eva", "Paul", "Vera", "Ines"},
    "/desk/reports": {"Eva", "Paul", "Olga"},
    "/desk/reports/new": {"Eva", "Paul", "Olga"},
    "/desk/hosts": {"Paul", "Olga"},
    "/desk/hosts/domain_blocks.csv": {"Paul", "Olga"},
    "/desk/keeping": {"Eva", "Paul", "Vera", "Ines", "Olga", "Aude"},
    "/desk/duty": {"Vera", "Ines", "Olga", "Aude"},
    "/desk/door": {"Ines", "Olga"},
}
FORMS: Mapping[str, tuple[set[str], dict[str, str]]] = {
    "/desk/replies": ({"Eva", "Paul"}, {"id": NOTE, "decision": "hide"}),
    f"/desk/published/{'c' * 32}": ({"Eva", "Paul"}, {"do": "first"}),
    "/desk/reports/settle": ({"Eva", "Paul", "Olga"}, {"report": "x", "note": "Looked at."}),
    "/desk/reports/new": ({"Eva", "Paul", "Olga"}, {"object": "https://x.example/1", "text": "It is wrong."}),
    "/desk/hosts": ({"Paul", "Olga"}, {"host": "x.example", "policy": "block", "reason": "Abuse."}),
    "/desk/hosts/lists": ({"Paul", "Olga"}, {"do": "leave", "url": "https://x.example/list"}),
    "/desk/keeping/terms": ({"Olga"}, {"kind": "closed-case", "days": "30"}),
    "/desk/keeping/holds": (
        {"Eva", "Paul", "Vera", "Ines", "Olga"},
        {"do": "hold", "record": "0" * 32, "reason": "A court asked for it."},
    ),
    "/desk/duty": ({"Olga"}, {"do": "promise", "hours": "24"}),
    "/desk/door": ({"Ines", "Olga"}, {"do": "close", "elsewhere": ""}),
}


class Seat:
    """One person's browser at node a. Forms are sent as a browser sends them, and what they lead to is loaded."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def sign_in(self, name: str) -> None:
        answer = await self.client.post(
            "/api/v1/desk/session",
            json={"name": name, "auth": b64(a_person(name).auth)},
            headers={"origin": ORIGIN},
        )
        assert answer.status_code == 200, answer.text

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers={"accept": "text/html"})

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return await self.client.post(path, data=fields, headers={"origin": ORIGIN, **headers})

    async def tell(self, path: str, **fields: str) -> str:
        """Send a form and return the words of the page it leads to."""
        answer = await self.post(path, fields)
        assert answer.status_code == 303, answer.text
        page = await self.get(answer.headers["location"])
        assert page.status_code == 200, page.text
        return words(page.text)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture
async def seats(town: Town) -> AsyncIterator[dict[str, Seat]]:
    """The people of node a, signed in."""
    node = town["a"].node
    made: dict[str, Seat] = {}
    async with node.database.begin() as session:
        for name, roles in ROLES.items():
            await a_member(session, name, roles)
    for name in ROLES:
        made[name] = Seat(town.visitor("a"))
        await made[name].sign_in(name)
    yield made
    for seat in made.values():
        await seat.client.aclose()


async def audited(town: Town) -> list[str]:
    async with town["a"].node.database.read() as session:
        return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)))


@pytest.mark.parametrize("path", sorted(MAY))
async def test_a_page_opens_for_those_who_may_and_for_nobody_else(
    town: Town, seats: dict[str, Seat], path: str
) -> None:
    opened = {name for name, seat in seats.items() if (await seat.get(path)).status_code == 200}
    async with town.visitor("a") as visitor:
        stranger = await visitor.get(path)

    assert opened == MAY[path]
    assert stranger.status_code == 401


@pytest.mark.parametrize("path", sorted(FORMS))
async def test_a_form_is_taken_from_those_who_may_and_from_our_own_pages_only(
    town: Town, seats: dict[str, Seat], path: str
) -> None:
    may, fields = FORMS[path]
    await publish_known(town)

    for name in sorted(set(ROLES) - may):
        assert (await seats[name].post(path, fields)).status_code == 403, name
    somebody = seats[min(may)]
    async with town.visitor("a") as visitor:
        assert (await visitor.post(path, data=fields, headers={"origin": ORIGIN})).status_code == 401
    for foreign in ("https://evil.example", "null"):
        assert (await somebody.post(path, fields, origin=foreign)).status_code == 403
    crossed = await somebody.post(path, fields, **{"sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403
    as_json = await somebody.client.post(path, json=fields, headers={"origin": ORIGIN})
    assert as_json.status_code == 415
    before = await audited(town)
    assert [action for action in before if not action.startswith("staff.")] == []


async def test_pages_are_not_kept_and_may_be_shown_with_the_cookie_of_the_desk_alone(
    seats: dict[str, Seat],
) -> None:
    page = await seats["Eva"].get("/desk/replies")
    paths = {cookie.name: cookie.path for cookie in seats["Eva"].client.cookies.jar}

    assert page.headers["cache-control"] == "no-store"
    # With "no-referrer" a browser would send `Origin: null` with our own forms.
    assert page.headers["referrer-policy"] == "same-origin"
    assert paths == {"srt-desk": "/api/v1/desk", "srt-desk-pages": "/desk"}
    assert "<script" not in page.text


# ---- replies -------------------------------------------------------------------------------------------------------


async def test_a_reply_is_read_before_it_is_shown_and_nothing_vile_comes_with_it(
    town: Town, seats: dict[str, Seat]
) -> None:
    stranger, eva = Stranger(town), seats["Eva"]
    url = (await publish_known(town)).url
    await arrive(
        town, stranger, "Create", a_reply(stranger, url, "<p>I saw it<img src=x onerror=alert(1)></p>")
    )

    unread = (await eva.get("/desk/replies")).text
    read = (await eva.get(f"/desk/replies?id={NOTE}")).text
    assert "I saw it" not in unread
    assert "<blockquote><p>I saw it</p></blockquote>" in read
    sha256 = re.search(r'name="sha256" value="([0-9a-f]{64})"', read)
    assert sha256 is not None

    said = await eva.tell("/desk/replies", id=NOTE, decision="show", sha256=sha256[1])

    assert "The reply is shown with its case." in said
    assert await listed(town, url) == ([NOTE], [url, NOTE])
    said = await eva.tell("/desk/replies", id=NOTE, decision="hide", state="shown")
    assert "The reply is not shown." in said
    assert await listed(town, url) == ([], [url])
    assert (await audited(town))[-2:] == ["reply.shown", "reply.hidden"]


async def test_what_was_written_to_us_alone_is_read_and_not_offered_to_be_shown(
    town: Town, seats: dict[str, Seat]
) -> None:
    stranger, eva = Stranger(town), seats["Eva"]
    url = (await publish_known(town)).url
    note = a_reply(stranger, url, "<p>For you alone (fictional)</p>")
    note["to"] = [town["a"].settings.main_actor]
    await arrive(town, stranger, "Create", note)

    read = (await eva.get(f"/desk/replies?id={NOTE}")).text

    assert "For you alone (fictional)" in read
    assert "written to you, not for everybody" in read
    assert 'value="hide"' in read
    assert 'value="show"' not in read


async def test_words_that_changed_meanwhile_are_read_again_first(town: Town, seats: dict[str, Seat]) -> None:
    stranger, eva = Stranger(town), seats["Eva"]
    url = (await publish_known(town)).url
    await arrive(town, stranger, "Create", a_reply(stranger, url))

    said = await eva.tell("/desk/replies", id=NOTE, decision="show", sha256="0" * 64)

    assert "The reply says something else by now. Nothing was shown." in said
    assert await listed(town, url) == ([], [url])


async def test_a_reply_that_its_server_does_not_give_cannot_be_shown(
    town: Town, seats: dict[str, Seat]
) -> None:
    stranger, eva = Stranger(town), seats["Eva"]
    url = (await publish_known(town)).url
    await arrive(town, stranger, "Create", a_reply(stranger, url))
    del stranger.documents["/notes/1"]

    said = await eva.tell("/desk/replies", id=NOTE, decision="show", sha256="0" * 64)

    assert "It cannot be shown unread." in said
    assert "Show these words" not in said


# ---- what is public ------------------------------------------------------------------------------------------------


async def publish_to_a_dead_host(town: Town) -> Publication:
    """B follows a and is down when a publishes."""
    await town.befriend("b", "a")
    await town.stop("b")
    publication = await publish_known(town)
    await town.settle()
    return publication


async def test_the_desk_sees_what_waits_and_has_it_tried_now(town: Town, seats: dict[str, Seat]) -> None:
    await publish_to_a_dead_host(town)
    path = f"/desk/published/{'c' * 32}"

    waiting = (await seats["Vera"].get(path)).text
    assert "Servers: 0 have it, 1 not yet, 0 never will." in words(waiting)
    inbox = re.search(r'name="inbox" value="([^"]+)"', (await seats["Paul"].get(path)).text)
    assert inbox is not None
    assert 'name="inbox"' not in waiting
    await town.start("b")
    said = await seats["Paul"].tell(path, do="try", inbox=inbox[1])
    assert "It is being tried now." in said
    await town.settle()

    assert "Servers: 1 have it, 0 not yet, 0 never will." in words((await seats["Paul"].get(path)).text)
    assert (await audited(town))[-1] == "public.tried"
    assert await seats["Paul"].post(path, {"do": "try", "inbox": inbox[1]})
    assert (await audited(town))[-1] == "public.tried"


@pytest.mark.parametrize(
    ("path", "page", "read"),
    [
        ("/desk/published", published, "progress_of"),
        (f"/desk/published/{'c' * 32}", published, "deliveries_of"),
        (f"/api/v1/desk/cases/{'c' * 32}/deliveries", deliveries, "deliveries_of"),
    ],
)
async def test_while_the_desk_is_shown_how_far_cases_have_got_others_write(
    town: Town, seats: dict[str, Seat], monkeypatch: pytest.MonkeyPatch, path: str, page: Any, read: str
) -> None:
    """Fifty cases that went to thousands each kept SQLite's only writer busy, and inboxes were answered 503."""
    await publish_known(town)
    wanted, found = getattr(page, read), list[object]()

    async def slowly(session: AsyncSession, url: str) -> Any:
        found.append(await wanted(session, url))
        async with asyncio.timeout(30), town["a"].node.database.begin() as other:
            await enqueue(other, "deliver", {}, lane="to:x.example", now=town.clock.now())
        return found[-1]

    monkeypatch.setattr(page, read, slowly)

    assert (await seats["Eva"].get(path)).status_code == 200
    assert len(found) == 1


async def test_many_decisions_about_hosts_are_shown_some_at_a_time(
    town: Town, seats: dict[str, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "AT_ONCE", 2)
    for number in range(3):
        await seats["Olga"].tell("/desk/hosts", host=f"bad{number}.example", policy="block", reason="Noise.")

    first, second = [(await seats["Olga"].get(f"/desk/hosts?page={number}")).text for number in (0, 1)]

    shown = [re.findall(r'<th scope="row">([^<]+)</th>', page) for page in (first, second)]
    assert shown == [["bad0.example", "bad1.example"], ["bad2.example"]]
    assert ("/desk/hosts?page=1" in first, "/desk/hosts?page=2" in second) == (True, False)
    assert "/desk/hosts?page=0" in second


async def test_a_host_that_fails_for_days_is_set_aside_in_plain_words(
    town: Town, seats: dict[str, Seat]
) -> None:
    await publish_to_a_dead_host(town)
    for _ in range(7):
        town.clock.forward(days=1)
        await town.settle()
    client = town.visitor("a")
    await client.post(
        "/api/v1/desk/session",
        json={"name": "Eva", "auth": b64(a_person("Eva").auth)},
        headers={"origin": ORIGIN},
    )

    page = words((await Seat(client).get(f"/desk/published/{'c' * 32}")).text)
    await client.aclose()

    assert "They have taken nothing for five days or more." in page
    assert "Set aside" in page


async def test_a_case_stands_first_and_back_again(town: Town, seats: dict[str, Seat]) -> None:
    url = (await publish_known(town)).url
    path, eva = f"/desk/published/{'c' * 32}", seats["Eva"]

    assert "The case stands first." in await eva.tell(path, do="first")
    assert "stands first" in words((await eva.get("/desk/published")).text)
    async with town["a"].node.database.read() as session:
        assert await featured_cases(session) == [url]
    assert "among the others again" in await eva.tell(path, do="back")

    async with town["a"].node.database.read() as session:
        assert await featured_cases(session) == []
    assert (await audited(town))[-2:] == ["public.first", "public.not-first"]
    assert (await eva.get(f"/desk/published/{'d' * 32}")).status_code == 404
    assert (await eva.post(path, {"do": "burn"})).status_code == 400


# ---- reports -------------------------------------------------------------------------------------------------------


async def test_a_report_is_settled_with_a_note_and_once(town: Town, seats: dict[str, Seat]) -> None:
    node, olga = town["a"].node, seats["Olga"]
    async with node.database.begin() as session:
        kept = await keep_report(
            session,
            activity_id="https://x.example/flags/1",
            reporter="https://x.example/users/x",
            objects=["javascript:alert(1)", f"{ORIGIN}/cases/1"],
            text="<b>It is wrong</b> (fictional)",
            now=node.clock.now(),
        )
    assert kept is not None

    page = (await olga.get("/desk/reports")).text
    assert 'href="javascript:' not in page
    assert "It is wrong (fictional)" in page
    assert "what came of the report" in await olga.tell("/desk/reports/settle", report=kept.id, note=" ")
    said = await olga.tell("/desk/reports/settle", report=kept.id, note="Corrected the year.")

    assert "Corrected the year." in said
    again = await olga.post("/desk/reports/settle", {"report": kept.id, "note": "Again."})
    assert again.status_code == 409
    assert (await audited(town))[-1] == "report.settled"


@pytest.mark.parametrize("named", [MAX_OBJECTS - 1, MAX_OBJECTS, MAX_OBJECTS + 1])
async def test_of_a_report_that_names_many_addresses_it_is_said_that_these_may_not_be_all(
    town: Town, seats: dict[str, Seat], named: int
) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        await keep_report(
            session,
            activity_id="https://x.example/flags/1",
            reporter="https://x.example/users/x",
            objects=[f"{ORIGIN}/cases/{number}" for number in range(named)],
            text="",
            now=node.clock.now(),
        )

    page = words((await seats["Olga"].get("/desk/reports")).text)

    said = f"{MAX_OBJECTS} addresses are kept. This one may have named more."
    assert (said in page) is (named >= MAX_OBJECTS)


async def test_a_report_goes_to_their_server_only_when_that_is_asked_for(
    town: Town, seats: dict[str, Seat]
) -> None:
    stranger, eva = Stranger(town), seats["Eva"]
    url = (await publish_known(town)).url
    await arrive(town, stranger, "Create", a_reply(stranger, url))

    assert "Nobody else was told." in await eva.tell(
        "/desk/reports/new", object=NOTE, text="It names a child."
    )
    await town.settle()
    assert stranger.received == []
    assert "on its way" in await eva.tell("/desk/reports/new", object=NOTE, text="Names a child.", send="yes")
    await town.settle()

    (flag,) = stranger.received
    assert flag["type"] == "Flag"
    assert flag["actor"] == town["a"].node.settings.instance_actor
    assert flag["object"] == [stranger.id, NOTE]
    async with town["a"].node.database.read() as session:
        assert len(await open_reports(session)) == 2
    assert [action for action in await audited(town) if action.startswith("report.")] == [
        "report.noted",
        "report.sent",
    ]


async def test_a_report_without_words_or_about_nobody_is_not_sent(town: Town, seats: dict[str, Seat]) -> None:
    eva = seats["Eva"]

    assert "Please say what is wrong." in await eva.tell(
        "/desk/reports/new", object="https://x.example/1", text=""
    )
    said = await eva.tell("/desk/reports/new", object="@who@nowhere.example", text="Wrong.", send="yes")

    assert "Nobody was found behind this address" in said
    async with town["a"].node.database.read() as session:
        assert list(await session.scalars(select(Report))) == []


# ---- hosts ---------------------------------------------------------------------------------------------------------


async def test_a_host_is_blocked_with_a_reason_and_the_decision_can_be_lifted(
    town: Town, seats: dict[str, Seat]
) -> None:
    olga = seats["Olga"]

    assert "Please write down why." in await olga.tell("/desk/hosts", host="bad.example", policy="block")
    assert "not the name of a host" in await olga.tell("/desk/hosts", host="a b", policy="block", reason="x")
    assert "our own server" in await olga.tell("/desk/hosts", host="a.example", policy="block", reason="x")
    assert await hosts_of(town) == []
    said = await olga.tell("/desk/hosts", host="https://Bad.Example/x", policy="block", reason="Threats.")
    assert "bad.example Blocked Threats." in said
    assert await hosts_of(town) == [("bad.example", "block", "Threats.")]
    assert "The decision is lifted." in await olga.tell("/desk/hosts", host="bad.example", policy="lift")

    assert await hosts_of(town) == []
    assert (await audited(town))[-2:] == ["host.block", "host.lift"]


async def test_only_reports_or_media_of_a_host_are_refused(town: Town, seats: dict[str, Seat]) -> None:
    olga = seats["Olga"]
    given = {"host": "bad.example", "reason": "Noise."}

    assert "Please tick what is refused." in await olga.tell("/desk/hosts", **given, policy="only")
    assert await hosts_of(town) == []
    said = await olga.tell("/desk/hosts", **given, policy="only", **{"no-reports": "yes"})
    assert "bad.example Like others · no reports Noise." in said
    said = await olga.tell("/desk/hosts", **given, policy="limit", **{"no-reports": "yes", "no-media": "yes"})
    assert "bad.example Limited · no reports · no media Noise." in said
    await olga.tell("/desk/hosts", host="bad.example", policy="lift")

    assert await hosts_of(town) == []
    assert (await audited(town))[-6:] == [
        *("host.only", "host.no-reports", "host.limit", "host.no-media", "host.no-reports", "host.lift"),
    ]


async def hosts_of(town: Town) -> list[tuple[str, str | None, str | None]]:
    async with town["a"].node.database.read() as session:
        return [(host.name, host.policy, host.reason) for host in await decisions(session)]


async def test_decisions_are_saved_as_a_file_and_taken_over_from_one(
    town: Town, seats: dict[str, Seat]
) -> None:
    olga = seats["Olga"]
    await olga.tell("/desk/hosts", host="bad.example", policy="block", reason="Threats.")
    saved = await olga.get("/desk/hosts/domain_blocks.csv")
    more = saved.text + "worse.example,silence,False,False,Noise,False\n"

    async def send(content: str | bytes) -> str:
        answer = await olga.client.post(
            "/desk/hosts/import", files={"file": ("domain_blocks.csv", content)}, headers={"origin": ORIGIN}
        )
        assert answer.status_code == 303
        return words((await olga.get(answer.headers["location"])).text)

    assert "Taken over: 1. Decided here before: 1. Lines that are no decision: 0." in await send(more)
    assert "not a list of hosts" in await send("nothing of the kind")
    assert "not a list of hosts" in await send(b"\xff\xfe\x00")
    assert [name for name, *_ in await hosts_of(town)] == ["bad.example", "worse.example"]
    foreign = await olga.client.post(
        "/desk/hosts/import", files={"file": ("x.csv", more)}, headers={"origin": "https://evil.example"}
    )
    assert foreign.status_code == 403


async def test_a_list_that_nobody_signed_is_not_followed(town: Town, seats: dict[str, Seat]) -> None:
    said = await seats["Olga"].tell("/desk/hosts/lists", do="follow", url="https://nowhere.example/list")

    assert "There is no signed list at this address" in said


# ---- keeping -------------------------------------------------------------------------------------------------------


async def receive(town: Town, **changes: Any) -> str:
    """An alert at node a."""
    node = town["a"].node
    now = node.clock.now()
    async with node.database.begin() as session:
        known = await intake_terms(session, node.settings)
        manifest = await current_manifest(session, known, root=keyring("a").root(), now=now)
        alert = an_alert(manifest, **changes)
        await receive_alert(session, alert, known, now=now)
    return alert.id


async def test_a_term_shows_what_falls_due_and_a_hold_keeps_it(town: Town, seats: dict[str, Seat]) -> None:
    olga, vera = seats["Olga"], seats["Vera"]
    alert = await receive(town)

    for days in ("0", "-3", "ten", "40000"):
        said = await olga.tell("/desk/keeping/terms", kind="unanswered-alert", days=days)
        assert "A term is a whole number of days" in said
    said = await olga.tell("/desk/keeping/terms", kind="unanswered-alert", days="20")
    assert "kept for 20 days" in said
    assert "It will be deleted on 11 December 2026." in said
    assert "why it has to be kept" in await vera.tell(
        "/desk/keeping/holds", do="hold", record=alert, reason="no"
    )
    assert "no alert or case of that number" in await vera.tell(
        "/desk/keeping/holds", do="hold", record="nothing", reason="A court asked for it."
    )
    said = await vera.tell(
        "/desk/keeping/holds",
        do="hold",
        record=f"{ORIGIN}/desk#/alerts/{alert}",
        reason="A court asked for it.",
    )
    assert "Held: it stays." in said
    assert "A court asked for it." in said
    async with town["a"].node.database.read() as session:
        assert [hold.alert_id for hold in await holds(session)] == [alert]
    assert "It will be deleted on" in await vera.tell("/desk/keeping/holds", do="release", record=alert)
    assert "kept without end" in await olga.tell("/desk/keeping/terms", kind="unanswered-alert", days="")

    async with town["a"].node.database.read() as session:
        assert await terms(session) == {}
    assert [action for action in await audited(town) if "." in action][-4:] == [
        "term.unanswered-alert:20",
        "record.held",
        "record.released",
        "term.unanswered-alert:without-end",
    ]


async def test_what_was_destroyed_is_said_and_not_held(town: Town, seats: dict[str, Seat]) -> None:
    olga = seats["Olga"]
    alert = await receive(town)
    await olga.tell("/desk/keeping/terms", kind=Kind.UNANSWERED_ALERT, days="14")
    for _ in range(14):
        town.clock.forward(days=1)
        await town.settle()
    client = town.visitor("a")
    await client.post(
        "/api/v1/desk/session",
        json={"name": "Vera", "auth": b64(a_person("Vera").auth)},
        headers={"origin": ORIGIN},
    )

    said = await Seat(client).tell(
        "/desk/keeping/holds", do="hold", record=alert, reason="A court asked for it."
    )
    await client.aclose()

    assert "no alert or case of that number" in said


async def test_the_door_is_closed_and_opened_with_a_button(town: Town, seats: dict[str, Seat]) -> None:
    ines = seats["Ines"]

    said = await ines.tell("/desk/door", do="close", elsewhere="Call the network (fictional).")
    assert "The door is closed." in said
    async with town.visitor("a") as visitor:
        listed_keys = await visitor.get("/.well-known/social-rights-tracker/intake")
        front = await visitor.get("/", headers={"accept": "text/html"})
        doors = [
            words((await visitor.get(path)).text) for path in ("/alert", "/alert/urgent", "/alert/sealed")
        ]
    assert listed_keys.status_code == 503
    assert front.status_code == 200
    for said in doors:
        assert "The organisation has closed its door for alerts for the time being." in said
        assert "Where else you can go: Call the network (fictional)." in said
    assert "too long" in await ines.tell("/desk/door", do="close", elsewhere="x" * 1001)
    assert "The door is open." in await ines.tell("/desk/door", do="open")

    async with town["a"].node.database.read() as session:
        assert await closure(session) is None


# ---- duty ----------------------------------------------------------------------------------------------------------


async def test_the_promised_time_stands_on_the_short_form_and_its_breach_in_the_report(
    town: Town, seats: dict[str, Seat]
) -> None:
    """The journey of a defender under threat: what is promised is said before sending, and held against us afterwards."""
    olga, vera = seats["Olga"], seats["Vera"]
    async with town.visitor("a") as visitor:
        before = (await visitor.get("/alert/urgent?lang=en")).text
        for hours in ("0", "-1", "day", "9999", ""):
            said = await olga.tell("/desk/duty", do="promise", hours=hours)
            assert "A promise is a whole number of hours" in said
        said = await olga.tell("/desk/duty", do="promise", hours="24")
        assert "It is promised. The short form says so from now on." in said
        shown = {
            lang: words((await visitor.get(f"/alert/urgent?lang={lang}")).text) for lang in ("en", "fr", "es")
        }
        ordinary = (await visitor.get("/alert?lang=en")).text
    name = town["a"].settings.organisation
    alert = await receive(town, urgent=True)

    assert "has not promised an hour" in before
    assert "has not promised an hour" not in shown["en"]
    assert f"{name} promises that a person answers within 24 hours" in shown["en"]
    assert "dans un délai de 24 heures" in shown["fr"]
    assert "responde en 24 horas" in shown["es"]
    assert "that it is urgent" in shown["en"]
    assert "promises that" not in ordinary
    page = (await vera.get("/desk/duty")).text
    assert f"#/alerts/{alert}" in page
    assert "Still open · until" in words(page)

    town.clock.forward(hours=25)
    for name, span in (("Vera", ""), ("Aude", "?days=90")):
        await seats[name].sign_in(name)
        page = (await seats[name].get(f"/desk/duty{span}")).text
        assert '<dd data-count="breached">1</dd>' in page
        assert '<dd data-count="kept">0</dd>' in page
        assert "Nobody has answered." in page
    town.clock.forward(days=31)
    for name in ("Vera", "Olga"):
        await seats[name].sign_in(name)
    assert "Nothing came in as urgent" in (await vera.get("/desk/duty")).text
    said = await olga.tell("/desk/duty", do="no-promise")
    assert "Nothing is promised any more." in said
    promised = [action for action in await audited(town) if action.startswith("promise.")]
    assert promised == ["promise.made:24", "promise.taken-back"]
