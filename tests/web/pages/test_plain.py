"""The door of last resort: closed by default, labelled on every page, and nothing that goes through it is ever written in clear."""

import errno
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from node.intake.alerts import Alert, Mode, SealedObject, Wrap
from node.intake.forms import publish_draft, save_draft
from node.intake.mailbox import Contents, contents
from node.intake.uploads import part_blobs
from node.sealing.alerts import OpenedAlert, open_alert, open_attachment
from node.sealing.recipients import Identity
from node.sealing.signing import generate_signing_key
from node.sealing.vault import HandlerKeys
from tests.rig.alerts import a_person
from vocab.sourceform import Purpose, SourceForm, bundled
from web.app import make_app
from web.pages.mailbox import sealed_parts

CANARY = "the canary sang in the flooded stairwell"
LABEL = "your own device does not seal anything"
FIELDS = {"kind": "violation", "state": "IE", "summary": f"{CANARY} (fictional)"}


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node whose operator opened this door."""
    return partial(settings, plain_door="1")


def watched() -> Callable[[], list[str]]:
    """From now on note every file that is opened for writing; call it for the list."""
    seen: list[str] = []
    on = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not on[0]:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            # A number is a file that was opened, and noted, before.
            if isinstance(path, int):
                return
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                seen.append(str(path))
        elif event in {"tempfile.mkstemp", "tempfile.mkdtemp"}:
            seen.append(str(arguments[0]))

    sys.addaudithook(hook)  # cannot be taken back, so it is switched off

    def stop() -> list[str]:
        on[0] = False
        return seen

    return stop


def words_in(page: str) -> str:
    return " ".join(re.findall(r"<li>([a-z]+)</li>", page))


async def test_the_door_is_closed_unless_an_operator_opens_it(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    from dataclasses import replace

    shut = replace(node, settings=replace(node.settings, plain_door=False))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=make_app(shut)), base_url=node.settings.origin
    ) as there:
        for path in ("/alert/plain", "/alert/plain/receipt"):
            assert (await there.get(path)).status_code == 404
            assert (await there.post(path, data={"words": "x"})).status_code == 404
        for page in ("/alert/sealed", "/alert/receipt"):
            assert "/alert/plain" not in (await there.get(page)).text
            assert "/alert/plain" in (await visitor.get(page)).text


async def test_answers_that_are_missing_are_asked_for_and_nothing_typed_is_lost(
    people: list[Any], visitor: httpx.AsyncClient
) -> None:
    response = await visitor.post("/alert/plain", data={"summary": CANARY}, files={"attachments": ("", b"")})

    assert response.status_code == 400
    assert CANARY in response.text
    assert response.text.count("data-wrong") == 2


@pytest.mark.parametrize("where", ["file", "row"])
async def test_a_full_disk_loses_nothing_that_was_typed(
    node: Any, people: list[Any], visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    await visitor.get("/alert/plain")  # the list of keys is there
    if where == "file":

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    else:
        async with node.database.begin() as session:
            pages = (await session.execute(text("PRAGMA page_count"))).scalar()
            await session.execute(text(f"PRAGMA max_page_count = {pages}"))

    response = await visitor.post(
        "/alert/plain?lang=fr", data=FIELDS, files={"attachments": ("a.pdf", b"x" * 9000)}
    )

    assert response.status_code == 503
    assert "ne peut rien conserver" in response.text
    assert CANARY in response.text
    monkeypatch.undo()
    async with node.database.read() as session:
        assert (await session.scalars(select(Alert))).all() == []


async def test_what_is_too_long_or_breaks_off_is_refused(
    people: list[Any], visitor: httpx.AsyncClient
) -> None:
    long = await visitor.post(
        "/alert/plain", data=FIELDS | {"summary": "x" * 300_000}, files={"attachments": ("", b"")}
    )
    cut = await visitor.post(
        "/alert/plain",
        content=b'--b\r\nContent-Disposition: form-data; name="summary"\r\n\r\nhal',
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    other = await visitor.post("/alert/plain", data=FIELDS)

    assert (long.status_code, cut.status_code, other.status_code) == (413, 400, 415)


async def test_nothing_typed_or_attached_is_ever_written_in_clear(
    node: Any,
    people: list[Any],
    visitor: httpx.AsyncClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(aside))
    video = CANARY.encode() * 150_000
    before = {os.path.realpath(one) for one in Path("/proc/self/fd").iterdir()}
    held: set[str] = set()

    async def body() -> AsyncIterator[bytes]:
        head = b""
        for name, value in FIELDS.items():
            head += f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        head += b'--b\r\nContent-Disposition: form-data; name="attachments"; filename="C:\\a\\canary.mp4"\r\n'
        yield head + b"Content-Type: video/mp4\r\n\r\n"
        for at in range(0, len(video), 65_536):
            yield video[at : at + 65_536]
            held.update(os.path.realpath(one) for one in Path("/proc/self/fd").iterdir())
        yield b"\r\n--b--\r\n"

    stop = watched()
    response = await visitor.post(
        "/alert/plain", content=body(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    words = words_in(response.text)
    await visitor.post("/alert/plain/receipt", data={"words": words, "answer": f"More. {CANARY}"})
    opened = stop()

    assert response.status_code == 200
    assert len(words.split()) == 12
    # Our blobs are made in the data directory under a passing name; nothing else may be opened for writing there or aside.
    data = str(node.settings.data)
    assert [path for path in opened if not path.startswith((data, str(tmp_path)))] == []
    assert not list(aside.iterdir())
    assert [path for path in held - before if "(deleted)" in path and not path.startswith(data)] == []
    everywhere = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(everywhere) > 3
    for secret in (
        CANARY.encode(),
        b"canary.mp4",
        words.encode(),
        words.split()[0].encode() + b" " + words.split()[1].encode(),
    ):
        assert not [kept for kept in everywhere if secret in kept]
        assert secret.decode() not in caplog.text


async def test_the_alert_says_for_ever_how_it_came_and_opens_at_the_desk(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    film = CANARY.encode() * 3000

    page = await visitor.post(
        "/alert/plain",
        data=FIELDS | {"sender_contact_name": "Fictional Person", "consent_publish": "false"},
        files=[("attachments", ("../../etc/film.mp4", film, "video/mp4")), ("attachments", ("", b"", ""))],
    )

    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    async with node.database.read() as session:
        (alert,) = await session.scalars(select(Alert))
        found = await contents(session, alert, holder=people[0].id)
        names = await part_blobs(session, alert.id, found.attachments[0].upload)
    assert alert.mode == Mode.SERVER_SEALED
    opened = opened_by_ana(node, alert, found)
    assert opened.submission is not None
    assert opened.submission.answers == FIELDS | {"consent_publish": False}
    assert opened.identity_fields == {"sender_contact_name": "Fictional Person"}
    (attachment,) = opened.submission.attachments
    assert attachment.name == "film.mp4"
    assert open_attachment(opened, attachment, b"".join([await node.blobs.get(one) for one in names])) == film


async def test_the_words_open_the_exchange_for_one_request_and_add_an_answer(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    page = await visitor.post("/alert/plain", data=FIELDS, files={"attachments": ("", b"")})
    words = words_in(page.text)

    wrong = await visitor.post("/alert/plain/receipt", data={"words": "abandon " * 11 + "about"})
    slip = await visitor.post("/alert/plain/receipt", data={"words": words + " x"})
    read = await visitor.post("/alert/plain/receipt", data={"words": words.upper()})
    answered = await visitor.post(
        "/alert/plain/receipt", data={"words": words, "answer": "And in <June> too."}
    )

    assert (wrong.status_code, slip.status_code) == (404, 400)
    assert CANARY in read.text
    assert "sealed by the server" in read.text
    assert "And in &lt;June&gt; too." in answered.text
    assert not [word for word in words.split() if f">{word}<" in answered.text]
    async with node.database.read() as session:
        assert (
            len(
                (
                    await session.scalars(select(SealedObject).where(SealedObject.compartment == "dialogue"))
                ).all()
            )
            == 2
        )
        assert (await session.scalars(select(Wrap).where(Wrap.holder == "source"))).all()


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_every_page_is_small_says_what_it_is_and_runs_no_script(
    people: list[Any], visitor: httpx.AsyncClient, language: str
) -> None:
    for path in ("/alert/plain", "/alert/plain/receipt"):
        page = await visitor.get(f"{path}?lang={language}")
        assert page.status_code == 200
        assert 'class="notice" role="note"' in page.text
        assert len(page.content) < 100_000
        assert "<script" not in page.text
        assert language != "en" or LABEL in page.text


async def test_an_urgent_alert_needs_two_answers_and_goes_through_without_scripts(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    refused = await visitor.post(
        "/alert/plain/urgent", data={"own_request": CANARY}, files={"attachments": ("", b"")}
    )
    sent = await visitor.post(
        "/alert/plain/urgent",
        data={"urgency": "imminent", "summary": CANARY, "requested_actions": ["legal-advice", "petition"]},
        files={"attachments": ("", b"")},
    )

    assert (refused.status_code, sent.status_code) == (400, 200)
    assert refused.text.count("data-wrong") == 2
    assert CANARY in refused.text
    opened = await opened_alert(node, people[0])
    assert opened.submission is not None
    assert opened.submission.form == bundled(Purpose.URGENT).sha256
    assert opened.submission.answers["urgency"] == "imminent"
    assert opened.submission.answers["requested_actions"] == ["legal-advice", "petition"]
    assert CANARY.encode() not in b"".join(
        path.read_bytes() for path in node.settings.data.rglob("*") if path.is_file()
    )


async def test_an_answer_to_an_older_form_is_taken_and_says_which(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    old = bundled(Purpose.ALERT)
    await publish(node, with_question("own_bell"))

    response = await visitor.post(
        "/alert/plain", data=FIELDS | {"form": old.sha256}, files={"attachments": ("", b"")}
    )

    assert response.status_code == 200
    opened = await opened_alert(node, people[0])
    assert opened.submission is not None
    assert opened.submission.form == old.sha256


async def test_an_answer_to_a_form_nobody_knows_is_handed_back_whole(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    response = await visitor.post(
        "/alert/plain?lang=fr",
        data=FIELDS | {"form": "0" * 64, "own_gone": "a bell rang at noon"},
        files={"attachments": ("", b"")},
    )

    assert response.status_code == 400
    assert "Les questions ont été changées pendant que vous écriviez" in response.text
    assert CANARY in response.text
    assert "a bell rang at noon" in response.text
    assert f'value="{bundled(Purpose.ALERT).sha256}"' in response.text
    async with node.database.read() as session:
        assert (await session.scalars(select(Alert))).all() == []


async def test_a_question_of_the_organisations_own_is_asked_and_its_answer_arrives(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    form = with_question("own_bell")
    await publish(node, form)

    page = (await visitor.get("/alert/plain")).text
    response = await visitor.post(
        "/alert/plain",
        data=FIELDS | {"form": form.sha256, "own_bell": "ding"},
        files={"attachments": ("", b"")},
    )

    assert "Which bell?" in page
    assert response.status_code == 200
    opened = await opened_alert(node, people[0])
    assert opened.submission is not None
    assert opened.submission.answers["own_bell"] == "ding"


def with_question(key: str) -> SourceForm:
    document = json.loads(bundled(Purpose.ALERT).body)
    document["steps"][0]["questions"].append({"key": key, "type": "string", "label": {"en": "Which bell?"}})
    return SourceForm.parse(document)


async def publish(node: Any, form: SourceForm) -> None:
    async with node.database.begin() as session:
        await save_draft(session, form, by="ada", now=node.clock.now())
        await publish_draft(session, form.purpose, sha256=form.sha256, by="ada", now=node.clock.now())


async def opened_alert(node: Any, person: Any) -> OpenedAlert:
    async with node.database.read() as session:
        alert = (await session.scalars(select(Alert))).one()
        found = await contents(session, alert, holder=person.id)
    return opened_by_ana(node, alert, found)


def opened_by_ana(node: Any, alert: Alert, found: Contents) -> OpenedAlert:
    ana = a_person("Ana")
    keys = HandlerKeys(Identity(ana.identity), ana.recipient, generate_signing_key())
    record = {
        "id": alert.id,
        "source": {"ed25519": alert.source_ed25519},
        "compartments": {"dialogue": alert.dialogue, "identity": alert.identity},
        **sealed_parts(found),
    }
    return open_alert(record, keys, node=node.settings.origin, staff=[])


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_a_private_person_is_given_the_same_help_as_where_scripts_run(
    people: list[Any], visitor: httpx.AsyncClient, language: str
) -> None:
    plain = (await visitor.get(f"/alert/plain?lang={language}")).text
    scripted = (await visitor.get(f"/alert?lang={language}")).text

    for page in (plain, scripted):
        assert f'href="/organisations?lang={language}" target="_blank" rel="noopener noreferrer"' in page
        assert "116 111" in page
    private = re.search(r"<details class=\"aside\"><summary>[^<]+</summary>(.*?)</details>", plain, re.DOTALL)
    assert private is not None
    assert private[1].strip() in scripted
