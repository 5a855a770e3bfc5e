"""Objects of other software, sanitised on the way in; ours in the lowest common shape."""

from datetime import UTC, datetime
from typing import Any

import pytest

from vocab import jsonld, objects, properties
from vocab.errors import NotAnObject
from vocab.terms import AS, PUBLIC

A = "https://a.example/actors/cases"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
NOTE: dict[str, Any] = {
    "@context": AS,
    "id": "https://b.example/notes/1",
    "type": "Note",
    "attributedTo": "https://b.example/users/bo",
    "content": "<p>Hello</p>",
    "contentMap": {"sv": "<p>Hej</p>", "en": "<p>Hello</p>"},
    "published": "2026-11-21T09:00:00Z",
    "to": PUBLIC,
}


@pytest.mark.parametrize(
    "changes", [{"type": None}, {"type": 7}, {"type": []}, {"id": "urn:x:1"}, {"id": "javascript:x"}]
)
def test_an_object_without_a_type_or_with_an_odd_id_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotAnObject):
        objects.read_object(NOTE | changes)


def test_html_of_others_is_sanitised_wherever_it_stands() -> None:
    evil = "<p>x</p><script>alert(1)</script>"
    read = objects.read_object(NOTE | {"content": evil, "contentMap": {"en": evil}, "summary": evil})

    assert read.content == read.contents["en"] == read.summary == "<p>x</p>"


def test_a_note_reads_as_it_was_written() -> None:
    read = objects.read_object(NOTE)

    assert (read.type, read.attributed_to, read.language, read.to) == (
        "Note",
        ("https://b.example/users/bo",),
        "sv",
        (PUBLIC,),
    )
    assert read.content == "<p>Hello</p>"
    assert read.published == NOW


def test_content_may_only_stand_in_the_map() -> None:
    assert objects.read_object({"type": "Note", "contentMap": {"sv": "Hej"}}).content == "Hej"


def test_the_author_may_be_embedded_or_one_of_a_list() -> None:
    for author in ({"id": A, "type": "Person"}, [{"id": A}, "https://a.example/other"], [{"id": A}]):
        assert objects.read_object(NOTE | {"attributedTo": author}).attributed_to[0] == A


def test_files_and_tags_are_read_up_to_a_limit() -> None:
    read = objects.read_object(
        NOTE
        | {
            "attachment": [
                {
                    "type": "Document",
                    "url": "https://b.example/1.png",
                    "mediaType": "image/png",
                    "name": "A house",
                },
                {"type": "Link", "href": "https://b.example/2"},
                {"type": "Image", "url": "javascript:x"},
                "https://b.example/3",
                *[{"type": "Document", "url": "https://b.example/x"}] * 100,
            ],
            "tag": [{"type": "Hashtag", "name": "#Housing", "href": "https://b.example/t"}]
            + [{"type": "Mention"}] * 500,
        }
    )

    assert read.attachments[0] == objects.Attachment(
        "Document", "https://b.example/1.png", "A house", "image/png"
    )
    assert read.attachments[1].url == "https://b.example/2"
    assert len(read.attachments) <= 32
    assert read.tags[0] == objects.Tag("Hashtag", "#Housing", "https://b.example/t")
    assert len(read.tags) == 100


def test_a_page_of_a_collection_gives_its_items_and_the_way_on() -> None:
    page = objects.ordered_collection_page(
        f"{A}/outbox?page=2",
        part_of=f"{A}/outbox",
        items=["https://a.example/1", NOTE],
        next=f"{A}/outbox?page=3",
        total_items=9,
    )

    read = objects.read_page(jsonld.parse(jsonld.write(page)))

    assert read.items == ("https://a.example/1", NOTE["id"])
    assert read.embedded == (NOTE,)
    assert (read.total_items, read.next, read.part_of) == (9, f"{A}/outbox?page=3", f"{A}/outbox")


def test_an_expanded_page_keeps_the_order_of_its_items() -> None:
    page = objects.ordered_collection_page(
        f"{A}/outbox?page=1", part_of=f"{A}/outbox", items=["https://a.example/2", "https://a.example/1"]
    )
    [expanded] = jsonld.expand(page)

    # In the vocabulary `orderedItems` is `items` with an order.
    assert objects.read_page(expanded).items == ("https://a.example/2", "https://a.example/1")


def test_an_empty_page_has_an_empty_list() -> None:
    assert objects.ordered_collection_page("https://a.example/p", part_of=A, items=[])["orderedItems"] == []


def test_a_collection_may_show_only_its_count() -> None:
    document = objects.ordered_collection(f"{A}/followers", total_items=0)

    assert document["totalItems"] == 0
    assert "first" not in document
    assert objects.read_page(document).total_items == 0


def test_a_tombstone_reads_back() -> None:
    document = objects.tombstone("https://a.example/cases/1", actor=A, published=NOW, deleted=NOW)

    assert objects.read_tombstone(document) == objects.Tombstone("https://a.example/cases/1", "Article", NOW)
    # Takahe drops an object that does not say since when it is there.
    assert document["published"] == properties.written(NOW)


def test_a_note_of_ours_has_the_lowest_common_shape() -> None:
    note = objects.note(
        "https://a.example/notes/1",
        A,
        "<p>x</p>",
        language="uk",
        published=NOW,
        to=[PUBLIC],
        tags=[objects.hashtag("Housing", "https://a.example/t")],
    )

    assert note["type"] == "Note"
    assert note["attributedTo"] == A
    assert note["contentMap"] == {"uk": note["content"]}
    assert (note["published"], note["to"]) == (properties.written(NOW), [PUBLIC])
    assert "summary" not in note
    assert objects.read_object(note).language == "uk"
    assert jsonld.expand(note)
