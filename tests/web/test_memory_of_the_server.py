"""What a running server holds in memory: nothing of what a source wrote, and no more of a large file than one part."""

import asyncio
import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from node.sealing.alerts import Keys, compose_alert, compose_around, new_keys
from node.sealing.attachments import PART_BYTES, File
from node.sealing.manifest import verify_manifest
from node.sealing.objects import Compartment
from node.sealing.pouring import Pouring
from node.sealing.receipts import new_receipt
from tests.rig.alerts import a_member
from tests.rig.processes import Served, served
from tests.rig.publications import behind

MIB = 1024 * 1024
MAX_GROWTH_KIB = 40 * 1024
# Made of pieces, so that it stands in no file that a server might load.
CANARY = "-".join(["canary", "in", "the", "flooded", "stairwell", "7f3a91"])

pytestmark = pytest.mark.sockets


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    async def join(server: Served) -> None:
        async with behind(server) as node, node.database.begin() as session:
            for name in ("Berta", "Carl"):
                await a_member(session, name)

    with served(tmp_path_factory.mktemp("memory") / "data", plain_door="1") as server:
        asyncio.run(join(server))
        yield server


def ask(server: Served, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): one for name, one in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def a_manifest(server: Served) -> Any:
    _, body = ask(server, "GET", "/.well-known/social-rights-tracker/intake")
    return verify_manifest(body, node=server.origin, root=json.loads(body)["root"], now=datetime.now(UTC))


def pid_of(server: Served) -> int:
    assert server.process is not None
    return server.process.pid


def memory_holds(pid: int, secrets: list[bytes]) -> list[bytes]:
    """Which of these stand anywhere in the writable memory of a process: what a core dump would show."""
    found: set[bytes] = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is None:
                continue
            start, end = (int(one, 16) for one in match.groups())
            tail = b""
            for at in range(start, end, MIB):
                try:
                    piece = os.pread(memory.fileno(), min(MIB, end - at), at)
                except OSError:
                    break
                found.update(secret for secret in secrets if secret in tail + piece)
                tail = piece[-256:]
    return sorted(found)


def status_kib(pid: int, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert match is not None
    return int(match[1])


def test_after_a_sealed_alert_nothing_of_it_is_in_the_memory_of_the_server(organisation: Served) -> None:
    pid = pid_of(organisation)
    receipt = new_receipt()
    now = datetime.now(UTC)
    answers = {"kind": "violation", "state": "IE", "summary": CANARY}
    files = [File(f"{CANARY}.txt", "text/plain", CANARY.encode() * 50_000)]
    alert = compose_alert(
        a_manifest(organisation),
        organisation.origin,
        answers,
        {"sender_contact_name": CANARY},
        files,
        receipt,
        now.date(),
    )
    for part in alert.parts:
        assert ask(organisation, "PUT", f"/api/v1/uploads/{part.upload}/{part.number}", part.data)[0] == 204
    status, _ = ask(organisation, "POST", "/api/v1/alerts", alert.body)
    read, _ = ask(
        organisation, "GET", "/api/v1/mailbox", authorization=f"Mailbox {alert.source.mailbox_token}"
    )

    assert (status, read) == (201, 200)
    secrets = [CANARY.encode(), receipt.encode(), str(alert.source.identity).encode()]
    assert memory_holds(pid, secrets) == []
    # The looking itself works: what the server does hold is found.
    assert memory_holds(pid, [organisation.origin.encode()])


def test_what_was_sealed_is_nowhere_on_the_disk_either(organisation: Served) -> None:
    everything = [path.read_bytes() for path in organisation.data.parent.rglob("*") if path.is_file()]

    assert everything
    assert not [kept for kept in everything if CANARY.encode() in kept]


def test_a_hundred_mebibytes_in_parts_are_interrupted_resumed_and_held_one_part_at_a_time(
    organisation: Served,
) -> None:
    pid = pid_of(organisation)
    ask(organisation, "PUT", f"/api/v1/uploads/{'e' * 32}/0", bytes(PART_BYTES))
    before = status_kib(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the high-water mark begins anew
    keys: Keys = new_keys()
    pouring = Pouring("film.mp4", "video/mp4", keys[Compartment.DIALOGUE].recipient)
    sealed = bytearray()
    number = 0
    for _ in range(100):
        sealed += pouring.write(os.urandom(MIB))
        while len(sealed) >= PART_BYTES:
            if number == 7:
                break_off(organisation, pouring.upload, number, bytes(sealed[:PART_BYTES]))
            number = put(organisation, pouring.upload, number, bytes(sealed[:PART_BYTES]))
            del sealed[:PART_BYTES]
    sealed += pouring.close()
    for at in range(0, len(sealed), PART_BYTES):
        number = put(organisation, pouring.upload, number, bytes(sealed[at : at + PART_BYTES]))
    alert = compose_around(
        a_manifest(organisation),
        organisation.origin,
        {"summary": "Fictional"},
        {},
        [(pouring.attachment, pouring.wire)],
        new_receipt(),
        datetime.now(UTC).date(),
        keys=keys,
    )

    status, _ = ask(organisation, "POST", "/api/v1/alerts", alert.body)

    assert status == 201
    assert pouring.wire["parts"] == number
    assert status_kib(pid, "VmHWM") - before < MAX_GROWTH_KIB


def put(server: Served, upload: str, number: int, body: bytes) -> int:
    assert ask(server, "PUT", f"/api/v1/uploads/{upload}/{number}", body)[0] == 204
    return number + 1


def break_off(server: Served, upload: str, number: int, body: bytes) -> None:
    """Send half of a part and hang up, as a lost connection does."""
    head = f"PUT /api/v1/uploads/{upload}/{number} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        wire.sendall(head.encode() + body[: len(body) // 2])
