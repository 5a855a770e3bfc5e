"""Followers synchronisation (FEP-8fcf): two servers mend what they remember differently, and a list is given to nobody else."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select, update

from federation import allowance, cavage
from federation.digests import BodyDigest
from node.entries.entries import Entry
from node.entries.search import entry_at
from node.outbox import Job
from node.peers.directory import find_actor
from node.peers.follows import Follow, between, follow, unfollow
from node.peers.hosts import decide
from node.peers.ours import local_actor_at, local_actors
from node.peers.sending import new_activity_id, send
from node.peers.synchronising import HEADER, PATH, digest_of, offers, read_offer
from node.statements import Question
from node.upkeep import looking
from tests.attacks.stage import Stage
from tests.federation import vectors
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab import activities
from vocab.terms import ACTIVITY_JSON, AS, PUBLIC


async def get(town: Town, url: str, stranger: Stranger | None, **changed: Any) -> httpx.Response:
    """That address, signed by somebody or by nobody."""
    headers = {"accept": ACTIVITY_JSON}
    if stranger is not None:
        signed = cavage.sign("GET", url, signer=stranger.signer(), now=town.clock.now(), **changed)
        headers |= {name.decode(): value.decode() for name, value in signed}
    async with town.visitor("a") as visitor:
        return await visitor.get(url, headers=headers)


async def befriend(town: Town, stranger: Stranger, *, hours: int = 2) -> None:
    """Node a follows the stranger, and the stranger follows node a, since so many hours."""
    await stranger.befriend("a")
    town.clock.forward(hours=hours)


async def standing(town: Town, stranger: Stranger) -> str | None:
    async with town["a"].node.database.read() as session:
        row = await between(session, town["a"].settings.main_actor, stranger.id)
    return row.state if row else None


async def offered(
    town: Town,
    stranger: Stranger,
    listed: list[str],
    *,
    number: int = 5,
    digest: str | None = None,
    collection: str | None = None,
    url: str | None = None,
    covered: bool = True,
    of: Stranger | None = None,
    to: str = "a",
) -> None:
    """The stranger posts something of its own, or of somebody else, with the header."""
    path = f"/users/{stranger.id.rsplit('/', 1)[1]}/sync"
    at = f"https://{stranger.host}{path}"
    stranger.documents[path] = {"@context": AS, "id": at, "type": "OrderedCollection", "orderedItems": listed}
    value = (
        f'collectionId="{collection or stranger.id + "/followers"}", url="{url or at}", '
        f'digest="{digest or digest_of(listed)}"'
    )
    activity = (of or stranger).activity("Like", "https://a.example/cases/x", number=number)
    inbox = f"{town[to].origin}/inbox"
    content = json.dumps(activity).encode()
    more = ((b"collection-synchronization", value.encode()),)
    signed = cavage.sign(
        "POST",
        inbox,
        signer=stranger.signer(),
        now=town.clock.now(),
        digest=BodyDigest.of(content),
        content_type=ACTIVITY_JSON.encode(),
        more=more if covered else (),
    )
    headers = {name.decode(): value.decode() for name, value in [*signed, *(() if covered else more)]}
    async with town.visitor(to) as visitor:
        assert (await visitor.post(inbox, content=content, headers=headers)).status_code == 202
    await town.settle()


def test_digest_and_header_are_those_of_the_proposal() -> None:
    published = vectors.load("fep/fep-8fcf.json")

    offer = read_offer(published["header"].encode())

    assert digest_of(published["partial"]) == published["digest"]
    assert [digest_of([one]) for one in published["partial"]] == published["digests"]
    assert digest_of([]) == published["empty_digest"]
    assert offer is not None
    assert (offer.collection_id, offer.digest) == (published["collectionId"], published["digest"])


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"collectionId",
        b'collectionId="x", url="y"',
        b'collectionId="x", url="y", digest="zz"',
        b'collectionId="x", collectionId="z", url="y", digest="' + b"0" * 64 + b'"',
        b'collectionId="x" url="y" digest="' + b"0" * 64 + b'"',
        b"\xff" * 5000,
    ],
)
def test_a_header_that_is_not_as_it_should_be_says_nothing(field: bytes) -> None:
    assert read_offer(field) is None


# ---- out ---------------------------------------------------------------------------------------------------------


async def test_the_list_is_given_only_to_the_server_it_is_about(town: Town) -> None:
    one, other = Stranger(town, "one.example"), Stranger(town, "other.example", key="other")
    for stranger in (one, other):
        await befriend(town, stranger)
    url = f"{town['a'].settings.main_actor}/{PATH}"

    answers = [await get(town, url, who) for who in (one, other)]

    assert (await get(town, url, None)).status_code == 401
    assert [answer.json()["orderedItems"] for answer in answers] == [[one.id], [other.id]]
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-store"}


async def test_who_has_left_is_in_no_list_and_no_digest(town: Town) -> None:
    node, stranger = town["a"].node, Stranger(town)
    await befriend(town, stranger)
    main = town["a"].settings.main_actor

    await stranger.post("a", stranger.activity("Undo", stranger.activity("Follow", main), number=2))
    await town.settle()

    answer = await get(town, f"{main}/{PATH}", stranger)
    async with node.database.hand() as hand:
        (header,) = (await offers(hand, [(main, f"{stranger.id}/inbox")], now=town.clock.now())).values()
    offer = read_offer(dict(header)[HEADER])
    assert answer.json()["orderedItems"] == []
    assert offer is not None
    assert offer.digest == digest_of([])


async def test_a_public_delivery_says_under_its_signature_who_follows_from_there(town: Town) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)

    for _ in range(2):
        await publish_case(town["a"].node)
        await town.settle()

    posts = [
        request
        for request in town.wires.carried
        if request.method == "POST" and request.url.host == stranger.host and b'"Create"' in request.content
    ]
    first, second = (post.headers.get("collection-synchronization") for post in posts)
    offer = read_offer((first or "").encode())
    assert offer is not None
    assert offer.digest == digest_of([stranger.id])
    assert "collection-synchronization" in posts[0].headers["signature"]
    assert second is None


async def test_each_of_our_actors_is_compared_once_a_day_whoever_else_was(town: Town) -> None:
    hub, stranger = town["hub"], Stranger(town)
    main, theme = hub.settings.main_actor, f"{hub.origin}/actors/theme-housing"
    for number, followed in enumerate((main, theme)):
        await stranger.post("hub", stranger.activity("Follow", followed, number=number))
    await town.settle()

    said = [
        await _offered_by_hub(town, stranger, (main, theme, main)),
        await _offered_by_hub(town, stranger, (main, theme)),
    ]
    town.clock.forward(hours=23)
    said.append(await _offered_by_hub(town, stranger, (main, theme)))
    town.clock.forward(hours=2)
    said.append(await _offered_by_hub(town, stranger, (theme, theme)))

    assert said == [[main, theme], [], [], [theme]]


async def test_a_host_that_did_not_take_it_is_told_with_the_next_delivery(town: Town) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)
    serve = town.wires.apps[stranger.host]
    town.wires.apps[stranger.host] = httpx.MockTransport(lambda request: httpx.Response(400))
    await publish_case(town["a"].node)
    await town.settle()
    town.wires.apps[stranger.host] = serve

    await publish_case(town["a"].node)
    await town.settle()

    last = [one for one in town.wires.carried if one.method == "POST" and one.url.host == stranger.host][-1]
    assert "collection-synchronization" in last.headers


async def test_followers_of_many_actors_and_hosts_are_read_in_two_questions(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = town["hub"]
    actors = [f"{hub.origin}/actors/{name}" for name in ("hub", "theme-housing", "state-fr")]
    strangers = [
        Stranger(town, f"{name}.example", key=key) for name, key in (("one", "stranger"), ("two", "other"))
    ]
    for stranger in strangers:
        for number, actor in enumerate(actors[: 2 if stranger.host == "one.example" else 3]):
            await stranger.post("hub", stranger.activity("Follow", actor, number=number))
    await town.settle()
    asked: list[object] = []

    async with hub.node.database.hand() as hand:
        ask = hand.ask

        async def counted(question: Question, **given: Any) -> Any:
            asked.append(question)
            return await ask(question, **given)

        monkeypatch.setattr(hand, "ask", counted)
        deliveries = [(actor, f"{stranger.id}/inbox") for actor in actors for stranger in strangers]
        found = await offers(hand, deliveries, now=town.clock.now())

    read = {one: read_offer(dict(header)[HEADER]) for one, header in found.items()}
    digests = {one: offer.digest for one, offer in read.items() if offer}
    ids = [stranger.id for stranger in strangers]
    assert len(asked) == 2
    assert list(digests) == deliveries
    assert digests[deliveries[0]] == digest_of(ids[:1])
    assert digests[deliveries[4]] == digest_of([])
    assert digests[deliveries[5]] == digest_of(ids[1:])


async def _offered_by_hub(town: Town, stranger: Stranger, actors: tuple[str, ...]) -> list[str]:
    """Something public of each of these actors goes to the stranger, one after the other; the actors whose followers were offered."""
    node, before = town["hub"].node, len(town.wires.carried)
    for actor in actors:
        update = activities.update(
            new_activity_id(node.settings),
            actor,
            {"id": actor, "type": "Group"},
            to=[PUBLIC],
            cc=[f"{actor}/followers"],
            published=town.clock.now(),
        )
        async with node.database.begin() as session:
            await send(
                session,
                node.keyring,
                update,
                inboxes=[f"{stranger.id}/inbox"],
                now=town.clock.now(),
                is_public=True,
            )
        await town.settle()
    headers = [
        request.headers.get("collection-synchronization")
        for request in town.wires.carried[before:]
        if request.method == "POST" and request.url.host == stranger.host
    ]
    assert len(headers) == len(actors)
    found = [read_offer(one.encode()) for one in headers if one]
    return [one.collection_id.removesuffix("/followers") for one in found if one]


# ---- in ----------------------------------------------------------------------------------------------------------


async def test_a_follow_that_its_server_has_forgotten_ends(town: Town) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)

    await offered(town, stranger, [town["a"].settings.main_actor])
    assert await standing(town, stranger) == "accepted"
    town.clock.forward(hours=1)
    await offered(town, stranger, [], number=6)

    assert await standing(town, stranger) == "rejected"


async def test_a_follow_that_stood_for_long_and_was_forgotten_is_asked_for_anew_once(town: Town) -> None:
    """Whoever was restored from a backup has forgotten who followed since; who does not want it answers so."""
    stranger = Stranger(town)
    await befriend(town, stranger, hours=30)
    before = len(stranger.received)

    await offered(town, stranger, [])
    (asked,) = stranger.received[before:]
    assert (asked["type"], await standing(town, stranger)) == ("Follow", "requested")

    await stranger.post("a", stranger.activity("Accept", asked, number=9))
    await town.settle()
    assert await standing(town, stranger) == "accepted"
    town.clock.forward(hours=5)
    await offered(town, stranger, [], number=6)
    assert await standing(town, stranger) == "rejected"
    assert len(stranger.received) == before + 1


async def test_a_node_that_was_restored_is_followed_again_by_whom_it_forgot(town: Town) -> None:
    """It sends them nothing any more, so they look for themselves when they have heard nothing for a week."""
    a, b = town["a"].node, town["b"].node
    await town.befriend("a", "b")
    async with a.database.begin() as session:
        await looking.look_tomorrow(session, now=a.clock.now())
    async with b.database.begin() as session:
        await session.execute(delete(Follow).where(Follow.followed == b.settings.main_actor))
    missed = await publish_case(b)
    await town.settle()

    for _ in range(9):
        town.clock.forward(days=1)
        await town.settle()
    heard = await publish_case(b)
    await town.settle()

    async with a.database.read() as session:
        known = set(await session.scalars(select(Entry.id).where(Entry.own.is_(False))))
    assert known == {missed.url, heard.url}


@pytest.mark.parametrize(
    ("minutes", "is_listed", "state"),
    [(90, True, "accepted"), (90, False, "requested"), (30, True, "requested")],
)
async def test_who_was_asked_and_names_us_as_a_follower_has_agreed(
    town: Town, minutes: int, is_listed: bool, state: str
) -> None:
    node, stranger = town["a"].node, Stranger(town)
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, stranger.id)
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())
    await town.settle()
    town.clock.forward(minutes=minutes)

    await offered(town, stranger, [us.id] if is_listed else [])

    assert await standing(town, stranger) == state
    assert [one["type"] for one in stranger.received] == ["Follow"]


async def test_what_came_while_an_answer_was_lost_is_read(town: Town) -> None:
    a, b = town["a"].node, town["b"].node
    await town.befriend("a", "b")
    async with a.database.begin() as session:
        await session.execute(update(Follow).values(state="requested"))
    town.clock.forward(hours=2)

    missed = await publish_case(b)
    await town.settle()

    async with a.database.read() as session:
        assert await entry_at(session, missed.url) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"covered": False},
        {"collection": "https://stranger.example/users/other/followers"},
        {"url": "https://a.example/actors/cases/followers"},
        {"url": "https://third.example/list"},
        {"digest": "1" * 64},
    ],
)
async def test_a_header_that_lies_changes_nothing_and_makes_us_ask_nobody(
    town: Town, wrong: dict[str, Any]
) -> None:
    stranger, third = Stranger(town), Stranger(town, "third.example", key="other")
    await befriend(town, stranger)

    await offered(town, stranger, [], **wrong)

    assert await standing(town, stranger) == "accepted"
    assert third.asked == []


async def test_a_list_is_read_page_by_page_each_once_and_leads_nowhere_else(town: Town) -> None:
    stranger, third = Stranger(town), Stranger(town, "third.example", key="other")
    await befriend(town, stranger)
    at, ours = f"{stranger.id}/list", town["a"].settings.main_actor
    top, page, last = "/users/sam/list", "/users/sam/list/1", "/users/sam/list/2"
    for path, more in (
        (top, {"type": "OrderedCollection", "first": f"{at}/1"}),
        (page, {"type": "OrderedCollectionPage", "orderedItems": [ours], "next": f"{at}/2"}),
        (last, {"type": "OrderedCollectionPage", "next": f"{at}/1"}),
    ):
        stranger.documents[path] = {"@context": AS, "id": f"https://{stranger.host}{path}", **more}

    await offered(town, stranger, [], url=at)
    stranger.documents[last] |= {"next": f"https://{third.host}/list"}
    town.clock.forward(hours=2)
    await offered(town, stranger, [], url=at, number=6)

    assert [stranger.asked.count(path) for path in (top, page, last)] == [2, 2, 2]
    assert third.asked == []


async def test_whoever_passes_something_on_does_not_speak_of_its_actors_followers(town: Town) -> None:
    stranger, mallory = Stranger(town), Stranger(town, "evil.example", "mallory", key="other")
    await befriend(town, stranger)

    await offered(
        town,
        mallory,
        [],
        of=stranger,
        collection=f"{stranger.id}/followers",
        url=f"{stranger.id}/sync",
    )

    assert await standing(town, stranger) == "accepted"
    assert "/users/sam/sync" not in stranger.asked


@pytest.mark.parametrize("digest", [None, digest_of([])], ids=["of all", "of ours"])
async def test_a_list_with_people_of_elsewhere_is_not_taken(town: Town, digest: str | None) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)

    await offered(town, stranger, ["https://elsewhere.example/users/1"], digest=digest)

    assert await standing(town, stranger) == "accepted"


@pytest.mark.parametrize("broken", [{"orderedItems": ["https://["]}, {"first": "https://["}], ids=str)
async def test_a_list_that_names_what_is_no_address_is_not_taken(
    town: Town, broken: dict[str, object]
) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)
    at = f"{stranger.id}/broken"
    stranger.documents["/users/sam/broken"] = {
        "@context": AS,
        "id": at,
        "type": "OrderedCollection",
        **broken,
    }

    await offered(town, stranger, ["https://["], url=at)

    assert "/users/sam/broken" in stranger.asked
    async with town["a"].node.database.read() as session:
        assert (await session.scalars(select(Job.last_reason).where(Job.kind == "synchronise"))).all() == []


async def test_a_follow_that_changed_within_the_hour_is_left_alone(town: Town) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger, hours=0)

    await offered(town, stranger, [])

    assert await standing(town, stranger) == "accepted"


async def test_a_follow_that_we_have_forgotten_is_taken_back(town: Town) -> None:
    stranger = Stranger(town)
    await find_actor(town["a"].node, stranger.id)

    await offered(town, stranger, [town["a"].settings.main_actor])

    (undo,) = [activity for activity in stranger.received if activity["type"] == "Undo"]
    assert undo["object"]["object"] == stranger.id


async def test_who_says_that_all_actors_of_a_hub_follow_them_is_told_of_the_one_that_could(
    town: Town,
) -> None:
    stranger, hub = Stranger(town), town.hub.settings
    actors = [actor.id for actor in local_actors(hub)]

    await offered(town, stranger, actors, to="hub")

    assert len(actors) > 10
    assert [(one["type"], one["actor"]) for one in stranger.received] == [("Undo", hub.main_actor)]


async def test_whom_nobody_follows_makes_us_read_few_lists(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 1)
    one = Stranger(town)
    two = Stranger(town, name="sue")
    Stage(town).neighbours(one, two)
    us = town["a"].settings.main_actor

    await offered(town, one, [us])
    await offered(town, two, [us], number=6)

    assert [one["type"] for one in one.received] == ["Undo"]
    assert two.received == []


async def test_a_follow_that_we_have_taken_back_is_taken_back_again_under_its_id(town: Town) -> None:
    node, stranger = town["a"].node, Stranger(town)
    await befriend(town, stranger)
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, stranger.id)
    async with node.database.begin() as session:
        await unfollow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())
    await town.settle()

    await offered(town, stranger, [us.id])

    first, second = [activity for activity in stranger.received if activity["type"] == "Undo"]
    assert first["object"]["id"] == second["object"]["id"]


async def test_a_server_that_counts_as_we_do_is_not_asked_for_its_list(town: Town) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)

    await offered(town, stranger, [town["a"].settings.main_actor])

    assert "/users/sam/sync" not in stranger.asked


# ---- authorised fetch --------------------------------------------------------------------------------------------


async def test_with_authorised_fetch_only_servers_that_sign_and_are_welcome_read(town: Town) -> None:
    site = await town.open("s", authorized_fetch="1")
    publication = await publish_case(site.node)
    stranger, blocked = Stranger(town), Stranger(town, "evil.example", key="other")
    async with site.node.database.begin() as session:
        await decide(session, blocked.host, "block", reason="", now=town.clock.now())
    main = site.settings.main_actor
    closed = [
        main,
        *(f"{main}/{part}" for part in ("outbox", "outbox?page=1", "followers", "following", "featured")),
        publication.url,
        f"{publication.url}/context",
        f"{publication.url}/replies",
    ]

    async with town.visitor("s") as visitor:

        async def ask(url: str, who: Stranger | None) -> httpx.Response:
            headers = {"accept": ACTIVITY_JSON}
            if who is not None:
                signed = cavage.sign("GET", url, signer=who.signer(), now=town.clock.now())
                headers |= {name.decode(): value.decode() for name, value in signed}
            return await visitor.get(url, headers=headers)

        for url in closed:
            refusal = await ask(url, None)
            assert refusal.status_code == 401, url
            assert refusal.headers["accept-signature"] == 'sig1=("@method" "@target-uri");created'
            assert (await ask(url, blocked)).status_code == 401, url
            answer = await ask(url, stranger)
            assert answer.status_code == 200, url
            assert answer.headers["cache-control"] == "private, no-store"
            assert "etag" not in answer.headers
            assert "Signature" in answer.headers["vary"]
        assert (await ask(site.settings.instance_actor, None)).status_code == 200
        assert (await visitor.get(publication.url, headers={"accept": "text/html"})).status_code == 200


@pytest.mark.parametrize("status", [None, 429, 500, 503])
@pytest.mark.parametrize("path", ["/actors/cases", "/actors/cases/followers", f"/actors/cases/{PATH}"])
async def test_whose_key_cannot_be_had_for_a_moment_is_told_to_come_back_and_then_reads(
    town: Town, status: int | None, path: str
) -> None:
    site, stranger = await town.open("s", authorized_fetch="1"), Stranger(town)
    url, serve = f"{site.origin}{path}", town.wires.apps[stranger.host]

    def down(request: httpx.Request) -> httpx.Response:
        if status is None:
            raise httpx.ConnectTimeout("no", request=request)
        return httpx.Response(status)

    async def ask() -> httpx.Response:
        signed = cavage.sign("GET", url, signer=stranger.signer(), now=town.clock.now())
        headers = {"accept": ACTIVITY_JSON} | {name.decode(): value.decode() for name, value in signed}
        async with town.visitor("s") as visitor:
            return await visitor.get(url, headers=headers)

    town.wires.apps[stranger.host] = httpx.MockTransport(down)
    before = await ask()
    town.wires.apps[stranger.host] = serve
    town.clock.forward(seconds=30)

    assert before.status_code == 503
    assert (before.headers["retry-after"], before.headers["cache-control"]) == ("30", "no-store")
    assert before.json() == {"error": "This cannot be told just now. Try again later."}
    assert (await ask()).status_code == 200


async def test_a_host_that_is_shut_out_is_refused_whether_its_key_can_be_had_or_not(town: Town) -> None:
    site, blocked = await town.open("s", authorized_fetch="1"), Stranger(town, "evil.example", key="other")
    async with site.node.database.begin() as session:
        await decide(session, blocked.host, "block", reason="", now=town.clock.now())
    blocked.documents["/users/sam"] = httpx.Response(503)
    url = site.settings.main_actor
    signed = cavage.sign("GET", url, signer=blocked.signer(), now=town.clock.now())

    async with town.visitor("s") as visitor:
        headers = {"accept": ACTIVITY_JSON} | {name.decode(): value.decode() for name, value in signed}
        refusal = await visitor.get(url, headers=headers)

    assert refusal.status_code == 401
    assert blocked.asked == []


async def test_two_servers_with_authorised_fetch_are_not_locked_out_of_each_other(town: Town) -> None:
    one, two = [await town.open(name, authorized_fetch="1") for name in ("s", "t")]
    us = local_actor_at(two.settings, two.settings.main_actor)
    assert us is not None
    publication = await publish_case(one.node)

    them = await find_actor(two.node, one.settings.main_actor)
    async with two.node.database.begin() as session:
        await follow(session, two.settings, two.node.keyring, us=us, them=them, now=town.clock.now())
    await town.settle()

    async with two.node.database.read() as session:
        row = await between(session, us.id, them.id)
        card = await entry_at(session, publication.url)
    assert row is not None
    assert row.state == "accepted"
    assert card is not None


@pytest.mark.parametrize(("later", "status"), [(11, 401), (10, 200)])
async def test_a_request_for_the_list_that_somebody_repeats_later_is_refused(
    town: Town, later: int, status: int
) -> None:
    stranger = Stranger(town)
    await befriend(town, stranger)
    url = f"https://a.example/actors/cases/{PATH}"
    signed = cavage.sign("GET", url, signer=stranger.signer(), now=town.clock.now())
    headers = {"accept": ACTIVITY_JSON} | {name.decode(): value.decode() for name, value in signed}

    async with town.visitor("a") as visitor:
        first = await visitor.get(url, headers=headers)
        town.clock.forward(seconds=later)
        again = await visitor.get(url, headers=headers)

    assert (first.status_code, again.status_code) == (200, status)
    assert (await get(town, url, stranger)).status_code == 200
