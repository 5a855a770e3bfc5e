"""A Chromium for the browser tests: the one in npm's @sparticuz/chromium, which needs no system package, else the system's."""

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.rig.missing import missing
from tests.rig.nodejs import PEERS, environment, node_executable, peers_installed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # a container's root may not make the namespaces of the sandbox; the pages are our own
    "--headless=shell",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # no test reaches the internet
)
# As in Tor Browser at the level "Safer": no just-in-time compiler, and so no WebAssembly either.
WITHOUT_COMPILERS = "--js-flags=--jitless"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{own}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """A program and the environment it runs in."""

    path: str
    environment: dict[str, str]


@cache
def find() -> Chromium:
    """The Chromium of this machine; the test is skipped by name where there is none."""
    lacking: BaseException = missing("Chromium", "apt-get install chromium")
    if platform.system() == "Linux" and platform.machine() == "x86_64":
        try:
            return _unpacked()
        except pytest.skip.Exception as skipped:
            lacking = skipped
    for name in NAMES:
        if path := shutil.which(name):
            return Chromium(path, dict(os.environ))
    raise lacking


@asynccontextmanager
async def launched(*arguments: str, **options: Any) -> AsyncIterator[Browser]:
    """A running browser, closed at the end. Contexts are cheap: take a new one per visitor.

    arguments  more of Chromium's own, such as `WITHOUT_COMPILERS`.
    """
    found = find()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found.path,
            args=[*ARGUMENTS, *arguments],
            env=dict(found.environment),
            **options,
        )
        try:
            yield browser
        finally:
            await browser.close()


def _unpacked() -> Chromium:
    # Below node_modules, so that a fresh `npm ci` forgets it: it can never be another version than the lock's.
    home = peers_installed() / ".chromium"
    with (PEERS / ".chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            partial = home.with_name(".chromium.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            subprocess.run(
                [node_executable(), str(PEERS / "chromium.mjs")],
                env=environment(TMPDIR=str(partial), AWS_EXECUTION_ENV="AWS_Lambda_nodejs24.x"),
                capture_output=True,
                check=True,
            )
            partial.rename(home)
    fonts = home / "fonts.conf"
    if not fonts.exists():
        # The package's own configuration names directories of Amazon Lambda. Without any font Chromium ends at the first
        # letter, so the ones that come with it are named here, beside the system's.
        fonts.write_text(FONTS.format(own=home / "fonts" / "fonts", cache=home / "font-cache"), "utf-8")
    # Debian's base system has no libnss3, libnspr4 or libexpat; the package carries them.
    own = {"LD_LIBRARY_PATH": str(home / "al2023" / "lib"), "FONTCONFIG_FILE": str(fonts)}
    return Chromium(str(home / "chromium"), os.environ | own)
