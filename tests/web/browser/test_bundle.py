"""The built scripts: the same sources give the same bytes, the manifest tells the truth, and no compiler is needed."""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from node.sealing.alerts import open_alert
from node.sealing.manifest import sign_manifest
from tests.node.sealing.people import DAY, NODE, NOW, a_person, a_root, handler, terms
from tests.rig.missing import missing
from tests.rig.nodejs import environment, node_executable
from tests.web.browser.scripts import BROWSER

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    if not (BROWSER / "node_modules" / "esbuild").is_dir():
        raise missing("the packages of web/browser", "make setup")


def node(*arguments: str, given: str = "") -> str:
    ran = subprocess.run(
        [node_executable(), *arguments],
        cwd=BROWSER,
        env=environment(),
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def first(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was built of the sources as they are now."""
    built = tmp_path_factory.mktemp("built") / "first"
    node("build.mjs", str(built))
    return built


def test_the_same_sources_give_the_same_bytes_and_the_manifest_names_them(
    first: Path, tmp_path: Path
) -> None:
    (tmp_path / "intake-0123456789ab.js").write_text("an older one")
    node("build.mjs", str(tmp_path))

    built = {path.name: path.read_bytes() for path in first.iterdir()}

    assert built == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    manifest = json.loads(built["manifest.json"])
    assert {"intake.js", "receipt.js", "desk.js", "kdf.js", "offline.js"} <= set(manifest)
    for name, entry in manifest.items():
        data = built[entry["file"]]
        assert gzip.decompress(built[f"{entry['file']}.gz"]) == data
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["integrity"] == f"sha384-{base64.b64encode(hashlib.sha384(data).digest()).decode()}"
        # What a strict content security policy forbids, and what cautious readers have switched off.
        for forbidden in (b"WebAssembly", b"eval(", b"new Function(", b"sessionStorage"):
            assert forbidden not in data, f"{forbidden!r} in {entry['file']}"
        # A locked draft, and the way out that takes it along; the page to carry away has both inside.
        may_store = name in {"intake.js", "offline.js"} or name.startswith("drafts-")
        assert may_store or b"localStorage" not in data, f"storage in {entry['file']}"


def test_nothing_is_fetched_whose_hash_is_not_named_by_what_fetches_it(first: Path) -> None:
    manifest = json.loads((first / "manifest.json").read_text("utf-8"))
    hashes = {entry["file"]: entry["integrity"] for entry in manifest.values()}
    pages = {"intake.js", "receipt.js", "desk.js", "forms.js", "kdf.js", "offline.js"}
    parts = set(manifest) - pages

    begun_with = {need for page in pages for need in manifest[page]["needs"]}
    fetched: set[str] = set()
    for entry in manifest.values():
        text = (first / entry["file"]).read_text("utf-8")
        assert "import(" not in text
        for row in re.findall(r"srt\.load\((\[\[.*?\]\])\)", text):
            for name, file, integrity in json.loads(row):
                assert integrity == hashes[file] == manifest[name]["integrity"]
                fetched.add(name)

    assert fetched
    assert parts == begun_with | fetched  # nothing lies about that no page asks for


def test_a_source_seals_without_a_just_in_time_compiler_and_without_webassembly(tmp_path: Path) -> None:
    """Tor Browser in "Safer" mode has neither."""
    ana, ben, root = a_person(), a_person(), a_root()
    manifest = sign_manifest(terms([handler("ana", ana), handler("ben", ben)], root), root.signer)
    entry, script = tmp_path / "entry.ts", tmp_path / "entry.mjs"
    source = (BROWSER / "src").as_posix()
    entry.write_text(f"""
        import {{ readFileSync }} from "node:fs";
        import {{ verifyManifest }} from "{source}/manifest.ts";
        import {{ newReceipt }} from "{source}/receipts.ts";
        import {{ sealAlert, sendAlert }} from "{source}/seal.ts";
        const given = JSON.parse(readFileSync(0, "utf8"));
        if (typeof WebAssembly !== "undefined") throw new Error("there is a compiler");
        const to = {{ node: given.node, root: given.root, now: new Date(given.now) }};
        const manifest = verifyManifest(new TextEncoder().encode(given.manifest), to);
        let body = "";
        const fetch = async (address, init) => {{
            if (init.method === "POST") body = init.body;
            return {{ ok: true, json: async () => ({{}}) }};
        }};
        const files = [new File([new Uint8Array(1_000_000)], "a.bin")];
        const draft = {{ form: "0".repeat(64), language: "en", answers: {{ title: "Fictional" }}, identityFields: {{}}, files }};
        await sendAlert(await sealAlert(draft, {{ manifest, receipt: newReceipt(), day: given.day }}), {{ fetch }});
        process.stdout.write(body);
    """)
    bundle: dict[str, Any] = {"entryPoints": [str(entry)], "outfile": str(script), "bundle": True}
    bundle |= {"platform": "node", "format": "esm"}
    node(
        "--input-type=module",
        "--eval",
        f"const {{ build }} = await import('esbuild'); await build({json.dumps(bundle)});",
    )
    given = {
        "manifest": manifest.decode(),
        "node": NODE,
        "root": root.id,
        "now": NOW.isoformat(),
        "day": DAY.isoformat(),
    }

    started = time.monotonic()
    body: dict[str, Any] = json.loads(node("--jitless", str(script), given=json.dumps(given)))
    elapsed = time.monotonic() - started

    record = body | {"wraps": [wrap for wrap in body["wraps"] if wrap["holder"] == "ana"]}
    opened = open_alert(record, ana, node=NODE, staff={ana.signing.id, ben.signing.id})
    assert opened.submission is not None
    assert opened.submission.answers == {"title": "Fictional"}
    assert elapsed < PATIENCE_SECONDS
