"""The office in a browser: one person decides about a host, a report, a term and the door, by keyboard, at a desk and on a phone."""

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Draft, put_entry
from node.intake.alerts import Alert
from node.intake.duty import Duty, make_promise
from node.outbox import Job, enqueue
from node.peers.reports import keep_report
from node.peers.sending import Sent, SentTo, delivery_key
from node.publishing.positions import draft_position
from node.publishing.publications import Publication
from node.publishing.reactions import keep_reaction
from node.runtime import Node
from node.staff.accounts import NODE
from tests.rig.processes import Served
from tests.rig.publications import a_case, behind, publish_case
from tests.web.door import EVERY_ROLE, barriers, running_organisation, send_alert, sign_in
from vocab.cases import write_case
from vocab.jsonld import write

CASE = "c" * 32
HOST = "another.example"
THEIRS = f"https://{HOST}/cases/t6mf0c3jkv5s2r8wq1hd9xzbea"
NOTE = "https://social.example/notes/1"
ELSEWHERE = "Call the network's office, weekdays from nine to five (fictional)."
ROOMS = (
    *("replies", "published", f"published/{CASE}", "positions", "reports", "reports/new", "hosts", "keeping"),
    *("duty", "door"),
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
async def server(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A node with two people at its desk, an alert, a public case, a reply to it and a report about it."""

    async def fill(server: Served) -> None:
        await send_alert(chromium, server.origin)
        async with behind(server) as node:
            publication = await publish_case(node)
            now = node.clock.now()
            async with node.database.begin() as session:
                found = await session.get_one(Publication, publication.id)
                found.case_id = CASE
                await deliver_to_nobody(session, now)
                await keep_reaction(
                    session,
                    id=NOTE,
                    kind="reply",
                    actor="https://social.example/users/a-name-that-is-rather-long-for-a-telephone",
                    case_url=publication.url,
                    now=now,
                )
                await of_another(session, node, now)
                await make_promise(session, 48, by=NODE, now=now)
                for alert in await session.scalars(select(Alert)):
                    session.add(Duty(alert_id=alert.id, arrived_at=now - timedelta(hours=3), hours=48))
                await keep_report(
                    session,
                    activity_id="https://social.example/flags/1",
                    reporter="https://social.example/actor",
                    objects=[publication.url],
                    text="The year is wrong (fictional).",
                    now=now,
                )

    roles = (*EVERY_ROLE, "administrator")
    with running_organisation(tmp_path_factory.mktemp("organisation"), roles=roles) as server:
        await fill(server)
        yield server


async def of_another(session: AsyncSession, node: Node, now: datetime) -> None:
    """A case of another organisation, and what somebody here wrote of it."""
    case, actor = a_case(), f"https://{HOST}/actors/cases"
    document = write(write_case(case, id=THEIRS, actor=actor, published=now))
    draft = Draft(
        case,
        id=THEIRS,
        actor=actor,
        host=HOST,
        publisher="Another organisation (fictional)",
        own=False,
        document=document,
        sha256=hashlib.sha256(document).hexdigest(),
        proof_key=f"{actor}#ed25519-key",
        published_at=now,
        updated_at=None,
    )
    await put_entry(session, draft, now=now)
    await draft_position(
        session,
        node.settings,
        case_url=THEIRS,
        kind="endorsement",
        language="en",
        text="We know these families (fictional).",
        by="0" * 26,
        now=now,
    )


async def deliver_to_nobody(session: AsyncSession, now: datetime) -> None:
    """The case went to three servers: one has it, one does not answer, one refused it."""
    sent = (await session.scalars(select(Sent).where(Sent.is_public))).one()
    inboxes = [f"https://{name}.example/inbox" for name in ("here", "asleep", "unwilling")]
    session.add(SentTo(activity=sent.id, inboxes="\n".join(inboxes)))
    for inbox in inboxes[1:]:
        payload = {"activity": sent.id, "actor": sent.actor, "inbox": inbox}
        key, later = delivery_key(sent.id, inbox), now + timedelta(days=1)
        await enqueue(session, "deliver", payload, lane=f"to:{inbox}", key=key, not_before=later, now=now)
    refused = (await session.scalars(select(Job).where(Job.key == delivery_key(sent.id, inboxes[2])))).one()
    refused.dead_at, refused.last_reason, refused.attempts = now, "403", 1


async def into_the_office(browser: Any, server: Served, *, width: int) -> Any:
    """A page of the office, opened from the desk."""
    context = await browser.new_context(locale="en-GB", viewport={"width": width, "height": 900})
    page = await context.new_page()
    await sign_in(page, server.origin, "Berta")
    async with context.expect_page() as opened:
        await page.click("text=Office")
    office = await opened.value
    await office.wait_for_selector("h1")
    return office


async def press(page: Any, selector: str) -> None:
    """Put the focus there as the Tab key would, and press Enter."""
    await page.locator(selector).focus()
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [390, 1280])
async def test_no_page_has_barriers_or_runs_off_the_side(browser: Any, server: Served, width: int) -> None:
    page = await into_the_office(browser, server, width=width)
    found: dict[str, Any] = {}

    for room in ROOMS:
        await page.goto(f"{server.origin}/desk/{room}?lang=fr")
        wide = await page.locator("html").evaluate("html => html.scrollWidth")
        found[room] = [*await barriers(page), *([f"{wide} px wide"] if wide > width else [])]
    for name, address in (("one reply", f"replies?id={NOTE}"), ("one position", f"positions?case={THEIRS}")):
        await page.goto(f"{server.origin}/desk/{address}")
        wide = await page.locator("html").evaluate("html => html.scrollWidth")
        found[name] = [*await barriers(page), *([f"{wide} px wide"] if wide > width else [])]

    assert {room: barrier for room, barrier in found.items() if barrier} == {}


async def test_one_person_goes_round_the_office_with_the_keyboard(
    browser: Any, server: Served, tmp_path: Path
) -> None:
    page, origin = await into_the_office(browser, server, width=1280), server.origin

    # A reply that cannot be read now cannot be shown; it can be refused, and its host decided about.
    assert page.url.endswith("/desk/replies")
    await press(page, ".items a.button")
    assert "It cannot be shown unread." in await page.inner_text("main")
    await press(page, "a.button.danger")
    assert await page.input_value("#host") == "social.example"
    await page.fill("#reason", "Threats against people who reply (fictional).")
    await press(page, "#reason")
    assert "The decision holds from now on" in await page.inner_text("[role=status]")
    await page.goto(f"{origin}/desk/replies?id={NOTE}")
    await press(page, "button[value=hide]")
    assert "The reply is not shown." in await page.inner_text("[role=status]")

    # Who has the case, who not yet, who never; one of them is tried now. The case is put first.
    await press(page, "nav a[href*=published]")
    await press(page, "tbody th a")
    said = await page.inner_text("main")
    assert "Servers: 1 have it, 1 not yet, 1 never will." in said
    assert "403" in said
    await press(page, "button[value=first]")
    assert "The case stands first." in await page.inner_text("[role=status]")
    await press(page, "button[value=try] >> nth=1")
    assert "It is being tried now." in await page.inner_text("[role=status]")

    # A report is settled with a word.
    await press(page, "nav a[href*=reports]")
    await page.fill("#note-1", "Corrected (fictional).")
    await press(page, "#note-1")
    assert "Corrected (fictional)." in await page.inner_text("main")

    # A term is set, what falls due is seen beforehand, and held.
    await press(page, "nav a[href*=keeping]")
    await page.fill("#days-unanswered-alert", "30")
    await press(page, "#days-unanswered-alert")
    assert "kept for 30 days" in await page.inner_text("main")
    await page.locator("details summary").focus()
    await page.keyboard.press("Enter")
    await page.fill("#why-1", "A court asked for it (fictional).")
    await press(page, "#why-1")
    assert "Held: it stays." in await page.inner_text("main")

    # The door: closed by hand, it says so calmly, and where else to go; the front page stays.
    await press(page, "nav a[href*=door]")
    await page.fill("#elsewhere", ELSEWHERE)
    await press(page, "button[value=close]")
    source = await (
        await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    ).new_page()
    await source.goto(f"{origin}/alert")
    await source.wait_for_selector("#cannot:visible")
    said = await source.inner_text("#cannot")
    assert "The organisation has closed its door for alerts for the time being." in said
    assert ELSEWHERE in said
    assert await barriers(source) == []
    front = await source.goto(origin)
    assert front.status == 200
    await press(page, "button[value=open]")
    await source.goto(f"{origin}/alert")
    assert not await source.is_visible("#cannot")


async def test_one_person_writes_of_anothers_case_and_publishes_only_what_a_colleague_wrote(
    browser: Any, server: Served
) -> None:
    page, origin = await into_the_office(browser, server, width=390), server.origin
    await page.goto(f"{origin}/desk/positions")

    await page.fill("#case", THEIRS)
    await press(page, "#case")
    await page.check("input[value=dissent]")
    await page.fill("#text", "The year is another one (fictional).")
    await press(page, "form:has(#text) button.primary")
    assert "waits for a second person" in await page.inner_text("[role=status]")
    assert "You wrote this. Somebody else has to publish it." in await page.inner_text("main")
    assert await page.locator("button[value=publish]").count() == 1

    await press(page, "button[value=publish]")
    assert "It is public." in await page.inner_text("[role=status]")
    await press(page, "section[aria-labelledby=public] button[value=end]")
    assert "It is taken back." in await page.inner_text("[role=status]")
    assert "We know these families" not in await page.inner_text("main")
