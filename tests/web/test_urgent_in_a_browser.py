"""The short form for what cannot wait: two answers, sealed like every other alert, and first at the desk, which alone knows."""

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from node.sealing.alerts import open_mailbox
from node.sealing.dialogue import Entry, Submission
from node.sealing.receipts import digits_of, entropy_of, source_keys
from tests.rig.processes import Served
from tests.web.door import SLOW_MS, barriers, keep_words, send_alert, sign_in
from vocab.sourceform import Purpose, bundled

HELP = "SEALED-CANARY men wait in front of the door of the strikers' kitchen (fictional)"
NOT = "do not telephone (fictional)"
SMALLEST = {"width": 320, "height": 640}

pytestmark = pytest.mark.browser


@pytest.fixture
async def phone(browser: Any) -> Any:
    """The smallest page; an uncaught error of its scripts fails the test."""
    context = await browser.new_context(locale="en-GB", viewport=SMALLEST)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await context.close()
    assert errors == []


async def to_the_end(page: Any) -> None:
    while not await page.is_visible("#seal"):
        await page.click(".step[data-current] [data-next]")


async def test_the_desk_finds_the_urgent_one_first_and_the_server_does_not_know(
    browser: Any, phone: Any, organisation: Served
) -> None:
    await phone.goto(f"{organisation.origin}/alert/urgent")
    await phone.click("#begin")
    await phone.check("[name=urgency][value=high]")
    await phone.fill("[name=summary]", HELP)
    await phone.click(".step[data-current] [data-next]")
    await phone.fill("[name=own_request]", "An observer at the gate (fictional)")
    await phone.fill("[name=risk_notes]", NOT)
    await to_the_end(phone)
    await phone.click("#seal")
    await keep_words(phone)
    await phone.wait_for_selector("#arrived:visible")
    for _ in range(2):
        await send_alert(browser, organisation.origin)

    desk = await (await browser.new_context(locale="en-GB")).new_page()
    await sign_in(desk, organisation.origin, "Berta")
    await desk.wait_for_selector("[data-lines] li .urgent", timeout=SLOW_MS)
    assert await desk.locator("[data-lines] li").first.locator(".urgent").count() == 1
    assert await barriers(desk) == []
    await desk.locator("[data-lines] li a").first.click()
    await desk.wait_for_selector(".by-form > p .urgent")

    shown = await desk.inner_text(".by-form")
    assert "Within two weeks" in shown
    assert "What must not be done?" in shown
    assert "An observer at the gate (fictional)" in shown
    kept = b"".join(path.read_bytes() for path in organisation.data.rglob("*") if path.is_file())
    assert b"SEALED-CANARY" not in kept
    assert NOT.encode() not in kept
    await desk.context.close()


async def test_two_answers_are_enough_and_less_is_asked_for(phone: Any, organisation: Served) -> None:
    await phone.goto(f"{organisation.origin}/alert/urgent")
    assert "2 questions need an answer." in await phone.inner_text("#opening")
    assert "not promised" in await phone.inner_text("#opening .notice")
    assert await phone.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]
    assert await barriers(phone) == []
    await phone.click("#begin")
    await phone.wait_for_selector("#alert:visible")
    assert await barriers(phone) == []

    await phone.click(".step[data-current] [data-next]")

    assert await phone.inner_text("#error-urgency") == "This question needs an answer."
    await phone.check("[name=urgency][value=imminent]")
    await phone.fill("[name=summary]", HELP)
    await to_the_end(phone)
    await phone.click("#seal")
    await keep_words(phone)
    await phone.wait_for_selector("#arrived:visible")
    assert "not promised" in await phone.inner_text("#arrived")


async def test_the_short_form_can_be_sent_with_the_keyboard_alone(phone: Any, organisation: Served) -> None:
    await phone.goto(f"{organisation.origin}/alert/urgent")
    await phone.focus("#begin")
    await phone.keyboard.press("Enter")
    await phone.wait_for_selector("#alert:visible")
    await tab_to(phone, "urgency")
    await phone.keyboard.press("Space")
    await tab_to(phone, "summary")
    await phone.keyboard.type(HELP)
    while not await phone.is_visible("#seal"):
        await tab_to(phone, "next")
        await phone.keyboard.press("Enter")
    await tab_to(phone, "seal")
    await phone.keyboard.press("Enter")

    await phone.wait_for_selector("#words li")
    assert await phone.locator("#words li").count() == 12


async def tab_to(page: Any, name: str) -> None:
    """Press Tab until that control has the focus."""
    for _ in range(120):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            "[document.activeElement.name, document.activeElement.id, 'next' in document.activeElement.dataset ? 'next' : '']"
        )
        if name in focused:
            return
    raise AssertionError(f"the Tab key never comes to {name}")


@pytest.mark.parametrize("hours", [-24 * 9, 24 * 40])
async def test_a_wrong_clock_is_named_in_the_sources_language_and_costs_nothing(
    browser: Any, organisation: Served, hours: int
) -> None:
    page = await a_page_at_another_hour(browser, hours)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)

    await page.goto(f"{organisation.origin}/alert/urgent")
    await page.click("#begin")
    await page.wait_for_selector("#cannot:visible")

    assert "réglez l’horloge de cet appareil" in await page.inner_text("#cannot")
    assert await page.is_visible("#begin")
    await page.evaluate("mend()")
    await page.click("#begin")
    await page.wait_for_selector("#alert:visible")
    assert sent == []
    await page.context.close()


@pytest.mark.parametrize("hours", [-24, 24])
async def test_a_clock_that_is_wrong_by_a_day_hinders_nobody(
    browser: Any, organisation: Served, hours: int
) -> None:
    page = await a_page_at_another_hour(browser, hours)

    await page.goto(f"{organisation.origin}/alert/urgent")
    await page.click("#begin")
    await page.check("[name=urgency][value=imminent]")
    await page.fill("[name=summary]", HELP)
    await to_the_end(page)
    await page.click("#seal")
    await keep_words(page)

    await page.wait_for_selector("#arrived:visible")
    await page.context.close()


async def test_a_clock_that_runs_away_between_the_form_and_the_sending_is_named_and_loses_nothing(
    browser: Any, organisation: Served
) -> None:
    page = await a_page_at_another_hour(browser, 0)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    await page.goto(f"{organisation.origin}/alert/urgent")
    await page.click("#begin")
    await page.check("[name=urgency][value=imminent]")
    await page.fill("[name=summary]", HELP)
    await to_the_end(page)
    await page.evaluate("runAway(24 * 40)")
    await page.click("#seal")

    words = await keep_words(page)
    await page.wait_for_selector("#sending-error:visible")

    assert "réglez l’horloge de cet appareil" in await page.inner_text("#sending-error")
    assert sent == []
    assert await page.input_value("[name=summary]") == HELP
    await page.evaluate("mend()")
    await page.click("#retry")
    await page.wait_for_selector("#arrived:visible")
    assert len(words) == 12
    await page.context.close()


async def test_a_page_carried_away_seals_what_is_urgent_without_a_network(
    browser: Any, organisation: Served, tmp_path: Path
) -> None:
    carried = tmp_path / "form.html"
    with urllib.request.urlopen(f"{organisation.origin}/alert/urgent/offline.html") as answer:  # noqa: S310  # our loopback
        carried.write_bytes(answer.read())
    context = await browser.new_context(locale="en-GB", viewport=SMALLEST, accept_downloads=True)
    await context.set_offline(True)
    page = await context.new_page()
    await page.goto(carried.as_uri())
    await page.click("#begin")
    await page.check("[name=urgency][value=imminent]")
    await page.fill("[name=summary]", HELP)
    await to_the_end(page)
    await page.click("#seal")
    async with page.expect_download() as download:
        words = await keep_words(page)
    package = tmp_path / "alert.sealed"
    await (await download.value).save_as(package)
    await context.close()

    handed_in = urllib.request.Request(  # noqa: S310  # our loopback
        f"{organisation.origin}/alert/sealed", data=package.read_bytes(), method="PUT"
    )
    with urllib.request.urlopen(handed_in) as answer:  # noqa: S310  # our loopback
        assert answer.status in {200, 201}

    submission = submitted(organisation, words)
    assert submission.form == bundled(Purpose.URGENT).sha256
    assert submission.answers["urgency"] == "imminent"


async def test_the_receipt_stands_in_digits_too_and_they_open_the_same_mailbox(
    phone: Any, organisation: Served
) -> None:
    await phone.goto(f"{organisation.origin}/alert/urgent")
    await phone.click("#begin")
    await phone.check("[name=urgency][value=high]")
    await phone.fill("[name=summary]", HELP)
    await to_the_end(phone)
    await phone.click("#seal")
    await phone.wait_for_selector("#words li")
    digits = await phone.inner_text("#digits")
    words = await keep_words(phone)
    await phone.wait_for_selector("#arrived:visible")

    left = await phone.text_content("#digits")
    await phone.goto(f"{organisation.origin}/alert/receipt")
    await phone.fill("#words-typed", digits)
    await phone.click("#open")
    await phone.wait_for_selector("#mailbox:visible")

    assert re.fullmatch(r"(\d{4} ){9}\d{4}", digits)
    assert digits == digits_of(entropy_of(" ".join(words)))
    assert left == ""


async def test_staff_enter_what_is_urgent_and_nobody_who_is_not_signed_in_does(
    browser: Any, organisation: Served
) -> None:
    context = await browser.new_context(locale="en-GB", viewport=SMALLEST)
    form = await context.new_page()
    await form.goto(f"{organisation.origin}/desk/enter/urgent")
    assert "You enter this for somebody else." in await form.inner_text("body")
    assert await form.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]
    assert await barriers(form) == []
    await form.click("#begin")
    await form.check("[name=urgency][value=imminent]")
    await form.fill("[name=summary]", HELP)
    await to_the_end(form)
    await form.click("#seal")
    words = await keep_words(form)

    await form.wait_for_selector("#sending-error:visible")
    assert await form.input_value("[name=summary]") == HELP
    desk = await context.new_page()
    await sign_in(desk, organisation.origin, "Berta")
    await form.click("#retry")
    await form.wait_for_selector("#arrived:visible")

    assert submitted(organisation, words).form == bundled(Purpose.URGENT).sha256
    assert mailbox_of(organisation, words)["mode"] == "staff-entered"
    await context.close()


def mailbox_of(organisation: Served, words: list[str]) -> dict[str, Any]:
    """What the organisation hands out to whoever has these words."""
    keys = source_keys(" ".join(words), organisation.origin)
    asking = urllib.request.Request(  # noqa: S310  # our loopback
        f"{organisation.origin}/api/v1/mailbox", headers={"authorization": f"Mailbox {keys.mailbox_token}"}
    )
    with urllib.request.urlopen(asking) as answer:  # noqa: S310  # our loopback
        found: dict[str, Any] = json.load(answer)
    return found


def submitted(organisation: Served, words: list[str]) -> Submission:
    """What the source of these words sent, opened with nothing but them."""
    keys = source_keys(" ".join(words), organisation.origin)
    entry = open_mailbox(mailbox_of(organisation, words), keys, desk=[]).entries[0]
    assert isinstance(entry, Entry)
    assert isinstance(entry.content, Submission)
    return entry.content


async def a_page_at_another_hour(browser: Any, hours: int) -> Any:
    """A French phone whose clock is that wrong, until `mend()`."""
    page = await (await browser.new_context(locale="fr-FR", viewport=SMALLEST)).new_page()
    await page.add_init_script(
        f"""{{ const Real = Date, now = Date.now; let off = {hours} * 3600e3; window.mend = () => {{ off = 0; }};
        window.runAway = (hours) => {{ off = hours * 3600e3; }};
        Date = class extends Real {{
          constructor(...given) {{ if (given.length > 0) super(...given); else super(now() + off); }}
          static now() {{ return now() + off; }}
        }}; }}"""
    )
    return page
