"""Nothing of what a source wrote is anywhere on the server: not in the memory of any process, the database, the files, the logs,
the queue or a backup. In the labelled mode, which seals on the server, it is never on a disk. In both profiles."""

import asyncio
import http.client
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from node.sealing.alerts import ComposedAlert, compose_alert, compose_message, open_mailbox
from node.sealing.attachments import File
from node.sealing.manifest import verify_manifest
from node.sealing.packages import write_package
from node.sealing.receipts import new_receipt
from tests.rig.alerts import a_member
from tests.rig.databases import POSTGRESQL, fresh_database
from tests.rig.missing import missing
from tests.rig.processes import Process, Served
from tests.rig.procfs import family, in_memory
from tests.rig.publications import behind
from tests.rig.servers import Servers, _postgresql_programs

REDIS_NUMBER = 20
BOUNDARY = "fictional-boundary-of-a-form"
# Made of pieces, so that they stand in no file that a server might load.
SEALED = "-".join(["canary", "in", "the", "flooded", "stairwell", "7f3a91"])
LABELLED = "-".join(["canary", "in", "the", "labelled", "stairwell", "2c85e0"])

pytestmark = [pytest.mark.sockets, pytest.mark.scale]


@dataclass
class Place:
    """A running node in one of the profiles, and everything it runs on."""

    server: Served
    home: Path
    servers: Servers | None
    others: list[Process] = field(default_factory=list)

    def processes(self) -> list[int]:
        """The server, its worker, the database's processes, the queue's."""
        assert self.server.process is not None
        found = family(self.server.process.pid) + [pid for one in self.others for pid in family(one.pid)]
        if self.servers is not None:
            for name in ("postgresql", "redis"):
                found += family(int((self.servers.home / name / "pid").read_text()))
        return found

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(
                method, path, body, {name.replace("_", "-"): one for name, one in headers.items()}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Everything that lies on a disk: data, logs, temporary files, what the database and the queue keep, a backup."""
        for path in self.home.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()
        backup = self.backup()
        # The database in it is SQLite, which packs nothing: text and bytes stand in it as they are.
        yield "the backup", backup.read_bytes()
        if self.servers is None:
            return
        for path in (self.servers.home / "postgresql" / "data").rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()
        yield "the queue", self.queue()

    def backup(self) -> Path:
        return Path(json.loads(self.server.run("backup", str(self.home / "backups"), "--json"))["backup"])

    def queue(self) -> bytes:
        import redis

        assert self.servers is not None
        with redis.Redis.from_url(self.servers.redis(REDIS_NUMBER)) as store:
            return b"\n".join(bytes(key) + b" " + (store.dump(key) or b"") for key in store.scan_iter())


@pytest.fixture(scope="module", params=["embedded", "scale"])
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, servers: Servers
) -> AsyncIterator[Place]:
    """One for what is sealed and for what the server seals, which are looked for by words of their own."""
    tmp_path = tmp_path_factory.mktemp(request.param)
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"plain_door": "1"}
        if request.param == "scale":
            try:
                _postgresql_programs()
            except pytest.skip.Exception:
                raise missing("PostgreSQL", "apt-get install postgresql") from None
            settings |= {
                "database_url": await stack.enter_async_context(
                    fresh_database(POSTGRESQL, tmp_path, servers)
                ),
                "redis_url": servers.redis(REDIS_NUMBER),
            }
        server = Served(tmp_path / "data", forked=False, **settings)
        (tmp_path / "aside").mkdir()
        server.environment |= {"TMPDIR": str(tmp_path / "aside")}
        found = Place(server, tmp_path, servers if request.param == "scale" else None)
        try:
            await asyncio.to_thread(server.init)
            await asyncio.to_thread(server.start)
            if found.servers is not None:
                found.others.append(server.begin("worker"))
            async with behind(server) as node, node.database.begin() as session:
                for name in ("Berta", "Carl"):
                    await a_member(session, name)
            yield found
        finally:
            for one in found.others:
                one.terminate()
                one.wait()
            await asyncio.to_thread(server.stop)


def composed(place: Place) -> tuple[ComposedAlert, str, list[str]]:
    """(an alert full of canaries, its words, the people whose replies it believes)"""
    _, body = place.ask("GET", "/.well-known/social-rights-tracker/intake")
    now = datetime.now(UTC)
    manifest = verify_manifest(body, node=place.server.origin, root=json.loads(body)["root"], now=now)
    receipt = new_receipt()
    answers = {"kind": "violation", "state": "IE", "summary": SEALED}
    files = [File(f"{SEALED}.txt", "text/plain", SEALED.encode() * 50_000)]
    alert = compose_alert(
        manifest, place.server.origin, answers, {"sender_contact_name": SEALED}, files, receipt, now.date()
    )
    return alert, receipt, [one.ed25519 for one in manifest.manifest.handlers]


def form(fields: dict[str, bytes], filename: str, content: bytes, name: str) -> tuple[bytes, str]:
    """(the body of a form with one file, its media type)"""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
    texts = b"".join(f'{head}{key}"\r\n\r\n'.encode() + text + b"\r\n" for key, text in fields.items())
    file = f'{head}{name}"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'.encode()
    return (
        texts + file + content + f"\r\n--{BOUNDARY}--\r\n".encode(),
        f"multipart/form-data; boundary={BOUNDARY}",
    )


def send_sealed(place: Place) -> list[bytes]:
    """An alert by the form, one by the door without scripts, and an answer; returns what must be nowhere."""
    secrets = [SEALED.encode()]
    alert, receipt, desk = composed(place)
    for part in alert.parts:
        assert place.ask("PUT", f"/api/v1/uploads/{part.upload}/{part.number}", part.data)[0] == 204
    assert place.ask("POST", "/api/v1/alerts", alert.body)[0] == 201
    token = f"Mailbox {alert.source.mailbox_token}"
    status, record = place.ask("GET", "/api/v1/mailbox", authorization=token)
    assert status == 200
    opened = open_mailbox(json.loads(record), alert.source, desk=desk)
    message = compose_message(opened, SEALED, by=alert.source.signing, day=datetime.now(UTC).date())
    answer = json.dumps(message).encode()
    assert place.ask("POST", "/api/v1/mailbox/messages", answer, authorization=token)[0] == 201
    secrets += [receipt.encode(), str(alert.source.identity).encode()]

    alert, receipt, _ = composed(place)
    package = b"".join(write_package(alert.body, [part.data for part in alert.parts]))
    body, kind = form({}, "alert.sealed", package, "package")
    assert place.ask("POST", "/alert/sealed", body, content_type=kind)[0] == 200
    return [*secrets, receipt.encode(), str(alert.source.identity).encode()]


def spelled(secrets: list[bytes]) -> set[bytes]:
    """As they are, and as a database writes bytes."""
    return {form for secret in secrets for form in (secret, secret.hex().encode())}


def found_in(everything: Iterator[tuple[str, bytes]], *sought: set[bytes]) -> list[list[str]]:
    """Where each of these sets is, by one look at everything."""
    found: list[list[str]] = [[] for _ in sought]
    for where, content in everything:
        for places, secrets in zip(found, sought, strict=True):
            if any(secret in content for secret in secrets):
                places.append(where)
    return found


async def test_what_was_sealed_is_in_no_process_and_on_no_disk(place: Place) -> None:
    secrets = await asyncio.to_thread(send_sealed, place)

    async with behind(place.server) as node, node.database.read() as session:
        from sqlalchemy import select

        from node.intake.alerts import Alert

        known = sorted(alert.id.encode() for alert in await session.scalars(select(Alert)))
    remembered = {pid: in_memory(pid, [*spelled(secrets), *known]) for pid in place.processes()}
    held = {pid: found - set(known) for pid, found in remembered.items()}
    assert {pid: found for pid, found in held.items() if found} == {}
    leaked, told = found_in(place.written(), spelled(secrets), set(known))
    assert leaked == []
    # The looking itself works: what a server does hold is found in it, on the disk and in what the database tells.
    assert set().union(*remembered.values()) == set(known)
    assert told


async def test_what_the_server_seals_itself_is_on_no_disk_either(place: Place) -> None:
    def send() -> int:
        fields = {"kind": b"violation", "state": b"IE", "summary": LABELLED.encode()}
        body, kind = form(fields, f"{LABELLED}.txt", LABELLED.encode() * 200_000, "attachments")
        status, page = place.ask("POST", "/alert/plain", body, content_type=kind)
        words = re.findall(rb"<li>([a-z]+)</li>", page)
        assert len(words) == 12
        typed = b"words=" + b"+".join(words) + b"&answer=" + LABELLED.encode()
        read, dialogue = place.ask(
            "POST", "/alert/plain/receipt", typed, content_type="application/x-www-form-urlencoded"
        )
        assert read == 200
        assert dialogue.count(LABELLED.encode()) >= 2
        return status

    assert await asyncio.to_thread(send) == 200
    assert found_in(place.written(), spelled([LABELLED.encode()])) == [[]]
