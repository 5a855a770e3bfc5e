"""Who fetched a case hears of its correction and its withdrawal: on whose word that is believed, what is kept, and what a flood costs."""

import asyncio
from collections.abc import MutableMapping
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from federation import cavage, signatures
from federation.keys import Signer
from federation.requests import SignedRequest
from node.effects.taking import fetch_case
from node.entries.entries import Entry
from node.errors import NotYet
from node.inbox.copying import MAX_HEAD_BYTES, SEEN_FOR, Copying, Limits
from node.inbox.receive import Inbox
from node.inbox.shedding import Limits as InboxLimits
from node.peers.actors import RemoteActor
from node.peers.hosts import decide
from node.peers.sending import went_to
from node.publishing import publish
from node.publishing.copies import Copy, remember_copy
from node.publishing.publications import Publication
from node.runtime import Node
from tests.rig.clock import FrozenClock
from tests.rig.keys import keyring
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger, known_actor
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON


def signed(
    who: Stranger,
    url: str,
    *,
    dialect: str = "cavage",
    signer: Signer | None = None,
    now: datetime | None = None,
) -> dict[str, str]:
    """The headers of a GET as their server signs it."""
    sign = cavage.sign if dialect == "cavage" else signatures.sign
    fields = sign("GET", url, signer=signer or who.signer(), now=now or who.town.clock.now())
    return {"accept": ACTIVITY_JSON} | {name.decode(): value.decode() for name, value in fields}


async def done(node: Node) -> None:
    """Wait until it is known who fetched what, as far as it can be before time moves."""
    clock = node.clock
    assert isinstance(clock, FrozenClock)
    while len(node.errands) > clock.sleeping:
        await asyncio.wait(set(node.errands), timeout=0.01)


async def fetch(
    town: Town, who: Stranger | None, url: str, *, site: str = "a", headers: dict[str, str] | None = None
) -> httpx.Response:
    """What somebody's server is given there, once it is known who they are."""
    if headers is None:
        headers = signed(who, url) if who is not None else {"accept": ACTIVITY_JSON}
    async with town.visitor(site) as http:
        answer = await http.get(url, headers=headers)
    await done(town[site].node)
    return answer


async def copies(node: Node) -> list[tuple[str, str, date]]:
    async with node.database.read() as session:
        found = await session.scalars(select(Copy).order_by(Copy.case_url, Copy.inbox))
        return [(one.case_url, one.inbox, one.seen_on) for one in found]


async def put_right(town: Town, publication: Publication, *, site: str = "a") -> None:
    node = town[site].node
    note = {
        "date": node.clock.now().date().isoformat(),
        "text": {"en": "Two years, not three, say those who live there."},
    }
    await correct_case(node, publication, a_case(corrections=[note]))


def told(who: Stranger) -> list[str]:
    return [activity["type"] for activity in who.received]


# ---- who hears of what -------------------------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("dialect", ["cavage", "rfc9421"])
async def test_a_server_that_only_fetched_a_case_hears_of_its_correction_and_its_withdrawal(
    town: Town, dialect: str
) -> None:
    reader = Stranger(town)
    publication, other = await publish_case(town["a"].node), await publish_case(town["a"].node, a_case(1))
    town.clock.forward(minutes=1)
    answer = await fetch(
        town, None, publication.url, headers=signed(reader, publication.url, dialect=dialect)
    )
    assert answer.status_code == 200
    assert await copies(town["a"].node) == [(publication.url, f"{reader.id}/inbox", date(2026, 11, 21))]

    town.clock.forward(hours=1)
    await put_right(town, publication)
    await town.settle()
    town.clock.forward(hours=1)
    for one in (publication, other):
        await withdraw_case(town["a"].node, one)
    await town.settle()

    assert told(reader) == ["Update", "Delete"]
    assert [one["object"]["id"] for one in reader.received] == [publication.url, publication.url]
    assert await copies(town["a"].node) == []


@pytest.mark.parametrize("is_theirs", [True, False])
async def test_a_node_takes_what_becomes_of_a_case_that_it_shows_from_its_publisher_alone(
    town: Town, is_theirs: bool
) -> None:
    """It follows nobody: it read the case once, and shows it."""
    case = await publish_case(town["b"].node)
    await fetch_case(town["a"].node, case.url, invited=True)
    await done(town["b"].node)

    town.clock.forward(seconds=2)
    if is_theirs:
        await correct_case(town["b"].node, case, a_case(7))
    else:
        other = Stranger(town)
        forged = {"id": case.url, "type": "Article", "attributedTo": other.id, "content": "Forged"}
        await other.post("a", other.activity("Update", forged))
    await town.settle()

    async with town["a"].node.database.read() as session:
        known = await session.get_one(Entry, case.url)
    assert known.state == ("corrected" if is_theirs else "live")


async def test_what_is_not_shown_is_not_taken_of_whom_nobody_follows(town: Town) -> None:
    here, there = town["a"].node, town["b"].node
    case = await publish_case(there)
    async with there.database.begin() as session:
        inbox, at = f"{here.settings.origin}/inbox", there.clock.now()
        await remember_copy(session, case.url, inbox, served_at=at, now=at)
    town.clock.forward(seconds=2)
    await correct_case(there, case, a_case(7))
    await town.settle()

    async with here.database.read() as session:
        assert await session.get(Entry, case.url) is None


async def test_whoever_is_given_its_words_in_an_activity_or_in_the_outbox_has_it_too(town: Town) -> None:
    node = town["a"].node
    publication = await publish_case(node)
    readers = [Stranger(town, f"{name}.example", key="peer") for name in ("one", "two", "three")]
    main = node.settings.main_actor
    async with town.visitor("a") as http:
        page = (await http.get(f"{main}/outbox?page=1")).json()
    create = page["orderedItems"][0]["id"]

    for reader, url in zip(readers, (create, f"{main}/outbox?page=1", f"{main}/outbox"), strict=True):
        assert (await fetch(town, reader, url)).status_code == 200

    held = [(publication.url, f"{reader.id}/inbox", date(2026, 11, 21)) for reader in readers[:2]]
    assert await copies(node) == sorted(held)


async def test_whoever_is_told_that_nothing_changed_has_it_too(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    tag = (await fetch(town, None, publication.url)).headers["etag"]
    assert await copies(town["a"].node) == []

    headers = signed(reader, publication.url) | {"if-none-match": tag}
    assert (await fetch(town, None, publication.url, headers=headers)).status_code == 304

    assert len(await copies(town["a"].node)) == 1


async def test_whoever_only_asks_for_the_head_of_a_case_has_not_got_it(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    headers = signed(reader, publication.url)

    async with town.visitor("a") as http:
        answer = await http.head(publication.url, headers=headers)
    await done(town["a"].node)

    assert answer.status_code == 200
    assert reader.asked == []
    assert await copies(town["a"].node) == []


async def test_whoever_follows_and_has_fetched_is_told_once(town: Town) -> None:
    reader = Stranger(town)
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    publication = await publish_case(town["a"].node)
    await town.settle()
    await fetch(town, reader, publication.url)
    assert len(await copies(town["a"].node)) == 1

    town.clock.forward(minutes=1)
    await put_right(town, publication)
    await town.settle()
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, publication)
    await town.settle()

    assert told(reader) == ["Accept", "Create", "Update", "Delete"]


async def test_the_shared_inbox_stands_for_all_of_a_server(town: Town) -> None:
    node, url = town["a"].node, (await publish_case(town["a"].node)).url
    people = [Stranger(town, "reader.example", name, key="peer") for name in ("rita", "rob")]
    documents = {
        f"/users/{name}": one.actor(endpoints={"sharedInbox": "https://reader.example/inbox"})
        for name, one in zip(("rita", "rob"), people, strict=True)
    }
    for one in people:
        one.documents |= documents
        await fetch(town, one, url)

    assert await copies(node) == [(url, "https://reader.example/inbox", date(2026, 11, 21))]


async def test_with_authorised_fetch_whoever_reads_is_remembered_without_a_second_look(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[SignedRequest] = []
    caller = Inbox.caller

    async def counting(self: Inbox, request: SignedRequest, *, asks: bool = True) -> str | None:
        checked.append(request)
        return await caller(self, request, asks=asks)

    # Before the server is open, which holds on to whom it asks.
    monkeypatch.setattr(Inbox, "caller", counting)
    site, reader = await town.open("s", authorized_fetch="1"), Stranger(town)
    publication = await publish_case(site.node)
    assert (await fetch(town, None, publication.url, site="s")).status_code == 401
    assert (await fetch(town, reader, publication.url, site="s")).status_code == 200

    assert len(checked) == 2
    assert [inbox for _, inbox, _ in await copies(site.node)] == [f"{reader.id}/inbox"]
    town.clock.forward(hours=1)
    await put_right(town, publication, site="s")
    await town.settle()
    town.clock.forward(hours=1)
    await withdraw_case(site.node, publication)
    await town.settle()
    assert told(reader) == ["Update", "Delete"]
    assert await copies(site.node) == []


# ---- what is not believed, and what is not kept --------------------------------------------------------------------


async def test_a_signature_that_does_not_hold_makes_nobody_known(town: Town) -> None:
    publication, other = await publish_case(town["a"].node), await publish_case(town["a"].node, a_case(1))
    reader, thief = Stranger(town), Stranger(town, "thief.example", key="other")
    now, url = town.clock.now(), publication.url
    headers = {
        "another's key": signed(reader, url, signer=thief.rsa.signer(reader.key_id)),
        "another address": signed(reader, other.url),
        "another server": signed(reader, url.replace("a.example", "b.example")),
        "too old": signed(reader, url, now=now.replace(year=2025)),
        "no such key": signed(reader, url, signer=reader.signer(f"{reader.id}#none")),
        "ourselves": signed(
            reader, url, signer=keyring("a", born=now).signer(town["a"].settings.instance_actor, "rsa")
        ),
        "no address": signed(reader, url, signer=reader.signer("somebody")),
        "no signature": {"accept": ACTIVITY_JSON},
        "no shape": {"accept": ACTIVITY_JSON, "signature": "it is me"},
    }

    for what, given in headers.items():
        assert (await fetch(town, None, url, headers=given)).status_code == 200, what
        assert await copies(town["a"].node) == [], what

    await fetch(town, reader, url)
    assert len(await copies(town["a"].node)) == 1


@pytest.mark.parametrize(
    ("mode", "policy", "is_kept"),
    [
        ("open", None, True),
        ("open", "block", False),
        ("open", "limit", True),
        ("limited", None, True),
        ("members", None, False),
    ],
)
async def test_of_a_host_that_is_shut_out_nothing_is_remembered(
    town: Town, mode: str, policy: str | None, is_kept: bool
) -> None:
    site, reader = await town.open("s", federation=mode), Stranger(town)
    publication = await publish_case(site.node)
    async with site.node.database.begin() as session:
        await decide(session, reader.host, policy, reason="", now=town.clock.now())

    assert (await fetch(town, reader, publication.url, site="s")).status_code == 200

    assert len(await copies(site.node)) == is_kept
    assert bool(reader.asked) == is_kept


async def test_a_host_that_is_blocked_since_is_told_nothing(town: Town) -> None:
    readers = [Stranger(town, f"{name}.example", key="peer") for name in ("one", "two")]
    publication = await publish_case(town["a"].node)
    for reader in readers:
        await fetch(town, reader, publication.url)
    async with town["a"].node.database.begin() as session:
        await decide(session, readers[0].host, "block", reason="", now=town.clock.now())

    town.clock.forward(minutes=1)
    await put_right(town, publication)
    await town.settle()
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, publication)
    await town.settle()

    assert [told(reader) for reader in readers] == [[], ["Update", "Delete"]]


async def test_what_was_withdrawn_and_what_is_not_there_is_nobodys_copy(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, publication)
    await town.settle()
    absent = publication.url[:-3] + "abc"

    assert (await fetch(town, reader, publication.url)).status_code == 410
    assert (await fetch(town, reader, absent)).status_code == 404
    for part in ("context", "replies", "history"):
        await fetch(town, reader, f"{publication.url}/{part}")

    assert reader.asked == []
    assert await copies(town["a"].node) == []


async def test_what_holds_none_of_the_words_of_a_case_makes_no_copy(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    main = town["a"].settings.main_actor

    for url in (
        *(f"{publication.url}/{part}" for part in ("context", "replies", "history")),
        main,
        f"{main}/featured",
    ):
        assert (await fetch(town, reader, url)).status_code == 200, url
    page = signed(reader, publication.url) | {"accept": "text/html"}
    assert (await fetch(town, None, publication.url, headers=page)).status_code == 200

    assert reader.asked == []


async def test_of_an_actor_who_is_gone_nothing_is_remembered(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    other = await publish_case(town["a"].node, a_case(1))
    await fetch(town, reader, other.url)
    async with town["a"].node.database.begin() as session:
        await session.execute(
            update(RemoteActor).where(RemoteActor.id == reader.id).values(gone_at=town.clock.now())
        )

    await fetch(town, reader, publication.url)

    assert [case for case, _, _ in await copies(town["a"].node)] == [other.url]


@pytest.mark.both_databases
async def test_whoever_was_given_a_case_in_the_moment_of_its_withdrawal_is_told_and_not_remembered(
    town: Town,
) -> None:
    node, reader = town["a"].node, Stranger(town)
    publication = await publish_case(node)
    serve, withdrawn = town.wires.apps[reader.host], asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            await withdrawn.wait()
        return await serve.handle_async_request(request)

    town.wires.apps[reader.host] = httpx.MockTransport(slow)
    async with town.visitor("a") as http:
        answer = await http.get(publication.url, headers=signed(reader, publication.url))
    town.clock.forward(seconds=1)
    await withdraw_case(node, publication)
    await town.settle()
    assert (answer.status_code, told(reader)) == (200, [])
    withdrawn.set()
    await done(node)
    await town.settle()

    assert told(reader) == ["Delete"]
    assert await copies(node) == []


@pytest.mark.both_databases
async def test_whoever_was_given_a_case_in_the_moment_of_its_correction_is_told(town: Town) -> None:
    node, readers = town["a"].node, [Stranger(town, f"{name}.example", key="peer") for name in ("one", "two")]
    publication = await publish_case(node)
    serve, corrected = town.wires.apps[readers[0].host], asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            await corrected.wait()
        return await serve.handle_async_request(request)

    town.wires.apps[readers[0].host] = httpx.MockTransport(slow)
    town.clock.forward(seconds=1)
    async with town.visitor("a") as http:
        await http.get(publication.url, headers=signed(readers[0], publication.url))
    town.clock.forward(seconds=1)
    await put_right(town, publication)
    town.clock.forward(seconds=1)
    corrected.set()
    await done(node)
    # Whoever comes now has it as it is.
    await fetch(town, readers[1], publication.url)
    await town.settle()

    assert [told(one) for one in readers] == [["Update"], []]
    assert len(await copies(node)) == 2


async def test_who_takes_an_answer_slowly_is_told_what_was_corrected_meanwhile(town: Town) -> None:
    node, reader = town["a"].node, Stranger(town)
    publication = await publish_case(node)
    town.clock.forward(seconds=10)
    door = town.wires.apps["a.example"]
    assert isinstance(door, httpx.ASGITransport)
    headers = {"host": "a.example"} | signed(reader, publication.url)
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "query_string": b"",
        "path": publication.url.removeprefix("https://a.example"),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.1", 1), "server": ("a.example", 443),
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            return
        town.clock.forward(seconds=10)
        await put_right(town, publication)
        town.clock.forward(seconds=10)

    await door.app(scope, receive, send)
    await done(node)
    await town.settle()

    assert (statuses, told(reader)) == ([200], ["Update"])


@pytest.mark.both_databases
async def test_two_withdrawals_and_whoever_was_given_both_cases_do_not_wait_for_each_other(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane of their host was held for the one case while the other was waited for."""
    node, reader = town["a"].node, Stranger(town)
    before = Stranger(town, reader.host, "before")
    found = sorted([await publish_case(node), await publish_case(node, a_case(1))], key=lambda one: one.url)
    for one in (reader, before):
        one.documents |= {
            f"/users/{name}": who.actor() for name, who in (("sam", reader), ("before", before))
        }
    page = f"{node.settings.main_actor}/outbox?page=1"
    await fetch(town, before, page)
    assert len(await copies(node)) == 2
    holds = asyncio.Event()

    async def asked(request: SignedRequest, *, asks: bool = True) -> str | None:
        await holds.wait()
        return reader.id

    async with node.database.begin() as session:
        session.add(known_actor(reader.id, fetched_at=node.clock.now()))
    await Copying(node, asked).fetched(question(reader.key_id), [one.url for one in found])
    town.clock.forward(seconds=1)
    await withdraw_case(node, found[0])

    async def waiting(*given: Any) -> dict[str, set[str]]:
        holds.set()
        await asyncio.sleep(0.5)
        return await went_to(*given)

    monkeypatch.setattr(publish, "went_to", waiting)
    await withdraw_case(node, found[1])
    await done(node)
    await town.settle()

    # One server, where two are told.
    deleted = sorted(one["object"]["id"] for one in before.received)
    assert deleted == [found[0].url] * 2 + [found[1].url] * 2
    assert await copies(node) == []


# ---- what it costs -----------------------------------------------------------------------------------------------


async def test_the_answer_waits_for_no_key(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    asked, never = asyncio.Event(), asyncio.Event()

    async def silent(_: httpx.Request) -> httpx.Response:
        asked.set()
        await never.wait()
        raise AssertionError

    town.wires.apps[reader.host] = httpx.MockTransport(silent)
    async with asyncio.timeout(30), town.visitor("a") as http:
        answer = await http.get(publication.url, headers=signed(reader, publication.url))
        await asked.wait()

    assert answer.status_code == 200
    assert len(town["a"].node.errands) == 1
    await town.stop("a")


async def test_whose_key_could_not_be_had_is_known_when_they_ask_again(town: Town) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    door = town.wires.apps.pop(reader.host)
    await fetch(town, reader, publication.url)
    assert await copies(town["a"].node) == []

    town.wires.apps[reader.host] = door
    town.clock.forward(seconds=20)
    await fetch(town, reader, publication.url)

    assert len(await copies(town["a"].node)) == 1


async def test_whose_key_could_not_be_had_is_asked_for_it_once_more_and_hears_of_the_withdrawal(
    town: Town,
) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    door = town.wires.apps.pop(reader.host)
    await fetch(town, reader, publication.url)
    town.wires.apps[reader.host] = door

    town.clock.forward(seconds=44)
    await done(town["a"].node)
    assert reader.asked == []
    town.clock.forward(seconds=1)
    await done(town["a"].node)
    assert len(await copies(town["a"].node)) == 1
    await withdraw_case(town["a"].node, publication)
    await town.settle()

    assert told(reader) == ["Delete"]
    assert town["a"].node.errands == set()


async def test_whoever_read_a_case_that_is_withdrawn_before_they_are_asked_once_more_is_told(
    town: Town,
) -> None:
    publication, reader = await publish_case(town["a"].node), Stranger(town)
    door = town.wires.apps.pop(reader.host)
    await fetch(town, reader, publication.url)
    town.wires.apps[reader.host] = door
    await withdraw_case(town["a"].node, publication)

    town.clock.forward(seconds=45)
    await done(town["a"].node)
    await town.settle()

    assert told(reader) == ["Delete"]
    assert await copies(town["a"].node) == []


class Asked:
    """Who signed a GET, told when the test lets it be; nobody's key is here before it was asked for."""

    def __init__(self, owner: str | None = None) -> None:
        self.owner = owner
        self.many = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, request: SignedRequest, *, asks: bool = True) -> str | None:
        if not asks:
            raise NotYet("its key is not here", retry_after=30)
        self.many += 1
        await self.go_on.wait()
        return self.owner


def question(key_id: str = "https://r.example/users/r#main-key", **more: bytes) -> SignedRequest:
    """A GET with what looks like a signature."""
    fields = {
        b"host": b"a.example",
        b"date": b"Sat, 21 Nov 2026 12:00:00 GMT",
        b"signature": f'keyId="{key_id}",headers="(request-target) host date",signature="AAAA"'.encode(),
    } | {name.encode(): value for name, value in more.items()}
    return SignedRequest("GET", b"/cases/x", tuple(fields.items()))


async def turns(many: int = 100) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


CASE = ["https://a.example/cases/x"]


async def test_of_a_flood_no_more_is_looked_into_than_the_line_holds(node: Node) -> None:
    asked = Asked()
    copying = Copying(node, asked, Limits(line=5, a_second=100))

    for number in range(50):
        await copying.fetched(question(f"https://r{number}.example/r#k"), CASE)
    await done(node)

    assert asked.many == 5


async def test_of_a_flood_no_more_keys_are_asked_for_than_their_line_holds(node: Node) -> None:
    asked = Asked()
    asked.go_on.clear()
    copying = Copying(node, asked, Limits(strangers=5, at_once=2, a_second=100))

    for number in range(50):
        await copying.fetched(question(f"https://r{number}.example/r#k"), CASE)
        await turns(20)
    assert asked.many == 2
    asked.go_on.set()
    await done(node)

    assert asked.many == 2 + 5


async def test_no_more_is_looked_into_in_a_second_than_the_limit_says(node: Node, clock: Any) -> None:
    asked = Asked()
    copying = Copying(node, asked, Limits(a_second=3))

    for number in range(8):
        await copying.fetched(question(f"https://r{number}.example/r#k"), CASE)
    seen = []
    for _ in range(4):
        await turns()
        seen.append(asked.many)
        clock.forward(seconds=1)
    await done(node)

    assert seen == [3, 6, 8, 8]


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(
    node: Node, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, right = Asked(), node.clock.now()
    copying = Copying(node, asked, Limits(a_second=1))
    monkeypatch.setattr(clock, "now", lambda: right + timedelta(days=1))
    await copying.fetched(question("https://r0.example/r#k"), CASE)
    await turns()
    assert asked.many == 1

    monkeypatch.setattr(clock, "now", lambda: right)
    await copying.fetched(question("https://r1.example/r#k"), CASE)
    await turns()

    assert asked.many == 2


async def test_all_whom_a_hub_serves_may_come_at_once(node: Node, clock: Any) -> None:
    asked = Asked()
    copying = Copying(node, asked)

    for number in range(3_000):
        await copying.fetched(question(f"https://r{number}.example/r#k"), CASE)
    while node.errands:
        await turns()
        clock.forward(seconds=1)

    assert asked.many == 3_000


def test_what_waits_to_be_looked_into_holds_tens_of_megabytes_at_most() -> None:
    limits = Limits()

    assert (limits.line + limits.strangers + limits.again) * MAX_HEAD_BYTES < 32 * 2**20


async def test_a_site_whose_servers_do_not_answer_keeps_nobody_else_waiting(node: Node) -> None:
    slow = Asked()
    slow.go_on.clear()
    others: list[str] = []

    async def asked(request: SignedRequest, *, asks: bool = True) -> str | None:
        said = dict(request.headers)[b"signature"].decode()
        if "slow.example" in said or not asks:
            return await slow(request, asks=asks)
        others.append(said)
        return None

    copying = Copying(node, asked, Limits(strangers=20, site_line=4, at_once=5, site_at_once=2))
    for number in range(10):
        await copying.fetched(question(f"https://n{number}.slow.example/r#k"), CASE)
        await turns(20)
    for number in range(6):
        await copying.fetched(question(f"https://r{number}.example/r#k"), CASE)
    await turns()

    assert (slow.many, len(others)) == (2, 6)
    slow.go_on.set()
    await done(node)
    assert slow.many == 2 + 4


class Silent(Asked):
    """Whose key can never be had."""

    async def __call__(self, request: SignedRequest, *, asks: bool = True) -> str | None:
        await super().__call__(request, asks=asks)
        raise NotYet("it does not answer", retry_after=30)


async def test_a_key_that_cannot_be_had_is_asked_for_twice_and_no_more(
    node: Node, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Silent()
    await Copying(node, asked).fetched(question(), CASE)
    seen = []
    for _ in range(4):
        await done(node)
        seen.append(asked.many)
        clock.forward(minutes=1)

    assert seen == [1, 2, 2, 2]
    assert node.errands == set()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("limits", "many"), [(Limits(again=3, site_again=10), 3), (Limits(again=10, site_again=2), 4)]
)
async def test_of_those_whose_key_could_not_be_had_no_more_wait_than_the_limit_says(
    node: Node, clock: FrozenClock, limits: Limits, many: int
) -> None:
    asked = Silent()
    copying = Copying(node, asked, limits)
    for number in range(10):
        await copying.fetched(question(f"https://n{number}.r{number % 2}.example/r#k"), CASE)
    await done(node)
    assert asked.many == 10

    clock.forward(minutes=1)
    await done(node)

    assert asked.many == 10 + many


async def test_no_more_are_asked_once_more_at_once_than_the_limit_says(
    node: Node, clock: FrozenClock
) -> None:
    asked = Silent()
    copying = Copying(node, asked, Limits(again_at_once=3, site_again_at_once=2))
    for number in range(4):
        for site in ("one", "two"):
            await copying.fetched(question(f"https://n{number}.{site}.example/r#k"), CASE)
    await done(node)
    asked.go_on.clear()

    clock.forward(minutes=1)
    await turns()
    assert asked.many == 8 + 3
    asked.go_on.set()
    await done(node)

    assert asked.many == 8 + 8


async def test_who_is_asked_once_more_takes_nobodys_turn(node: Node, clock: FrozenClock) -> None:
    silent = Silent()
    others: list[SignedRequest] = []

    async def asked(request: SignedRequest, *, asks: bool = True) -> str | None:
        if b"silent" in dict(request.headers)[b"signature"] or not asks:
            return await silent(request, asks=asks)
        others.append(request)
        return None

    copying = Copying(node, asked, Limits(at_once=2))
    for number in range(2):
        await copying.fetched(question(f"https://silent{number}.example/r#k"), CASE)
    await done(node)
    silent.go_on.clear()
    clock.forward(minutes=1)
    await turns()
    assert silent.many == 4

    await copying.fetched(question(), CASE)
    await turns()

    assert len(others) == 1
    await node.end_errands()


async def test_who_fails_later_is_asked_once_more_later(node: Node, clock: FrozenClock) -> None:
    asked = Silent()
    copying = Copying(node, asked)
    for number in range(2):
        await copying.fetched(question(f"https://r{number}.example/r#k"), CASE)
        await done(node)
        clock.forward(seconds=30)
    seen = []
    for _ in range(3):
        await done(node)
        seen.append(asked.many)
        clock.forward(seconds=15)

    assert seen == [3, 4, 4]


async def test_a_clock_that_was_set_back_keeps_nobody_from_being_asked_once_more(
    node: Node, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, right = Silent(), node.clock.now()
    copying = Copying(node, asked)
    monkeypatch.setattr(clock, "now", lambda: right + timedelta(days=1))
    await copying.fetched(question(), CASE)
    await done(node)
    monkeypatch.setattr(clock, "now", lambda: right)
    clock.forward(seconds=45)
    await done(node)

    assert asked.many == 2


async def test_whoever_is_known_waits_for_no_key_that_is_asked_for_anew(town: Town) -> None:
    """Old keys of servers that went silent, signed with wrongly: known, and each asked for anew every time."""
    node, publication = town["a"].node, await publish_case(town["a"].node)
    other = await publish_case(node, a_case(1))
    reader = Stranger(town, "reader.example")
    strangers = [Stranger(town, f"silent{number}.example", key="peer") for number in range(33)]
    wrong = Stranger(town, "wrong.example", key="other")
    for one in (reader, *strangers):
        await fetch(town, one, other.url)
    assert len(await copies(node)) == 34
    never = asyncio.Event()

    async def silent(_: httpx.Request) -> httpx.Response:
        await never.wait()
        raise AssertionError

    for one in strangers:
        town.wires.apps[one.host] = httpx.MockTransport(silent)
    town.clock.forward(minutes=10)
    async with town.visitor("a") as http:
        for one in strangers:
            forged = signed(one, publication.url, signer=wrong.rsa.signer(one.key_id))
            await http.get(publication.url, headers=forged)
        await http.get(publication.url, headers=signed(reader, publication.url))

    async with asyncio.timeout(30):
        while (publication.url, f"{reader.id}/inbox", date(2026, 11, 21)) not in await copies(node):
            await asyncio.sleep(0.02)
    await town.stop("a")


async def test_whose_key_is_known_waits_for_no_strangers(node: Node, case_url: str) -> None:
    """Addresses that do not answer cost nothing to name: as many as one likes, each of another site."""
    never = asyncio.Event()

    async def asked(request: SignedRequest, *, asks: bool = True) -> str | None:
        if b"silent" in dict(request.headers)[b"signature"]:
            if not asks:
                raise NotYet("its key is not here", retry_after=30)
            await never.wait()
        return "https://r.example/users/r"

    limits = Limits(strangers=10, at_once=4, a_second=1_000)
    copying = Copying(node, asked, limits)
    for number in range(40):
        await copying.fetched(question(f"https://silent{number}.example/r#k"), [case_url])
    await copying.fetched(question(), [case_url])

    async with asyncio.timeout(30):
        while not await copies(node):
            await asyncio.sleep(0.01)
    await node.end_errands()


@pytest.mark.parametrize(
    ("request_", "cases"),
    [
        (SignedRequest("GET", b"/cases/x", ((b"host", b"a.example"), (b"date", b"today"))), ["x"]),
        (SignedRequest("GET", b"/cases/x", ((b"signature", b'keyId="https://r.example/r"'),)), ["x"]),
        (question("mailto:r@r.example"), ["x"]),
        (question("https://[/"), ["x"]),
        (question(more=b"x" * MAX_HEAD_BYTES), ["x"]),
        (question(), []),
    ],
)
async def test_what_does_not_look_like_a_signature_is_not_looked_into(
    node: Node, request_: SignedRequest, cases: list[str]
) -> None:
    asked = Asked()

    await Copying(node, asked).fetched(request_, cases)

    assert node.errands == set()
    assert asked.many == 0


@pytest.fixture
async def case_url(node: Node) -> str:
    """A case that is public, and an actor who is known."""
    async with node.database.begin() as session:
        session.add(known_actor("https://r.example/users/r", fetched_at=node.clock.now()))
    return (await publish_case(node)).url


async def test_whoever_was_seen_a_little_while_ago_is_not_looked_at_again(
    node: Node, case_url: str, clock: Any
) -> None:
    asked = Asked("https://r.example/users/r")
    copying = Copying(node, asked)
    many = []
    for wait in (0, 1, SEEN_FOR.total_seconds() - 2, 1):
        clock.forward(seconds=wait)
        await copying.fetched(question(), [case_url])
        await done(node)
        many.append(asked.many)

    assert many == [1, 1, 1, 2]


async def test_what_was_seen_while_it_waited_is_not_looked_at_again(node: Node, case_url: str) -> None:
    asked = Asked("https://r.example/users/r")
    copying = Copying(node, asked, Limits(at_once=1))

    for _ in range(3):
        await copying.fetched(question(), [case_url])
    await done(node)

    assert asked.many == 1


async def test_the_worker_is_woken_for_whoever_is_told_late_and_for_nobody_else(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    publications = [await publish_case(node), await publish_case(node, a_case(1))]
    async with node.database.begin() as session:
        session.add(known_actor("https://r.example/users/r", fetched_at=node.clock.now()))
    await withdraw_case(node, publications[1])
    rung: list[object] = []

    async def ring(_: object) -> None:
        rung.append(True)

    monkeypatch.setattr(type(node.bell), "ring", ring)
    copying, many = Copying(node, Asked("https://r.example/users/r")), []
    for one in publications:
        await copying.fetched(question(), [one.url])
        await done(node)
        many.append(len(rung))

    assert many == [0, 1]


async def test_nothing_is_written_again_for_whoever_found_no_place(
    node: Node, case_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.publishing.copies.MOST", 0)
    asked = Asked("https://r.example/users/r")
    copying = Copying(node, asked)
    await copying.fetched(question(), [case_url])
    await done(node)
    assert await copies(node) == []
    written: list[object] = []

    async def remember(*given: object, **more: object) -> bool:
        written.append(given)
        return False

    monkeypatch.setattr("node.inbox.copying.remember_copy", remember)
    for key in ("#main-key", "#another"):
        await copying.fetched(question(f"https://r.example/users/r{key}"), [case_url])
        await done(node)

    assert asked.many == 2
    assert written == []


async def test_of_those_who_were_seen_the_last_ones_are_remembered(
    node: Node, case_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each is remembered by key and by inbox.
    monkeypatch.setattr("node.inbox.copying.SEEN_REMEMBERED", 2)
    asked = Asked("https://r.example/users/r")
    copying = Copying(node, asked)

    for key in ("#one", "#two", "#two", "#one"):
        await copying.fetched(question(f"https://r.example/users/r{key}"), [case_url])
        await done(node)

    assert asked.many == 3


async def test_who_was_seen_again_is_remembered_for_longer_than_who_came_between(
    node: Node, case_url: str, monkeypatch: pytest.MonkeyPatch, clock: FrozenClock
) -> None:
    # The inbox is remembered beside the keys.
    monkeypatch.setattr("node.inbox.copying.SEEN_REMEMBERED", 3)
    asked = Asked("https://r.example/users/r")
    copying = Copying(node, asked)

    for key, wait in (("#one", 0), ("#two", 0), ("#one", 1), ("#three", 0), ("#one", 0)):
        clock.forward(hours=wait)
        await copying.fetched(question(f"https://r.example/users/r{key}"), [case_url])
        await done(node)

    assert asked.many == 4


@pytest.mark.both_databases
async def test_two_of_one_server_who_were_given_the_same_cases_do_not_wait_for_each_other(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cases = [(await publish_case(node, a_case(number))).url for number in range(2)]
    async with node.database.begin() as session:
        session.add(known_actor("https://r.example/users/r", fetched_at=node.clock.now()))

    async def slowly(session: AsyncSession, *given: Any, **more: Any) -> bool:
        is_late = await remember_copy(session, *given, **more)
        await session.flush()
        await asyncio.sleep(0.3)
        return is_late

    monkeypatch.setattr("node.inbox.copying.remember_copy", slowly)
    # Two processes.
    for order in (cases, cases[::-1]):
        await Copying(node, Asked("https://r.example/users/r")).fetched(question(), order)
    await done(node)

    assert len(await copies(node)) == 2
    assert caplog.records == []


async def test_a_wrong_signature_in_somebodys_name_does_not_keep_them_from_being_seen(
    node: Node, case_url: str
) -> None:
    asked = Asked(None)
    copying = Copying(node, asked)
    await copying.fetched(question(), [case_url])
    await done(node)
    asked.owner = "https://r.example/users/r"
    await copying.fetched(question(), [case_url])
    await done(node)

    assert [inbox for _, inbox, _ in await copies(node)] == ["https://r.example/users/r/inbox"]


async def test_nothing_is_written_for_what_is_known(
    node: Node, case_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked("https://r.example/users/r")
    await Copying(node, asked).fetched(question(), [case_url])
    await done(node)
    written: list[object] = []

    async def remember(*given: object, **more: object) -> bool:
        written.append(given)
        return False

    monkeypatch.setattr("node.inbox.copying.remember_copy", remember)

    # Another process, which has seen nobody; and in the same one, another key of theirs.
    again = Copying(node, asked)
    for key in ("#main-key", "#another"):
        await again.fetched(question(f"https://r.example/users/r{key}"), [case_url])
        await done(node)

    assert asked.many == 3
    assert written == []
    assert len(await copies(node)) == 1


async def test_who_cannot_be_asked_for_their_key_and_what_fails_keep_nobody_after_them_from_being_seen(
    node: Node, case_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = [NotYet("no", retry_after=30), RuntimeError("no")]

    async def asked(request: SignedRequest, *, asks: bool = True) -> str | None:
        if not asks:
            raise NotYet("its key is not here", retry_after=30)
        if errors:
            raise errors.pop()
        return "https://r.example/users/r"

    copying = Copying(node, asked, Limits(at_once=1))
    for number in range(3):
        await copying.fetched(question(f"https://r{number}.example/r#k"), [case_url])
    await done(node)

    assert len(await copies(node)) == 1
    assert [record.getMessage() for record in caplog.records] == ["copies.failed"]
    await node.end_errands()


async def test_who_looks_no_more_when_the_node_is_closed(node: Node, case_url: str) -> None:
    asked = Asked()
    asked.go_on.clear()
    await Copying(node, asked).fetched(question(), [case_url])
    while not asked.many:
        await asyncio.sleep(0)

    await node.end_errands()

    assert node.errands == set()


def test_looking_who_fetched_leaves_room_for_the_keys_of_those_who_write() -> None:
    # None are asked for in the first line.
    assert (Limits().at_once + Limits().again_at_once) * 4 <= InboxLimits().fetches
    assert (Limits().site_at_once + Limits().site_again_at_once) * 4 <= InboxLimits().site_fetches
