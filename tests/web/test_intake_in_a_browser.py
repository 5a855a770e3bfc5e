"""The source's door in a real browser: what leaves it, what it keeps, what it asks for, and whom it shuts out."""

import struct
from typing import Any

import pytest

from tests.rig.processes import Served
from tests.web.door import (
    ACCOUNT,
    CANARY,
    SENDER,
    barriers,
    fill_form,
    keep_words,
    next_part,
    type_two,
)

PHONE = {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 640}

pytestmark = pytest.mark.browser


@pytest.fixture
async def phone(browser: Any) -> Any:
    """A page on a phone; an uncaught error of its scripts fails the test."""
    context = await browser.new_context(locale="en-GB", viewport=PHONE)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await context.close()
    assert errors == []


async def test_with_nobody_to_read_it_the_form_does_not_open(phone: Any, serve: Any) -> None:
    server: Served = serve()

    await phone.goto(f"{server.origin}/alert")
    await phone.wait_for_selector("#cannot:visible")

    assert not await phone.is_visible("#begin")


async def test_without_scripts_the_form_says_so_and_offers_nothing_to_send(browser: Any, serve: Any) -> None:
    server: Served = serve()
    context = await browser.new_context(java_script_enabled=False, locale="en-GB")
    page = await context.new_page()

    await page.goto(f"{server.origin}/alert")

    assert await page.inner_text("noscript h2") == "This form needs scripts"
    assert await page.is_visible("noscript .notice")
    assert not await page.is_visible("#alert")
    assert not await page.is_visible("#begin")


async def test_what_a_source_types_leaves_the_browser_sealed_only(phone: Any, door: Served) -> None:
    sent: list[tuple[str, bytes]] = []
    phone.on("request", lambda request: sent.append((request.url, request.post_data_buffer or b"")))

    await fill_form(phone, door.origin)
    before = [url for url, body in sent if body]
    await phone.click("#seal")
    words = await keep_words(phone)
    await phone.wait_for_selector("#arrived:visible")

    assert before == []  # nothing is sent before the words were noted
    assert all(url.startswith(door.origin) for url, _ in sent)
    assert any(url.endswith("/api/v1/alerts") for url, body in sent if body)
    everything = b"".join(url.encode() + body for url, body in sent)
    for secret in (ACCOUNT, CANARY, SENDER, "bill (fictional).pdf", " ".join(words), words[0] + words[1]):
        assert secret.encode() not in everything
    assert b"SEALED-CANARY" not in everything
    data = [path.read_bytes() for path in door.data.rglob("*") if path.is_file()]
    assert not any(b"SEALED-CANARY" in kept or SENDER.encode() in kept for kept in data)
    assert await phone.context.cookies() == []
    assert await phone.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


async def test_an_alert_is_not_sent_before_two_words_are_typed_rightly(phone: Any, door: Served) -> None:
    await fill_form(phone, door.origin)
    await phone.click("#seal")
    await phone.wait_for_selector("#words li")
    words = await phone.locator("#words li").all_inner_texts()
    await phone.click("#noted")

    await type_two(phone, list(reversed(words)))
    await phone.click("#send")

    await phone.wait_for_selector("#error-word:visible")
    assert not await phone.is_visible("#sending")
    assert len(words) == 12


async def test_who_noted_the_digits_types_all_of_them_instead_of_two_words(phone: Any, door: Served) -> None:
    await fill_form(phone, door.origin)
    await phone.click("#seal")
    await phone.wait_for_selector("#words li")
    digits = await phone.inner_text("#digits")
    await phone.click("#noted")

    await phone.fill("#word-first", digits[:-1])
    await phone.click("#send")
    await phone.wait_for_selector("#error-word:visible")
    await phone.fill("#word-first", digits)
    await phone.click("#send")

    await phone.wait_for_selector("#arrived:visible")
    assert sum(one.isdigit() for one in digits) == 40


async def test_a_needed_answer_is_asked_for_beside_its_field_and_nothing_typed_is_lost(
    phone: Any, door: Served
) -> None:
    await phone.goto(f"{door.origin}/alert")
    await phone.click("#begin")
    await phone.check("input[value=violation]")
    await next_part(phone)
    await phone.fill("[name=confidential_account]", CANARY)

    await next_part(phone)

    assert (
        await phone.inner_text("#error-summary") == "Please tell what happened. A few sentences are enough."
    )
    assert await phone.get_attribute("[name=summary]", "aria-invalid") == "true"
    assert await phone.input_value("[name=confidential_account]") == CANARY


async def test_a_failed_sending_loses_nothing_and_the_words_stay(phone: Any, door: Served) -> None:
    await fill_form(phone, door.origin)
    await phone.click("#seal")
    refuse = True

    async def answer(route: Any) -> None:
        await (route.fulfill(status=400, body="{}") if refuse else route.continue_())

    await phone.route("**/api/v1/alerts", answer)
    words = await keep_words(phone)
    await phone.wait_for_selector("#retry:visible", timeout=60_000)
    refuse = False
    await phone.click("#retry")
    await phone.wait_for_selector("#arrived:visible", timeout=60_000)

    await phone.goto(f"{door.origin}/alert/receipt")
    await phone.fill("#words-typed", " ".join(words))
    await phone.click("#open")
    await phone.wait_for_selector("#mailbox:visible")


async def test_an_answer_that_was_lost_on_its_way_back_leads_to_what_arrived(
    phone: Any, door: Served
) -> None:
    await fill_form(phone, door.origin)
    bodies: list[bytes] = []

    async def lose(route: Any) -> None:
        bodies.append(route.request.post_data_buffer)
        await route.fetch()
        await route.fulfill(status=400, body="{}")

    await phone.route("**/api/v1/alerts", lose)
    await phone.click("#seal")
    await keep_words(phone)
    words = " ".join(await phone.locator("#words li").all_text_contents())
    await phone.wait_for_selector("#answers:visible")
    await phone.click("#answers")
    await phone.click("#seal")
    await keep_words(phone)
    await phone.wait_for_selector("#retry:visible")
    assert bodies[0] == bodies[1]  # nothing was changed: the same alert, which the server knows again

    await phone.unroute("**/api/v1/alerts")
    await phone.click("#answers")
    await phone.set_viewport_size({"width": 1280, "height": 900})
    await phone.fill("[name=summary]", "Fictional. Another account.")
    await phone.click("#seal")
    await keep_words(phone)
    await phone.wait_for_selector("#is-there:visible")
    assert not await phone.is_visible("#retry")
    assert not await phone.is_visible("#sending-error")

    async with phone.context.expect_page() as opened:
        await phone.click("#is-there a")
    mailbox = await opened.value
    await mailbox.fill("#words-typed", words)
    await mailbox.click("#open")
    await mailbox.wait_for_selector("#exchange li.mine")
    assert ACCOUNT in await mailbox.inner_text("#exchange")


async def test_a_question_is_asked_only_when_it_makes_sense(phone: Any, door: Served) -> None:
    await phone.set_viewport_size({"width": 1280, "height": 900})
    await phone.goto(f"{door.origin}/alert")
    await phone.click("#begin")

    await phone.check("[name=kind][value=good-practice]")

    assert await phone.is_visible("[name=transferability]")
    assert not await phone.is_visible("[data-field=violation_types]")
    assert not await phone.is_visible("[data-field=actors]")


async def test_a_private_person_is_told_where_help_is_and_loses_nothing(phone: Any, door: Served) -> None:
    await phone.set_viewport_size({"width": 1280, "height": 900})
    await phone.goto(f"{door.origin}/alert")
    await phone.click("#begin")
    await phone.fill("[name=summary]", ACCOUNT)

    await phone.select_option("[name=sender_org_type]", "private-person")

    assert await phone.is_visible("text=116 006")
    assert await phone.input_value("[name=summary]") == ACCOUNT


async def test_escape_twice_leaves_at_once_and_back_does_not_return(phone: Any, door: Served) -> None:
    await phone.route("https://www.wikipedia.org/**", lambda route: route.fulfill(body="elsewhere"))
    await phone.goto(f"{door.origin}/alert/receipt")
    await phone.goto(f"{door.origin}/alert")
    await phone.click("#begin")
    await phone.check("input[value=violation]")
    await next_part(phone)
    await phone.fill("[name=summary]", ACCOUNT)

    await phone.keyboard.press("Escape")
    await phone.keyboard.press("Escape")
    await phone.wait_for_url("https://www.wikipedia.org/**")
    await phone.go_back()

    assert phone.url == f"{door.origin}/alert/receipt"


async def test_a_slip_in_the_words_is_found_without_asking_the_server(phone: Any, door: Served) -> None:
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    await phone.goto(f"{door.origin}/alert/receipt")
    for typed, said in (
        ("abandon abandon", "There are 2 words here; twelve are needed."),
        ("zzz " * 12, "“zzz” is not one of the possible words."),
        ("abandon " * 12, "This is not a possible row of words or digits."),
    ):
        await phone.fill("#words-typed", typed)
        await phone.click("#open")
        assert (await phone.inner_text("#error-words")).startswith(said)

    assert not any("/api/" in url for url in asked)


async def test_words_that_belong_to_nothing_get_one_sentence(phone: Any, door: Served) -> None:
    await phone.goto(f"{door.origin}/alert/receipt")
    await phone.fill("#words-typed", "abandon " * 11 + "about")
    await phone.click("#open")
    await phone.wait_for_selector("#error-words:visible")

    assert (await phone.inner_text("#error-words")).startswith("Nothing was found for these words.")


async def test_nothing_stands_in_the_way_of_a_source(phone: Any, door: Served) -> None:
    origin = door.origin
    found: dict[str, list[str]] = {}
    for scheme in ("light", "dark"):
        await phone.emulate_media(color_scheme=scheme)
        await phone.goto(f"{origin}/alert")
        await phone.wait_for_selector("#begin:visible")
        found[f"opening {scheme}"] = await barriers(phone)
        await phone.goto(f"{origin}/alert/receipt")
        found[f"receipt {scheme}"] = await barriers(phone)
    await phone.emulate_media(color_scheme="light")
    await phone.set_viewport_size({"width": 1280, "height": 900})
    await phone.goto(f"{origin}/alert")
    await phone.click("#begin")
    found["form"] = await barriers(phone)
    await phone.click("#seal")
    found["problems"] = await barriers(phone)
    await phone.set_viewport_size(PHONE)
    await fill_form(phone, origin)
    await phone.click("#seal")
    found["words"] = await barriers(phone)

    assert {name: barrier for name, barrier in found.items() if barrier} == {}


async def test_nothing_runs_off_the_narrowest_screen(phone: Any, door: Served) -> None:
    await phone.set_viewport_size(SMALLEST)
    await phone.goto(f"{door.origin}/alert?lang=fr")
    await phone.wait_for_selector("#begin:visible")
    widths = [await phone.evaluate("document.documentElement.scrollWidth")]
    await phone.click("#begin")
    for index in range(await phone.locator(".step").count()):
        await phone.evaluate(
            "index => document.querySelectorAll('.step').forEach((step, at) => step.toggleAttribute('data-current', at === index))",
            index,
        )
        widths.append(await phone.evaluate("document.documentElement.scrollWidth"))

    assert widths == [SMALLEST["width"]] * len(widths)


async def test_a_picture_says_what_it_carries_and_can_go_without_it(phone: Any, door: Served) -> None:
    await phone.set_viewport_size({"width": 1280, "height": 900})
    await phone.goto(f"{door.origin}/alert")
    await phone.click("#begin")
    picture = {"name": "yard.jpg", "mimeType": "image/jpeg", "buffer": await with_hidden_details(phone)}

    await phone.set_input_files("#f-attachments", files=[picture])
    await phone.wait_for_selector("#files fieldset")
    said = await phone.inner_text("#files legend")
    await phone.check("#files input >> nth=1")
    await phone.check("input[value=violation]")
    await phone.fill("[name=summary]", ACCOUNT)
    await phone.select_option("[name=state]", "IE")
    await phone.click("#seal")
    await keep_words(phone)
    await phone.wait_for_selector("#arrived:visible")

    assert said == "Hidden details in this file: the place where it was taken; the device: Nowhere Camera"


async def with_hidden_details(page: Any) -> bytes:
    """A picture drawn by the browser, with a camera's name and a place put in (Exif 2.32 §4.6)."""
    drawn: list[int] = await page.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg"));
          return [...new Uint8Array(await blob.arrayBuffer())];
        }"""
    )
    name = b"Nowhere Camera\0"
    entries = struct.pack(">HHII", 0x010F, 2, len(name), 38) + struct.pack(">HHII", 0x8825, 4, 1, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 2) + entries + struct.pack(">I", 0) + name
    exif = b"Exif\0\0" + tiff
    return bytes(drawn[:2]) + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + bytes(drawn[2:])
