"""Attacks with what Alice signed, hung up otherwise: her signature is over statements, which many trees of JSON make, and we read a tree.

Beside what is here, by the number of the attack:

24  tests/attacks/test_proofs.py::test_24_and_25_a_signed_document_turned_inside_out_is_refused_or_read_as_what_it_was
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from federation import ldsignatures, proofs
from federation.keys import base58_encode
from node.peers.hosts import decide
from node.publishing.reactions import Reaction
from tests.attacks.stage import FORGED, Stage, reasons
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from vocab.errors import TooLarge
from vocab.jsonld import canonize
from vocab.properties import types
from vocab.terms import AS, DATA_INTEGRITY_V1, PUBLIC, SECURITY_V1
from vocab.terms import CONTEXT as CASE_CONTEXT

CONTEXT = [AS, SECURITY_V1, DATA_INTEGRITY_V1]
SUITES = ["eddsa-rdfc-2022", "RsaSignature2017"]

Turn = Callable[[dict[str, Any]], dict[str, Any]]


def signed(stage: Stage, alice: Stranger, activity: dict[str, Any], suite: str) -> dict[str, Any]:
    """An activity as Alice said it: her signature is over its statements."""
    document = activity | {"@context": CONTEXT}
    if suite == "RsaSignature2017":
        return ldsignatures.attach(document, alice.signer(), now=stage.town.clock.now())
    return proven_as(stage, alice, document)


def proven_as(stage: Stage, alice: Stranger, document: dict[str, Any]) -> dict[str, Any]:
    """A document under its own contexts, with a proof over its statements."""
    options: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "created": stage.town.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verificationMethod": alice.prover().key_id,
        "proofPurpose": "assertionMethod",
    }
    value = base58_encode(alice.prover().sign(proofs._rdfc_data(canonize(document), options)))
    return document | {"proof": options | {"proofValue": f"z{value}"}}


def bare(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("proof", "signature")}


def under(*more: object, **members: Any) -> Turn:
    """The document with other members, under contexts that protect no name; a member that is None is left out."""

    def turn(said: dict[str, Any]) -> dict[str, Any]:
        turned = said | {"@context": [AS, *more]} | members
        return {name: value for name, value in turned.items() if value is not None}

    return turn


# ---- what it is --------------------------------------------------------------------------------------------------

OTHER_TYPES: dict[str, Turn] = {
    "the word means nothing": under({"type": None}, **{"@type": "Add", "type": "Delete"}),
    "the word means something else": under(
        {"kind": "@type", "type": {"@id": "_:type"}}, kind="Add", type="Delete"
    ),
    "the type has another name": under({"Delete": "as:Add"}, type="Delete"),
    "a list of names": under({"Delete": "as:Add", "Create": "as:Add"}, type=["Delete", "Create"]),
    "two types, of which one says no more than that it is one": under(
        {"Delete": "_:Delete"}, type=["Delete", "as:Add"]
    ),
    "a short address for another": under({"Delete": {"@id": f"{AS}#Add", "@prefix": False}}, type="Delete"),
}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("trick", OTHER_TYPES)
async def test_what_alice_put_first_is_not_what_she_deleted(
    stage: Stage, caplog: pytest.LogCaptureFixture, trick: str, suite: str
) -> None:
    """She adds a case to what she features, and sends that to others; under that word it would withdraw the case."""
    alice, mallory = await stage.victim(), stage.stranger()
    case = stage.case(alice)
    alice.documents["/cases/c1"] = case
    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], cc=[], number=5))
    said = signed(stage, alice, alice.activity("Add", case["id"], target=f"{alice.id}/featured"), suite)
    turned = OTHER_TYPES[trick](said)
    says_more = trick.endswith("that it is one")
    assert (canonize(bare(turned)) == canonize(bare(said))) is not says_more
    caplog.clear()

    await stage.send(mallory, turned)

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == "live"
    if isinstance(turned["type"], list):
        assert reasons(caplog) == [f"types {sorted(types(turned))!r} at once"]
    elif suite == "RsaSignature2017":
        # Her own server is asked whether it is gone, as for any Delete that says nothing.
        assert reasons(caplog) == ["Delete of something that is still there"]
    else:
        assert reasons(caplog) == ["proof: of another activity"]


# ---- what it is about, for whom, when ----------------------------------------------------------------------------

ELSEWHERE = "https://elsewhere.example/1"
NOWHERE = {"@id": "_:nowhere"}
OTHER_MEMBERS: dict[str, Turn] = {
    "honest": lambda said: said,
    "the object": lambda said: under(
        {"object": NOWHERE, "it": {"@id": "as:object", "@type": "@id"}}, object=ELSEWHERE, it=said["object"]
    )(said),
    "the object, in full": lambda said: under(
        {"object": NOWHERE}, object=None, **{f"{AS}#object": {"@id": said["object"]}}
    )(said),
    "the object, under a language": lambda said: under(
        {
            "object": {"@id": "_:nowhere", "@container": "@language"},
            "it": {"@id": "as:object", "@type": "@id"},
        },
        object={"id": ELSEWHERE},
        it=said["object"],
    )(said),
    "the object, in a nest": lambda said: under(
        {
            "@version": 1.1,
            "object": NOWHERE,
            "in": "@nest",
            "it": {"@id": "as:object", "@type": "@id", "@nest": "in"},
        },
        object=ELSEWHERE,
        **{"in": {"it": said["object"]}},
    )(said),
    "the object, of the type": lambda said: under(
        {
            "@version": 1.1,
            "Like": {
                "@id": "as:Like",
                "@context": {"object": NOWHERE, "it": {"@id": "as:object", "@type": "@id"}},
            },
        },
        object=ELSEWHERE,
        it=said["object"],
    )(said),
    "the object, relative to a base": lambda said: under(
        {"@base": said["object"] + "/../"}, object=said["object"].rpartition("/")[2]
    )(said),
    "the object, by its key": lambda said: under(
        {"@version": 1.1, "object": {"@id": "as:object", "@container": "@id"}}, object={said["object"]: {}}
    )(said),
    "an id within, of other members": lambda said: under(
        {"href": "@id", "id": NOWHERE, "it": "@id"},
        **{"@id": said["id"]},
        object={"id": ELSEWHERE, "@id": said["object"]},
    )(said),
    "for whom": under({"cc": NOWHERE}, cc=[ELSEWHERE]),
    "what it says": under({"content": NOWHERE}, content="Forged words"),
    "what it says, by language": under({"contentMap": NOWHERE}, contentMap={"en": "Forged words"}),
    "what has no name here": lambda said: said | {"unheardOf": "1", "quoteUri": ELSEWHERE, "x": 1.0e0},
    "among others": lambda said: {
        "@context": CONTEXT,
        **{name: value for name, value in said.items() if name in ("id", "type", "actor", "object")},
        **{name: value for name, value in said.items() if name in ("to", "published", "proof", "signature")},
        "@included": [{"@id": ELSEWHERE}],
    },
}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("trick", OTHER_MEMBERS)
async def test_what_alice_likes_is_what_she_signed(
    stage: Stage, caplog: pytest.LogCaptureFixture, trick: str, suite: str
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    case = await stage.publication()
    like = alice.activity("Like", case, to=[alice.id], published="2026-11-21T12:00:00Z")
    said = signed(stage, alice, like, suite)
    turned = OTHER_MEMBERS[trick](said)
    assert canonize(bare(turned)) == canonize(bare(said))

    await stage.send(mallory, turned, to="node")

    async with stage.town["node"].node.database.read() as session:
        kept = await session.scalar(select(Reaction).where(Reaction.actor == alice.id))
    assert kept is not None, reasons(caplog)
    assert (kept.id, kept.kind, kept.case_url) == (like["id"], "like", case)
    assert kept.id != ELSEWHERE


@pytest.mark.parametrize("suite", SUITES)
async def test_what_names_a_blocked_host_is_refused_though_the_tree_that_came_does_not(
    stage: Stage, caplog: pytest.LogCaptureFixture, suite: str
) -> None:
    alice, mallory, shut = stage.stranger(name="alice", key="other"), stage.stranger(), stage.stranger()
    node = stage.town["node"].node
    async with node.database.begin() as session:
        await decide(session, shut.host, "block", reason="a test", now=node.clock.now())
    case = (await publish_case(node)).url
    said = signed(stage, alice, alice.activity("Like", case, target=shut.id), suite)
    turned = under(
        {"target": NOWHERE, "there": {"@id": "as:target", "@type": "@id"}}, target=None, there=shut.id
    )(said)
    assert canonize(bare(turned)) == canonize(bare(said))

    await stage.send(mallory, turned, to="node")

    async with node.database.read() as session:
        assert await session.scalar(select(Reaction).where(Reaction.actor == alice.id)) is None
    assert reasons(caplog) == ["a host that is shut out"]


# ---- what a hub says of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
async def test_a_hub_announces_nothing_that_a_member_hung_up_beside_what_was_looked_at(
    stage: Stage, kind: str
) -> None:
    """In the tree it is about a case of hers, which is proven; in the statements about one of Alice's, in words that nobody proved."""
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    carol = stage.stranger(name="carol", key="peer")
    await stage.send(carol, carol.activity("Follow", stage.town.hub.node.settings.main_actor))
    case = stage.case(mallory)
    if kind != "Create":
        await stage.send(mallory, mallory.activity("Create", case, to=[PUBLIC], cc=[], number=5))
        case = stage.case(mallory, minutes=1)
    forged = {
        "id": f"https://{alice.host}/cases/c1",
        "type": "Article",
        "attributedTo": alice.id,
        "content": FORGED,
    }
    turned = {"object": None, "it": {"@id": "as:object", "@type": "@id"}}
    said = mallory.activity(kind, case["id"] if kind == "Delete" else case, it=forged, to=[PUBLIC])
    carol.received.clear()

    await stage.send(mallory, proven_as(stage, mallory, said | {"@context": [*CASE_CONTEXT, turned]}))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == {"Create": "live", "Update": "corrected", "Delete": "withdrawn"}[kind]
    assert FORGED not in str(carol.received)
    assert alice.host not in str(carol.received)


@pytest.mark.parametrize("first", ["their own", "hers"])
async def test_a_withdrawal_that_names_somebody_elses_case_beside_withdraws_neither(
    stage: Stage, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    carol = stage.stranger(name="carol", key="peer")
    await stage.send(carol, carol.activity("Follow", stage.town.hub.node.settings.main_actor))
    case, hers = stage.case(mallory), stage.case(alice)
    for author, one in ((mallory, case), (alice, hers)):
        await stage.send(author, author.activity("Create", one, to=[PUBLIC], cc=[], number=5))
    carol.received.clear()

    named = [case["id"], hers["id"]] if first == "their own" else [hers["id"], case["id"]]
    await stage.send(mallory, stage.prove(mallory, mallory.activity("Delete", named, to=[PUBLIC])))

    entries = [await stage.entry(one["id"]) for one in (case, hers)]
    assert [entry and entry.state for entry in entries] == ["live", "live"]
    assert reasons(caplog) == ["Delete of something on another host"]
    assert carol.received == []


TURNED: dict[str, Any] = {
    "honest": {},
    "nothing that is known": "https://own.example/ns",
    "the object": {"object": NOWHERE, "it": {"@id": "as:object", "@type": "@id"}},
    "the actor": {"actor": NOWHERE, "by": {"@id": "as:actor", "@type": "@id"}},
    "the type": {"Update": "as:Announce"},
}


@pytest.mark.parametrize("where", ["the activity", "the case"])
@pytest.mark.parametrize("turned", TURNED)
async def test_a_hub_passes_nothing_on_and_keeps_nothing_that_reads_otherwise_to_who_expands_it(
    stage: Stage, caplog: pytest.LogCaptureFixture, turned: str, where: str
) -> None:
    """The proof is over the bytes and holds; what is looked at here is the tree."""
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    carol = stage.stranger(name="carol", key="peer")
    await stage.send(carol, carol.activity("Follow", stage.town.hub.node.settings.main_actor))
    first = stage.case(mallory)
    await stage.send(mallory, mallory.activity("Create", first, to=[PUBLIC], cc=[], number=5))
    carol.received.clear()
    caplog.clear()
    is_alike = turned in ("honest", "nothing that is known")
    context = [*CASE_CONTEXT, *([TURNED[turned]] if turned != "honest" else [])]
    more = {"it": f"https://{alice.host}/cases/c1", "by": alice.id}
    of_the_case = {"@context": context} | more if where == "the case" else {}
    case = stage.prove(mallory, bare(stage.case(mallory, minutes=1)) | of_the_case)
    said = mallory.activity("Update", case, to=[PUBLIC], number=6)
    said |= {"@context": context} | more if where == "the activity" else {"@context": CASE_CONTEXT}

    await stage.send(mallory, stage.prove(mallory, said))

    entry = await stage.entry(first["id"])
    assert entry is not None
    is_kept = is_alike or where == "the activity"
    assert entry.state == ("corrected" if is_kept else "live")
    assert [one["type"] for one in carol.received] == (["Announce"] if is_alike else [])
    refusal = "a context that gives names another meaning"
    assert (refusal in reasons(caplog)) is not is_kept


ADDRESSED: dict[str, Any] = {
    "as it was said": {},
    "to somebody": {"@context": [*CASE_CONTEXT, {"to": NOWHERE, "for": {"@id": "as:to", "@type": "@id"}}]},
    "to nobody": {"@context": [*CASE_CONTEXT, {"to": NOWHERE}]},
    "to somebody in secret": {
        "@context": [*CASE_CONTEXT, {"for": {"@id": "as:bcc", "@type": "@id"}}],
    },
}


@pytest.mark.parametrize("whom", ADDRESSED)
async def test_a_hub_passes_on_what_is_for_everybody_in_what_was_proven(stage: Stage, whom: str) -> None:
    mallory, carol = await stage.admit(stage.stranger()), stage.stranger(name="carol", key="peer")
    await stage.send(carol, carol.activity("Follow", stage.town.hub.node.settings.main_actor))
    case = stage.case(mallory)
    await stage.send(mallory, mallory.activity("Create", case, to=[PUBLIC], cc=[], number=5))
    carol.received.clear()
    said = mallory.activity("Delete", case["id"], to=[PUBLIC])
    said |= {"for": ["https://friend.example/"]} if "for" in str(ADDRESSED[whom]) else {}

    await stage.send(mallory, proven_as(stage, mallory, said | {"@context": CASE_CONTEXT} | ADDRESSED[whom]))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == "withdrawn"
    kinds = ["Announce", "Undo"] if whom == "as it was said" else ["Undo"]
    assert sorted(one["type"] for one in carol.received) == kinds


# ---- what it leaves, and what it costs ---------------------------------------------------------------------------

E = "https://e.example/"
POISONED = {
    "@version": 1.1,
    "@import": AS,
    "Like": "as:Delete",
    "object": {"@id": "as:target", "@type": "@id"},
}


@pytest.mark.parametrize("suite", SUITES)
async def test_a_context_that_is_imported_stays_as_it_was_for_all_others(
    stage: Stage, caplog: pytest.LogCaptureFixture, suite: str
) -> None:
    """pyld writes what is changed into the imported one, for as long as the process runs."""
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    case = await stage.publication()
    said = signed(stage, mallory, mallory.activity("Like", case), suite)
    for context in ([POISONED], [{"x": f"{E}{suite}"}, POISONED], [SECURITY_V1, POISONED]):
        await stage.send(stage.stranger(), said | {"@context": context}, to="node")
    assert reasons(caplog)[0].endswith("malformed")

    honest = alice.activity("Like", case)
    for_others = {"@context": [{"y": f"{E}{suite}"}, *CONTEXT]}
    await stage.send(stage.stranger(), signed(stage, alice, honest, suite) | for_others, to="node")

    async with stage.town["node"].node.database.read() as session:
        kept = await session.scalar(select(Reaction).where(Reaction.actor == alice.id))
    assert kept is not None, reasons(caplog)
    assert (kept.id, kept.kind, kept.case_url) == (honest["id"], "like", case)


HEAVY: dict[str, dict[str, Any]] = {
    "contexts of a type": {
        "@context": [
            AS,
            {
                "@version": 1.1,
                "T": {"@id": f"{E}T", "@context": ["https://w3id.org/security/v2", {"x": E}] * 100},
            },
        ],
        "tag": [{"type": "T", "id": f"{E}{number}"} for number in range(300)],
    },
    "one context nine hundred times": {"@context": [AS, *["https://w3id.org/security/v2", AS] * 450]},
    "a long base": {
        "@context": [AS, {"@base": E + "a/" * 100_000}],
        "cc": [f"../{number}" for number in range(900)],
    },
    "a long prefix": {
        "@context": [AS, {"p": E + "a/" * 100_000}],
        "cc": [f"p:{number}" for number in range(900)],
    },
}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("heavy", HEAVY)
async def test_contexts_that_are_hard_to_read_are_given_up_within_a_budget(
    stage: Stage, caplog: pytest.LogCaptureFixture, heavy: str, suite: str
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    said = signed(stage, alice, alice.activity("Like", await stage.publication()), suite) | HEAVY[heavy]
    bare = {name: value for name, value in said.items() if name not in ("proof", "signature")}

    await stage.send(mallory, said, to="node")

    assert reasons(caplog)[0].endswith("malformed")
    with pytest.raises(TooLarge, match="context"):
        canonize(bare)
