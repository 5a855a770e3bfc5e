"""Drafts: only when asked for, only locked, only on the device, and gone when they should be."""

import base64
import json
from typing import Any

import pytest

from tests.rig.processes import Served
from tests.web.door import barriers, keep_words

SECRET = "SEALED-CANARY the eviction is on Monday (fictional)"
PASSPHRASE = "three herons over Łódź"
KEPT = "[localStorage.length, localStorage.getItem('form'), sessionStorage.length]"
SMALLEST = {"width": 320, "height": 640}
SLOW_MS = 60_000

pytestmark = pytest.mark.browser


@pytest.fixture
async def phone(browser: Any) -> Any:
    """The smallest page; an uncaught error of its scripts fails the test, and so does a request that carries the draft."""
    context = await browser.new_context(locale="en-GB", viewport=SMALLEST, accept_downloads=True)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.sent = []
    page.on("request", lambda request: page.sent.append(request.post_data_buffer or b""))
    page.on("dialog", lambda dialog: dialog.accept())
    yield page
    await context.close()
    assert errors == []
    assert not any(SECRET.encode() in body or PASSPHRASE.encode() in body for body in page.sent)


async def begin(page: Any, door: Served) -> None:
    await page.goto(f"{door.origin}/alert/urgent")
    await page.click("#begin")
    await page.wait_for_selector("#alert:visible")


async def type_answers(page: Any) -> None:
    await page.check("[name=urgency][value=high]")
    await page.fill("[name=summary]", SECRET)
    await page.select_option("[name=state]", "IE")


async def keep(page: Any, *, stays: bool = False, button: str = "here") -> None:
    await page.click("#keep")
    await page.fill("#draft-first", PASSPHRASE)
    await page.fill("#draft-again", PASSPHRASE)
    if stays:
        await page.uncheck("[name=goes-along]")
    await page.click(f"#keep-draft button[value={button}]")
    if button == "here":
        await page.wait_for_selector("#alert:visible", timeout=SLOW_MS)


async def reopen(page: Any, door: Served, passphrase: str = PASSPHRASE) -> None:
    await page.goto(f"{door.origin}/alert/urgent")
    await page.click("#resume")
    await page.fill("#draft-passphrase", passphrase)
    await page.click("#open-draft button[type=submit]")


async def test_nothing_is_kept_unless_somebody_asks(phone: Any, door: Served) -> None:
    await begin(phone, door)
    await type_answers(phone)
    loaded = await phone.evaluate("performance.getEntriesByType('resource').map((one) => one.name).join(' ')")

    assert await phone.evaluate(KEPT) == [0, None, 0]
    assert "drafts" not in loaded


async def test_a_short_or_mistyped_passphrase_keeps_nothing(phone: Any, door: Served) -> None:
    await begin(phone, door)
    await type_answers(phone)
    await phone.click("#keep")
    await phone.wait_for_selector("#keep-draft:visible")
    assert await barriers(phone) == []
    assert await phone.evaluate("document.documentElement.scrollWidth") <= SMALLEST["width"]

    await phone.fill("#draft-first", "short")
    await phone.click("#keep-draft button[value=here]")
    short = await phone.inner_text("#error-keep-draft")
    await phone.fill("#draft-first", PASSPHRASE)
    await phone.fill("#draft-again", PASSPHRASE + "x")
    await phone.click("#keep-draft button[value=here]")

    assert short == "Please use at least twelve characters."
    assert await phone.inner_text("#error-keep-draft") == "The two passphrases are not the same."
    assert await phone.evaluate(KEPT) == [0, None, 0]
    await phone.click("#keep-draft [data-cancel]")
    assert await phone.input_value("[name=summary]") == SECRET


async def test_a_draft_is_ciphertext_and_comes_back_only_with_its_passphrase(
    phone: Any, door: Served
) -> None:
    await begin(phone, door)
    await type_answers(phone)
    await keep(phone)
    count, kept, _ = await phone.evaluate(KEPT)
    everything = await phone.evaluate(
        "(async () => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, history.state, await indexedDB.databases(), await caches.keys()]))()"
    )

    assert count == 1
    assert base64.b64decode(kept[1:]).startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert "SEALED-CANARY" not in everything
    assert b"SEALED-CANARY" not in base64.b64decode(kept[1:])
    assert json.loads(everything)[3:] == [None, [], []]

    await reopen(phone, door, "three herons over Lodz")
    await phone.wait_for_selector("#error-open-draft:visible", timeout=SLOW_MS)
    assert "does not open the draft" in await phone.inner_text("#error-open-draft")
    assert await barriers(phone) == []
    await phone.fill("#draft-passphrase", PASSPHRASE)
    await phone.click("#open-draft button[type=submit]")
    await phone.wait_for_selector("#alert:visible", timeout=SLOW_MS)
    assert await phone.input_value("[name=summary]") == SECRET
    assert await phone.input_value("[name=state]") == "IE"
    assert await phone.is_checked("[name=urgency][value=high]")

    while not await phone.is_visible("#seal"):
        await phone.click(".step[data-current] [data-next]")
    await phone.click("#seal")
    await keep_words(phone)
    await phone.wait_for_selector("#arrived:visible")
    assert await phone.evaluate(KEPT) == [0, None, 0]


@pytest.mark.parametrize("stays", [True, False])
async def test_the_way_out_takes_the_draft_along_only_if_asked(phone: Any, door: Served, stays: bool) -> None:
    await phone.route("https://www.wikipedia.org/**", lambda route: route.fulfill(body="away"))
    await begin(phone, door)
    await type_answers(phone)
    await keep(phone, stays=stays)

    # Also from a page that never opened it.
    await phone.goto(f"{door.origin}/alert/urgent")
    await phone.click("#leave")
    await phone.wait_for_url("https://www.wikipedia.org/**")

    await phone.goto(f"{door.origin}/alert/urgent")
    assert (await phone.evaluate(KEPT))[0] == (1 if stays else 0)


async def test_a_draft_never_takes_the_place_of_another_one_unasked(phone: Any, door: Served) -> None:
    await begin(phone, door)
    await type_answers(phone)
    await keep(phone, stays=True)
    _, first, _ = await phone.evaluate(KEPT)

    # Its own next version goes where it was.
    await keep(phone, stays=True)
    _, second, _ = await phone.evaluate(KEPT)
    assert second != first

    # The other form, or another account: asked once, replaced only when asked again.
    await phone.goto(f"{door.origin}/alert")
    await phone.click("#begin")
    await phone.wait_for_selector("#alert:visible")
    await phone.click("#keep")
    await phone.fill("#draft-first", PASSPHRASE)
    await phone.fill("#draft-again", PASSPHRASE)
    await phone.click("#keep-draft button[value=here]")
    assert "Another draft is kept in this browser" in await phone.inner_text("#error-keep-draft")
    assert (await phone.evaluate(KEPT))[1] == second
    await phone.click("#keep-draft button[value=here]")
    await phone.wait_for_selector("#alert:visible", timeout=SLOW_MS)
    assert (await phone.evaluate(KEPT))[1] != second


async def test_a_draft_can_be_deleted_without_its_passphrase(phone: Any, door: Served) -> None:
    await begin(phone, door)
    await type_answers(phone)
    await keep(phone)

    await phone.goto(f"{door.origin}/alert/urgent")
    await phone.click("#resume")
    await phone.click("#open-draft [data-remove]")

    await phone.wait_for_selector("#opening:visible")
    assert await phone.evaluate(KEPT) == [0, None, 0]


async def test_a_draft_as_a_file_is_kept_nowhere_else_and_the_answers_without_a_question_are_shown(
    phone: Any, door: Served, tmp_path: Any
) -> None:
    await begin(phone, door)
    await type_answers(phone)
    # As if the door had asked one more question when the draft was written.
    await phone.evaluate(
        "document.querySelector('.step').append("
        "Object.assign(document.createElement('input'), {name: 'own_gone', value: 'a bell rang'}))"
    )
    async with phone.expect_download(timeout=SLOW_MS) as download:
        await keep(phone, button="file")
    file = tmp_path / "form.age"
    await (await download.value).save_as(file)
    assert await phone.evaluate(KEPT) == [0, None, 0]
    assert b"SEALED-CANARY" not in file.read_bytes()

    await phone.goto(f"{door.origin}/alert/urgent")
    await phone.click("#resume")
    await phone.set_input_files("#draft-file", file)
    await phone.fill("#draft-passphrase", PASSPHRASE)
    await phone.click("#open-draft button[type=submit]")

    await phone.wait_for_selector("#alert:visible", timeout=SLOW_MS)
    assert await phone.input_value("[name=summary]") == SECRET
    assert "a bell rang" in await phone.inner_text("#homeless")
