"""Large files through every door of a source: in pieces of a few mebibytes everywhere, in memory, on the wire and on the disk.

The suite sends small ones; `make heavy` sends 100 MiB and 2 GB and prints what they cost.
"""

import asyncio
import http.client
import os
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from node.sealing.alerts import compose_around, new_keys
from node.sealing.manifest import verify_manifest
from node.sealing.objects import Compartment
from node.sealing.packages import write_package
from node.sealing.pouring import Pouring
from node.sealing.receipts import new_receipt
from tests.rig.alerts import a_member
from tests.rig.processes import Served
from tests.rig.procfs import begin_high_water, held
from tests.rig.publications import behind
from tests.web.desk import read_alert
from tests.web.door import next_part, type_two

MIB = 1024 * 1024
SHORT = (24 * MIB,)
HEAVY = (100 * MIB, 2_000_000_000)
MOST_IN_PAGE = 64 * MIB
MOST_IN_SERVER = {SHORT[0]: 40 * MIB, HEAVY[0]: 40 * MIB, HEAVY[1]: 64 * MIB}
LOOK_SECONDS = 0.05
BOUNDARY = "fictional-boundary-of-a-form"
END = f"\r\n--{BOUNDARY}--\r\n".encode()
MANIFEST = "/.well-known/social-rights-tracker/intake"

pytestmark = pytest.mark.sockets


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "size" in metafunc.fixturenames:
        sizes = HEAVY if metafunc.config.getoption("--heavy") else SHORT
        metafunc.parametrize("size", sizes, ids=lambda size: f"{size // MIB} MiB")


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config) -> Any:
    """Prints a figure where somebody asked for figures."""

    def say(line: str) -> None:
        if pytestconfig.getoption("--heavy"):
            with capsys.disabled():
                print(f"\n  {line}", flush=True)

    return say


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node with two readers and every door open, whose temporary files would lie in a place of their own."""

    async def join(server: Served) -> None:
        async with behind(server) as node, node.database.begin() as session:
            for name in ("Berta", "Carl"):
                await a_member(session, name)

    home = tmp_path_factory.mktemp("large")
    server = Served(home / "data", forked=False, plain_door="1")
    aside = home / "aside"
    aside.mkdir()
    server.environment |= {"TMPDIR": str(aside)}
    try:
        server.init()
        server.start()
        asyncio.run(join(server))
        warm(server)
        yield server
    finally:
        server.stop()


# ---- what is watched --------------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """What a server holds while something arrives: memory above its start, and files that are open or lie about."""

    server: Served
    grown: int = 0
    strays: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @contextmanager
    def looking(self) -> Iterator["Watch"]:
        assert self.server.process is not None
        pid, home = self.server.process.pid, str(self.server.data)
        before = held(pid, "VmRSS")
        begin_high_water(pid)
        done = threading.Event()

        def look() -> None:
            while not done.wait(LOOK_SECONDS):
                for one in Path(f"/proc/{pid}/fd").iterdir():
                    try:
                        target = str(one.readlink())
                    except OSError:
                        continue
                    if "(deleted)" in target or (
                        target.startswith("/") and not target.startswith((home, "/dev/", "/proc/", self.log))
                    ):
                        self.strays.add(target)
                self.strays |= {str(path) for path in Path(self.server.environment["TMPDIR"]).iterdir()}

        thread = threading.Thread(target=look)
        started = time.monotonic()
        thread.start()
        try:
            yield self
        finally:
            self.seconds = time.monotonic() - started
            done.set()
            thread.join()
            self.grown = held(pid, "VmHWM") - before

    @property
    def log(self) -> str:
        return str(self.server.log)


# ---- doors without scripts --------------------------------------------------------------------------------------------


def a_film(size: int) -> Iterator[bytes]:
    """That many bytes that no cipher and no disk can make smaller; the same piece again and again is made quickly."""
    piece = os.urandom(MIB)
    for at in range(0, size, MIB):
        yield piece[: min(MIB, size - at)]


def part_of_form(name: str, filename: str | None = None) -> bytes:
    """What stands before the content of a field."""
    file = f'; filename="{filename}"\r\nContent-Type: video/mp4' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()


def hand_in(server: Served, path: str, pieces: Iterator[bytes], length: int) -> tuple[int, bytes]:
    """A form as a browser sends it, from a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": str(length)}
    try:
        connection.request("POST", path, pieces, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def send_plain(server: Served, size: int) -> tuple[int, bytes]:
    """The form that the server seals, with one file."""
    fields = {"kind": "violation", "state": "IE", "summary": "Fictional. The stairwell is flooded."}
    texts = b"".join(part_of_form(name) + text.encode() + b"\r\n" for name, text in fields.items())
    before, after = texts + part_of_form("attachments", "film.mp4"), END

    def pieces() -> Iterator[bytes]:
        yield before
        yield from a_film(size)
        yield after

    return hand_in(server, "/alert/plain", pieces(), len(before) + size + len(after))


def warm(server: Served) -> None:
    """What the first request of a kind loads is no part of what a large one costs."""
    assert send_plain(server, 5 * MIB)[0] == 200


def a_package(server: Served, size: int, path: Path) -> None:
    """A sealed alert with one file, written to a disk as the page to carry away writes it."""
    with urllib.request.urlopen(f"{server.origin}{MANIFEST}") as answer:  # noqa: S310  # our loopback
        body = answer.read()
    root = re.search(rb'"root":"([^"]+)"', body)
    assert root is not None
    now = datetime.now(UTC)
    manifest = verify_manifest(body, node=server.origin, root=root[1].decode(), now=now)
    keys = new_keys()
    pouring = Pouring("film.mp4", "video/mp4", keys[Compartment.DIALOGUE].recipient)
    sealed = path.with_suffix(".part")
    with sealed.open("wb") as out:
        for piece in a_film(size):
            out.write(pouring.write(piece))
        out.write(pouring.close())
    files = [(pouring.attachment, pouring.wire)]
    alert = compose_around(
        manifest, server.origin, {"summary": "Fictional"}, {}, files, new_receipt(), now.date(), keys=keys
    )
    with path.open("wb") as out, sealed.open("rb") as file:
        for piece in write_package(alert.body, iter(lambda: file.read(MIB), b"")):
            out.write(piece)
    sealed.unlink()


def test_a_large_file_is_sealed_by_the_server_as_it_comes_and_never_lies_on_its_disk(
    organisation: Served, size: int, tell: Any
) -> None:
    watch = Watch(organisation)
    with watch.looking():
        status, _ = send_plain(organisation, size)

    tell(
        f"sealed by the server: {size / MIB:.0f} MiB in {watch.seconds:.1f} s, {watch.grown / MIB:.0f} MiB above its start"
    )
    assert status == 200
    assert strays_of(watch) == set()
    assert watch.grown < MOST_IN_SERVER[size]


def test_a_large_sealed_file_passes_the_door_without_scripts_piece_by_piece(
    organisation: Served, size: int, tmp_path: Path, tell: Any
) -> None:
    package = tmp_path / "alert.sealed"
    a_package(organisation, size, package)
    before, after = part_of_form("package", "alert.sealed"), END

    def pieces() -> Iterator[bytes]:
        yield before
        with package.open("rb") as file:
            yield from iter(lambda: file.read(MIB), b"")
        yield after

    watch = Watch(organisation)
    with watch.looking():
        status, _ = hand_in(
            organisation, "/alert/sealed", pieces(), len(before) + package.stat().st_size + len(after)
        )
    package.unlink()

    tell(
        f"sealed before: {size / MIB:.0f} MiB in {watch.seconds:.1f} s, {watch.grown / MIB:.0f} MiB above its start"
    )
    assert status == 200
    assert strays_of(watch) == set()
    assert watch.grown < MOST_IN_SERVER[size]


def strays_of(watch: Watch) -> set[str]:
    """Files outside the data directory that a server has no business with while something arrives."""
    program = (".so", ".py", ".pyc", ".html", ".mo", ".json", ".jsonld", ".csv")
    return {one for one in watch.strays if not one.endswith(program)}


# ---- the form ---------------------------------------------------------------------------------------------------------


@dataclass
class Page:
    """What a page holds while it seals: the highest figures above its start."""

    heap: int = 0
    buffers: int = 0
    resident: int = 0


async def look(line: Any, pid: int, page: Page, before: tuple[int, int, int]) -> None:
    """Sample until cancelled."""
    while True:
        heap, buffers, resident = await now_held(line, pid)
        page.heap = max(page.heap, heap - before[0])
        page.buffers = max(page.buffers, buffers - before[1])
        page.resident = max(page.resident, resident - before[2])
        await asyncio.sleep(LOOK_SECONDS)


async def now_held(line: Any, pid: int) -> tuple[int, int, int]:
    """(objects of the scripts, bytes in their buffers, memory of the process)"""
    usage = await line.send("Runtime.getHeapUsage")
    return usage["usedSize"], usage["backingStorageSize"], held(pid, "VmRSS")


async def renderer(browser: Any) -> int:
    """The process that runs the page."""
    session = await browser.new_browser_cdp_session()
    found = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    await session.detach()
    return max(
        (int(one["id"]) for one in found if one["type"] == "renderer"), key=lambda pid: held(pid, "VmRSS")
    )


@pytest.mark.browser
async def test_a_large_file_is_sealed_in_the_browser_a_part_at_a_time_and_goes_on_where_the_line_broke(
    browser: Any, organisation: Served, size: int, tmp_path: Path, tell: Any
) -> None:
    film = tmp_path / "film.mp4"
    with film.open("wb") as out:
        for piece in a_film(size):
            out.write(piece)
    context = await browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    put: list[int] = []
    page.on(
        "response",
        lambda one: put.append(int(one.url.rsplit("/", 1)[1])) if "/uploads/" in one.url and one.ok else None,
    )
    await page.goto(f"{organisation.origin}/alert")
    await page.click("#begin")
    await page.check("[name=kind] >> nth=0")
    await next_part(page)
    await page.fill("[name=summary]", "Fictional. The stairwell is flooded.")
    await next_part(page)
    await page.select_option("[name=state]", "IE")
    for _ in range(5):
        await next_part(page)
    await page.set_input_files("#f-attachments", film)
    for _ in range(4):
        await next_part(page)
    await page.click("#seal")
    await page.wait_for_selector("#words li")
    words = await page.locator("#words li").all_inner_texts()
    await page.click("#noted")
    await type_two(page, words)

    line = await context.new_cdp_session(page)
    await line.send("HeapProfiler.collectGarbage")
    pid, most, watch = await renderer(browser), Page(), Watch(organisation)
    looking = asyncio.create_task(look(line, pid, most, await now_held(line, pid)))
    with watch.looking():
        await page.click("#send")
        while len(put) < 3:
            await asyncio.sleep(0.01)
        await context.set_offline(True)
        await asyncio.sleep(1)
        await context.set_offline(False)
        await page.wait_for_selector("#arrived:visible", timeout=60_000 + size // 1000)
    looking.cancel()
    await context.close()
    film.unlink()

    tell(
        f"sealed in the browser: {size / MIB:.0f} MiB in {watch.seconds:.1f} s; page {most.heap / MIB:.0f} MiB of objects, "
        f"{most.buffers / MIB:.0f} of buffers, process {most.resident / MIB:.0f}; server {watch.grown / MIB:.0f}; above their starts"
    )
    opened = await read_alert(organisation, " ".join(words), "Berta")
    assert opened.submission is not None
    (file,) = opened.submission.attachments
    assert file.size == size
    assert put == list(range(len(put)))  # no part was sent twice, so nothing began again
    # The longer it takes, the more of what was thrown away is seen before it is swept; it does not grow with the file.
    assert most.heap + most.buffers < MOST_IN_PAGE * (1 if size <= 100 * MIB else 2)
    assert watch.grown < MOST_IN_SERVER[size]
    assert strays_of(watch) == set()
