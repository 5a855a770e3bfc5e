"""Objects and wraps: moved, swapped, replayed, altered or forged ones are refused."""

from dataclasses import replace
from typing import Any

import pytest

from node.sealing.age import seal
from node.sealing.envelope import open_json, seal_json
from node.sealing.errors import (
    InvalidIdentity,
    InvalidRecipient,
    MalformedContent,
    NotForThisKey,
    OutOfOrder,
    SealingError,
    WrongPlace,
    WrongSignature,
)
from node.sealing.objects import (
    FIRST,
    Compartment,
    Next,
    ObjectType,
    OpenedObject,
    Place,
    compose,
    generate_compartment,
    open_chain,
    open_object,
    read_opened,
)
from node.sealing.wraps import compose_wrap, open_wrap
from tests.node.sealing.people import DAY, NODE, a_person
from vocab.canonical import canonical

ANA, BEN = a_person(), a_person()
KEY = generate_compartment()
HERE = Place(NODE, "a" * 32, Compartment.DIALOGUE)
ELSEWHERE = [
    replace(HERE, case="b" * 32),
    replace(HERE, node="https://b.example"),
    replace(HERE, compartment=Compartment.INTERNAL),
    replace(HERE, compartment=Compartment.IDENTITY),
]


def message(text: str = "here", *, at: Next = FIRST, **changes: Any) -> bytes:
    given: dict[str, Any] = {
        "place": HERE,
        "recipient": KEY.recipient,
        "at": at,
        "day": DAY,
        "by": ANA.signing,
    }
    return compose(ObjectType.MESSAGE, {"text": text}, **given | changes)


@pytest.mark.parametrize("place", ELSEWHERE)
def test_an_object_moved_elsewhere_is_refused(place: Place) -> None:
    with pytest.raises(WrongPlace):
        open_object(message(), KEY, place)


def test_an_object_under_another_compartments_key_is_refused() -> None:
    with pytest.raises(WrongPlace):
        open_object(message(), replace(KEY, recipient=ANA.recipient), HERE)
    with pytest.raises(NotForThisKey):
        open_object(message(), generate_compartment(), HERE)


def test_a_type_that_does_not_belong_into_its_compartment_is_neither_made_nor_taken() -> None:
    with pytest.raises(WrongPlace):
        compose(ObjectType.NOTE, {}, place=HERE, recipient=KEY.recipient, at=FIRST, day=DAY, by=ANA.signing)
    document: dict[str, Any] = open_json(message(), KEY.identity)
    header = document["header"] | {"type": "note"}
    forged = seal_json(document | {"header": header, "signature": ANA.signing.sign(header)}, KEY.recipient)

    with pytest.raises(WrongPlace):
        open_object(forged, KEY, HERE)


def test_what_was_not_signed_is_refused() -> None:
    document: dict[str, Any] = open_json(message(), KEY.identity)
    header = document["header"]
    for altered in (
        document | {"body": {"text": "there"}},
        document | {"header": header | {"day": "2026-11-20"}},
        document | {"header": header | {"seq": 2}},
        document | {"header": header | {"sender": BEN.signing.id}},
        document | {"header": header | {"sender": "nobody"}},
        document | {"signature": ""},
        document | {"signature": "not base64"},
        document | {"signature": None},
    ):
        with pytest.raises(WrongSignature):
            open_object(seal_json(altered, KEY.recipient), KEY, HERE)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"seq": 0},
        {"seq": True},
        {"seq": "1"},
        {"prev": 7},
        {"day": "20261121"},
        {"day": "2026-02-30"},
        {"type": "rumour"},
        {"sender": None},
        {"extra": 1},
    ],
)
def test_a_header_of_another_shape_is_refused_even_when_it_is_signed(changes: dict[str, Any]) -> None:
    opened: dict[str, Any] = open_json(message(), KEY.identity)
    header = opened["header"] | changes
    document: dict[str, object] = {
        "header": header,
        "body": {"text": "here"},
        "signature": ANA.signing.sign(header),
    }

    with pytest.raises(MalformedContent):
        open_object(seal_json(document, KEY.recipient), KEY, HERE)


def test_only_padded_canonical_json_is_taken() -> None:
    document = canonical(open_json(message(), KEY.identity))
    for plaintext in (
        document,
        document.ljust(8192 * 2),
        (b" " + document).ljust(4096),
        b"[]".ljust(4096),
        b"{".ljust(4096),
        b'{"header":1,"header":1}'.ljust(4096),
        b'{"a":NaN}'.ljust(4096),
        b"[" * 4096,
        b"\xff".ljust(4096),
        b"",
    ):
        with pytest.raises(MalformedContent):
            open_object(seal(plaintext, KEY.recipient), KEY, HERE)
    with pytest.raises(MalformedContent):
        open_object(seal_json({"header": [], "body": {}, "signature": ""}, KEY.recipient), KEY, HERE)


def chain(*texts: str) -> list[tuple[int, bytes]]:
    objects: list[tuple[int, bytes]] = []
    at = FIRST
    for text in texts:
        objects.append((at.seq, message(text, at=at)))
        _, at = open_chain(objects, KEY, HERE)
    return objects


def told(objects: list[tuple[int, bytes]]) -> list[object]:
    links, _ = open_chain(objects, KEY, HERE)
    return [
        link.outcome.body["text"] if isinstance(link.outcome, OpenedObject) else type(link.outcome)
        for link in links
    ]


def test_dropped_moved_repeated_and_altered_objects_are_seen() -> None:
    one, two, three = chain("one", "two", "three")
    damaged = (2, two[1][:-1] + bytes([two[1][-1] ^ 1]))

    assert told([one, two, three]) == ["one", "two", "three"]
    assert told([three, one, two]) == ["one", "two", "three"]
    assert told([two, three]) == [OutOfOrder, "three"]
    assert told([one, three]) == ["one", OutOfOrder]
    assert told([one, (2, three[1]), (3, two[1])]) == ["one", OutOfOrder, OutOfOrder]
    assert told([one, two, (3, two[1])]) == ["one", "two", OutOfOrder]
    assert told([one, one, two])[:2] == ["one", OutOfOrder]
    seen = told([one, damaged, three])
    assert seen[0] == "one"
    assert seen[2] is OutOfOrder
    assert isinstance(seen[1], type)
    assert issubclass(seen[1], SealingError)


def test_the_next_object_goes_behind_the_last() -> None:
    objects = chain("one", "two")

    links, at = open_chain(objects, KEY, HERE)

    assert at.seq == 3
    assert isinstance(links[-1].outcome, OpenedObject)
    assert at.prev == links[-1].outcome.sha256
    assert open_chain([], KEY, HERE) == ((), FIRST)


def test_a_length_tells_nothing_below_four_kibibytes() -> None:
    assert len(message("")) == len(message("a" * 2000)) < len(message("a" * 5000))


def test_nothing_is_composed_for_a_classical_recipient() -> None:
    classical = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    with pytest.raises(InvalidRecipient):
        message(recipient=classical)
    with pytest.raises(InvalidRecipient):
        compose_wrap(KEY, classical, place=HERE, by=ANA.signing)


def test_a_wrap_opens_for_its_holder_in_its_place_from_who_may_grant() -> None:
    sealed = compose_wrap(KEY, ANA.recipient, place=HERE, by=BEN.signing, manifest="f" * 64)
    may_grant = {BEN.signing.id}

    opened = open_wrap(sealed, ANA.identity, place=HERE, may_grant=may_grant, recipient=KEY.recipient)

    assert (opened.key, opened.granted_by, opened.manifest) == (KEY, BEN.signing.id, "f" * 64)
    for place in ELSEWHERE:
        with pytest.raises(WrongPlace):
            open_wrap(sealed, ANA.identity, place=place, may_grant=may_grant)
    with pytest.raises(WrongPlace):
        open_wrap(sealed, ANA.identity, place=HERE, may_grant=may_grant, recipient=ANA.recipient)
    with pytest.raises(WrongSignature):
        open_wrap(sealed, ANA.identity, place=HERE, may_grant={ANA.signing.id})
    with pytest.raises(NotForThisKey):
        open_wrap(sealed, BEN.identity, place=HERE, may_grant=may_grant)


def test_a_wrap_with_another_key_or_shape_inside_is_refused() -> None:
    document = open_json(compose_wrap(KEY, ANA.recipient, place=HERE, by=BEN.signing), ANA.identity)
    del document["signature"]
    swapped = seal_json(document | {"identity": str(BEN.identity), "signature": ""}, ANA.recipient)
    classical = document | {"identity": "AGE-SECRET-KEY-1QQQ"}
    resigned = seal_json(classical | {"signature": BEN.signing.sign(classical)}, ANA.recipient)

    with pytest.raises(WrongSignature):
        open_wrap(swapped, ANA.identity, place=HERE, may_grant={BEN.signing.id})
    with pytest.raises(InvalidIdentity):
        open_wrap(resigned, ANA.identity, place=HERE, may_grant={BEN.signing.id})
    with pytest.raises(MalformedContent):
        open_wrap(seal_json(document, ANA.recipient), ANA.identity, place=HERE, may_grant={BEN.signing.id})


def test_an_exported_object_is_read_with_nothing_but_its_key() -> None:
    document = read_opened(message("far from the node"), KEY.identity)
    forged = open_json(message(), KEY.identity) | {"body": {"text": "there"}}

    assert document["body"] == {"text": "far from the node"}
    assert document["verified"] is True
    assert read_opened(seal_json(forged, KEY.recipient), KEY.identity)["verified"] is False
    wrap = compose_wrap(KEY, ANA.recipient, place=HERE, by=BEN.signing)
    assert read_opened(wrap, ANA.identity)["verified"] is True
    assert read_opened(seal_json({"v": 1}, ANA.recipient), ANA.identity)["verified"] is False
