"""Forks `tracker` from a process that has loaded the program: `python forks.py`, told on its standard input what to run.

Loading takes most of a second and is the same each time; nothing happens at import, so what is forked is as if it had loaded all
itself. Run as a process of its own that opens nothing and starts no thread. Ends, with whatever it forked, when its input does.
"""

import atexit
import gc
import json
import os
import signal
import sys
from typing import Any

CODES: dict[int, int] = {}


def main() -> None:
    """A line of JSON is one order, and is answered by one: what to run → its pid; a pid → its exit code, or none yet."""
    gc.disable()
    from web import cli

    gc.freeze()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Ctrl-C reaches the whole terminal; the owner decides.
        signal.signal(number, signal.SIG_IGN)
    forked: set[int] = set()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        if "pid" in order:
            answer = _code(order["pid"])
        elif answer := os.fork():
            forked.add(answer)
        else:
            _become(cli, **order)
        print(json.dumps(answer), flush=True)
    for pid in forked:
        if _code(pid) is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _code(pid: int) -> int | None:
    """As subprocess says it: negative for a signal."""
    if pid not in CODES:
        found, status = os.waitpid(pid, os.WNOHANG)
        if not found:
            return None
        CODES[pid] = os.waitstatus_to_exitcode(status)
    return CODES[pid]


def _become(cli: Any, *, arguments: list[str], environment: dict[str, str], out: str, errors: str) -> None:
    """What a fresh `tracker` with these arguments and this environment would be; never returns. Any: the module."""
    code = 1
    try:
        for heard in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(heard, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, path in ((0, os.devnull), (1, out), (2, errors)):
            opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.environ.clear()
        os.environ.update(environment)
        gc.enable()
        cli.main(arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
