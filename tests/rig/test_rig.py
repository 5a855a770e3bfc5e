"""The rig itself: what it refuses, what it starts and stops, what it says when something is missing."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_socket
from sqlalchemy import delete, select, text

from federation.client import exchange
from federation.errors import Unreachable
from node.database import Database
from node.outbox import Job, enqueue
from tests.rig.backups import counted
from tests.rig.clock import FrozenClock
from tests.rig.databases import POSTGRESQL, SQLITE, know_every_row, ready_database
from tests.rig.keys import ed25519_seed, rsa_pem
from tests.rig.missing import missing, summary
from tests.rig.processes import Forks, Served
from tests.rig.servers import KEEPER, Servers, own_redis, start_redis, stop_redis
from tests.rig.wires import Wires


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_a_test_without_a_marker_opens_no_socket() -> None:
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket(socket.AF_INET)


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_a_test_without_a_marker_resolves_no_name() -> None:
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.getaddrinfo("a.example", 443)


@pytest.mark.sockets
@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_the_sockets_marker_reaches_loopback_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    with socket.socket() as outside, pytest.raises(pytest_socket.SocketConnectBlockedError):
        outside.connect(("192.0.2.1", 80))


async def test_an_unknown_host_is_a_connection_error() -> None:
    async with httpx.AsyncClient(transport=Wires()) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("https://nowhere.example/")


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    "host", ["nowhere.example", "xn--a.example", "xn--.example", "xn--zzzzz99999.example"]
)
async def test_a_host_that_has_no_app_cannot_be_reached_whatever_its_name(host: str, named: bool) -> None:
    headers = [(b"host", host.encode())] if named else []
    async with httpx.AsyncClient(transport=Wires()) as http:
        with pytest.raises(Unreachable):
            await exchange(http, "GET", f"https://{host}/", headers=headers)


async def test_time_stands_still_until_it_is_moved(clock: FrozenClock, now: datetime) -> None:
    sleeper = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)

    clock.forward(minutes=59)
    await asyncio.sleep(0)
    assert not sleeper.done()

    clock.forward(minutes=1)
    await sleeper
    assert clock.now() == now + timedelta(hours=1)


def test_time_does_not_go_back(clock: FrozenClock) -> None:
    with pytest.raises(ValueError, match="back"):
        clock.forward(hours=-1)


def test_a_key_of_a_name_is_always_the_same_and_of_two_names_never() -> None:
    assert rsa_pem("a") == rsa_pem("a") != rsa_pem("b")
    assert ed25519_seed("a") == ed25519_seed("a") != ed25519_seed("b")


def test_what_is_missing_is_named_with_its_cure_once() -> None:
    skipped = [f"Skipped: {missing('Chromium', 'apt-get install chromium')}"] * 2 + [
        "Skipped: another reason"
    ]

    assert summary(skipped) == [
        "2 tests not run, this machine lacks Chromium; to install it: apt-get install chromium"
    ]


@pytest.mark.both_databases
async def test_a_database_has_every_table(database: Any, database_kind: str) -> None:
    assert database.is_sqlite == (database_kind == "sqlite")
    await database.ping()


@pytest.mark.parametrize("kind", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.scale)])
async def test_a_database_that_was_used_is_handed_on_as_if_it_had_not_been(
    kind: str, tmp_path: Path, servers: Servers, now: datetime
) -> None:
    async def numbered() -> int:
        async with ready_database(kind, tmp_path, servers) as url:
            database = Database(url)
            assert {rows for rows in (await counted(database)).values()} == {0}
            async with database.begin() as session:
                await enqueue(session, "a-kind", {}, lane="a lane", now=now)
                number = await session.scalar(select(Job.seq))
                await session.execute(delete(Job))  # what has no rows left has counted all the same
            await database.close()
        assert number is not None
        return int(number)

    assert await numbered() == await numbered() == 1


@pytest.mark.scale
async def test_a_database_whose_tables_a_test_changed_serves_no_other(
    tmp_path: Path, servers: Servers
) -> None:
    async with ready_database(POSTGRESQL, tmp_path, servers) as changed:
        database = Database(changed)
        async with database.begin() as session:
            await session.execute(text("ALTER TABLE jobs ADD COLUMN another TEXT"))
        await database.close()

    async with ready_database(POSTGRESQL, tmp_path, servers) as next_one:
        assert next_one != changed


@pytest.mark.scale
def test_redis_answers(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as connection:
        assert connection.ping()
        assert connection.dbsize() == 0


@pytest.mark.scale
def test_a_redis_of_its_own_can_be_stopped_and_started() -> None:
    import redis

    with own_redis() as home, redis.Redis(unix_socket_path=str(home / "socket")) as connection:
        connection.set("kept", "yes")

        stop_redis(home)
        with pytest.raises(redis.ConnectionError):
            connection.ping()

        start_redis(home, os.getpid(), "--appendonly", "yes")
        assert connection.get("kept") == b"yes"


def test_a_server_ends_with_the_run_that_asked_for_it_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "server"
    home.mkdir()
    owner = subprocess.Popen(["sleep", "60"])
    keeper = subprocess.Popen(
        [sys.executable, str(KEEPER), str(home), str(owner.pid), "", "--", "sleep", "60"]
    )
    while not (home / "pid").exists() or not (home / "pid").read_text():
        time.sleep(0.01)
    server = int((home / "pid").read_text())

    owner.kill()
    owner.wait()

    assert keeper.wait(5) == 0
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


@pytest.mark.sockets
def test_what_is_forked_is_a_tracker_of_its_own(tmp_path: Path) -> None:
    forked, loaded = Served(tmp_path / "forked"), Served(tmp_path / "loaded", forked=False)

    first, second = json.loads(forked.init()), json.loads(loaded.init())

    assert (forked.data / "keys" / "root.pem").exists()
    assert first.keys() == second.keys()
    assert first["data"] == str(forked.data)
    assert first["root"] != second["root"]
    said = []
    for server in (forked, loaded):
        with pytest.raises(RuntimeError) as refused:
            server.run("staff", "invite", "--role", "emperor")
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert "invalid choice" in said[0]


@pytest.mark.sockets
def test_what_was_forked_says_how_it_ended_and_ends_with_who_asked_for_it(tmp_path: Path) -> None:
    forks = Forks()
    environment = {"PATH": os.defpath}

    version = forks.begin(("--version",), environment, tmp_path / "out", tmp_path / "errors")
    unknown = forks.begin(("nonsense",), environment, tmp_path / "out", tmp_path / "errors")
    killed, left = [
        forks.begin(("serve",), Served(tmp_path / name).environment, tmp_path / "out", tmp_path / "errors")
        for name in ("killed", "left")
    ]
    killed.kill()

    assert (version.wait(), unknown.wait(), killed.wait()) == (0, 2, -signal.SIGKILL)
    assert left.poll() is None
    forks.end()
    with pytest.raises(ProcessLookupError):
        os.kill(left.pid, 0)


@pytest.mark.browser
async def test_a_page_runs_its_script(page: Any) -> None:
    await page.set_content("<p>before</p><script>document.querySelector('p').textContent = 'after'</script>")

    assert await page.text_content("p") == "after"


@pytest.mark.browser
async def test_two_visitors_share_nothing(browser: Any) -> None:
    first, second = await browser.new_context(), await browser.new_context()
    await first.add_cookies([{"name": "seen", "value": "1", "url": "http://127.0.0.1"}])
    await first.close()

    assert await second.cookies() == []
    assert await (await second.new_page()).title() == ""


@pytest.mark.browser
async def test_nobody_is_left_of_the_visitors_of_another_test(browser: Any) -> None:
    assert browser.contexts == []


@pytest.mark.browser
async def test_the_browser_does_not_reach_the_internet(page: Any) -> None:
    from playwright.async_api import Error

    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await page.goto("https://example.org/")


def test_a_room_that_appears_while_the_suite_runs_does_not_disturb_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    know_every_row()

    def appeared(*_: object) -> list[object]:
        raise AssertionError("looked for rooms once more")

    monkeypatch.setattr("pkgutil.walk_packages", appeared)
    know_every_row()
