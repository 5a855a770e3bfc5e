"""What another server says of its actor is kept once, however many ask at the same moment."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from federation.errors import Forbidden, Mismatch, NotThere
from node.database import Database
from node.peers.actors import (
    LONGEST_ANSWER,
    RemoteActor,
    RemoteKey,
    forget_actor,
    is_at_home,
    keys_of,
    remember_actor,
)
from node.peers.directory import find_actor
from node.peers.hosts import decide
from tests.rig.clock import NOON
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.actors import Actor, PublicKey

AT = "https://far.example/users/sam"
ACTOR = Actor(
    id=AT,
    type="Person",
    preferred_username="sam",
    inbox=f"{AT}/inbox",
    keys=(
        PublicKey(f"{AT}#main-key", AT, "rsa", spki_pem=rsa_key("a").public.pem),
        PublicKey(f"{AT}#ed25519-key", AT, "ed25519", multibase=ed25519_key("a").public.multibase),
    ),
)


@pytest.mark.both_databases
async def test_many_who_ask_at_once_keep_an_actor_and_its_keys_once(database: Database) -> None:
    renewed = replace(
        ACTOR,
        keys=(
            *ACTOR.keys,
            PublicKey(f"{AT}#ed25519-key-2", AT, "ed25519", multibase=ed25519_key("b").public.multibase),
        ),
    )

    async def remember(actor: Actor) -> None:
        async with database.begin() as session:
            await remember_actor(session, actor, now=NOON)

    for actor in (ACTOR, renewed):
        await asyncio.gather(*(remember(actor) for _ in range(10)))

    async with database.read() as session:
        actors = await session.scalar(select(func.count()).select_from(RemoteActor))
        keys = {key.id for key in await keys_of(session, AT)}
    assert actors == 1
    assert keys == {key.id for key in renewed.keys}


@pytest.mark.parametrize(
    ("asked_after", "material"),
    [
        pytest.param(timedelta(seconds=-30), "b", id="its owner was asked before"),
        pytest.param(timedelta(0), "a", id="at the same moment"),
        pytest.param(timedelta(seconds=30), "a", id="after"),
        pytest.param(-2 * LONGEST_ANSWER, "a", id="by a clock that was set right since"),
    ],
)
async def test_an_answer_that_was_long_on_its_way_brings_no_key_back_that_was_renewed_meanwhile(
    database: Database, asked_after: timedelta, material: str
) -> None:
    renewed = PublicKey(f"{AT}#main-key", AT, "rsa", spki_pem=rsa_key("b").public.pem)

    async with database.begin() as session:
        await remember_actor(session, replace(ACTOR, keys=(renewed,)), now=NOON)
    async with database.begin() as session:
        await remember_actor(session, ACTOR, now=NOON + asked_after)

    async with database.read() as session:
        held = await session.get_one(RemoteKey, f"{AT}#main-key")
    assert held.material == rsa_key(material).public.pem


async def test_a_key_that_another_actor_holds_is_never_taken_over(database: Database) -> None:
    thief = "https://far.example/users/mallory"
    stolen = PublicKey(f"{AT}#main-key", thief, "rsa", spki_pem=rsa_key("b").public.pem)

    async with database.begin() as session:
        await remember_actor(session, ACTOR, now=NOON)
        await remember_actor(session, replace(ACTOR, id=thief, keys=(stolen,)), now=NOON)
        held = await session.get_one(RemoteKey, f"{AT}#main-key")

    assert held.owner == AT
    assert held.material == rsa_key("a").public.pem


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("https://victim.example/cases/1", True),
        ("HTTPS://Victim.Example/cases/1", True),
        ("http://victim.example/cases/1", False),
        ("https://victim.example:8443/cases/1", False),
        ("https://notvictim.example/cases/1", False),
        ("https://victim.example.evil.example/cases/1", False),
    ],
)
def test_what_is_of_an_actor_has_its_scheme_host_and_port(url: str, is_so: bool) -> None:
    assert is_at_home(url, "https://victim.example/users/vera") is is_so


async def test_an_actor_whose_server_shows_another_in_its_place_stays_who_it_was(town: Town) -> None:
    node, mallory, victim = town["a"].node, Stranger(town), Stranger(town, "victim.example", key="other")
    await find_actor(node, mallory.id)
    town.clock.forward(days=2)
    mallory.documents["/users/sam"] = victim.actor()

    assert (await find_actor(node, mallory.id)).id == mallory.id
    with pytest.raises(Mismatch):
        await find_actor(node, f"https://{mallory.host}/users/sam?2")


async def test_whoever_was_known_before_their_host_was_blocked_is_not_known_by_that(town: Town) -> None:
    node, stranger = town["a"].node, Stranger(town)
    await find_actor(node, stranger.id)
    town.clock.forward(days=2)
    async with node.database.begin() as session:
        await decide(session, stranger.host, "block", reason="a test", now=town.clock.now())

    with pytest.raises(Forbidden):
        await find_actor(node, stranger.id)


async def test_a_key_that_names_another_owner_than_who_shows_it_is_not_kept(database: Database) -> None:
    others = PublicKey(f"{AT}#2", "https://far.example/users/other", "rsa", spki_pem=rsa_key("b").public.pem)

    async with database.begin() as session:
        await remember_actor(session, replace(ACTOR, keys=(*ACTOR.keys, others)), now=NOON)
        kept = {key.id for key in await keys_of(session, AT)}

    assert kept == {key.id for key in ACTOR.keys}


async def test_who_is_gone_is_asked_for_again_however_lately_that_was_done(town: Town) -> None:
    node, stranger = town["a"].node, Stranger(town)
    path = stranger.id.removeprefix(f"https://{stranger.host}")
    await find_actor(node, stranger.id)
    async with node.database.begin() as session:
        await forget_actor(session, stranger.id, now=node.clock.now())
    here = stranger.documents.pop(path)

    with pytest.raises(NotThere):
        await find_actor(node, stranger.id)
    stranger.documents[path] = here
    town.clock.forward(minutes=30)
    back = await find_actor(node, stranger.id)

    assert back.gone_at is None
    assert stranger.asked.count(path) == 3
