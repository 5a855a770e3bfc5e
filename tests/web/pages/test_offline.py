"""The page to carry away: everything inside, nothing asked of anybody, and what it writes is taken at the door."""

import base64
import hashlib
import html
import re
from typing import Any

import httpx
import pytest

from tests.rig.alerts import a_member
from vocab.sourceform import bundled
from web.pages.offline import PATHS

MANIFEST = "/.well-known/social-rights-tracker/intake"


async def test_it_is_not_handed_out_while_nobody_could_open_what_it_seals(visitor: httpx.AsyncClient) -> None:
    for path in PATHS:
        assert (await visitor.get(path)).status_code == 503


@pytest.mark.parametrize("language", ["en", "fr", "es"])
@pytest.mark.parametrize("path", PATHS)
async def test_everything_is_inside_and_its_own_policy_allows_that_and_no_more(
    node: Any, visitor: httpx.AsyncClient, path: str, language: str
) -> None:
    async with node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name)

    response = await visitor.get(f"{path}?lang={language}")

    page = response.text
    assert response.status_code == 200
    assert response.headers["content-disposition"] == 'attachment; filename="form.html"'
    assert not re.search(r"<(script|img|link|iframe)[^>]*\b(src|href)=", page)
    assert not re.search(r'\bhref="(?!https://a\.example/|#|about:blank)', page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    allowed = html.unescape(policy[1])
    assert "default-src 'none'" in allowed
    for kind, text in re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert digest in allowed.split(f"{kind}-src", 1)[1].split(";")[0]
    listed = re.search(r'<template id="keys" data-node="https://a\.example">([^<]+)</template>', page)
    assert listed is not None
    assert base64.b64decode(listed[1]) == (await visitor.get(MANIFEST)).content
    assert f'<meta name="srt-root" content="{node.keyring.root_id}">' in page
    assert bundled(PATHS[path]).sha256 in page
