"""Keys with an end, and the activities that tell of change: written, read back, and nothing guessed."""

from datetime import UTC, datetime

import pytest

from vocab import activities
from vocab.actors import Actor, PublicKey, read_actor, write_actor
from vocab.terms import PUBLIC

ME = "https://a.example/actors/cases"
END = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "z6MknRavV5XnQn94uUXRBhA8MXD6mhz1JyomwFuJpYtLa5Km"


def an_actor() -> Actor:
    keys = (
        PublicKey(f"{ME}#ed25519-key-2", ME, "ed25519", multibase=KEY),
        PublicKey(f"{ME}#ed25519-key", ME, "ed25519", multibase=KEY, expires=END),
    )
    return Actor(id=ME, type="Organization", preferred_username="cases", inbox=f"{ME}/inbox", keys=keys)


def test_the_end_of_a_key_is_written_and_read_back() -> None:
    assert [key.expires for key in read_actor(write_actor(an_actor())).keys] == [None, END]


@pytest.mark.parametrize("written", ["soon", "2026-03-01T12:00:00", 5, [], {"x": 1}])
def test_a_key_whose_end_cannot_be_read_is_no_key(written: object) -> None:
    document = write_actor(an_actor())
    methods = document["assertionMethod"]
    assert isinstance(methods, list)
    methods[1]["expires"] = written

    assert [key.id for key in read_actor(document).keys] == [f"{ME}#ed25519-key-2"]


def test_what_tells_of_change_is_read_back_as_it_was_meant() -> None:
    told = [
        activities.add("https://a.example/1", ME, f"{ME}/1", target=f"{ME}/featured", to=[PUBLIC]),
        activities.remove("https://a.example/2", ME, f"{ME}/1", target=f"{ME}/featured", to=[PUBLIC]),
        activities.move(
            "https://a.example/3", ME, "https://b.example/me", to=[PUBLIC], cc=[f"{ME}/followers"]
        ),
    ]
    flag = activities.flag(
        "https://a.example/4", ME, ["https://b.example/me", "https://b.example/1"], text="x"
    )

    assert [activities.read_activity(one).target for one in told] == [
        f"{ME}/featured",
        f"{ME}/featured",
        "https://b.example/me",
    ]
    assert activities.read_activity(told[2]).object_id == ME
    assert activities.read_activity(flag).object_ids == ("https://b.example/me", "https://b.example/1")
