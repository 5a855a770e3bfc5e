"""Coming back without scripts: the whole text to answer for, a no and the end of everything for whoever has the words, a yes only where it belongs."""

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from node.casework import desk
from node.casework.gates import Clearances
from node.errors import Invalid
from node.intake.alerts import Alert, Consent, SealedObject, Wrap
from node.intake.consent import Answer, statement
from node.sealing.receipts import new_receipt, source_keys
from node.sealing.signing import holds
from tests.rig.alerts import case_fields
from tests.rig.sources import CASE, Source, asks_about_the_draft, in_review, sent
from web.pages.wholetext import lines_of

DOOR = "/alert/plain/receipt"


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    """A node whose operator opened this door."""
    return partial(settings, plain_door="1")


@pytest.fixture
async def plain(node: Any, people: list[Any], visitor: httpx.AsyncClient) -> tuple[str, Source]:
    """The words of an alert that the server sealed, and its source; the case has a draft."""
    page = await visitor.post(
        "/alert/plain",
        data={"kind": "violation", "state": "IE", "summary": "A flooded stairwell (fictional)"},
        files={"attachments": ("", b"")},
    )
    words = " ".join(re.findall(r"<li>([a-z]+)</li>", page.text))
    async with node.database.read() as session:
        alert = (await session.scalars(select(Alert))).one()
    source = Source(
        node,
        visitor,
        SimpleNamespace(id=alert.id, source=source_keys(words, node.settings.origin)),  # type: ignore[arg-type]  # only these two are read
    )
    await in_review(node, people, source, submit=False)
    return words, source


async def answers(node: Any) -> list[tuple[str, str | None]]:
    async with node.database.read() as session:
        found = await session.scalars(select(Consent).order_by(Consent.seq))
        return [(one.answer, one.text_sha256) for one in found]


async def objection(node: Any, by: Any) -> dict[str, str]:
    """What keeps the draft from being handed to a second person."""
    async with node.database.begin() as session:
        try:
            await desk.submit(session, CASE, Clearances(consent=True), by=by, now=node.clock.now())
        except Invalid as error:
            return dict(error.problems)
        finally:
            await session.rollback()
    return {}


async def test_the_whole_text_is_shown_and_only_a_yes_to_it_opens_the_gate(
    node: Any, people: list[Any], plain: tuple[str, Source], visitor: httpx.AsyncClient
) -> None:
    words, source = plain
    sha256 = await asks_about_the_draft(node, people[0], source)

    page = unescape((await visitor.post(DOOR, data={"words": words})).text)
    before = await objection(node, people[0])
    agreed = await visitor.post(DOOR, data={"words": words, "move": "text-yes", "about": sha256})
    after = await objection(node, people[0])

    for texts in (value for value in case_fields().values() if isinstance(value, dict)):
        assert all(text in page for text in texts.values())
    assert f'value="{sha256}"' in page
    assert "has not answered" in before["consent"]
    assert "agreed to exactly one text" in agreed.text
    assert after == {}
    async with node.database.read() as session:
        kept = (await session.scalars(select(Consent))).one()
        alert = (await session.scalars(select(Alert))).one()
    given = Answer(1, "publish", "yes", sha256, kept.answered_on, "")
    assert holds(
        statement(given, node=node.settings.origin, alert_id=alert.id), kept.signature, alert.source_ed25519
    )


async def test_a_text_that_was_replaced_meanwhile_is_not_agreed_to(
    node: Any, people: list[Any], plain: tuple[str, Source], visitor: httpx.AsyncClient
) -> None:
    words, source = plain
    old = await asks_about_the_draft(node, people[0], source)
    async with node.database.begin() as session:
        changed = case_fields(title={"en": "Another title for the same families (fictional)"})
        await desk.save_draft(session, CASE, changed, by=people[0], now=node.clock.now())
    await asks_about_the_draft(node, people[0], source)

    late = await visitor.post(
        DOOR, data={"words": words, "move": "text-yes", "about": old, "answer": "Yes, <gladly>"}
    )
    unasked = await visitor.post(DOOR, data={"words": words, "move": "text-no"})

    assert (late.status_code, unasked.status_code) == (409, 409)
    assert "no longer the text" in late.text
    assert "Yes, &lt;gladly&gt;" in late.text
    assert words not in late.text
    assert await answers(node) == []
    assert "has not answered" in (await objection(node, people[0]))["consent"]


async def test_a_no_with_a_reason_counts_at_once(
    node: Any, people: list[Any], plain: tuple[str, Source], visitor: httpx.AsyncClient
) -> None:
    words, source = plain
    sha256 = await asks_about_the_draft(node, people[0], source)

    said = await visitor.post(
        DOOR, data={"words": words, "move": "text-no", "about": sha256, "answer": "My street is in it."}
    )
    withdrawn = await visitor.post(DOOR, data={"words": words, "move": "no"})

    assert (said.status_code, withdrawn.status_code) == (200, 200)
    assert "My street is in it." in said.text
    assert await answers(node) == [("no", sha256), ("no", None)]
    assert "does not agree" in (await objection(node, people[0]))["consent"]


async def test_an_alert_that_was_sealed_elsewhere_takes_a_no_here_and_never_a_yes(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    words = str(new_receipt())
    source = await sent(node, visitor, receipt=words)
    await in_review(node, people, source, submit=False)
    sha256 = await asks_about_the_draft(node, people[0], source)

    page = await visitor.post(DOOR, data={"words": words})
    to_the_text = await visitor.post(DOOR, data={"words": words, "move": "text-yes", "about": sha256})
    as_such = await visitor.post(DOOR, data={"words": words, "move": "yes"})
    refused = await answers(node)
    said_no = await visitor.post(DOOR, data={"words": words, "move": "no"})

    assert 'value="text-yes"' not in page.text
    assert 'value="text-no"' in page.text
    assert (to_the_text.status_code, as_such.status_code, said_no.status_code) == (403, 403, 200)
    assert refused == []
    assert await answers(node) == [("no", None)]


async def test_sharing_is_answered_apart_from_publication_and_taken_back(
    node: Any, people: list[Any], plain: tuple[str, Source], visitor: httpx.AsyncClient
) -> None:
    words, _ = plain

    before = await visitor.post(DOOR, data={"words": words})
    agreed = await visitor.post(DOOR, data={"words": words, "move": "share-yes"})
    taken_back = await visitor.post(DOOR, data={"words": words, "move": "share-no"})

    assert before.text.count("What you answered in the form holds") == 2
    assert "you agreed to share the confidential part" in agreed.text
    assert "you did not agree to share the confidential part" in taken_back.text
    assert taken_back.text.count("What you answered in the form holds") == 1
    async with node.database.read() as session:
        kept = (await session.scalars(select(Consent).order_by(Consent.seq))).all()
    assert [(one.use, one.answer, one.text_sha256) for one in kept] == [
        ("share", "yes", None),
        ("share", "no", None),
    ]


async def test_a_yes_to_sharing_needs_the_device_that_sealed(
    node: Any, people: list[Any], visitor: httpx.AsyncClient
) -> None:
    words = str(new_receipt())
    await sent(node, visitor, receipt=words)

    page = await visitor.post(DOOR, data={"words": words})
    refused = await visitor.post(DOOR, data={"words": words, "move": "share-yes"})

    assert 'value="share-yes"' not in page.text
    assert refused.status_code == 403
    assert await answers(node) == []


async def test_everything_is_deleted_when_asked_twice_and_the_words_find_nothing(
    node: Any, plain: tuple[str, Source], visitor: httpx.AsyncClient
) -> None:
    words, _ = plain

    unsure = await visitor.post(DOOR, data={"words": words, "move": "burn"})
    still = await visitor.post(DOOR, data={"words": words})
    burnt = await visitor.post(DOOR, data={"words": words, "move": "burn", "sure": "1"})
    after = await visitor.post(DOOR, data={"words": words})
    again = await visitor.post(DOOR, data={"words": words, "move": "burn", "sure": "1"})

    assert (unsure.status_code, still.status_code, burnt.status_code) == (400, 200, 200)
    assert burnt.headers["cache-control"] == "no-store"
    assert (after.status_code, again.status_code) == (404, 404)
    async with node.database.read() as session:
        for table in (SealedObject, Consent):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
        assert not (await session.scalars(select(Wrap).where(Wrap.holder == "source"))).all()


async def test_a_slip_in_the_words_loses_no_answer_and_a_move_nobody_offers_is_refused(
    node: Any, plain: tuple[str, Source], visitor: httpx.AsyncClient
) -> None:
    words, _ = plain

    slip = await visitor.post(DOOR, data={"words": f"{words} x", "answer": "A long <answer>"})
    unknown = await visitor.post(DOOR, data={"words": "abandon " * 11 + "about", "answer": "A long <answer>"})
    odd = await visitor.post(DOOR, data={"words": words, "move": "publish"})

    assert (slip.status_code, unknown.status_code, odd.status_code) == (400, 404, 400)
    assert "A long &lt;answer&gt;" in slip.text
    assert "A long &lt;answer&gt;" in unknown.text
    assert words.split()[0] + " " + words.split()[1] not in slip.text
    assert await answers(node) == []


def test_no_field_of_a_text_is_left_out_whatever_it_holds() -> None:
    fields = {
        "language": "fr",
        "title": {"en": "A title", "fr": "Un titre"},
        "provisions": ["RESC-31-2", "no-such-right"],
        "started_on": "2026-13",
        "ongoing": True,
        "groups": [],
        "authority_replies": [{"date": "2026-03-12", "type": "disputes", "text": {"en": "We dispute it."}}],
        "brought_later": {"en": "Something new"},
        "a_number": 7,
    }

    lines = lines_of(fields, "en")

    said = {line.label: [words.text for words in line.said] for line in lines}
    everything = str(said)
    assert [words.language for words in lines[0].said] == ["fr", "en"]
    assert said["brought_later"] == ["Something new"]
    assert said["a_number"] == ["7"]
    for text in ("Un titre", "no-such-right", "2026-13", "We dispute it.", "12 March 2026", "Yes"):
        assert text in everything
    assert len(lines) == len(fields) - 1
