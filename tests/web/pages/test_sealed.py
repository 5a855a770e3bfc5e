"""The door without scripts: only what is sealed comes in, and nothing in clear is ever written."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from node.intake.agefile import recipients_of
from node.intake.alerts import Alert, Attachment, Mode, UploadPart
from node.intake.manifest import IntakeManifest
from node.intake.uploads import part_blobs
from node.sealing.age import open_stream
from node.sealing.alerts import ComposedAlert, compose_alert, open_mailbox
from node.sealing.attachments import File
from node.sealing.dialogue import Entry, Submission
from node.sealing.header import Stanza, write_header
from node.sealing.manifest import VerifiedManifest, verify_manifest
from node.sealing.packages import MAGIC, write_package
from node.sealing.receipts import new_receipt, source_keys
from node.sealing.recipients import unwrapper, wrap
from node.sealing.stream import encrypt_chunks
from tests.rig.alerts import a_member, a_person

CANARY = b"the canary sang in the flooded stairwell"
MANIFEST = "/.well-known/social-rights-tracker/intake"


@pytest.fixture
async def manifest(node: Any, visitor: httpx.AsyncClient) -> IntakeManifest:
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)
    await visitor.get(MANIFEST)
    async with node.database.read() as session:
        row: IntakeManifest | None = await session.scalar(select(IntakeManifest))
    assert row is not None
    return row


def verified(node: Any, manifest: IntakeManifest) -> VerifiedManifest:
    return verify_manifest(
        manifest.body, node=node.settings.origin, root=node.keyring.root_id, now=node.clock.now()
    )


def composed(node: Any, manifest: IntakeManifest, receipt: str, *files: File) -> ComposedAlert:
    return compose_alert(
        verified(node, manifest),
        node.settings.origin,
        {"kind": "violation", "summary": CANARY.decode(), "state": "IE"},
        {},
        files,
        receipt,
        node.clock.now().date(),
    )


def package_of(alert: ComposedAlert) -> bytes:
    return b"".join(write_package(alert.body, [part.data for part in alert.parts]))


def age_file(recipients: list[str], plaintext: bytes = CANARY, *, extra: tuple[Stanza, ...] = ()) -> bytes:
    """What `age -R keys.txt` writes."""
    from node.sealing.age import _payload_key

    key, nonce = bytes(range(16)), bytes(range(16))
    header = write_header([*(wrap(key, one) for one in recipients), *extra], key)
    return header + nonce + b"".join(encrypt_chunks(_payload_key(key, nonce), [plaintext]))


def form(content: bytes, name: str = "package") -> dict[str, Any]:
    return {"files": {name: ("holiday.pdf", content, "application/pdf")}}


async def rows(node: Any) -> tuple[int, int]:
    async with node.database.read() as session:
        return (
            await session.scalar(select(func.count()).select_from(Alert)) or 0,
            await session.scalar(select(func.count()).select_from(UploadPart)) or 0,
        )


def files_below(directory: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in directory.rglob("*") if path.is_file())


# ---- refused -------------------------------------------------------------------------------------------------------


IN_CLEAR = [
    b"",
    CANARY,
    CANARY * 10_000,
    b"%PDF-1.7 " + CANARY,
    MAGIC[:-1] + b"2\n" + CANARY,
    MAGIC + b"99\n" + CANARY,
    b"age-encryption.org/v1\n" + CANARY * 10_000,
    b"age-encryption.org/v1\n--- " + CANARY + b"\n",
]


async def test_what_is_not_sealed_is_refused_and_never_written(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    for content in IN_CLEAR:
        page = await visitor.post("/alert/sealed", **form(content))
        plain = await visitor.put("/alert/sealed", content=content)

        assert 'role="alert"' in page.text
        assert (page.status_code, plain.status_code) == (400, 400)
        assert CANARY not in page.content + plain.content
    assert await rows(node) == (0, 0)
    assert not [data for data in files_below(node.settings.data) if CANARY in data]


async def test_a_form_without_the_file_is_refused(
    visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    assert (await visitor.post("/alert/sealed", **form(b"x", name="other"))).status_code == 400
    assert (await visitor.post("/alert/sealed", data={"package": "x"})).status_code == 415


async def test_a_package_that_is_not_whole_makes_no_alert(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    whole = package_of(composed(node, manifest, new_receipt(), File("a.txt", "text/plain", CANARY * 300)))

    for content in (whole[:-1], whole + b"x", whole[:-5000]):
        assert (await visitor.post("/alert/sealed", **form(content))).status_code == 400

    assert (await rows(node))[0] == 0


async def test_a_package_whose_file_is_in_clear_makes_no_alert(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    alert = composed(node, manifest, new_receipt())
    body = json.loads(alert.body)
    sha256 = hashlib.sha256(CANARY).hexdigest()
    body["attachments"] = [{"upload": "0" * 32, "parts": 1, "size": len(CANARY), "sha256": sha256}]

    response = await visitor.post(
        "/alert/sealed", **form(b"".join(write_package(json.dumps(body).encode(), [CANARY])))
    )

    assert response.status_code == 400
    assert (await rows(node)) == (0, 0)
    assert not [data for data in files_below(node.settings.data) if CANARY in data]


async def test_a_package_for_an_old_list_is_told_so(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    package = package_of(composed(node, manifest, new_receipt()))
    node.clock.forward(days=30)

    response = await visitor.post("/alert/sealed", **form(package))

    assert response.status_code == 409
    assert "no longer valid" in response.text


async def test_an_age_file_that_is_not_for_every_reader_is_refused(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    everybody = recipients_of(manifest)
    classical = Stanza("X25519", ("A" * 43,), bytes(32))

    for content in (
        age_file(everybody[:1]),
        age_file([*everybody, everybody[0]]),
        age_file(everybody[:1], extra=(classical,)),
    ):
        assert (await visitor.put("/alert/sealed", content=content)).status_code == 400

    assert await rows(node) == (0, 0)


async def test_a_closed_door_says_so_without_scripts(visitor: httpx.AsyncClient) -> None:
    page = await visitor.get("/alert/sealed")

    assert "not enough people" in page.text
    assert "<form" not in page.text
    assert (await visitor.get("/alert/keys.txt")).status_code == 503


# ---- taken ---------------------------------------------------------------------------------------------------------


async def test_a_package_arrives_as_the_alert_it_is_and_the_words_open_it(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    receipt = new_receipt()
    big = File("a.bin", "application/octet-stream", CANARY * 120_000)
    alert = composed(node, manifest, receipt, File("a.txt", "text/plain", CANARY), big)

    response = await visitor.post("/alert/sealed", **form(package_of(alert)))
    again = await visitor.put("/alert/sealed", content=package_of(alert))

    assert response.status_code == 200
    assert "It arrived" in response.text
    assert again.status_code == 200
    keys = source_keys(receipt, node.settings.origin)
    record = await visitor.get("/api/v1/mailbox", headers={"authorization": f"Mailbox {keys.mailbox_token}"})
    entry = open_mailbox(record.json(), keys, desk=[]).entries[0]
    assert isinstance(entry, Entry)
    assert isinstance(entry.content, Submission)
    assert entry.content.answers["summary"] == CANARY.decode()
    async with node.database.read() as session:
        (row,) = await session.scalars(select(Alert))
        assert row.mode == Mode.SEALED
        assert await session.scalar(select(func.count()).select_from(Attachment)) == 2


async def test_the_list_of_keys_seals_for_everybody_and_the_file_opens_with_each_of_them(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    listed = [line for line in (await visitor.get("/alert/keys.txt")).text.splitlines() if line[:1] != "#"]

    response = await visitor.post("/alert/sealed", **form(age_file(listed, CANARY * 200_000)))

    assert response.status_code == 200
    assert "no words to come back with" in response.text
    async with node.database.read() as session:
        (alert,) = await session.scalars(select(Alert))
        (file,) = await session.scalars(select(Attachment))
        names = await part_blobs(session, alert.id, file.upload)
    assert alert.mode == Mode.AGE
    sealed = [await node.blobs.get(name) for name in names]
    assert len(sealed) > 1
    for name in ("Ana", "Boris"):
        assert b"".join(open_stream(sealed, unwrapper(a_person(name).identity))) == CANARY * 200_000


async def test_the_same_age_file_twice_is_one_alert(
    node: Any, visitor: httpx.AsyncClient, manifest: IntakeManifest
) -> None:
    content = age_file(recipients_of(manifest))

    first = await visitor.put("/alert/sealed", content=content)
    second = await visitor.put("/alert/sealed", content=content)

    assert (first.status_code, second.status_code) == (201, 200)
    assert (await rows(node))[0] == 1


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_the_page_is_small_needs_no_script_and_is_reached_from_the_form(
    visitor: httpx.AsyncClient, manifest: IntakeManifest, language: str
) -> None:
    page = await visitor.get(f"/alert/sealed?lang={language}")
    form_page = await visitor.get(f"/alert?lang={language}")

    assert page.status_code == 200
    assert len(page.content) < 100_000
    assert "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "/alert/sealed" in form_page.text[form_page.text.index("<noscript>") :]
