"""What goes with every answer at the source's doors, held against what GlobaLeaks sends (backend/globaleaks/rest/api.py, read in 2026)."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from web.app import make_app
from web.security import SecurityHeaders

pytestmark = pytest.mark.usefixtures("people")

PAGES = (
    *("/alert", "/alert/urgent", "/alert/receipt", "/alert/sealed", "/alert/plain", "/alert/plain/urgent"),
    *(
        "/alert/plain/receipt",
        "/alert/offline.html",
        "/alert/keys.txt",
        "/api/v1/mailbox",
        "/alert/nowhere",
        "/desk",
    ),
)
# The features GlobaLeaks closes, but for the two it opens to itself.
FEATURES = frozenset(
    [
        "accelerometer",
        "ambient-light-sensor",
        "bluetooth",
        "camera",
        "clipboard-read",
        "document-domain",
        "display-capture",
        "fullscreen",
        "geolocation",
        "gyroscope",
        "keyboard-map",
        "local-fonts",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "screen-wake-lock",
        "serial",
        "speaker-selection",
        "usb",
        "web-share",
        "xr-spatial-tracking",
    ]
)
ADDRESS = re.compile(r'(?:src|href|action|poster|data)="([^"]*)"')
OURS = ("/", "#", "https://a.example/", "about:blank")


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node with every door open."""
    return partial(settings, plain_door="1")


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_carries_what_globaleaks_sends_and_nothing_is_kept_of_it(
    visitor: httpx.AsyncClient, path: str
) -> None:
    headers = (await visitor.get(path)).headers

    expected = {
        "Cache-Control": "no-store",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, noarchive",
    }
    assert {name: headers.get(name) for name in expected} == expected
    assert re.fullmatch(r"max-age=\d{8,}; includeSubDomains", headers["Strict-Transport-Security"])
    assert "Server" not in headers
    assert "Set-Cookie" not in headers
    closed = {
        one.removesuffix("=()") for one in headers["Permissions-Policy"].split(", ") if one.endswith("=()")
    }
    assert closed >= FEATURES


@pytest.mark.parametrize("path", PAGES)
async def test_the_policy_lets_a_page_ask_nobody_else_and_run_nothing_written_into_it(
    visitor: httpx.AsyncClient, path: str
) -> None:
    policy = (await visitor.get(path)).headers["Content-Security-Policy"]
    parts = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}

    assert parts["default-src"] == parts["base-uri"] == parts["frame-ancestors"] == ["'none'"]
    for name in ("script-src", "connect-src", "style-src", "form-action"):
        assert parts[name] == ["'self'"]
    assert not re.search(r"unsafe|https?:|\*|blob:", policy)


@pytest.mark.parametrize("path", [page for page in PAGES if page.startswith("/alert")])
async def test_a_page_of_a_source_names_no_other_server_but_the_way_out(
    visitor: httpx.AsyncClient, path: str
) -> None:
    text = (await visitor.get(path)).text
    others = {one for one in ADDRESS.findall(text) if one and not one.startswith(OURS)}

    assert others <= {"https://www.wikipedia.org/"}


async def test_every_page_forbids_texts_to_become_markup_or_scripts(visitor: httpx.AsyncClient) -> None:
    for path in ("/", "/alert", "/alert/receipt", "/organisations", "/desk", "/nothing"):
        policy = (await visitor.get(path)).headers["content-security-policy"]
        assert "require-trusted-types-for 'script'; trusted-types srt" in policy, path


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("/organisations?state=IE&lang=fr", "/organisations?state=IE&lang=fr"),
        ("/cases/%C5%BEena?q=%C5%BE", "/cases/%C5%BEena?q=%C5%BE"),
        ("/a%0D%0ASet-Cookie:%20a=b", "/a%0D%0ASet-Cookie:%20a=b"),
        ("/a%20b%25?", "/a%20b%25"),
    ],
)
async def test_the_onion_address_of_a_page_is_the_one_that_was_asked_for(
    node: Any, sent: str, named: str
) -> None:
    there = replace(node, settings=replace(node.settings, onion="http://fictional.onion/"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=make_app(there)), base_url=node.settings.origin
    ) as visitor:
        answer = await visitor.get(sent)

    assert answer.status_code in (200, 404)
    assert answer.headers["onion-location"] == f"http://fictional.onion{named}"


@pytest.mark.parametrize("raw", [None, "/ž\r\nx: y".encode()])
async def test_no_byte_that_a_server_hands_on_as_it_came_breaks_the_header(raw: bytes | None) -> None:
    sent: list[Any] = []

    async def page(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(dict(message["headers"]))

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "path": "/ž\r\nx: y", "query_string": b"a\r\nb"}
    if raw is not None:
        scope["raw_path"] = raw
    await SecurityHeaders(page, https=True, onion="http://fictional.onion")(scope, receive, send)

    assert sent[0][b"onion-location"] == b"http://fictional.onion/%C5%BE%0D%0Ax:%20y?a%0D%0Ab"


@pytest.mark.parametrize(
    ("sent", "led"),
    [
        ("/alert/", "/alert"),
        ("/alert/words/?lang=fr", "/alert/words?lang=fr"),
        ("/actors/cases/", "/actors/cases"),
        ("/actors/%C5%BE//?a=%20b", "/actors/%C5%BE?a=%20b"),
        ("//evil.example/", None),
        ("/%2Fevil.example/", None),
        ("/nothing/", None),
    ],
)
async def test_a_slash_too_many_leads_to_the_page_on_whatever_host_and_by_whatever_scheme_it_was_asked_for(
    node: Any, sent: str, led: str | None
) -> None:
    # A proxy that is not trusted forwards what came by https as http; whoever writes another Host is answered all the same.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=make_app(node))) as visitor:
        answer = await visitor.get(
            httpx.URL("http://a.example", raw_path=sent.encode()), headers={"Host": "evil.example"}
        )

    assert answer.headers.get("location") == led
    assert answer.status_code == (404 if led is None else 307)
