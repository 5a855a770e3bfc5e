"""What we say of others' cases, at the desk: written by one person, published by a second, taken back for good; and who may not."""

from typing import Any

import pytest

from node.publishing.positions import MAX_TEXT, Position, positions
from tests.rig.publications import publish_case, withdraw_case
from tests.rig.town import Town
from tests.web.pages.test_office import Seat, audited, seats
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


async def test_what_does_not_hold_is_said_and_keeps_nothing(town: Town, seats: dict[str, Seat]) -> None:
    url = (await a_case_of_b(town)).url
    own = (await publish_case(town["a"].node)).url
    eva, draft = seats["Eva"], {"case": url, "kind": "dissent", "language": "en", "text": TEXT}

    for unknown in (own, "https://b.example/cases/nothing", "javascript:alert(1)"):
        assert "No case of another organisation is known here" in await eva.tell(
            PATH, **draft | {"case": unknown}
        )
    assert "Please write what is to be said." in await eva.tell(PATH, **draft | {"text": " "})
    assert "The text is too long." in await eva.tell(PATH, **draft | {"text": "x" * (MAX_TEXT + 1)})
    for wrong in ({"kind": "insult"}, {"language": "xx"}):
        assert (await eva.post(PATH, draft | wrong)).status_code == 400
    assert (await seats["Paul"].post(f"{PATH}/x", {"do": "shout"})).status_code == 400
    assert await kept(town) == []


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
