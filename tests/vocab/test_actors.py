"""Actors and their keys: other's keys are not believed, ours are shown in the shape every reader knows."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vocab import jsonld
from vocab.actors import Actor, PublicKey, read_actor, read_keys, write_actor
from vocab.errors import NotAnActor

A = "https://a.example/actors/cases"
RSA = PublicKey(
    f"{A}#main-key", A, "rsa", spki_pem="-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
)
ED25519 = PublicKey(
    f"{A}#ed25519-key", A, "ed25519", multibase="z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"
)
ACTOR = Actor(
    id=A,
    type="Organization",
    preferred_username="cases",
    inbox=f"{A}/inbox",
    name="Harbour Lane Social Rights Watch",
    summary="<p>Fictional</p>",
    shared_inbox="https://a.example/inbox",
    outbox=f"{A}/outbox",
    followers=f"{A}/followers",
    following=f"{A}/following",
    featured=f"{A}/featured",
    url="https://a.example/",
    icon="https://a.example/static/icon.png",
    keys=(RSA, ED25519),
    published=datetime(2026, 1, 1, tzinfo=UTC),
    discoverable=True,
    indexable=True,
    also_known_as=("https://old.example/actors/cases",),
    attribution_domains=("a.example",),
    fields=(("Methodology", "https://a.example/about"),),
    webfinger="cases@a.example",
    implements=(("https://w3id.org/fep/8b32", "FEP-8b32: Object Integrity Proofs"),),
)


def a_document(**changes: object) -> dict[str, Any]:
    return {key: value for key, value in (write_actor(ACTOR) | changes).items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"type": "Note"},
        {"type": ["Bot"]},
        {"id": None},
        {"id": "acct:cases@a.example"},
        {"id": "https://victim.example@evil.example/"},
        {"inbox": None},
        {"inbox": "/inbox"},
        {"inbox": {}},
        {"inbox": ["https://a.example/1", "https://a.example/2"]},
    ],
    ids=str,
)
def test_what_cannot_be_written_to_is_no_actor(changes: dict[str, object]) -> None:
    with pytest.raises(NotAnActor):
        read_actor(a_document(**changes))


@pytest.mark.parametrize(
    "key",
    [
        {"id": f"{A}#main-key", "owner": "https://evil.example/a", "publicKeyPem": "x"},
        {"owner": "https://evil.example/a", "publicKeyPem": "x"},
        {"id": ["https://a.example/1", "https://a.example/2"], "owner": A, "publicKeyPem": "x"},
        {"id": f"{A}#main-key", "owner": A},
        {"id": f"{A}#main-key", "publicKeyPem": "x"},
        {"id": f"{A}#main-key", "owner": A, "publicKeyPem": 7},
        "https://a.example/keys/1",
        None,
    ],
    ids=str,
)
def test_a_key_of_another_or_without_a_body_is_left_out(key: object) -> None:
    assert read_actor(a_document(publicKey=key, assertionMethod=None)).keys == ()


@pytest.mark.parametrize("named", [{}, {"id": "_:b0"}], ids=["no id", "a blank node"])
def test_a_key_without_an_id_has_that_of_the_actor_who_shows_it(named: dict[str, str]) -> None:
    """SemApps 0.6 shows its key so, and names the actor in what it signs."""
    key = {"owner": A, "publicKeyPem": "x", **named}
    nameless = {
        "type": "Multikey",
        "controller": A,
        "publicKeyMultibase": "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ",
    }

    shown = read_actor(a_document(publicKey=key, assertionMethod=None))

    assert [(key.id, key.spki_pem) for key in shown.keys] == [(A, "x")]
    assert read_actor(a_document(publicKey=None, assertionMethod=[nameless])).keys == ()
    assert read_keys({"type": "Key", "owner": A, "publicKeyPem": "x"}) == ()


def test_keys_that_are_listed_by_their_address_are_told_apart_from_those_that_are_shown() -> None:
    read = read_actor(
        a_document(publicKey=f"{A}/keys/1", assertionMethod=[f"{A}/keys/2", f"{A}/keys/1", "acct:a@b", 7])
    )

    assert read.keys == ()
    assert read.linked_keys == (f"{A}/keys/1", f"{A}/keys/2")
    assert read_actor(a_document()).linked_keys == ()


def test_a_multikey_of_another_curve_or_controller_is_left_out() -> None:
    shown = [
        {
            "id": f"{A}#1",
            "type": "Multikey",
            "controller": A,
            "publicKeyMultibase": "zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169",
        },
        {
            "id": f"{A}#2",
            "type": "Multikey",
            "controller": "https://evil.example/a",
            "publicKeyMultibase": ED25519.multibase,
        },
    ]

    assert read_actor(a_document(publicKey=None, assertionMethod=shown)).keys == ()


def test_absent_consent_to_be_found_means_no() -> None:
    read = read_actor(a_document(discoverable=None, indexable="yes"))

    assert not read.discoverable
    assert not read.indexable


def test_an_actor_of_ours_reads_back_the_same() -> None:
    document = jsonld.parse(jsonld.write(write_actor(ACTOR)))

    assert read_actor(document) == ACTOR
    assert jsonld.expand(document)


@pytest.mark.parametrize("webfinger", ["sam@b.example", "acct:sam@b.example"])
def test_who_leaves_their_name_out_is_called_as_their_handle_is(webfinger: str) -> None:
    actor = read_actor(a_document(preferredUsername=None, webfinger=webfinger))

    assert actor.preferred_username == "sam"
    assert actor.webfinger == "sam@b.example"


@pytest.mark.parametrize("generator", ["https://a.example/", [], {"implements": "all"}, {"implements": [{}]}])
def test_what_a_generator_does_not_say_is_not_read(generator: object) -> None:
    assert read_actor(a_document(generator=generator)).implements == ()


def test_an_actor_with_the_least_reads_back_the_same() -> None:
    least = Actor(id=A, type="Service", preferred_username="hub", inbox=f"{A}/inbox")

    assert read_actor(write_actor(least)) == least


def test_ours_shows_one_rsa_key_as_an_object_and_every_ed25519_key_in_a_list() -> None:
    later = replace(ED25519, id=f"{A}#ed25519-key-2")
    document = write_actor(replace(ACTOR, keys=(RSA, ED25519, later)))

    assert document["publicKey"] == {"id": f"{A}#main-key", "owner": A, "publicKeyPem": RSA.spki_pem}
    assert [key["id"] for key in document["assertionMethod"]] == [ED25519.id, later.id]  # type: ignore[attr-defined]  # written just now
    assert isinstance(document["type"], str)


def test_what_mastodon_compares_with_one_text_is_one_and_what_it_walks_through_is_a_list() -> None:
    document: dict[str, Any] = write_actor(
        replace(ACTOR, keys=(RSA, ED25519), icon=f"{A}/icon.png", fields=(("Site", "x"),))
    )

    assert (document["icon"]["type"], document["assertionMethod"][0]["type"]) == ("Image", "Multikey")
    assert document["assertionMethod"][0]["controller"] == document["publicKey"]["owner"] == A
    assert document["attachment"] == [{"type": "PropertyValue", "name": "Site", "value": "x"}]
    assert document["publicKey"]["id"].startswith(f"{A}#")


def test_whoever_expands_an_actor_of_ours_loses_nothing_of_it() -> None:
    """What no context names becomes a blank property, or none at all."""
    ended = replace(ED25519, expires=datetime(2026, 2, 1, tzinfo=UTC), revoked=True)
    whole = replace(ACTOR, keys=(RSA, ended), moved_to="https://new.example/actors/cases", states=("FR",))
    document = write_actor(whole)
    (node,) = jsonld.expand(document)

    def named(thing: object) -> list[str]:
        if isinstance(thing, list):
            return [name for item in thing for name in named(item)]
        if not isinstance(thing, dict):
            return []
        return [*thing, *(name for item in thing.values() for name in named(item))]

    assert len(node) == len(document) - 1, "all but @context"
    assert [name for name in named(node) if not name.startswith(("https://", "http://", "@"))] == []
    assert node["https://www.w3.org/ns/activitystreams#movedTo"] == [
        {"@id": "https://new.example/actors/cases"}
    ]
    (blank,) = jsonld.expand({**document, "unheardOf": "x"})
    assert "_:unheardOf" in blank


@pytest.mark.parametrize(
    "changes",
    [
        {"publicKey": [{"id": RSA.id, "owner": A, "publicKeyPem": RSA.spki_pem}]},
        {"type": ["Organization", "https://other.example/Watchdog"]},
        {"outbox": {"id": f"{A}/outbox", "type": "OrderedCollection"}},
        {"url": [{"type": "Link", "href": "https://a.example/", "mediaType": "text/html"}]},
        {"icon": [{"type": "Image", "url": ACTOR.icon}]},
        {"endpoints": [{"sharedInbox": ACTOR.shared_inbox}]},
        {"unknown": {"a": 1}},
    ],
    ids=str,
)
def test_the_shapes_of_other_software_read_alike(changes: dict[str, object]) -> None:
    assert read_actor(a_document(**changes)) == ACTOR


def test_a_key_document_that_stands_alone_names_its_owner() -> None:
    alone = {"id": RSA.id, "owner": A, "publicKeyPem": RSA.spki_pem}

    assert read_keys(alone) == (RSA,)
    assert (
        read_keys(
            {"id": f"{A}#2", "type": "Multikey", "controller": A, "publicKeyMultibase": ED25519.multibase}
        )[0].owner
        == A
    )
    assert read_keys({"id": RSA.id, "publicKeyPem": RSA.spki_pem}) == ()


def test_the_stub_of_an_actor_that_gotosocial_serves_shows_its_key() -> None:
    key_id = "https://gts.example/users/bob/main-key"
    stub = {
        "id": "https://gts.example/users/bob",
        "type": "Person",
        "preferredUsername": "bob",
        "publicKey": {"id": key_id, "owner": "https://gts.example/users/bob", "publicKeyPem": "x"},
    }

    assert [key.id for key in read_keys(stub)] == [key_id]
    with pytest.raises(NotAnActor):
        read_actor(stub)


def test_long_names_are_shortened_and_many_keys_are_not_all_read() -> None:
    many = [
        {"id": f"{A}#{number}", "type": "Multikey", "controller": A, "publicKeyMultibase": ED25519.multibase}
        for number in range(100)
    ]
    read = read_actor(a_document(name="x" * 5000, summary="y" * 50_000, assertionMethod=many))

    assert len(read.name or "") == 2048
    assert len(read.summary or "") == 20_000
    assert len(read.keys) == 10
