"""An independent ActivityPub server that people run: snac, a program in C that Debian 13 and newer have as `snac2`, on loopback over http."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.rig.missing import missing
from tests.rig.peer import Peer
from tests.rig.processes import free_port

STOP_SECONDS = 15


class Snac:
    """Its command line for one directory of data, and its pages as a signed-in person sees them."""

    def __init__(self, program: str, data: Path) -> None:
        self.program = program
        self.data = data
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.origin = f"http://{self.host}"
        self.log = data.with_suffix(".log")
        self.passwords: dict[str, str] = {}

    def prepare(self, *people: str) -> None:
        """Make its data, as its questions want to be answered, and these accounts."""
        self._said("init", given=f"127.0.0.1\n{self.port}\n{self.host}\n\n\n")
        about = self.data / "server.json"
        settings = json.loads(about.read_text())
        settings |= {"protocol": "http", "dbglevel": 1, "disable_sandbox": True}
        about.write_text(json.dumps(settings))
        for name in people:
            said = self.run("adduser", name)
            self.passwords[name] = said.partition("password is ")[2].split()[0]

    def run(self, verb: str, *arguments: str) -> str:
        """What a command printed. It says of some failures that all was well: look for the effect."""
        return self._said(verb, *arguments)

    def actor(self, name: str) -> str:
        """The address of an account."""
        return f"{self.origin}/{name}"

    def page(self, name: str) -> str:
        """What somebody sees of those they follow."""
        answer = httpx.get(f"{self.actor(name)}/admin", auth=(name, self.passwords[name]))
        return answer.raise_for_status().text

    def do(self, name: str, action: str, url: str) -> None:
        """Press a button below a post: Like, Unlike, Boost, Unboost, Delete."""
        self._send(name, "action", action=action, id=url)

    def write(self, name: str, content: str, **more: str) -> None:
        """Post something. in_reply_to: the address that it answers."""
        self._send(name, "note", content=content, **more)

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def _send(self, name: str, form: str, **fields: str) -> None:
        files = {field: (None, value) for field, value in fields.items()}
        answer = httpx.post(
            f"{self.actor(name)}/admin/{form}", files=files, auth=(name, self.passwords[name])
        )
        assert answer.status_code == 303, f"snac answered {answer.status_code}"

    def _said(self, verb: str, *arguments: str, given: str = "") -> str:
        command = [self.program, verb, str(self.data), *arguments]
        ran = subprocess.run(
            command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return ran.stdout


@contextmanager
def snac_peer(data: Path, *people: str) -> Iterator[Snac]:
    """A running snac with these accounts."""
    program = shutil.which("snac")
    if program is None:
        raise missing("snac", "apt-get install snac2, on Debian 13 or newer")
    snac = Snac(program, data)
    snac.prepare(*people)
    with snac.log.open("ab") as log:
        process = subprocess.Popen([program, "httpd", str(data)], stdout=log, stderr=log)
    try:
        Peer.until(lambda: _answers(snac), "snac answers")
        yield snac
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(snac: Snac) -> bool:
    try:
        return httpx.get(f"{snac.origin}/.well-known/nodeinfo").is_success
    except httpx.TransportError:
        return False
