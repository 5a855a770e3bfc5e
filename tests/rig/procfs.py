"""What the kernel tells of a running process: how much it holds, what stands in its memory, who its children are."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

MIB = 1024 * 1024
LONGEST_SECRET = 256


def held(pid: int, name: str) -> int:
    """A figure of /proc/<pid>/status, such as VmRSS or VmHWM, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None, name
    return int(found[1]) * 1024


def begin_high_water(pid: int) -> None:
    """From now on VmHWM is the most that was held since now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def in_memory(pid: int, secrets: Iterable[bytes]) -> set[bytes]:
    """Which of these stand anywhere in the writable memory of a process: what a core dump would show."""
    wanted, found = set(secrets), set[bytes]()
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
                found |= {secret for secret in wanted - found if secret in tail + piece}
                tail = piece[-LONGEST_SECRET:]
    return found


def family(pid: int) -> list[int]:
    """A process and all that it started, with what those started."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in the second place may hold spaces and brackets of its own.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(status.parent.name))
    return [pid, *(one for child in parents.get(pid, []) for one in family(child))]
