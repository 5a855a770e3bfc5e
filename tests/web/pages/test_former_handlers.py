"""Earlier lists of keys: handed out by their hash, so that the words of somebody who left still hold."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from node.casework.team import deactivate
from node.intake import mailbox
from node.intake.manifest import ever_named
from node.sealing.alerts import compose_consent_request, compose_message, open_mailbox
from node.sealing.attachments import File, seal_file
from node.sealing.envelope import from_base64
from node.sealing.manifest import verify_manifest
from node.sealing.receipts import new_receipt
from node.sealing.signing import signing_key
from node.staff.accounts import Staff
from tests.rig.alerts import a_member, seeded
from tests.rig.sources import MANIFEST, sent


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """Of a node whose plain door is open."""
    return partial(settings, plain_door="1")


async def test_each_list_leads_to_the_one_before_it_and_an_unknown_hash_to_nothing(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    first = (await visitor.get(MANIFEST)).content
    async with node.database.begin() as session:
        await a_member(session, "Clara")
    present = (await visitor.get(MANIFEST)).json()

    earlier = await visitor.get(MANIFEST, params={"sha256": present["previous"]})

    assert earlier.content == first
    assert hashlib.sha256(first).hexdigest() == present["previous"]
    assert earlier.headers["cache-control"] == "no-store"
    for unknown in ("0" * 64, "", "../intake"):
        assert (await visitor.get(MANIFEST, params={"sha256": unknown})).status_code == 404


async def test_the_key_of_somebody_who_left_is_still_known_and_a_strangers_is_refused(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    source = await sent(node, visitor)
    keys, day, now = source.alert.source, node.clock.now().date(), node.clock.now()
    async with node.database.begin() as session:
        named = await ever_named(session)
        ana = await session.get(Staff, people[0].id)
        opened = open_mailbox((await source.send("GET", "")).json(), keys, desk=named)
        # The list names Ana by the key she enrolled with.
        assert ana.ed25519 in named
        stranger = signing_key(seeded("a stranger"))
        said: dict[str, Any] = compose_message(opened, "I was never here.", by=stranger, day=day)
        alert = await mailbox.find_alert(session, bytes.fromhex(keys.mailbox_token))
        await mailbox.ask(session, alert, seq=said["seq"], sealed=from_base64(said["sealed"]), now=now)
        await a_member(session, "Clara")
        await deactivate(session, ana.id, by=None, now=now)
    later = (await visitor.get(MANIFEST)).content

    verify_manifest(later, node=node.settings.origin, root=node.keyring.root_id, now=now)
    async with node.database.read() as session:
        still = await ever_named(session)
    entries = open_mailbox((await source.send("GET", "")).json(), keys, desk=still).entries

    assert ana.ed25519 not in {one["ed25519"] for one in json.loads(later)["handlers"]}
    assert ana.ed25519 in still
    assert stranger.id not in still
    assert json.loads(later)["previous"] is not None
    assert hasattr(entries[-1], "reason")


async def test_without_scripts_a_question_about_a_text_and_files_are_shown_as_what_they_are(
    node: Any, people: list[Any], visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = new_receipt()
    source = await sent(node, visitor, receipt=receipt)
    key = signing_key(seeded("somebody who left"))
    day, now, keys = node.clock.now().date(), node.clock.now(), source.alert.source
    file = seal_file(File("letter (fictional).txt", "text/plain", b"x"), keys.recipient)
    fields: dict[str, object] = {"title": {"en": "A <public> title"}, "kind": "violation"}

    async def post(message: dict[str, Any]) -> None:
        async with node.database.begin() as session:
            alert = await mailbox.find_alert(session, bytes.fromhex(keys.mailbox_token))
            await mailbox.ask(
                session, alert, seq=message["seq"], sealed=from_base64(message["sealed"]), now=now
            )

    opened = open_mailbox((await source.send("GET", "")).json(), keys, desk=[])
    await post(compose_consent_request(opened, fields, by=key, day=day))
    opened = open_mailbox((await source.send("GET", "")).json(), keys, desk=[])
    await post(compose_message(opened, "Here.", by=key, day=day, files=[file]))

    async def known(session: object) -> frozenset[str]:
        return frozenset({key.id})

    monkeypatch.setattr("web.pages.returning.ever_named", known)
    page = await visitor.post("/alert/plain/receipt", data={"words": str(receipt)})

    assert page.status_code == 200
    assert "May exactly this be published?" in page.text
    assert "A &lt;public&gt; title" in page.text
    assert "letter (fictional).txt" in page.text
