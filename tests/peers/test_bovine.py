"""A node and a second independent server, bovine, over HTTP on loopback: each follows, reads and refuses the other."""

import ast
import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from federation import cavage
from federation.digests import BodyDigest
from federation.requests import Dialect
from node.entries.entries import Entry
from node.peers.actors import host_of
from node.peers.follows import between
from node.peers.hosts import Host
from tests.rig.bovine import BOVINE, bovine_peer
from tests.rig.peer import Peer
from tests.rig.processes import Served, served
from tests.rig.publications import a_case, behind, publish_case, withdraw_case
from tests.rig.settling import nothing_went_wrong, settled
from vocab.cases import write_case
from vocab.terms import ACTIVITY_CONTEXT, ACTIVITY_JSON, AS, PUBLIC

pytestmark = pytest.mark.peer

TAMPERED = {"name": "A TITLE NOBODY SIGNED"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("node") / "data") as running:
        yield running


@pytest.fixture(scope="module", params=["cavage", "rfc9421"])
def peer(
    request: pytest.FixtureRequest, server: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Peer]:
    """Signing as bovine does, with bovine's proofs; and in the newer dialect as apsig does, with apsig's proofs."""
    with bovine_peer(tmp_path_factory.mktemp("peer") / "log", knock=request.param) as running:
        running.do("follow", actor=cases(server))
        running.until(lambda: cases(server) in running.state["accepted"], "the Follow accepted")
        server.run("peers", "follow", running.actor)
        running.until(lambda: cases(server) in running.state["followers"], "the node among the followers")
        yield running


def cases(server: Served) -> str:
    return f"{server.origin}/actors/cases"


async def doing(call: Callable[..., Any], *arguments: object, **named: object) -> Any:
    # The peer's control endpoint is asked in a thread, so that nothing here waits for itself.
    return await asyncio.to_thread(call, *arguments, **named)


async def kept(server: Served, url: str) -> Entry | None:
    await settled(server)
    async with behind(server) as node, node.database.read() as session:
        return await session.get(Entry, url)


async def bring(peer: Peer, server: Served, name: str, **how: object) -> tuple[str, int]:
    """The peer publishes a case of its own: its address, and the status of the node's answer."""
    url = f"{peer.actor}/{name}"
    case = write_case(a_case(), id=url, actor=peer.actor, published=datetime.now(UTC).replace(microsecond=0))
    activity = {"@context": ACTIVITY_CONTEXT, "type": "Create", "to": [PUBLIC], "object": case}
    answer = await doing(peer.do, "post", inbox=f"{cases(server)}/inbox", activity=activity, **how)
    return url, answer["status"]


def test_the_peer_has_no_code_of_ours() -> None:
    imported = {
        name.partition(".")[0]
        for file in BOVINE.glob("*.py")
        for statement in ast.walk(ast.parse(file.read_text()))
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in [getattr(statement, "module", None) or "", *(alias.name for alias in statement.names)]
    }

    assert {"bovine", "apsig"} <= imported
    assert not imported & {"vocab", "federation", "node", "web", "tests"}


async def test_a_follower_on_bovine_receives_cases_it_can_verify(server: Served, peer: Peer) -> None:
    # Whoever signs with RFC 9421 is spoken to in it first; bovine 0.5.19 falls over one of our components, and hears it again.
    *misheard, accept = [one["signature"]["owner"] for one in peer.received("Accept")]
    assert accept == cases(server)
    assert misheard in ([], [None])

    async with behind(server) as node:
        publication = await publish_case(node, a_case(0))
        create = await doing(peer.await_about, "Create", publication.url)

        assert create["status"] == 202
        assert create["signature"] == {"verified": True, "owner": cases(server), "dialect": "cavage"}
        for proof in (create["proof"], create["objectProof"]):
            assert [(one["cryptosuite"], one["verified"], one["controller"]) for one in proof] == [
                ("eddsa-jcs-2022", True, cases(server))
            ]

        await withdraw_case(node, publication)
        delete = await doing(peer.await_about, "Delete", publication.url)

    assert delete["signature"]["verified"]
    assert delete["activity"]["object"]["type"] == "Tombstone"
    assert [one["verified"] for one in delete["objectProof"]] == [True]


@pytest.mark.parametrize("dialect", [Dialect.RFC9421, Dialect.RFC9421_ED25519])
async def test_what_bovine_cannot_verify_is_said_again_in_the_dialect_it_can(
    server: Served, peer: Peer, dialect: Dialect
) -> None:
    """It does not know `@target-uri`: a server that we believe to speak RFC 9421 still gets every case, by the second knock."""
    async with behind(server) as node:
        async with node.database.begin() as session:
            about = await session.get_one(Host, host_of(peer.actor))
            about.dialect = dialect
        publication = await publish_case(node, a_case(2))

        def knocks() -> list[tuple[int, str]]:
            return [
                (one["status"], one["signature"]["dialect"])
                for one in peer.received("Create")
                if one["activity"]["object"]["id"] == publication.url
            ]

        await doing(peer.until, lambda: len(knocks()) == 2, "both knocks")
        await settled(server)
        async with node.database.read() as session:
            understood = (await session.get_one(Host, host_of(peer.actor))).dialect

    assert await doing(knocks) == [(500, "rfc9421"), (202, "cavage")]
    # The next one comes in it at once.
    assert understood == Dialect.CAVAGE


async def test_a_case_is_read_by_its_address_and_verifies(server: Served, peer: Peer) -> None:
    async with behind(server) as node:
        publication = await publish_case(node, a_case(1))

    found = await doing(peer.check, publication.url)

    assert found["document"]["type"] == "Article"
    assert [one["verified"] for one in found["proof"]] == [True]


async def test_bovine_refuses_what_was_changed_under_our_signature(server: Served, peer: Peer) -> None:
    inbox = (await doing(peer.check, peer.actor))["document"]["inbox"]
    like = {
        "@context": AS,
        "id": f"{server.origin}/activities/a-like",
        "type": "Like",
        "actor": cases(server),
        "object": f"{peer.actor}/a-note",
    }
    body = json.dumps(like).encode()
    other = body.replace(b"a-note", b"b-note")
    async with behind(server) as node:
        signed = cavage.sign(
            "POST",
            inbox,
            signer=node.keyring.signer(cases(server), "rsa"),
            now=node.clock.now(),
            digest=BodyDigest.of(body),
            content_type=ACTIVITY_JSON.encode(),
        )
    redigested = [(k, BodyDigest.of(other).digest if k == b"digest" else v) for k, v in signed]

    async with httpx.AsyncClient() as http:
        statuses = [
            (await http.post(inbox, content=content, headers=headers)).status_code
            for content, headers in ((other, signed), (other, redigested), (body, signed))
        ]

    assert statuses == [401, 401, 202]
    await doing(peer.until, lambda: peer.state["liked"] == [like["object"]], "the Like as it was signed")


async def test_a_case_of_bovine_is_kept_with_its_proof(server: Served, peer: Peer) -> None:
    async with behind(server) as node, node.database.read() as session:
        ours = await between(session, cases(server), peer.actor)
    assert ours is not None
    assert ours.state == "accepted"

    url, status = await bring(peer, server, "a-case")

    assert status == 202
    entry = await kept(server, url)
    assert entry is not None
    assert (entry.actor, entry.proof_key) == (peer.actor, f"{peer.actor}#ed25519-key")
    assert entry.case() == a_case()


async def test_a_case_of_bovine_is_refused_when_it_was_changed_under_the_signature(
    server: Served, peer: Peer
) -> None:
    url, status = await bring(peer, server, "altered", altered=TAMPERED)

    assert status == 401
    assert await kept(server, url) is None


async def test_a_case_of_bovine_is_not_kept_when_it_was_changed_under_its_proof(
    server: Served, peer: Peer
) -> None:
    url, _ = await bring(peer, server, "unproven", unproven=TAMPERED)

    assert await kept(server, url) is None


async def test_a_case_that_bovine_passes_on_counts_on_its_authors_proof_alone(
    server: Served, peer: Peer
) -> None:
    """Signed by the server's own actor, who is not the author; being new, it is looked up where it is at home."""
    whole, _ = await bring(peer, server, "forwarded", forwarded=True)
    broken, _ = await bring(peer, server, "forwarded-broken", forwarded=True, unproven=TAMPERED)

    assert await kept(server, whole) is not None
    assert await kept(server, broken) is None


async def test_notes_likes_and_boosts_from_bovine_do_no_harm(server: Served, peer: Peer) -> None:
    async with behind(server) as node:
        publication = await publish_case(node, a_case(0))

    await doing(peer.do, "note", to=cases(server), inReplyTo=publication.url, content="<p>A-REPLY</p>")
    await doing(peer.do, "like", actor=cases(server), object=publication.url)
    await doing(peer.do, "announce", actor=cases(server), object=publication.url)

    await nothing_went_wrong(server)
    assert "A-REPLY" not in httpx.get(publication.url, headers={"accept": "text/html"}).text


async def test_who_leaves_from_bovine_receives_nothing_more(server: Served, peer: Peer) -> None:
    follow = await doing(peer.do, "follow", actor=cases(server))
    await doing(peer.do, "unfollow", actor=cases(server), follow=follow["id"])
    await settled(server)
    async with behind(server) as node:
        publication = await publish_case(node, a_case(2))
    await settled(server)

    assert publication.url not in [one["activity"]["object"].get("id") for one in peer.received("Create")]
