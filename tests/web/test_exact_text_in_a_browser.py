"""May exactly this be published? The desk asks, the source reads the whole text, and answers for it and for no other."""

from typing import Any

import pytest
from sqlalchemy import select

from node.casework.cases import Case
from node.casework.desk import parse_text
from tests.rig.alerts import case_fields
from tests.rig.processes import Served
from tests.rig.publications import behind
from tests.web.door import barriers, send_alert, sign_in, unlock

FIRST = "Families kept for years in emergency rooms"
SECOND = "Eleven families in one building (fictional)"
HALF = "Half an answer (fictional)"
WHY = "The street must not be guessed (fictional)."

pytestmark = pytest.mark.browser


async def write_text(organisation: Served, **changes: Any) -> None:
    """The only case has this text now, as if an editor had saved it."""
    async with behind(organisation) as node, node.database.begin() as session:
        (case,) = await session.scalars(select(Case))
        now = node.clock.now()
        case.state, case.standard = "drafting", "P3"
        text = parse_text(case_fields(**changes), now=now, corrections=())
        case.write(text.fields(), by=case.opened_by, now=now)


async def test_a_source_reads_the_whole_text_refuses_it_agrees_to_the_next_and_takes_that_back(
    browser: Any, organisation: Served
) -> None:
    await _read_refuse_agree_and_take_back(browser, organisation)
    await _see_that_what_the_source_did_not_sign_is_not_counted(browser, organisation)


async def _read_refuse_agree_and_take_back(browser: Any, organisation: Served) -> None:
    words = " ".join(await send_alert(browser, organisation.origin))
    errors: list[str] = []
    desk = await (await browser.new_context(locale="en-GB")).new_page()
    phone = await (
        await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    ).new_page()
    for page in (desk, phone):
        page.on("pageerror", lambda error: errors.append(str(error)))

    async def again() -> None:
        await desk.reload()
        await unlock(desk)
        await desk.wait_for_selector("[data-standing]")

    async def come_back() -> None:
        await phone.goto(f"{organisation.origin}/alert/receipt")
        await phone.fill("#words-typed", words)
        await phone.click("#open")
        await phone.wait_for_selector("#text-title")

    # The desk asks about the text that is there.
    await sign_in(desk, organisation.origin, "Berta")
    await desk.click(".lines a")
    await desk.click("[data-take]")
    await desk.click("[data-take-form] button[type=submit]")
    await desk.wait_for_selector("[data-move=record]")
    await write_text(organisation)
    await again()
    assert "was not asked" in await desk.inner_text("[data-standing]")
    await desk.click("[data-ask] button")
    await desk.wait_for_selector("[data-standing]:has-text('has not answered')")
    at_the_desk = await barriers(desk)
    asked_text = await desk.inner_text("[data-text] .case")

    # The source reads the same words, whole, and says no with a reason.
    await come_back()
    shown = await phone.inner_text("#exchange .paper .case")
    assert FIRST in shown
    assert shown.split() == asked_text.split()
    on_the_phone = await barriers(phone)
    wide = await phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await phone.fill("#answer-text", HALF)
    await phone.click("#text-no")
    await phone.fill("#text-reason", WHY)
    await phone.click("#text-no-send")
    await phone.wait_for_selector("#exchange .standing:has-text('you said no')")
    await phone.wait_for_selector(f"#exchange .said:has-text('{WHY}')")
    # What was being written stays, and did not go along.
    assert await phone.input_value("#answer-text") == HALF
    assert HALF not in await phone.inner_text("#exchange")
    await again()
    assert "said no" in await desk.inner_text("[data-standing]")

    # Another text asks again; the yes is for that text alone.
    await write_text(organisation, title={"en": SECOND})
    await again()
    assert "no to another text" in await desk.inner_text("[data-standing]")
    await desk.click("[data-ask] button")
    await desk.wait_for_selector("[data-standing]:has-text('has not answered')")
    await come_back()
    assert await phone.locator("#exchange details").count() == 1
    assert SECOND in await phone.inner_text("#exchange .paper >> nth=1")
    await phone.click("#text-yes")
    await phone.wait_for_selector("#exchange .standing:has-text('you agreed to exactly this')")
    await again()
    assert "agreed to exactly this text" in await desk.inner_text("[data-standing]")
    assert not await desk.is_visible("[data-ask] button")
    await write_text(organisation, title={"en": f"{SECOND} again"})
    await again()
    assert "agreed to another text" in await desk.inner_text("[data-standing]")
    await write_text(organisation, title={"en": SECOND})

    # And back again; a reason that cannot be sent waits behind the answer that is being written.
    await phone.route("**/api/v1/mailbox/messages", lambda route: route.fulfill(status=400, body="{}"))
    await phone.fill("#answer-text", HALF)
    await phone.click("#text-no")
    await phone.fill("#text-reason", WHY)
    await phone.click("#text-no-send")
    await phone.wait_for_selector("#exchange .standing:has-text('you said no')")
    assert await phone.input_value("#answer-text") == f"{HALF}\n\n{WHY}"
    await again()
    assert "said no" in await desk.inner_text("[data-standing]")
    assert (errors, at_the_desk, on_the_phone, wide) == ([], [], [], True)


async def _see_that_what_the_source_did_not_sign_is_not_counted(browser: Any, organisation: Served) -> None:
    from node.intake.alerts import Alert, Consent

    async with behind(organisation) as node, node.database.begin() as session:
        (case,) = await session.scalars(select(Case))
        alert = await session.get(Alert, case.alert_id)
        assert alert is not None
        last = (await session.scalars(select(Consent).order_by(Consent.seq.desc()))).first()
        forged = Consent(alert_id=alert.id, seq=(last.seq if last else 0) + 1, use="publish", answer="yes")
        forged.text_sha256, forged.answered_on = case.draft_sha256, node.clock.now().date()
        forged.signature = last.signature if last else "A" * 88
        session.add(forged)
    desk = await (await browser.new_context(locale="en-GB")).new_page()

    await sign_in(desk, organisation.origin, "Berta")
    await desk.click("[data-room=cases]")
    await desk.click('.lines a[href*="cases"]')
    await desk.wait_for_selector("[data-forged]:visible")

    assert "said no" in await desk.inner_text("[data-standing]")
