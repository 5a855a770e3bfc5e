"""What the browser tests share: people who join the desk, a source who sends, and axe, which looks for barriers."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from node.runtime import Node
from node.sealing.recipients import recipient_of
from node.sealing.vault import MEMORY_KIB, PASSES, SALT_BYTES, Login, derive_login, seal_vault
from node.staff.accounts import enrol, invite
from tests.rig.alerts import an_enrolment
from tests.rig.missing import missing
from tests.rig.processes import Served, served
from tests.web.desk import keys_of

AXE = Path("web/browser/node_modules/axe-core/axe.min.js")
PASSPHRASE = "a fictional passphrase of seven words here"
ACCOUNT = (
    "Fictional. In May the town cut the water of eleven families in the old harbour barracks, although the bills "
    "were paid. They carry water from a fountain two kilometres away."
)
CANARY = "SEALED-CANARY the caretaker of Invented Street 4 saw it"
SENDER = "Harbour Lane Tenants (fictional)"
BILL = b"%PDF-1.4 fictional SEALED-CANARY " * 2000
EVERY_ROLE = ("intake", "verifier", "editor", "publisher", "custodian")
Step = Callable[[Node], Awaitable[object]]
# Every rule is tried; only what is said of those that are kept is not gathered, which takes longer than trying them.
LOOK_FOR_BARRIERS = """
    axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        resultTypes: ["violations"],
    }).then(({violations}) => violations
        .filter(({impact}) => impact === "serious" || impact === "critical")
        .map(({id, nodes}) => ({id, targets: nodes.slice(0, 5).map(({target}) => target)})))
"""
REMEMBERING = """{
    const known = %s;
    window.Worker = class extends Worker {
        postMessage(asked, ...others) {
            if (asked.passphrase !== known.passphrase || String(asked.salt) !== String(known.salt))
                return super.postMessage(asked, ...others);
            this.dispatchEvent(new MessageEvent("message", {data: new Uint8Array(known.answer)}));
        }
    };
}"""
SLOW_MS = 60_000  # the passphrase is stretched in plain JavaScript


async def join(node: Node, *people: str, roles: Iterable[str] = EVERY_ROLE) -> None:
    """Let each of these people join the desk with the passphrase of these tests, as the welcome page would."""
    salt, login = a_login()
    for name in people:
        vault = seal_vault(keys_of(name), recipient_of(login.vault_identity))
        enrolment = an_enrolment(name, salt=salt, auth=login.auth, vault=vault)
        now = node.clock.now()
        async with node.database.begin() as session:
            await enrol(
                session, enrolment, token=await invite(session, roles=roles, by=None, now=now), now=now
            )


@cache
def a_login() -> tuple[bytes, Login]:
    """A salt, and what the passphrase of these tests derives to with it: slow on purpose, so once."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt, derive_login(PASSPHRASE, salt)


@cache
def remembering() -> str:
    """A script by which a page knows beforehand what the worker would answer, after its second, for that salt and passphrase.

    What is answered is what Argon2id with its true cost gives; whatever else is asked goes to the worker.
    """
    salt, _ = a_login()
    slow = Argon2id(salt=salt, length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    known = {"passphrase": PASSPHRASE, "salt": list(salt), "answer": list(slow.derive(PASSPHRASE.encode()))}
    return REMEMBERING % json.dumps(known)


@contextmanager
def running_organisation(
    directory: Path,
    *steps: Step,
    roles: Iterable[str] = EVERY_ROLE,
    port: int | None = None,
    forked: bool = True,
    **settings: str,
) -> Iterator[Served]:
    """A running node with Berta and Carl at its desk, the fewest to whom an alert can be sealed; further steps fill it."""
    with served(
        directory / "data",
        lambda node: join(node, "Berta", "Carl", roles=roles),
        *steps,
        port=port,
        forked=forked,
        **settings,
    ) as server:
        yield server


async def join_by_link(browser: Any, server: Served, name: str, *roles: str) -> None:
    """Let somebody join the desk through a one-time link, in a browser of their own."""
    given = [argument for role in roles or EVERY_ROLE for argument in ("--role", role)]
    link = json.loads(server.run("staff", "invite", *given, "--json"))["link"]
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await page.goto(link)
    await page.fill("#enrol-name", name)
    await page.fill("#enrol-passphrase", PASSPHRASE)
    await page.fill("#enrol-again", PASSPHRASE)
    await page.click("#make-keys")
    await keep_words(page)
    await page.wait_for_selector("#enrolled:visible", timeout=SLOW_MS)
    await page.context.close()


async def keep_words(page: Any) -> list[str]:
    """Note the twelve words that are shown, and type the two that are asked for."""
    await page.wait_for_selector("#words li", timeout=SLOW_MS)
    words: list[str] = await page.locator("#words li").all_inner_texts()
    await page.click("#noted")
    await type_two(page, words)
    await page.click("#send")
    return words


async def type_two(page: Any, words: list[str]) -> None:
    """Type the two words the page asks for."""
    for which in ("first", "second"):
        number = int((await page.inner_text(f"label[for=word-{which}]")).split()[-1])
        await page.fill(f"#word-{which}", words[number - 1])


async def next_part(page: Any) -> None:
    """Go on to the next part of the form, on a phone."""
    await page.click(".step[data-current] [data-next]")


async def fill_form(page: Any, origin: str) -> None:
    """Answer the form on a phone, as far as the overview at its end."""
    await page.goto(f"{origin}/alert")
    await answer_form(page)


async def answer_form(page: Any) -> None:
    """The same on a page that is open already."""
    await page.click("#begin")
    await page.check("input[value=violation]")
    await next_part(page)
    await page.fill("[name=summary]", ACCOUNT)
    await page.fill("[name=confidential_account]", CANARY)
    await next_part(page)
    await page.select_option("[name=state]", "IE")
    await page.fill("[name=started_on-year]", "2026")
    await page.select_option("[name=started_on-month]", "05")
    await page.check("[data-field=ongoing] input[value=true]")
    await next_part(page)
    await page.fill("[data-search=provisions]", "homeless")
    await page.check('input[value="31.2"]')
    await next_part(page)
    await page.check("[name=groups][value=people-in-poverty]")
    await page.select_option("[name=scale]", "10-99")
    await next_part(page)
    await page.check("[name=actors][value=local-authority]")
    await next_part(page)
    await next_part(page)
    bill = {"name": "bill (fictional).pdf", "mimeType": "application/pdf", "buffer": BILL}
    await page.set_input_files("#f-attachments", files=[bill])
    await next_part(page)
    await next_part(page)
    await page.check("[data-field=consent_publish] input[value=true]")
    await page.check("[value=not-needed-no-person-identifiable]")
    await next_part(page)
    await page.fill("[name=sender_org_name]", SENDER)
    await next_part(page)


async def send_alert(browser: Any, origin: str) -> list[str]:
    """Send one alert from a phone; returns the source's twelve words."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await fill_form(page, origin)
    await page.click("#seal")
    words = await keep_words(page)
    await page.wait_for_selector("#arrived:visible")
    await context.close()
    return words


async def sign_in(page: Any, origin: str, name: str) -> None:
    """Sit down at the desk, where what the passphrase of these tests derives to is known beforehand."""
    await page.add_init_script(remembering())
    await page.goto(f"{origin}/desk")
    await page.fill("#signin-name", name)
    await unlock(page)


async def unlock(page: Any) -> None:
    """Give the passphrase, as after every reload: keys live in the page's memory only."""
    await page.fill("#signin-passphrase", PASSPHRASE)
    await page.click(".signin button[type=submit]")
    await page.wait_for_selector("#lock:visible", timeout=SLOW_MS)
    await page.wait_for_selector(".room, .people")


async def barriers(page: Any) -> list[str]:
    """What axe calls serious or critical on the page as it is now, each with the elements concerned."""
    if not AXE.is_file():
        raise missing("the packages of web/browser", "make setup")
    await page.evaluate(AXE.read_text())
    found = await page.evaluate(LOOK_FOR_BARRIERS)
    return [f"{one['id']}: {', '.join(map(str, one['targets']))}" for one in found]
