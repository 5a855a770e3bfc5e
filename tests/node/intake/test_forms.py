"""Versions of the forms: what is published stays, one draft at a time, and every change in the record."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from node import audit
from node.database import Database
from node.errors import Conflict, NotFound
from node.intake.forms import (
    current_form,
    draft_of,
    drop_draft,
    form_of,
    keep_bundled,
    publish_draft,
    save_draft,
    versions,
)
from vocab.sourceform import Purpose, SourceForm, bundled

pytestmark = pytest.mark.both_databases
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ADA = "ada"


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.begin() as session:
        yield session


def with_title(words: str) -> SourceForm:
    document: Any = json.loads(bundled(Purpose.ALERT).body)
    document["steps"][0]["title"]["en"] = words
    return SourceForm.parse(document)


async def publish(session: Any, form: SourceForm, *, by: str = ADA, now: datetime = NOW) -> int | None:
    await save_draft(session, form, by=by, now=now)
    version = await publish_draft(session, form.purpose, sha256=form.sha256, by=by, now=now)
    return version.number


async def test_without_a_published_form_the_one_that_comes_along_is_asked(session: Any) -> None:
    assert await current_form(session, Purpose.ALERT) == bundled(Purpose.ALERT)
    assert await form_of(session, bundled(Purpose.URGENT).sha256) == bundled(Purpose.URGENT)


async def test_an_unknown_hash_names_no_form(session: Any) -> None:
    with pytest.raises(NotFound):
        await form_of(session, "0" * 64)


async def test_a_published_form_is_asked_and_the_older_ones_stay_readable(session: Any) -> None:
    first, second = with_title("First"), with_title("Second")

    numbers = [await publish(session, first), await publish(session, second)]

    assert numbers == [1, 2]
    assert await current_form(session, Purpose.ALERT) == second
    assert await current_form(session, Purpose.URGENT) == bundled(Purpose.URGENT)
    assert await form_of(session, first.sha256) == first
    assert [one.sha256 for one in await versions(session, Purpose.ALERT)] == [second.sha256, first.sha256]
    assert await draft_of(session, Purpose.ALERT) is None


async def test_the_words_of_an_earlier_version_are_that_version_again_and_its_line_stays(
    session: Any,
) -> None:
    first, second, third = (with_title(words) for words in ("First", "Second", "Third"))
    before = [await publish(session, form) for form in (first, second)]

    again = await publish(session, first, by="bo", now=NOW + timedelta(days=9))
    asked = await current_form(session, Purpose.ALERT)
    after = [await publish(session, form) for form in (first, third)]

    assert (before, again, after) == ([1, 2], 1, [1, 3])
    assert asked == first
    assert await current_form(session, Purpose.ALERT) == third
    assert [
        (one.number, one.sha256, one.published_by, one.published_on)
        for one in await versions(session, Purpose.ALERT)
    ] == [(n, form.sha256, ADA, NOW.date()) for n, form in ((3, third), (2, second), (1, first))]
    entries = await audit.entries_after(session, 0)
    assert [one.actor for one in entries if one.action == "form.published"] == [ADA, ADA, "bo", ADA, ADA]


async def test_the_form_that_came_along_gets_a_number_when_it_is_published(session: Any) -> None:
    await keep_bundled(session)
    ours = with_title("Ours")

    numbers = [await publish(session, form) for form in (ours, bundled(Purpose.ALERT), ours)]

    assert numbers == [1, 2, 1]
    assert await current_form(session, Purpose.ALERT) == ours


async def test_a_draft_that_somebody_changed_meanwhile_is_not_published(session: Any) -> None:
    await save_draft(session, with_title("Hers"), by=ADA, now=NOW)

    with pytest.raises(Conflict):
        await publish_draft(session, Purpose.ALERT, sha256=with_title("Mine").sha256, by="bo", now=NOW)
    with pytest.raises(NotFound):
        await publish_draft(session, Purpose.URGENT, sha256="0" * 64, by="bo", now=NOW)

    assert await current_form(session, Purpose.ALERT) == bundled(Purpose.ALERT)


async def test_every_change_stands_in_the_record(session: Any) -> None:
    form = with_title("New")
    await save_draft(session, form, by=ADA, now=NOW)
    await drop_draft(session, Purpose.ALERT, by=ADA, now=NOW)
    await drop_draft(session, Purpose.ALERT, by=ADA, now=NOW)
    await publish(session, form)

    entries = await audit.entries_after(session, 0)
    assert [(one.action, one.subject) for one in entries] == [
        ("form.drafted", form.sha256),
        ("form.draft-dropped", form.sha256),
        ("form.drafted", form.sha256),
        ("form.published", form.sha256),
    ]


async def test_forms_that_came_along_are_kept_for_later_programs_and_never_asked_by_that(
    session: Any,
) -> None:
    form = with_title("Ours")
    await publish(session, form)

    await keep_bundled(session)
    await keep_bundled(session)

    assert await current_form(session, Purpose.ALERT) == form
    assert [one.sha256 for one in await versions(session, Purpose.ALERT)] == [form.sha256]
