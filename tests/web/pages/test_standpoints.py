"""What we say of others' cases, at the desk: written by one person, published by a second, taken back for good; and who may not."""

from html import escape
from typing import Any

import pytest

from node.publishing.positions import MAX_TEXT, Position, positions
from tests.rig.publications import publish_case, withdraw_case
from tests.rig.town import Town
from tests.web.pages.test_office import Seat, audited, seats, words
from vocab.positions import LABELS, label

__all__ = ["seats"]

PATH = "/desk/positions"
TEXT = "We read the same decisions. They say something else."


async def a_case_of_b(town: Town) -> Any:
    await town.befriend("a", "b")
    publication = await publish_case(town["b"].node)
    await town.settle()
    return publication


async def kept(town: Town) -> list[Position]:
    async with town["a"].node.database.read() as session:
        return await positions(session)


async def written(town: Town, seats: dict[str, Seat], url: str, kind: str = "dissent") -> str:
    said = await seats["Eva"].tell(PATH, case=url, kind=kind, language="en", text=TEXT)
    assert "waits for a second person" in said
    return f"{PATH}/{(await kept(town))[0].id}"


@pytest.mark.parametrize("kind", LABELS)
async def test_one_writes_a_second_publishes_and_it_can_be_taken_back(
    town: Town, seats: dict[str, Seat], kind: str
) -> None:
    url = (await a_case_of_b(town)).url
    copy = f"/cases/b.example/{url.rpartition('/')[2]}"
    at = await written(town, seats, url, kind)
    assert TEXT not in (await seats["Paul"].get(copy)).text

    page = (await seats["Paul"].get(PATH)).text
    assert label(kind, "en") in page
    assert TEXT in page
    assert "It is public." in await seats["Paul"].tell(at, do="publish")
    await town.settle()
    assert TEXT in (await seats["Paul"].get(copy)).text
    assert "It is taken back." in await seats["Paul"].tell(at, do="end")

    page = (await seats["Paul"].get(PATH)).text
    assert TEXT not in page
    assert "Taken back" in page
    assert TEXT not in (await seats["Paul"].get(copy)).text
    assert (await audited(town))[-3:] == ["position.drafted", "position.published", "position.withdrawn"]
    assert "a colleague was faster" in await seats["Paul"].tell(at, do="end")


async def test_nobody_publishes_what_they_wrote_themselves(town: Town, seats: dict[str, Seat]) -> None:
    url = (await a_case_of_b(town)).url
    at = await written(town, seats, url)
    async with town["a"].node.database.begin() as session:
        (row,) = await positions(session)
        own = await session.get_one(Position, row.id)
        own.drafted_by = await id_of(town, "Paul")

    page = (await seats["Paul"].get(PATH)).text
    said = await seats["Paul"].tell(at, do="publish")

    assert 'value="publish"' not in page
    assert "You wrote this." in page
    assert "A second person has to publish" in said
    assert [row.state for row in await kept(town)] == ["draft"]


async def id_of(town: Town, name: str) -> str:
    from sqlalchemy import select

    from node.staff.accounts import Staff

    async with town["a"].node.database.read() as session:
        return (await session.scalars(select(Staff.id).where(Staff.name == name))).one()


@pytest.mark.parametrize(
    ("who", "page", "write", "publish"),
    [
        ("Vera", 200, 303, 403),
        ("Ines", 200, 403, 403),
        ("Eva", 200, 303, 403),
        ("Paul", 200, 403, 303),
        ("Olga", 403, 403, 403),
        ("Aude", 403, 403, 403),
        ("Cora", 403, 403, 403),
    ],
)
async def test_who_may_not_is_refused(
    town: Town, seats: dict[str, Seat], who: str, page: int, write: int, publish: int
) -> None:
    url = (await a_case_of_b(town)).url
    at = await written(town, seats, url)
    draft = {"case": url, "kind": "dissent", "language": "en", "text": TEXT}

    answers = [
        await seats[who].get(PATH),
        await seats[who].post(PATH, draft),
        await seats[who].post(at, {"do": "publish"}),
    ]
    foreign = await seats["Paul"].post(at, {"do": "end"}, origin="https://evil.example")

    assert [answer.status_code for answer in answers] == [page, write, publish]
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"case": "own"}, "No case of another organisation is known here"),
        ({"case": "https://b.example/cases/nothing"}, "No case of another organisation is known here"),
        ({"case": "javascript:alert(1)"}, "No case of another organisation is known here"),
        ({"text": "x" * (MAX_TEXT + 1)}, "The text is too long."),
        ({"text": " "}, "Please write what is to be said."),
        ({"kind": "insult"}, "Please choose what it is"),
        ({"kind": ""}, "Please choose what it is"),
        ({"language": "xx"}, "Please choose what it is"),
    ],
)
async def test_a_form_that_is_refused_comes_back_with_every_word_and_nothing_is_kept(
    town: Town, seats: dict[str, Seat], wrong: dict[str, str], said: str
) -> None:
    url = (await a_case_of_b(town)).url
    own = (await publish_case(town["a"].node)).url
    typed = {
        "case": url,
        "kind": "correction-request",
        "language": "fr",
        "text": "Première ligne <b>\n\n& seconde",
    }
    typed |= {name: own if value == "own" else value for name, value in wrong.items()}

    answer = await seats["Eva"].post(PATH, typed)

    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    assert said in words(answer.text)
    assert f">{escape(typed['text'].strip(), quote=False)}</textarea>" in answer.text
    if "case" not in wrong:
        assert f'<input type="hidden" name="case" value="{url}">' in answer.text
        assert ('value="correction-request" checked' in answer.text) is ("kind" not in wrong)
        assert ('<option value="fr" selected>' in answer.text) is ("language" not in wrong)
    assert await kept(town) == []


async def test_what_is_no_choice_of_ours_is_refused(town: Town, seats: dict[str, Seat]) -> None:
    assert (await seats["Paul"].post(f"{PATH}/x", {"do": "shout"})).status_code == 400


async def test_a_case_that_is_withdrawn_meanwhile_is_not_spoken_of_and_a_draft_can_be_dropped(
    town: Town, seats: dict[str, Seat]
) -> None:
    publication = await a_case_of_b(town)
    at = await written(town, seats, publication.url)
    await withdraw_case(town["b"].node, publication)
    await town.settle()

    assert "The case was changed or withdrawn" in await seats["Paul"].tell(at, do="publish")
    assert [row.state for row in await kept(town)] == ["draft"]
    assert "It is dropped." in await seats["Paul"].tell(at, do="end")
    assert await kept(town) == []


async def test_a_case_is_named_by_its_address_or_that_of_our_copy(town: Town, seats: dict[str, Seat]) -> None:
    url = (await a_case_of_b(town)).url
    copy = f"https://a.example/cases/b.example/{url.rpartition('/')[2]}"

    for named in (url, copy):
        page = (
            await seats["Eva"].client.get(PATH, params={"case": named}, headers={"accept": "text/html"})
        ).text
        assert f'<input type="hidden" name="case" value="{url}">' in page
        assert "<textarea" in page
