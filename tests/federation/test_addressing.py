"""Addressing: one request per server, and none to where an actor has no business to send it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from federation.addressing import fold, is_public, recipients, without_blind
from vocab.actors import Actor
from vocab.terms import PUBLIC

OURS = "https://node.example"


def an_actor(host: str, name: str, *, shared: str | None = None) -> Actor:
    actor_id = f"https://{host}/actors/{name}"
    return Actor(actor_id, "Person", name, f"{actor_id}/inbox", shared_inbox=shared)


def test_actors_of_one_server_share_one_request() -> None:
    shared = "https://a.example/inbox"
    actors = [
        an_actor("a.example", "one", shared=shared),
        an_actor("a.example", "two", shared=shared),
        an_actor("b.example", "x"),
    ]

    assert fold([*actors, actors[0]], our_origin=OURS) == {
        shared: ("https://a.example/actors/one", "https://a.example/actors/two"),
        "https://b.example/actors/x/inbox": ("https://b.example/actors/x",),
    }


def test_a_shared_inbox_on_another_server_is_not_used() -> None:
    actor = an_actor("evil.example", "mallory", shared="https://victim.example/inbox")

    assert list(fold([actor], our_origin=OURS)) == ["https://evil.example/actors/mallory/inbox"]


def test_nothing_is_posted_to_ourselves() -> None:
    assert fold([an_actor("node.example", "cases")], our_origin=OURS) == {}


def test_recipients_are_everybody_named_once_without_the_public() -> None:
    activity: dict[str, Any] = {
        "to": [PUBLIC, "https://a.example/1", {"id": "https://b.example/2"}],
        "cc": "https://a.example/1",
        "audience": ["as:Public", 3, None, ""],
        "bcc": ["https://c.example/3"],
    }

    assert recipients(activity) == ("https://a.example/1", "https://b.example/2", "https://c.example/3")


def test_what_is_public_says_so_in_any_spelling() -> None:
    assert is_public({"to": [PUBLIC]})
    assert is_public({"cc": "as:Public"})
    assert is_public({"to": "https://a.example/1", "cc": ["Public"]})
    assert not is_public({"to": ["https://a.example/1"], "bto": [PUBLIC]})
    assert not is_public({"to": [{"id": PUBLIC + "x"}, 3]})
    assert not is_public({})


def test_blind_recipients_are_taken_out_of_activity_and_object() -> None:
    activity = {
        "id": "1",
        "bto": ["x"],
        "bcc": ["y"],
        "to": ["z"],
        "object": {"id": "2", "bcc": ["y"], "to": ["z"]},
    }

    assert without_blind(activity) == {"id": "1", "to": ["z"], "object": {"id": "2", "to": ["z"]}}
    assert without_blind({"object": "https://a.example/1", "bto": []}) == {"object": "https://a.example/1"}


hosts = st.sampled_from(["a.example", "b.example", "node.example"])


@given(st.lists(st.tuples(hosts, st.sampled_from("xyz"), st.booleans()), max_size=12))
def test_every_actor_elsewhere_is_reached_exactly_once(found: list[tuple[str, str, bool]]) -> None:
    actors = [
        an_actor(host, name, shared=f"https://{host}/inbox" if is_shared else None)
        for host, name, is_shared in found
    ]
    first = {actor.id: actor for actor in reversed(actors)}

    inboxes = fold(first.values(), our_origin=OURS)

    reached = [actor_id for ids in inboxes.values() for actor_id in ids]
    assert sorted(reached) == sorted(actor_id for actor_id in first if not actor_id.startswith(OURS))
