"""Publishing takes two people, happens once, and says everything in one transaction."""

from typing import Any

import pytest
from sqlalchemy import func, select

from federation.proofs import attach
from node.entries.entries import Entry
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.ids import random_id
from node.inbox.receive import MAX_BODY_BYTES
from node.peers.sending import Sent
from node.publishing.publications import versions_of
from node.publishing.publish import correct, publish, withdraw
from tests.rig.clock import FrozenClock
from tests.rig.publications import a_case
from vocab import activities
from vocab.cases import PublicCase, fits
from vocab.jsonld import parse, write
from vocab.properties import written
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases


async def act(node: Any, verb: Any, case_id: str, **given: Any) -> Any:
    async with node.database.begin() as session:
        return await verb(
            session, node.settings, node.keyring, case_id=case_id, now=node.clock.now(), **given
        )


TWO = {"drafted_by": "one", "approved_by": "two"}


@pytest.mark.parametrize("people", [("one", "one"), ("one", ""), ("", "two"), ("", "")])
async def test_one_person_alone_publishes_corrects_and_withdraws_nothing(
    node: Any, people: tuple[str, str]
) -> None:
    alone = {"drafted_by": people[0], "approved_by": people[1]}
    case_id = random_id()
    with pytest.raises(NotAllowed):
        await act(node, publish, case_id, case=a_case(), **alone)
    await act(node, publish, case_id, case=a_case(), **TWO)
    with pytest.raises(NotAllowed):
        await act(node, correct, case_id, case=a_case(1), **alone)
    with pytest.raises(NotAllowed):
        await act(node, withdraw, case_id, reason="safety", proposed_by=people[0], approved_by=people[1])

    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Sent)) == 1


async def test_a_case_is_published_once(node: Any) -> None:
    case_id = random_id()
    await act(node, publish, case_id, case=a_case(), **TWO)

    with pytest.raises(WrongState):
        await act(node, publish, case_id, case=a_case(), **TWO)


async def test_a_correction_is_strictly_newer_or_is_not_made(node: Any, clock: FrozenClock) -> None:
    """To Mastodon an Update that is not newer is a change of counts, and it would be passed over everywhere."""
    case_id = random_id()
    first = await act(node, publish, case_id, case=a_case(), **TWO)
    moments = []
    for wait in (0, 1, 0, 1):
        clock.forward(seconds=wait)
        if not wait:
            with pytest.raises(WrongState):
                await act(node, correct, case_id, case=a_case(1), **TWO)
            continue
        await act(node, correct, case_id, case=a_case(1), **TWO)
        async with node.database.read() as session:
            newest = select(Sent.body).order_by(Sent.sent_at.desc()).limit(1)
            update = parse(await session.scalar(newest) or b"")
        changed: Any = update["object"]
        assert (update["type"], changed["published"]) == ("Update", written(first.published_at))
        moments.append(changed["updated"])

    assert moments == sorted(set(moments))
    assert moments[0] > written(first.published_at)
    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Sent)) == 1 + len(moments)


def a_huge_case(count: int) -> PublicCase:
    step = {"date": "2026-05-11", "action": "letter-to-authority", "text": {"en": "x y " * 1249}}
    return a_case(follow_ups=[step] * count)


async def test_a_case_that_no_server_could_take_is_not_published(node: Any) -> None:
    case_id = random_id()

    with pytest.raises(Invalid) as refusal:
        await act(node, publish, case_id, case=a_huge_case(80), **TWO)

    assert list(refusal.value.problems) == ["size"]
    assert "too long" in refusal.value.public
    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Sent)) == 0


async def test_a_case_does_not_become_too_large_by_its_correction(node: Any) -> None:
    case_id = random_id()
    await act(node, publish, case_id, case=a_case(), **TWO)

    with pytest.raises(Invalid):
        await act(node, correct, case_id, case=a_huge_case(80), **TWO)


async def test_the_largest_case_that_may_be_published_is_taken_from_its_node_and_from_a_hub(
    node: Any,
) -> None:
    largest = next(case for count in range(80, 0, -1) if fits(case := a_huge_case(count)))

    publication = await act(node, publish, random_id(), case=largest, **TWO)

    async with node.database.read() as session:
        sent = (await session.scalars(select(Sent))).one()
    wrapped = activities.announce(
        publication.url, publication.url, parse(sent.body), to=[PUBLIC], cc=[publication.url]
    )
    signer = node.keyring.signer(node.settings.main_actor, "ed25519")
    assert 900_000 < len(sent.body) < MAX_BODY_BYTES
    assert parse(write(attach(wrapped, signer, now=node.clock.now())))


async def test_the_public_address_tells_nothing_of_the_record(node: Any) -> None:
    case_id = random_id()

    publication = await act(node, publish, case_id, case=a_case(), **TWO)

    async with node.database.read() as session:
        entry = await session.get(Entry, publication.url)
        sent = (await session.scalars(select(Sent))).one()
    assert case_id not in publication.url
    assert case_id.encode() not in entry.document
    assert case_id.encode() not in sent.body
    for person in (b'"one"', b'"two"'):
        assert person not in entry.document


async def test_each_version_names_the_two_who_stand_behind_it(node: Any, clock: FrozenClock) -> None:
    case_id = random_id()
    publication = await act(node, publish, case_id, case=a_case(), **TWO)
    clock.forward(minutes=1)
    await act(node, correct, case_id, case=a_case(1), drafted_by="two", approved_by="three")

    async with node.database.read() as session:
        versions = await versions_of(session, publication.id)
    assert [(v.number, v.drafted_by, v.approved_by) for v in versions] == [
        (1, "one", "two"),
        (2, "two", "three"),
    ]
    assert len({v.sha256 for v in versions}) == 2


async def test_what_is_withdrawn_stays_withdrawn(node: Any, clock: FrozenClock) -> None:
    case_id = random_id()
    await act(node, publish, case_id, case=a_case(), **TWO)
    clock.forward(minutes=1)
    await act(node, withdraw, case_id, reason="factual-error", proposed_by="one", approved_by="two")

    with pytest.raises(WrongState):
        await act(node, correct, case_id, case=a_case(1), **TWO)
    with pytest.raises(WrongState):
        await act(node, withdraw, case_id, reason="factual-error", proposed_by="one", approved_by="two")


async def test_a_withdrawal_needs_a_listed_reason_and_a_public_case(node: Any) -> None:
    with pytest.raises(NotFound):
        await act(node, withdraw, random_id(), reason="safety", proposed_by="one", approved_by="two")
    with pytest.raises(Invalid):
        await act(node, withdraw, random_id(), reason="because", proposed_by="one", approved_by="two")
