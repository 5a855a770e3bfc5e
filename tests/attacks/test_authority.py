"""Attacks on who may say what: objects of others, owners, audiences, follows. Each is sent by somebody with a good signature.

Beside what is here, by the number of the attack:

53  tests/node/effects/test_process.py::test_an_admitted_organisation_cannot_speak_for_another
54  tests/node/effects/test_process.py::test_nobody_but_its_publisher_withdraws_a_case_and_a_withdrawal_is_for_good
55  tests/node/effects/test_process.py::test_nobody_but_its_publisher_withdraws_a_case_and_a_withdrawal_is_for_good
56  tests/node/effects/test_process.py::test_nobody_but_its_publisher_withdraws_a_case_and_a_withdrawal_is_for_good
59  tests/node/effects/test_process.py::test_a_follower_who_leaves_hears_nothing_more_and_nobody_leaves_for_another
60  tests/node/effects/test_process.py::test_an_accept_that_we_did_not_ask_for_changes_nothing
64  tests/node/effects/test_process.py::test_a_forwarded_activity_counts_when_its_actor_proved_it
65  tests/node/effects/test_stamping.py::test_there_is_no_stamp_that_nobody_was_given
65  tests/node/effects/test_stamping.py::test_a_stamp_ends_with_its_post_or_its_case_and_by_nobody_else
66  tests/attacks/test_content.py::test_a_page_on_another_host_is_a_replys_own_only_if_its_author_names_that_host
66  tests/web/fediverse/test_discovery.py::test_every_actor_is_readable_without_a_signature_and_shows_both_keys
71  tests/web/pages/test_intake_api.py::test_wrong_unknown_and_malformed_tokens_get_the_same_answer
71  tests/web/pages/test_desk_api.py::test_a_wrong_passphrase_and_an_unknown_name_get_the_same_answer
72  tests/web/pages/test_intake_api.py::test_no_answer_of_the_door_sets_a_cookie_or_may_be_kept
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from federation import cavage
from federation.digests import BodyDigest
from federation.errors import FetchError
from federation.requests import SignedRequest
from node.effects.proving import RefusedActivity
from node.effects.taking import fetch_case
from node.peers.actors import RemoteActor
from node.peers.directory import find_actor, find_document, find_key
from node.peers.follows import Follow, between, follow
from node.peers.hosts import decide
from node.peers.ours import local_actor_at
from node.peers.sending import Sent
from node.publishing.reactions import count_reactions
from tests.attacks.stage import FORGED, Stage, a_body, reasons, served
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from vocab.terms import ACTIVITY_JSON, AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLLOWED = "https://node.example/actors/cases"
HUB = "https://hub.example/actors/hub"

Message = Callable[[Stage, Stranger, Stranger, dict[str, Any]], dict[str, Any]]


def newer(stage: Stage, owner: Stranger, case: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The same case, later, with other words, under the proof of `owner`."""
    later = {name: value for name, value in case.items() if name != "proof"}
    return stage.prove(owner, later | {"summary": FORGED, "updated": "2026-11-21T12:30:00Z"}, **more)


FORGED_CHANGES: dict[str, Message] = {
    "53 an Update that says it is mallory's now": lambda stage, alice, mallory, case: mallory.activity(
        "Update", newer(stage, mallory, case, attributedTo=mallory.id)
    ),
    "53 an Update of alice's in her name": lambda stage, alice, mallory, case: mallory.activity(
        "Update", newer(stage, mallory, case)
    ),
    "53 a Create under an id that is taken": lambda stage, alice, mallory, case: mallory.activity(
        "Create", newer(stage, mallory, case, attributedTo=mallory.id)
    ),
    "55 a Delete of a case": lambda stage, alice, mallory, case: mallory.activity("Delete", case["id"]),
    "55 a Delete with a tombstone": lambda stage, alice, mallory, case: mallory.activity(
        "Delete", {"id": case["id"], "type": "Tombstone", "attributedTo": alice.id}
    ),
    "55 a Delete of alice herself": lambda stage, alice, mallory, case: mallory.activity("Delete", alice.id),
    "55 a Delete in alice's name, passed on": lambda stage, alice, mallory, case: alice.activity(
        "Delete", case["id"], number=55
    ),
    "59 an Undo of her Create": lambda stage, alice, mallory, case: mallory.activity(
        "Undo",
        {
            "id": f"https://{alice.host}/activities/create-1",
            "type": "Create",
            "actor": alice.id,
            "object": case["id"],
        },
    ),
    "62 a Remove": lambda stage, alice, mallory, case: mallory.activity(
        "Remove", case["id"], target=f"{alice.id}/featured"
    ),
    "64 an Update in alice's name, passed on": lambda stage, alice, mallory, case: alice.activity(
        "Update", case | {"summary": FORGED}, number=64
    ),
}


@pytest.mark.parametrize("attack", FORGED_CHANGES)
@pytest.mark.parametrize("sender", ["another server", "a neighbour"])
async def test_nobody_changes_what_another_published(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, sender: str
) -> None:
    alice = await stage.victim()
    if sender == "a neighbour":
        # 54: one server, two owners.
        mallory = Stranger(stage.town, alice.host, "bob", key="peer")
        stage.neighbours(alice, mallory)
        await stage.admit(mallory)
    else:
        mallory = await stage.admit(stage.stranger())
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case))
    before = await stage.entry(case["id"])
    caplog.clear()

    forged = FORGED_CHANGES[attack](stage, alice, mallory, case)
    await stage.send(mallory, forged | {"id": forged["id"] + "-forged"})

    after = await stage.entry(case["id"])
    assert before is not None
    assert after is not None
    assert (after.state, after.document, after.actor) == ("live", before.document, alice.id)
    async with stage.town.hub.node.database.read() as session:
        her = await session.get(RemoteActor, alice.id)
        follow = await between(session, HUB, alice.id)
    assert her is not None
    assert follow is not None
    assert (her.gone_at, follow.state) == (None, "accepted")


@pytest.mark.parametrize(
    "attack", ["56 a Delete before the Create", "56 a neighbour's Delete before the Create"]
)
async def test_what_another_deleted_in_advance_comes_all_the_same(stage: Stage, attack: str) -> None:
    alice = await stage.victim()
    if "neighbour" in attack:
        mallory = Stranger(stage.town, alice.host, "bob", key="peer")
        stage.neighbours(alice, mallory)
        await stage.admit(mallory)
    else:
        mallory = await stage.admit(stage.stranger())
    case = stage.case(alice)
    await stage.send(mallory, mallory.activity("Delete", {"id": case["id"], "type": "Tombstone"}))

    await stage.send(alice, alice.activity("Create", case))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == "live"


@pytest.mark.parametrize("attack", ["56 a case after its Tombstone"])
async def test_a_withdrawn_case_does_not_come_back(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice = await stage.victim()
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case))
    await stage.send(alice, alice.activity("Delete", case["id"]))

    await stage.send(alice, alice.activity("Update", newer(stage, alice, case)))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert (entry.state, entry.fields) == ("withdrawn", {})


@pytest.mark.parametrize(
    ("attack", "owner"),
    [
        ("57 given to another", lambda alice, mallory: mallory.id),
        ("57 shared with another", lambda alice, mallory: [alice.id, mallory.id]),
        ("57 shared with another, who comes first", lambda alice, mallory: [mallory.id, alice.id]),
        ("57 of nobody", lambda alice, mallory: None),
    ],
)
async def test_the_owner_of_a_case_never_changes(
    stage: Stage,
    caplog: pytest.LogCaptureFixture,
    attack: str,
    owner: Callable[[Stranger, Stranger], object],
) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case))
    caplog.clear()

    for sender in (alice, mallory):
        changed = newer(stage, sender, case, attributedTo=owner(alice, mallory))
        await stage.send(sender, sender.activity("Update", changed))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.actor == alice.id
    assert b"mallory" not in entry.document
    assert reasons(caplog)


@pytest.mark.parametrize(
    ("attack", "audience"),
    [
        ("58 for followers", lambda alice: {"to": [f"{alice.id}/followers"], "cc": []}),
        ("58 for one reader", lambda alice: {"to": [HUB], "cc": []}),
        ("58 for nobody", lambda alice: {"to": [], "cc": []}),
        ("58 without an audience", lambda alice: {"to": None, "cc": None}),
    ],
)
async def test_what_was_not_published_to_everybody_is_not_published(
    stage: Stage,
    caplog: pytest.LogCaptureFixture,
    attack: str,
    audience: Callable[[Stranger], dict[str, Any]],
) -> None:
    alice = await stage.victim()
    case = stage.case(alice, "private", **audience(alice))
    caplog.clear()

    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC]))

    assert await stage.entry(case["id"]) is None
    assert reasons(caplog)


@pytest.mark.parametrize("attack", ["58 announced by another"])
async def test_an_announce_makes_nothing_public(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    case = stage.case(alice, "private2", to=[f"{alice.id}/followers"], cc=[])
    alice.documents["/cases/private2"] = case
    caplog.clear()

    await stage.send(mallory, mallory.activity("Announce", case["id"], to=[PUBLIC]))

    assert await stage.entry(case["id"]) is None
    assert reasons(caplog)


@pytest.mark.parametrize(
    ("attack", "forge"),
    [
        (
            "59 an Undo that says her Follow is mallory's",
            lambda alice, mallory, follow: follow | {"actor": mallory.id},
        ),
        ("59 an Undo of her Follow by its id", lambda alice, mallory, follow: follow["id"]),
        (
            "59 an Undo of an Undo",
            lambda alice, mallory, follow: {"id": "https://x/1", "type": "Undo", "object": follow},
        ),
        (
            "59 an Undo of a Block",
            lambda alice, mallory, follow: {"id": "https://x/2", "type": "Block", "object": FOLLOWED},
        ),
        (
            "59 an Undo of our Accept",
            lambda alice, mallory, follow: {"type": "Accept", "actor": FOLLOWED, "object": follow},
        ),
    ],
)
async def test_nobody_undoes_for_another(
    stage: Stage, attack: str, forge: Callable[[Stranger, Stranger, dict[str, Any]], object]
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    follow = alice.activity("Follow", FOLLOWED)
    await stage.send(alice, follow, to="node")

    await stage.send(mallory, mallory.activity("Undo", forge(alice, mallory, follow)), to="node")

    async with stage.town["node"].node.database.read() as session:
        row = await between(session, alice.id, FOLLOWED)
    assert row is not None
    assert row.state == "accepted"


@pytest.mark.parametrize(
    "attack", ["60 Accept by mallory", "60 Reject by mallory", "60 Accept of a Follow never sent"]
)
async def test_only_who_was_asked_answers(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, mallory = await stage.victim(), stage.stranger()
    async with stage.town.hub.node.database.read() as session:
        asked = await between(session, HUB, alice.id)
    assert asked is not None
    object_: object = asked.activity
    if "never" in attack:
        object_ = {
            "id": "https://hub.example/activities/none",
            "type": "Follow",
            "actor": HUB,
            "object": mallory.id,
        }

    await stage.send(mallory, mallory.activity(attack.split()[1], object_))

    assert any("that we did not send" in reason for reason in reasons(caplog))
    async with stage.town.hub.node.database.read() as session:
        row = await between(session, HUB, alice.id)
        none = await session.scalar(select(Follow).where(Follow.followed == mallory.id))
    assert row is not None
    assert row.state == "accepted"
    assert none is None


@pytest.mark.parametrize(
    "attack", ["60 an altered Follow of mallory", "60 an altered Follow by the node", ""]
)
async def test_an_answer_that_shows_another_follow_than_ours_answers_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    bob, mallory, node = stage.stranger(name="bob"), stage.stranger(), stage.town.hub.node
    us = local_actor_at(node.settings, HUB)
    assert us is not None
    them = await find_actor(node, bob.id)
    async with node.database.begin() as session:
        asked = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    altered = {"object": mallory.id} if "mallory" in attack else {"actor": FOLLOWED} if attack else {}

    await stage.send(bob, bob.activity("Accept", asked.activity | altered))

    assert any("that we did not send" in reason for reason in reasons(caplog)) == bool(attack)
    async with node.database.read() as session:
        row = await between(session, HUB, bob.id)
    assert row is not None
    assert row.state == ("requested" if attack else "accepted")


MOVES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    # where to, what the old account says beside it, what the new one says, why not. `{0}` is the old account, `{1}` the new.
    "61 to us": (HUB, {"movedTo": HUB}, {}, "Move to ourselves"),
    "61 to us, with the port": (
        "https://hub.example:443/actors/hub",
        {"movedTo": "https://hub.example:443/actors/hub"},
        {},
        "this server does not ask itself",
    ),
    "61 to itself": ("{0}", {"movedTo": "{0}"}, {}, "Move to ourselves"),
    "61 to alice, who never said so": ("{1}", {"movedTo": "{1}"}, {}, "does not say alsoKnownAs"),
    "61 to alice, who names somebody like her": (
        "{1}",
        {"movedTo": "{1}"},
        {"alsoKnownAs": ["{0}/", "{0}#main-key", "https://elsewhere.example/users/mallory"]},
        "does not say alsoKnownAs",
    ),
    "61 that the old account does not say": (
        "{1}",
        {},
        {"alsoKnownAs": ["{0}"]},
        "the old account does not say movedTo",
    ),
    "61 of which the old account says another": (
        "{1}",
        {"movedTo": "https://elsewhere.example/users/mallory"},
        {"alsoKnownAs": ["{0}"]},
        "the old account does not say movedTo",
    ),
    "61 on and on": (
        "{1}",
        {"movedTo": "{1}"},
        {"alsoKnownAs": ["{0}"], "movedTo": "{0}"},
        "a chain of moves",
    ),
    "61 again within a week": ("{1}", {"movedTo": "{1}"}, {"alsoKnownAs": ["{0}"]}, "within the last seven"),
    "61 to a host that is shut out": (
        "{1}",
        {"movedTo": "{1}"},
        {"alsoKnownAs": ["{0}"]},
        "a host that is shut out",
    ),
    "61 to a host that is limited": (
        "{1}",
        {"movedTo": "{1}"},
        {"alsoKnownAs": ["{0}"]},
        "Move to a host that is shut out",
    ),
}


@pytest.mark.parametrize("attack", MOVES)
async def test_each_step_of_a_move_is_asked_of_both_accounts(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    """But for one thing each of these is as it should be."""
    target, old, new, reason = MOVES[attack]
    mallory, alice = await stage.admit(stage.stranger()), stage.stranger(name="alice", key="other")

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(item) for item in value]
        return value.replace("{0}", mallory.id).replace("{1}", alice.id)

    for who, said in ((mallory, old), (alice, new)):
        path = f"/users/{who.id.rsplit('/', 1)[1]}"
        who.documents[path] = who.actor(**{name: filled(value) for name, value in said.items()})
    node = stage.town.hub.node
    async with node.database.begin() as session:
        if "to a host" in attack:
            policy = "block" if "shut out" in attack else "limit"
            await decide(session, alice.host, policy, reason="a test", now=node.clock.now())
        if "again" in attack:
            (await session.get_one(RemoteActor, mallory.id)).moved_at = node.clock.now() - timedelta(days=6)

    await stage.send(mallory, mallory.activity("Move", mallory.id, target=filled(target)))

    assert any(reason in said for said in reasons(caplog)), reasons(caplog)

    async with node.database.read() as session:
        states = [await between(session, HUB, actor) for actor in (mallory.id, alice.id, HUB)]
    assert [row.state if row else None for row in states] == ["accepted", None, None]
    assert not any(item["type"] in {"Follow", "Undo"} for item in alice.received)


@pytest.mark.parametrize(
    "attack", ["61 of alice", "61 in alice's name", "61 of alice, under her proof of last year"]
)
async def test_nobody_moves_another(stage: Stage, caplog: pytest.LogCaptureFixture, attack: str) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    mallory.documents["/users/mallory"] = mallory.actor(alsoKnownAs=[alice.id])
    alice.documents["/users/cases"] = alice.actor(movedTo="https://elsewhere.example/users/cases")
    move = (
        mallory.activity("Move", alice.id, target=mallory.id)
        if attack == "61 of alice"
        else alice.activity("Move", alice.id, target=mallory.id, number=61)
    )
    if "proof" in attack:
        move = stage.prove(alice, move)

    await stage.send(mallory, move)

    expected = {
        "61 of alice": "Move of somebody else",
        "61 in alice's name": "proof: missing",
        "61 of alice, under her proof of last year": "the old account does not say movedTo",
    }
    assert expected[attack] in reasons(caplog)
    async with stage.town.hub.node.database.read() as session:
        states = [await between(session, HUB, actor) for actor in (alice.id, mallory.id)]
    assert [row.state if row else None for row in states] == ["accepted", "accepted"]


@pytest.mark.parametrize("attack", ["61 that both accounts say, for comparison"])
async def test_a_move_that_both_say_counts(stage: Stage, attack: str) -> None:
    old, new = await stage.admit(stage.stranger()), stage.stranger(name="alice", key="other")
    old.documents["/users/mallory"] = old.actor(movedTo=new.id)
    new.documents["/users/alice"] = new.actor(alsoKnownAs=[old.id])

    await stage.send(old, old.activity("Move", old.id, target=new.id))

    assert [item["type"] for item in new.received] == ["Follow"]


@pytest.mark.parametrize(
    ("attack", "kind", "target"),
    [
        ("62 Add to alice's featured", "Add", "featured"),
        ("62 Remove from alice's featured", "Remove", "featured"),
        ("62 Add to alice's moderators", "Add", "moderators"),
    ],
)
async def test_nobody_adds_to_what_is_anothers(stage: Stage, attack: str, kind: str, target: str) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    case = stage.case(mallory, "added")
    mallory.documents["/cases/added"] = case

    await stage.send(mallory, mallory.activity(kind, case["id"], target=f"{alice.id}/{target}"))

    page = await stage.page("/")
    assert case["id"] not in page
    assert f"/users/cases/{target}" not in alice.asked


@pytest.mark.parametrize(
    "attack",
    [
        "63 a Create that alice never sent",
        "63 an Announce of an Announce",
        "63 a Delete of alice's",
        "63 a Create under another's proof",
        "63 a Delete of what is still there",
    ],
)
async def test_a_group_that_announces_is_not_believed(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, group = await stage.victim(), await stage.admit(stage.stranger(name="group"))
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case))
    forged = stage.case(alice, "never") | {"summary": FORGED}
    inner = alice.activity("Create", forged, number=63)
    if "Delete" in attack:
        inner = alice.activity("Delete", case["id"], number=63)
        if "still there" in attack:
            alice.documents["/cases/c1"] = case
    elif "another's proof" in attack:
        inner = stage.prove(group, inner)
    elif "Announce of" in attack:
        for depth in range(10):
            inner = group.activity("Announce", inner, number=100 + depth)
    caplog.clear()

    await stage.send(group, group.activity("Announce", inner))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == "live"
    assert await stage.entry(forged["id"]) is None


OTHER_DIGEST = "ab" * 32
LISTS = {
    "67 on a third host": 'collectionId="{0}/followers", url="https://third.example/x"',
    "67 on a host below": 'collectionId="{0}/followers", url="https://below.{1}/x"',
    "67 of ours": 'collectionId="{0}/followers", url="https://hub.example/actors/hub/followers"',
    "67 by another scheme": 'collectionId="{0}/followers", url="http://{1}/users/cases/sync"',
    "67 of another": 'collectionId="https://third.example/followers", url="{0}/sync"',
    "67 not covered by the signature": 'collectionId="{0}/followers", url="{0}/sync"',
    "67 of alice, by who passes on what she said": 'collectionId="{0}/followers", url="{0}/sync"',
    "67 honestly, for comparison": 'collectionId="{0}/followers", url="{0}/sync"',
}


@pytest.mark.parametrize("attack", LISTS)
async def test_a_collection_to_be_compared_is_not_fetched_unasked(stage: Stage, attack: str) -> None:
    """All of these but one would make us ask; who is asked, and for what, is theirs to say alone."""
    third, alice, relay = stage.stranger("third.example"), await stage.victim(), stage.stranger(key="peer")
    below = stage.stranger(f"below.{alice.host}")
    field = f'{LISTS[attack].format(alice.id, alice.host)}, digest="{OTHER_DIGEST}"'.encode()
    activity = stage.prove(alice, alice.activity("Like", "https://elsewhere.example/1", number=67))
    sender = relay if "passes on" in attack else alice
    header = (b"collection-synchronization", field)
    body = a_body(activity)
    signed = cavage.sign(
        "POST",
        "https://hub.example/inbox",
        signer=sender.signer(),
        now=stage.town.clock.now(),
        digest=BodyDigest.of(body),
        content_type=ACTIVITY_JSON.encode(),
        more=() if "not covered" in attack else (header,),
    )
    beside = [header] if "not covered" in attack else []
    request = SignedRequest("POST", b"/inbox", [*signed, *beside], body)

    answer = await stage.knock(request, to="hub")
    await stage.town.settle()

    assert answer.status_code == 202
    assert third.asked == below.asked == []
    assert ("/users/cases/sync" in alice.asked) is ("comparison" in attack)
    assert [url for url in stage.asked("hub.example") if url.endswith("/followers")] == []


@pytest.mark.parametrize(
    "attack", ["68 of ten thousand things", "68 of what is not there", "68 with a script"]
)
async def test_a_report_is_capped_and_shows_nothing(stage: Stage, attack: str) -> None:
    mallory = stage.stranger()
    objects: object = "https://node.example/cases/ffffffffffffffffffffffffffffffff"
    if "thousand" in attack:
        objects = [f"https://node.example/cases/{number}" for number in range(10_000)]
    content = "<script>alert(68)</script>"

    status = await stage.send(mallory, mallory.activity("Flag", objects, content=content), to="node")

    assert status in {202, 400}
    assert content not in await stage.page("/", at="node")
    assert (await stage.send(mallory, mallory.activity("Follow", FOLLOWED), to="node")) == 202
    assert any(item["type"] == "Accept" for item in mallory.received)


@pytest.mark.parametrize("attack", ["69 an object of another, at an address inside"])
@pytest.mark.parametrize("object_", ["https://10.0.0.1/cases/1", "https://inside.example/cases/1"])
async def test_nothing_is_fetched_for_somebody_without_authority(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, object_: str
) -> None:
    inside, mallory = stage.stranger("inside.example"), stage.stranger()

    await stage.send(mallory, mallory.activity("Create", object_))
    await stage.send(
        mallory,
        mallory.activity("Create", {"id": object_, "type": "Article", "elements": [object_]}, number=2),
    )
    await stage.send(mallory, mallory.activity("Announce", object_))

    assert inside.asked == []
    assert stage.asked("10.0.0.1") == []
    assert reasons(caplog)


@pytest.mark.parametrize(
    "attack",
    [
        "70 in person",
        "70 passed on by another",
        "70 announced by another",
        "70 announced with its proof",
        "70 as a reply passed on",
    ],
)
async def test_who_is_blocked_does_not_come_in_by_another_door(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, relay = await stage.victim(), await stage.admit(stage.stranger())
    case = stage.case(alice, "suspended")
    alice.documents["/cases/suspended"] = case
    node = stage.town.hub.node
    async with node.database.begin() as session:
        await decide(session, alice.host, "block", reason="a test", now=node.clock.now())
    alice.asked.clear()
    caplog.clear()

    if "person" in attack:
        status = await stage.send(alice, alice.activity("Create", case))
        assert status == 403
    elif "with its proof" in attack:
        said = stage.prove(alice, alice.activity("Create", case))
        await stage.send(relay, relay.activity("Announce", said))
    elif "announced" in attack:
        await stage.send(relay, relay.activity("Announce", case["id"]))
    else:
        kind = "Create" if "on by" in attack else "Update"
        await stage.send(relay, stage.prove(alice, alice.activity(kind, case)))

    assert await stage.entry(case["id"]) is None
    assert alice.asked == []
    assert reasons(caplog)


@pytest.mark.parametrize(
    "attack", ["70 announced by another", "70 announced with its proof", "70 read from its outbox"]
)
async def test_who_is_limited_adds_nothing_by_another_door(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, relay = await stage.victim(), await stage.admit(stage.stranger())
    case = stage.case(alice, "limited")
    alice.documents["/cases/limited"] = case
    node = stage.town.hub.node
    async with node.database.begin() as session:
        await decide(session, alice.host, "limit", reason="a test", now=node.clock.now())
    caplog.clear()

    if "outbox" in attack:
        with pytest.raises(RefusedActivity):
            await fetch_case(node, case["id"])
    else:
        said = stage.prove(alice, alice.activity("Create", case))
        await stage.send(relay, relay.activity("Announce", said if "proof" in attack else case["id"]))
        assert reasons(caplog)

    assert await stage.entry(case["id"]) is None


@pytest.mark.parametrize("attack", ["70 by a redirect", "70 by another id"])
@pytest.mark.parametrize("kind", ["case", "actor", "key"])
async def test_who_is_blocked_is_not_asked_by_a_detour(stage: Stage, attack: str, kind: str) -> None:
    alice, relay = stage.stranger(), stage.stranger()
    case = stage.case(alice, "detour")
    alice.documents["/cases/detour"] = case
    node = stage.town.hub.node
    async with node.database.begin() as session:
        await decide(session, alice.host, "block", reason="a test", now=node.clock.now())

    def detour(request: httpx.Request) -> httpx.Response:
        there = case["id"] if kind == "case" else alice.id
        if "redirect" in attack:
            return httpx.Response(302, headers={"location": there})
        return served({"@context": AS, "id": there, "type": "Article"})

    stage.town.wires.apps[relay.host] = httpx.MockTransport(detour)
    asking: dict[str, Callable[[], Awaitable[object]]] = {
        "case": lambda: find_document(node, f"https://{relay.host}/cases/1"),
        "actor": lambda: find_actor(node, relay.id),
        "key": lambda: find_key(node, relay.key_id),
    }

    with pytest.raises(FetchError):
        await asking[kind]()

    assert alice.asked == []


@pytest.mark.parametrize("attack", ["71 what we said to one"])
async def test_a_private_activity_answers_like_one_that_is_not_there(stage: Stage, attack: str) -> None:
    reader = stage.stranger()
    await stage.send(reader, reader.activity("Follow", FOLLOWED), to="node")
    async with stage.town["node"].node.database.read() as session:
        private = await session.scalar(select(Sent.id).where(Sent.is_public.is_(False)).limit(1))
    assert private is not None
    none = "https://node.example/activities/" + "f" * len(private.rsplit("/", 1)[1])
    headers = {"accept": "application/activity+json"}

    async with stage.town.visitor("node") as http:
        one, other = await http.get(private, headers=headers), await http.get(none, headers=headers)

    assert (one.status_code, one.content) == (other.status_code, other.content) == (404, other.content)


@pytest.mark.parametrize("attack", ["72 a signed GET and an unsigned one"])
async def test_who_asks_makes_no_difference_to_what_a_cache_may_keep(stage: Stage, attack: str) -> None:
    publication = await publish_case(stage.town["node"].node)
    reader = stage.stranger()
    signed = cavage.sign("GET", publication.url, signer=reader.signer(), now=stage.town.clock.now())
    accept = [(b"accept", b"application/activity+json")]

    async with stage.town.visitor("node") as http:
        known = await http.get(publication.url, headers=[*signed, *accept])
        anybody = await http.get(publication.url, headers=accept)

    assert known.content == anybody.content
    assert "accept" in anybody.headers["vary"].lower()


@pytest.mark.parametrize("attack", ["70 a like of what is not there"])
async def test_what_is_said_about_nothing_is_not_kept(stage: Stage, attack: str) -> None:
    mallory = stage.stranger()
    url = "https://node.example/cases/" + "0" * 32

    await stage.send(mallory, mallory.activity("Like", url), to="node")
    await stage.send(
        mallory, mallory.activity("Announce", {"id": url, "type": "Article", "@context": AS}), to="node"
    )

    async with stage.town["node"].node.database.read() as session:
        assert await count_reactions(session, url) == {}
