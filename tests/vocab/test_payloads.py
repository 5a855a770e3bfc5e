"""Captured documents of other software: each reads as something sensible, or is refused with a reason."""

from pathlib import Path
from typing import Any

import pytest

from tests.vocab import vectors
from vocab import jsonld
from vocab.activities import Activity, read_activity
from vocab.actors import Actor, read_actor
from vocab.cases import read_case
from vocab.errors import Malformed, NotACase, NotAnActivity, NotAnActor, NotAnObject, NotUnderstood
from vocab.objects import Object, Page, Tombstone, read_object, read_page, read_tombstone

READERS = (read_activity, read_actor, read_page, read_tombstone, read_object)

# What stands in the documents of these programs where an activity would need an address.
WITHOUT_ID = {
    "gotosocial/posts-10-Delete.json",
    "gotosocial/posts-11-Delete.json",
    "mitra/fep-e232.json",
}
# Web fingers; and snapshots in which the ids are scrubbed, so that they are no addresses.
NOT_ACTIVITYPUB = {
    "mbin/AnnounceTest__testAnnounceCreateEntry__1.json",
    "mbin/UpdateTest__testUpdateUser__1.json",
    "adversarial/graf-imposter-webfinger.json",
    "mastodon-docs/webfinger-00-jrd.json",
    "mastodon/masto-webfinger.json",
    "wordpress/notiz-blog-well-known-webfinger.json",
}


def understood(document: dict[str, Any]) -> Activity | Actor | Page | Tombstone | Object | None:
    refusals: list[str] = []
    for read in READERS:
        try:
            return read(document)
        except NotUnderstood as reason:
            refusals.append(str(reason) and reason.public)
    assert all(refusals)
    return None


@pytest.mark.parametrize("path", vectors.paths("payloads/*/*.json"))
def test_every_captured_document_is_understood_or_refused_with_a_reason(path: Path) -> None:
    document = jsonld.parse(path.read_bytes())

    found = understood(document)

    name = f"{path.parent.name}/{path.name}"
    assert (found is None) == (name in NOT_ACTIVITYPUB)
    if isinstance(found, Object):
        assert not found.type.endswith("Collection")
        # Documents of the Mastodon manual are shortened; an activity without an id is at most an object.
        if found.type in ("Create", "Delete", "Update", "Announce"):
            assert name in WITHOUT_ID
    if isinstance(found, Object) and found.content:
        assert "<script" not in found.content.lower()
        assert "javascript:" not in found.content.lower()


@pytest.mark.parametrize("path", vectors.paths("payloads/*/*.json"))
def test_no_captured_document_is_mistaken_for_a_case(path: Path) -> None:
    document = jsonld.parse(path.read_bytes())

    for candidate in (document, document.get("object")):
        if isinstance(candidate, dict):
            with pytest.raises(NotACase):
                read_case(candidate)


@pytest.mark.parametrize("path", vectors.paths("activitystreams/**/*.json"))
def test_the_examples_of_the_specification_never_break_a_reader(path: Path) -> None:
    try:
        document = jsonld.parse(path.read_bytes())
    except Malformed:
        return

    understood(document)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("array-at-top", Malformed),
        ("string-at-top", Malformed),
        ("number-at-top", Malformed),
        ("bad-character-set", Malformed),
        ("number-as-type", NotUnderstood),
        ("number-as-actor", NotUnderstood),
    ],
)
@vectors.absent
def test_the_bad_examples_of_the_specification_are_refused(name: str, error: type[Exception]) -> None:
    body = (vectors.HOME / "activitystreams" / "fail" / f"{name}.json").read_bytes()

    with pytest.raises(error):
        read_activity(jsonld.parse(body))


@pytest.mark.parametrize("name", ["number-as-name", "number-as-content", "name-as-namemap", "number-as-id"])
@vectors.absent
def test_a_bad_property_of_the_specification_s_examples_reads_as_absent(name: str) -> None:
    read = read_object(
        jsonld.parse((vectors.HOME / "activitystreams" / "fail" / f"{name}.json").read_bytes())
    )

    assert {"name": read.name, "content": read.content, "namemap": read.name, "id": read.id}[
        name.rsplit("-", 1)[1]
    ] is None


def payload(name: str) -> dict[str, Any]:
    path = vectors.HOME / "payloads" / name
    if not path.is_file():
        pytest.skip(f"no published vector payloads/{name}")
    return jsonld.parse(path.read_bytes())


def test_threads_writes_dates_and_the_public_in_its_own_way() -> None:
    activity = read_activity(payload("threads/create-note.json"))
    assert activity.object is not None
    note = read_object(activity.object)

    assert activity.published is not None
    assert activity.published.isoformat() == "2026-10-05T15:00:00+00:00"
    assert activity.to == ("https://www.w3.org/ns/activitystreams#Public",)
    assert note.url == "https://www.threads.net/@frank/post/C8abcdEFgh"
    assert note.in_reply_to == ("https://node.example/cases/1",)
    assert note.tags[0].href == "https://node.example/actors/cases"


def test_ghost_writes_strings_where_others_write_arrays() -> None:
    activity = read_activity(payload("ghost/article-create-activity.json"))

    assert activity.object_type == "Article"
    assert activity.to == ("https://www.w3.org/ns/activitystreams#Public",)
    assert activity.cc == ("https://example.com/user/foo/followers",)


def test_hollo_shows_a_key_of_each_kind() -> None:
    actor = read_actor(payload("hollo/hongminhee.json"))

    assert {key.algorithm for key in actor.keys} == {"rsa", "ed25519"}
    assert all(key.owner == actor.id for key in actor.keys)
    assert actor.key(actor.keys[0].id) is actor.keys[0]
    assert actor.key("https://wizard.casa/other") is None


def test_mastodon_undoes_a_follow_that_it_embeds() -> None:
    activity = read_activity(payload("mastodon/undo_follow.json"))

    assert (activity.type, activity.object_type) == ("Undo", "Follow")
    assert activity.object_id == activity.object["id"]  # type: ignore[index]  # embedded, as the line above says


def test_kroeg_embeds_the_actor() -> None:
    activity = read_activity(payload("kroeg/kroeg-announce-with-inline-actor.json"))

    assert activity.actor.startswith("http")


def test_mastodon_flags_several_things_at_once() -> None:
    activity = read_activity(payload("mastodon/flag.json"))

    assert len(activity.object_ids) > 1
    assert activity.object_id == activity.object_ids[0]


def test_lemmy_lists_moderators_in_a_collection() -> None:
    page = read_page(payload("lemmy/group_moderators.json"))

    assert page.type == "OrderedCollection"
    assert page.items


def test_mastodon_writes_the_language_of_a_post_as_the_first_key() -> None:
    activity = read_activity(payload("mastodon/mastodon-post-activity-contentmap.json"))
    assert activity.object is not None

    assert read_object(activity.object).language == next(iter(activity.object["contentMap"]))  # type: ignore[call-overload]  # a mapping in the capture


def test_a_signed_document_that_speaks_in_redefined_terms_is_read_by_its_plain_names_only() -> None:
    forged = payload("../mastodon-signatures/ld-signature-null-context-forgery.json")

    for value in forged.values() if "type" not in forged else [forged]:
        if isinstance(value, dict) and "@context" in value:
            understood(value)


def test_a_document_of_one_kind_is_not_read_as_another() -> None:
    note = {"type": "Note", "id": "https://a.example/1", "content": "x"}

    with pytest.raises(NotAnActivity):
        read_activity(note)
    with pytest.raises(NotAnActor):
        read_actor(note)
    with pytest.raises(NotAnObject):
        read_page(note)
    with pytest.raises(NotAnObject):
        read_tombstone(note)
    with pytest.raises(NotAnObject):
        read_object({"id": "https://a.example/1"})
