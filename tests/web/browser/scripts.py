"""Runs a Node.js script over the browser's modules: JSON in, JSON out, so that Python and TypeScript can be compared."""

import json
import subprocess
from typing import Any

from tests.rig.missing import missing
from tests.rig.nodejs import ROOT, environment, node_executable

BROWSER = ROOT / "web" / "browser"
LONGEST_SECONDS = 120
_FRAME = """
import {{ readFileSync }} from "node:fs";
const given = JSON.parse(readFileSync(0, "utf8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const text = (data) => Buffer.from(data).toString("base64");
const answer = await (async () => {{ {body} }})();
process.stdout.write(JSON.stringify(answer ?? null));
"""


def run(body: str, given: object = None) -> Any:
    """Run the body of an async function that sees `given`, and return what it returns.

    `bytes` and `text` turn base64 into bytes and back; modules are imported from `./src/…`.
    """
    if not (BROWSER / "node_modules" / "age-encryption").is_dir():
        raise missing("the packages of web/browser", "make setup")
    flags = ["--experimental-strip-types", "--disable-warning=ExperimentalWarning", "--input-type=module"]
    ran = subprocess.run(
        [node_executable(), *flags, "--eval", _FRAME.format(body=body)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=BROWSER,
        env=environment(),
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
