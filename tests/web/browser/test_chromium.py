"""The modules in a real browser, under the strict content security policy they are served with."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from node.sealing.alerts import open_alert, open_attachment
from node.sealing.manifest import sign_manifest
from tests.node.sealing.people import DAY, NOW, a_person, a_root, handler, terms
from tests.rig.missing import missing
from tests.web.browser.scripts import BROWSER, run

# Loopback counts as a secure context; no request leaves the browser, each is answered here.
NODE = "http://127.0.0.1:8000"
POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types srt"
FILM_BYTES = 12_000_000

pytestmark = pytest.mark.browser


@pytest.fixture
def scripts(tmp_path: Path) -> dict[str, bytes]:
    """The modules in one script, and the worker as it is built."""
    if not (BROWSER / "node_modules" / "esbuild").is_dir():
        raise missing("the packages of web/browser", "make setup")
    entry = tmp_path / "modules.ts"
    names = ("manifest", "seal", "receipts", "vault", "mailbox", "open")
    lines = [f'import * as {name} from "{(BROWSER / "src" / name).as_posix()}.ts";' for name in names]
    entry.write_text("\n".join([*lines, f"globalThis.modules = {{ {', '.join(names)} }};"]))
    for source, target in ((entry, "modules.js"), (BROWSER / "src" / "kdf.ts", "kdf.js")):
        options = {
            "entryPoints": [str(source)],
            "outfile": str(tmp_path / target),
            "bundle": True,
            "format": "iife",
        }
        run(f"const {{ build }} = await import('esbuild'); await build({json.dumps(options)});")
    return {f"/{name}": (tmp_path / name).read_bytes() for name in ("modules.js", "kdf.js")}


class Server:
    """Answers a page's requests, and keeps what it is sent."""

    def __init__(self, scripts: dict[str, bytes], manifest: bytes) -> None:
        self.scripts = scripts
        self.manifest = manifest
        self.parts: dict[str, bytes] = {}
        self.alert: dict[str, Any] = {}

    async def answer(self, route: Any) -> None:
        request = route.request
        path = urlsplit(request.url).path
        if path == "/":
            await route.fulfill(
                body="<!doctype html><title>Test</title><script src=/modules.js></script>",
                content_type="text/html",
                headers={"content-security-policy": POLICY},
            )
        elif (name := path.removeprefix("/static/built")) in self.scripts:
            await route.fulfill(body=self.scripts[name], content_type="text/javascript")
        elif path.endswith("/intake"):
            await route.fulfill(body=self.manifest, content_type="application/json")
        elif path.startswith("/api/v1/uploads/"):
            self.parts[path.removeprefix("/api/v1/uploads/")] = request.post_data_buffer
            await route.fulfill(status=204)
        elif path == "/api/v1/alerts":
            self.alert = json.loads(request.post_data_buffer)
            await route.fulfill(status=201, body='{"received_on":"2026-11-21","state":"received"}')
        else:
            await route.fulfill(status=404)


async def test_a_file_of_many_parts_is_sealed_in_the_page_and_opens_at_the_desk(
    page: Any, scripts: dict[str, bytes]
) -> None:
    ana, ben, root = a_person(), a_person(), a_root()
    people = [handler("ana", ana), handler("ben", ben)]
    server = Server(scripts, sign_manifest(terms(people, root, node=NODE), root.signer))
    await page.route("**/*", server.answer)
    await page.goto(f"{NODE}/")

    progress = await page.evaluate(
        """async ({ root, now, day, size }) => {
            const { manifest, seal, receipts } = modules;
            const keys = await manifest.fetchManifest(location.origin, root, new Date(now));
            const film = new File([new Uint8Array(size).fill(7)], "film.mp4", { type: "video/mp4" });
            const draft = { form: "0".repeat(64), language: "en", answers: { title: "Fictional" }, identityFields: {}, files: [film] };
            const alert = await seal.sealAlert(draft, { manifest: keys, receipt: receipts.newReceipt(), day });
            const seen = [];
            await seal.sendAlert(alert, { onProgress: (one) => seen.push(one) });
            return seen;
        }""",
        {"root": root.id, "now": NOW.isoformat(), "day": DAY.isoformat(), "size": FILM_BYTES},
    )

    wraps = [wrap for wrap in server.alert["wraps"] if wrap["holder"] == "ben"]
    opened = open_alert(server.alert | {"wraps": wraps}, ben, node=NODE, staff=set())
    assert opened.submission is not None
    (film,) = opened.submission.attachments
    (wire,) = server.alert["attachments"]
    sealed = b"".join(server.parts[f"{film.upload}/{part}"] for part in range(wire["parts"]))
    assert open_attachment(opened, film, sealed) == b"\x07" * FILM_BYTES
    assert wire["parts"] > 2
    assert progress[-1] == {"sent": len(sealed), "total": len(sealed), "file": None}


async def test_the_page_stays_alive_while_a_worker_stretches_the_passphrase(
    page: Any, scripts: dict[str, bytes]
) -> None:
    known = json.loads((BROWSER.parents[1] / "tests" / "vectors" / "receipts.json").read_text("utf-8"))[
        "logins"
    ][0]
    await page.route("**/*", Server(scripts, b"").answer)
    await page.goto(f"{NODE}/")

    answer = await page.evaluate(
        """async ({ passphrase, salt }) => {
            let ticks = 0;
            const ticking = setInterval(() => { ticks += 1; }, 20);
            const login = await modules.vault.deriveLogin(passphrase, salt, modules.vault.workerKdf("/static/built/kdf.js"));
            clearInterval(ticking);
            return { ...login, ticks };
        }""",
        {"passphrase": known["passphrase"], "salt": base64.b64encode(bytes.fromhex(known["salt"])).decode()},
    )

    assert base64.b64decode(answer["auth"]).hex() == known["auth"]
    assert answer["vaultIdentity"] == known["vault_identity"]
    assert answer["ticks"] > 3


async def test_no_text_becomes_markup_and_no_address_but_the_builds_a_script(
    page: Any, scripts: dict[str, bytes]
) -> None:
    await page.route("**/*", Server(scripts, b"").answer)
    await page.goto(f"{NODE}/")

    refused = await page.evaluate(
        """() => [
            () => { document.body.innerHTML = "<p>text</p>"; },
            () => { document.createElement("script").src = "/static/built/kdf.js"; },
            () => new Worker("/static/built/kdf.js"),
            () => trustedTypes.createPolicy("another", {}),
            () => modules.vault.workerKdf("/static/built/../kdf.js")("a", new Uint8Array(16)),
            () => modules.vault.workerKdf("https://evil.example/static/built/kdf.js")("a", new Uint8Array(16)),
        ].map(async (act) => { try { await act(); return "done"; } catch (error) { return error.name; } })
         .reduce(async (all, one) => [...(await all), await one], [])"""
    )

    assert refused == ["TypeError"] * 6
