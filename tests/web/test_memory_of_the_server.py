"""What a running server holds of a large file that arrives in parts: no more than one of them."""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from node.sealing.alerts import Keys, compose_around, new_keys
from node.sealing.attachments import PART_BYTES
from node.sealing.manifest import verify_manifest
from node.sealing.objects import Compartment
from node.sealing.pouring import Pouring
from node.sealing.receipts import new_receipt
from tests.rig.processes import Served
from tests.rig.procfs import begin_high_water, held
from tests.web.door import running_organisation

MIB = 1024 * 1024
MAX_GROWTH = 40 * MIB

pytestmark = pytest.mark.sockets


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running_organisation(tmp_path_factory.mktemp("memory"), forked=False, plain_door="1") as server:
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


def test_a_hundred_mebibytes_in_parts_are_interrupted_resumed_and_held_one_part_at_a_time(
    organisation: Served,
) -> None:
    pid = pid_of(organisation)
    ask(organisation, "PUT", f"/api/v1/uploads/{'e' * 32}/0", bytes(PART_BYTES))
    before = held(pid, "VmRSS")
    begin_high_water(pid)
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
    assert held(pid, "VmHWM") - before < MAX_GROWTH


def put(server: Served, upload: str, number: int, body: bytes) -> int:
    assert ask(server, "PUT", f"/api/v1/uploads/{upload}/{number}", body)[0] == 204
    return number + 1


def break_off(server: Served, upload: str, number: int, body: bytes) -> None:
    """Send half of a part and hang up, as a lost connection does."""
    head = f"PUT /api/v1/uploads/{upload}/{number} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        wire.sendall(head.encode() + body[: len(body) // 2])
