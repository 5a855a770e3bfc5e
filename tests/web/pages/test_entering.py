"""What staff enter is on record with its alert, or neither is kept."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from node import audit
from node.audit import AuditEntry
from node.intake.alerts import Alert
from tests.rig.alerts import a_member, a_person, an_alert, as_request, b64
from web.pages.sending import manifest_now


async def test_a_record_that_cannot_be_written_keeps_no_alert_and_the_next_try_writes_both_once(
    node: Any, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node.database.begin() as session:
        ana, _ = [await a_member(session, name) for name in ("Ana", "Boris")]
    headers = {"origin": node.settings.origin, "content-type": "application/json"}
    signing = {"name": "Ana", "auth": b64(a_person("Ana").auth)}
    await visitor.post("/api/v1/desk/session", content=json.dumps(signing), headers=headers)
    alert = json.dumps(as_request(an_alert(await manifest_now(node))))

    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", crash)
        with pytest.raises(RuntimeError):
            await visitor.post("/api/v1/desk/alerts", content=alert, headers=headers)
    after_crash = await kept(node)
    answers = [
        (await visitor.post("/api/v1/desk/alerts", content=alert, headers=headers)).status_code
        for _ in range(2)
    ]

    assert after_crash == ([], [])
    assert answers == [201, 200]
    alerts, entries = await kept(node)
    assert [(one.actor, one.subject) for one in entries] == [(ana.id, alerts[0].id)]


async def kept(node: Any) -> tuple[list[Alert], list[AuditEntry]]:
    async with node.database.read() as session:
        entered = select(AuditEntry).where(AuditEntry.action == "alert.entered")
        return list(await session.scalars(select(Alert))), list(await session.scalars(entered))
