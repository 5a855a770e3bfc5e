"""Following from one's own server, and the pages that say how we work."""

from datetime import UTC, datetime

import httpx
import pytest

from node.runtime import Node
from tests.web.pages.readers import HTML, sample, words
from vocab import samples
from vocab.cases import write_case
from web.pages.about import home_of

ACTOR = "https://a.example/actors/cases"


@pytest.mark.parametrize(
    "account",
    [
        "you",
        "@you",
        "you@",
        "@you@server",  # no dot: nothing on the public net
        "@you@ser ver.example",
        "@you@server.example/path",
        "@you@server.example?x=",
        "@you@-server.example",
        "@you@evil.example#@good.example",
        "@you@evil.example\\@good.example",
        "javascript:alert(1)@x.example/",
        "@you@127.0.0.1:99999999",
        "@you@localhost",
        "@" + "y" * 101 + "@server.example",
        "@you@" + "s" * 300 + ".example",
    ],
)
def test_what_is_no_account_leads_nowhere(account: str) -> None:
    assert home_of(account, ACTOR) is None


@pytest.mark.parametrize(
    ("account", "server"),
    [
        ("@you@server.example", "server.example"),
        ("you@server.example", "server.example"),
        ("@you@Server.Example:8443", "server.example:8443"),
        ("@ви@сервер.example", "xn--b1afb6bcb.example"),
        ("https://server.example/@you", "server.example"),
    ],
)
def test_an_account_leads_to_its_own_server(account: str, server: str) -> None:
    home = home_of(account, ACTOR)

    assert home is not None
    assert home.server == server
    assert (
        home.address == f"https://{server}/authorize_interaction?uri=https%3A%2F%2Fa.example%2Factors%2Fcases"
    )


def test_a_loopback_server_is_followed_from_in_development_only() -> None:
    home = home_of("@you@localhost:3000", ACTOR, loopback=True)

    assert home is not None
    assert home.address.startswith("http://localhost:3000/")


async def test_the_page_offers_a_link_and_never_redirects(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/follow", params={"account": "@you@server.example"}, headers=HTML)

    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert 'rel="noreferrer" href="https://server.example/authorize_interaction?uri=' in answer.text


async def test_a_mistyped_account_is_kept_and_explained(visitor: httpx.AsyncClient) -> None:
    page = (await visitor.get("/follow", params={"account": 'you"><b>'}, headers=HTML)).text

    assert 'value="you&#34;&gt;&lt;b&gt;"' in page
    assert "This does not look like an account." in page


async def test_how_we_check_names_every_standard_of_proof(visitor: httpx.AsyncClient) -> None:
    page = words((await visitor.get("/about", headers=HTML)).text)

    for name in (
        "Reasonable grounds to believe",
        "Balance of probabilities",
        "Established by a competent body",
    ):
        assert name in page


async def test_the_vocabulary_explains_every_term_a_case_carries(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    carried: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            carried.update(key.removeprefix("srt:") for key in value if key.startswith("srt:"))
            for key, inner in value.items():
                if key != "@context":
                    collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    for found in samples.cases():
        case = sample(str(found["id"]).removeprefix("sample-"))
        published = datetime(2026, 1, 1, tzinfo=UTC)
        collect(write_case(case, id="https://a.example/cases/1", actor=ACTOR, published=published))
    # And what is left of one, a reply of an organisation, and a page of an outbox.
    carried |= {"withdrawal", "reason", "position", "caseHash", "upToDate"}
    page = (await visitor.get("/ns/v1", headers=HTML)).text

    assert len(carried) > 30
    assert [term for term in sorted(carried) if f'id="{term}"' not in page] == []
