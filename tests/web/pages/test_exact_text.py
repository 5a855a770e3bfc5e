"""A yes to the exact text: the gate opens for the very hash, and for nothing that was said about another."""

from typing import Any

import httpx
import pytest

from node.casework import consenting, desk
from node.casework.cases import Case
from node.casework.gates import Clearances
from node.errors import Conflict, Invalid, NotAllowed, WrongState
from node.intake.consent import PATIENCE
from node.sealing.alerts import compose_consent_request, open_mailbox
from node.sealing.dialogue import ConsentRequest, Entry, RefusedEntry
from node.sealing.envelope import from_base64
from node.sealing.signing import SigningKey, signing_key
from tests.rig.alerts import a_member, case_fields, seeded
from tests.rig.sources import CASE, Source, draft_sha256, in_review, sent

READ = Clearances(consent=True)
WHY = "The family cannot be reached any more (fictional)."


@pytest.fixture
async def source(node: Any, people: list[Any], visitor: httpx.AsyncClient) -> Source:
    source = await sent(node, visitor)
    await in_review(node, people, source, submit=False)
    return source


def signing_of(name: str) -> SigningKey:
    return signing_key(seeded(f"ed25519 {name}"))


async def asks(
    node: Any, by: Any, source: Source, *, about: str | None = None, key: SigningKey | None = None
) -> None:
    """The desk asks about the draft as it reads now."""
    async with node.database.begin() as session:
        record = (await source.send("GET", "")).json()
        opened = open_mailbox(record, source.alert.source, desk=[])
        draft = (await session.get(Case, CASE)).draft
        now = node.clock.now()
        asked = compose_consent_request(opened, draft, by=key or source.alert.source.signing, day=now.date())
        await consenting.ask_about_text(
            session,
            CASE,
            seq=opened.at.seq,
            sealed=from_base64(asked["sealed"]),
            text_sha256=about or str(asked["text_sha256"]),
            by=by,
            now=now,
        )


async def draft_of(node: Any) -> str:
    async with node.database.read() as session:
        return await draft_sha256(session)


async def submits(node: Any, by: Any, clearances: Clearances = READ) -> None:
    async with node.database.begin() as session:
        try:
            await desk.submit(session, CASE, clearances, by=by, now=node.clock.now())
        finally:
            await session.rollback()


async def refused(node: Any, by: Any, clearances: Clearances = READ) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        await submits(node, by, clearances)
    return dict(error.value.problems)


async def test_once_the_source_was_asked_nothing_is_published_before_it_has_answered(
    node: Any, people: list[Any], source: Source
) -> None:
    await submits(node, people[0])
    await asks(node, people[0], source)

    silent = await refused(node, people[0])
    await source.say("yes")
    general = await refused(node, people[0])
    await source.say("yes", 2, await draft_of(node))
    await submits(node, people[0])

    assert "has not answered" in silent["consent"]
    assert "has not answered" in general["consent"]


async def test_a_changed_text_asks_again(node: Any, people: list[Any], source: Source) -> None:
    await asks(node, people[0], source)
    await source.say("yes", 1, await draft_of(node))
    async with node.database.begin() as session:
        changed = case_fields(title={"en": "Another title for the same families (fictional)"})
        await desk.save_draft(session, CASE, changed, by=people[0], now=node.clock.now())

    other = await refused(node, people[0])
    cleared = await refused(node, people[0], Clearances(consent=True, cleared={"consent_text": WHY}))
    await asks(node, people[0], source)
    await source.say("yes", 2, await draft_of(node))
    await submits(node, people[0])

    assert "another text" in other["consent"]
    assert "another text" in cleared["consent"]


async def test_silence_may_pass_after_two_weeks_for_a_reason_and_a_no_never(
    node: Any, clock: Any, people: list[Any], source: Source
) -> None:
    reasoned = Clearances(consent=True, cleared={"consent_text": WHY})
    await asks(node, people[0], source)

    early = await refused(node, people[0], reasoned)
    clock.forward(days=PATIENCE.days)
    unexplained = await refused(node, people[0])
    await submits(node, people[0], reasoned)
    await source.say("no", 1, await draft_of(node))
    never = await refused(node, people[0], reasoned)

    assert set(early) == {"consent"}
    assert set(unexplained) == {"consent_text"}
    assert "does not agree" in never["consent"]


async def test_a_no_after_the_question_keeps_the_second_person_from_publishing(
    node: Any, people: list[Any], source: Source
) -> None:
    async with node.database.begin() as session:
        paul = await a_member(session, "Paul", ["publisher"])
    sha256 = await draft_of(node)
    await asks(node, people[0], source)
    await source.say("yes", 1, sha256)
    async with node.database.begin() as session:
        await desk.submit(session, CASE, READ, by=people[0], now=node.clock.now())
    await source.say("no", 2, sha256)

    async with node.database.begin() as session:
        with pytest.raises(Invalid) as error:
            await desk.approve(session, CASE, sha256=sha256, by=paul, now=node.clock.now())
        await session.rollback()

    assert "does not agree" in error.value.problems["consent"]


async def test_a_correction_needs_its_own_yes_or_a_reason(
    node: Any, people: list[Any], source: Source
) -> None:
    async with node.database.begin() as session:
        paul = await a_member(session, "Paul", ["publisher"])
    first = await draft_of(node)
    await asks(node, people[0], source)
    await source.say("yes", 1, first)
    corrected = case_fields(title={"en": "The corrected title of these families (fictional)"})

    async def correct_and_approve(clearances: Clearances) -> str:
        async with node.database.begin() as session:
            await desk.submit(session, CASE, READ, by=people[0], now=node.clock.now())
            await desk.approve(session, CASE, sha256=first, by=paul, now=node.clock.now())
            note = {"en": "The title was wrong."}
            now = node.clock.now()
            await desk.correct(session, CASE, corrected, note, clearances, by=people[0], now=now)
            await session.flush()
            sha256 = await draft_sha256(session)
            try:
                await desk.approve(session, CASE, sha256=sha256, by=paul, now=now)
                return ""
            except Invalid as error:
                return " ".join(error.problems)
            finally:
                await session.rollback()

    assert await correct_and_approve(READ) == "consent_text"
    reasoned = Clearances(consent=True, cleared={"consent_text": WHY})
    assert await correct_and_approve(reasoned) == ""


async def test_only_those_who_answer_sources_ask_and_only_about_the_text_that_is_there(
    node: Any, people: list[Any], source: Source
) -> None:
    async with node.database.begin() as session:
        paul = await a_member(session, "Paul", ["publisher"])

    with pytest.raises(NotAllowed):
        await asks(node, paul, source)
    with pytest.raises(Conflict):
        await asks(node, people[0], source, about="0" * 64)
    async with node.database.begin() as session:
        (await session.get(Case, CASE)).state = "published"
    with pytest.raises(WrongState):
        await asks(node, people[0], source)


async def test_a_question_is_believed_from_the_desk_alone(
    node: Any, people: list[Any], source: Source
) -> None:
    key = signing_of("Ana")
    await asks(node, people[0], source, key=key)
    record = (await source.send("GET", "")).json()

    asked = open_mailbox(record, source.alert.source, desk=[key.id]).entries[-1]
    strange = open_mailbox(record, source.alert.source, desk=[]).entries[-1]
    await asks(node, people[0], source)
    own = open_mailbox((await source.send("GET", "")).json(), source.alert.source, desk=[key.id]).entries[-1]

    assert isinstance(asked, Entry)
    assert isinstance(asked.content, ConsentRequest)
    assert asked.content.sha256 == await draft_of(node)
    assert isinstance(strange, RefusedEntry)
    assert isinstance(own, RefusedEntry)
