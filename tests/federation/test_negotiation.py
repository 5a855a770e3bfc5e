"""A peer that refuses a signature may say which it wants: it gets that, of our own keys, for itself alone, and once."""

import httpx
import pytest

from federation import negotiation, structured
from federation.delivery import Delivered, Later
from federation.fetch import fetch_document
from federation.negotiation import FOR_A_BODY, FOR_NO_BODY, read_wish
from federation.requests import Dialect
from federation.retrieval import Retrieval
from tests.federation.requests_to_us import ED25519, RSA
from tests.federation.test_delivery import INBOX, NOW, posted, spoken
from tests.federation.town import Town

NOTE = "https://node.example/notes/1?page=2"


def asking(wish: str) -> Town:
    """A town whose inbox refuses what is not signed as it wants."""
    label, _, rest = wish.partition("=")
    wanted = set(structured.parse_list_dictionary(wish.encode())[label].items)

    def answer(request: httpx.Request) -> httpx.Response:
        given = request.headers.get("signature-input", "")
        if given.startswith(f"{label}=("):
            spoken(request)
            covered = structured.parse_list_dictionary(given.encode())[label]
            if wanted <= set(covered.items) and (
                "nonce" not in rest or covered.parameters.get("nonce") == "n1"
            ):
                return httpx.Response(202)
        return httpx.Response(401, headers={"accept-signature": wish})

    return Town({INBOX: answer})


@pytest.mark.parametrize(
    "wish",
    [
        FOR_A_BODY.decode(),
        'sig1=("@method" "@target-uri" "content-digest" "@authority");created;alg="rsa-v1_5-sha256"',
        'theirs=("@authority" "@path" "@query" "@scheme" "@request-target");created;tag="app"',
        'sig1=("@method");created;nonce="n1"',
        f'sig1=("@method");keyid="{RSA.key_id}"',
        "sig1=()",
    ],
)
async def test_the_second_knock_is_as_the_peer_asked(wish: str) -> None:
    town = asking(wish)

    assert await posted(town) == Delivered(202, Dialect.RFC9421)

    assert len(town.requests) == 2


async def test_a_peer_that_asks_for_an_ed25519_key_gets_that() -> None:
    town = asking('sig1=("@method");alg="ed25519"')

    assert await posted(town) == Delivered(202, Dialect.RFC9421_ED25519)


async def test_what_is_asked_for_never_takes_away_from_what_is_signed() -> None:
    town = asking('sig1=("@method")')

    await posted(town)

    given = town.requests[1].headers["signature-input"]
    assert given.startswith('sig1=("@method" "@target-uri" "content-digest" "content-type");created=')


async def test_asking_once_more_for_what_was_refused_leads_to_the_other_dialect() -> None:
    town = Town({INBOX: httpx.Response(401, headers={"accept-signature": FOR_A_BODY.decode()})})

    assert await posted(town, dialect=Dialect.RFC9421) == Later("HTTP 401", None, 401)

    assert [spoken(request) for request in town.requests] == [Dialect.RFC9421, Dialect.CAVAGE]


@pytest.mark.parametrize(
    "field",
    [
        None,
        "",
        "not structured",
        'sig1=("authorization")',
        'sig1=("cookie" "@method")',
        'sig1=("@method";req)',
        'sig1=("@method" "@method")',
        'sig1=("@status")',
        'sig1=("@method");keyid="https://victim.example/users/alice#main-key"',
        'sig1=("@method");alg="hmac-sha256"',
        'sig1=("@method");alg="rsa-pss-sha512"',
        'sig1=("@method");created=1',
        'sig1=("@method");expires',
        'sig1=("@method");nonce',
        f'sig1=("@method");nonce="{"n" * 300}"',
        'sig1=("content-digest")',
    ],
)
def test_what_we_cannot_give_as_asked_is_no_wish(field: str | None) -> None:
    assert read_wish(field, RSA, ED25519, has_body=False) is None


def test_the_first_wish_that_can_be_granted_counts() -> None:
    wish = read_wish('a=("date"), b=("@authority"), c=("@path")', None, RSA, has_body=False)

    assert wish is not None
    assert (wish.label, wish.components, wish.signer) == ("b", ("@authority",), RSA)


async def test_a_get_is_repeated_as_asked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "signature-input" not in request.headers:
            return httpx.Response(401, headers={"accept-signature": FOR_NO_BODY.decode()})
        spoken(request)
        return httpx.Response(
            200, json={"id": NOTE, "type": "Note"}, headers={"content-type": "application/activity+json"}
        )

    town = Town({NOTE: answer})
    async with town.client() as http:
        assert (await fetch_document(Retrieval(http, RSA, NOW), NOTE))["id"] == NOTE

    assert len(town.requests) == 2


@pytest.mark.parametrize("ours", [FOR_A_BODY, FOR_NO_BODY])
def test_what_we_ask_for_is_a_wish_that_we_could_grant(ours: bytes) -> None:
    wish = read_wish(ours.decode(), RSA, has_body=ours is FOR_A_BODY)

    assert wish is not None
    assert not wish.is_more
    assert negotiation.FIELD == "accept-signature"
