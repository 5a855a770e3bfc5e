"""The editor's API: administrators alone, from our own pages alone, and only what may be asked."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from node.audit import AuditEntry
from node.intake.forms import FormVersion
from tests.web.pages.test_desk_api import Desk, Desks, desks, people
from vocab.sourceform import Purpose, bundled

__all__ = ["desks", "people"]

DOCUMENT = json.loads(bundled(Purpose.URGENT).body)
PATHS = ("/forms", "/forms/urgent/preview")


def changed(title: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bundled(Purpose.URGENT).body)
    document["steps"][0]["title"] = {"en": title}
    return document


async def save(desk: Desk, document: Any, purpose: str = "urgent") -> Any:
    return await desk.send("PUT", f"/forms/{purpose}/draft", {"document": document})


@pytest.mark.parametrize("who", ["Ana", "Boris", "Otto"])
async def test_nobody_but_an_administrator_sees_or_changes_forms(desks: Desks, who: str) -> None:
    desk = await desks.of(who)

    answers = [await desk.get(path) for path in PATHS]
    answers.append(await save(desk, DOCUMENT))
    answers.append(await desk.send("DELETE", "/forms/urgent/draft"))
    answers.append(await desk.post("/forms/urgent/publish", {"sha256": "0" * 64}))

    assert {one.status_code for one in answers} == {403}


async def test_who_is_not_signed_in_or_comes_from_another_site_changes_nothing(desks: Desks) -> None:
    visitor, olga = desks.visitor(), await desks.of("Olga")
    foreign = {"origin": "https://evil.example"}

    assert {(await visitor.get(path)).status_code for path in PATHS} == {401}
    assert (await save(visitor, DOCUMENT)).status_code == 401
    for method, path, body in (
        ("PUT", "/forms/urgent/draft", {"document": DOCUMENT}),
        ("DELETE", "/forms/urgent/draft", None),
        ("POST", "/forms/urgent/publish", {"sha256": "0" * 64}),
    ):
        assert (await olga.send(method, path, body, **foreign)).status_code == 403
    assert (await olga.get("/forms")).json()["forms"]["urgent"]["draft"] is None


async def test_a_form_that_cannot_be_asked_is_refused_by_its_parts(desks: Desks) -> None:
    olga = await desks.of("Olga")
    document = changed("")
    document["steps"][1]["questions"] = document["steps"][1]["questions"][:1]

    refused = await save(olga, document)

    assert refused.status_code == 400
    assert refused.json()["fields"] == {"step:0": "no-label", "risk_notes": "missing"}
    assert (await save(olga, DOCUMENT, "alert")).status_code == 400
    assert (await save(olga, DOCUMENT, "survey")).status_code == 404
    assert (await save(olga, "x" * 300_000)).status_code == 413


async def test_a_draft_is_looked_at_and_published_and_the_older_form_stays_readable(
    node: Any, desks: Desks
) -> None:
    olga, source = await desks.of("Olga"), desks.visitor().client

    sha256 = (await save(olga, changed("A step of ours"))).json()["sha256"]
    seen = await olga.get("/forms/urgent/preview?lang=en")
    before = (await source.get("/alert/urgent")).text
    stale = await olga.post("/forms/urgent/publish", {"sha256": "0" * 64})
    published = await olga.post("/forms/urgent/publish", {"sha256": sha256})

    assert "A step of ours" in seen.text
    assert 'id="seal" disabled' in seen.text
    assert "A step of ours" not in before
    assert (stale.status_code, published.status_code) == (409, 201)
    assert published.json()["number"] == 1
    now = (await source.get("/alert/urgent")).text
    assert "A step of ours" in now
    assert f'data-form="{sha256}"' in now
    old = await source.get(f"/api/v1/forms/{bundled(Purpose.URGENT).sha256}")
    assert old.content == bundled(Purpose.URGENT).body
    assert (await source.get(f"/api/v1/forms/{'0' * 64}")).status_code == 404
    async with node.database.read() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq))).all()
        assert (await session.scalars(select(FormVersion.sha256))).all() == [sha256]
    assert list(actions)[-2:] == ["form.drafted", "form.published"]


async def test_what_an_editor_writes_is_text_and_never_markup(desks: Desks) -> None:
    olga = await desks.of("Olga")
    sha256 = (await save(olga, changed('<script>alert(1)</script>"><img src=x>'))).json()["sha256"]
    await olga.post("/forms/urgent/publish", {"sha256": sha256})

    page = (await desks.visitor().client.get("/alert/urgent")).text

    assert "<script>alert(1)" not in page
    assert "<img src=x>" not in page
