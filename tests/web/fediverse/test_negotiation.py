"""One address, two readers: what `Accept` asks for is what is served."""

import pytest

from tests.rig.publications import publish_case, withdraw_case
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, LD_JSON

PAGE = "text/html"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (ACTIVITY_JSON, ACTIVITY_JSON),
        (LD_JSON, ACTIVITY_JSON),
        (f"{LD_JSON}, {ACTIVITY_JSON}, text/html;q=0.1", ACTIVITY_JSON),
        ("application/json", ACTIVITY_JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE),
        (f"text/html, {ACTIVITY_JSON};q=0.5", PAGE),
        (f"text/html;q=0.5, {ACTIVITY_JSON};q=0.9", ACTIVITY_JSON),
        (f"{ACTIVITY_JSON}, text/html", ACTIVITY_JSON),
        (f"text/html, {ACTIVITY_JSON}", PAGE),
        (f"{LD_JSON};q=0.5, text/html;q=0.5, {ACTIVITY_JSON};q=0.5", ACTIVITY_JSON),
        (f"{ACTIVITY_JSON};q=0, text/html;q=0", PAGE),
        ("application/*", ACTIVITY_JSON),
        ("text/*, application/*;q=0.5, text/html", PAGE),
        ("*/*", PAGE),
        ("", PAGE),
        ("text/html;q=nonsense", PAGE),
    ],
)
async def test_a_case_is_served_as_asked(town: Town, accept: str, kind: str) -> None:
    publication = await publish_case(town["a"].node)

    async with town.visitor("a") as http:
        answer = await http.get(publication.url, headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "Accept" in answer.headers["vary"].split(", ")


async def test_what_is_asked_in_several_lines_is_read_as_one(town: Town) -> None:
    publication = await publish_case(town["a"].node)
    asked = [("Accept", "text/plain"), ("Accept", ACTIVITY_JSON)]

    async with town.visitor("a") as http:
        answer = await http.get(publication.url, headers=asked)
        known = [*asked, ("If-None-Match", '"another"'), ("If-None-Match", answer.headers["etag"])]
        again = await http.get(publication.url, headers=known)
        missing = await http.get("/cases/missing", headers=asked)

    assert answer.headers["content-type"].startswith(ACTIVITY_JSON)
    assert again.status_code == 304
    assert missing.headers["content-type"] == "application/json"


async def test_a_language_in_a_second_line_is_heard(town: Town) -> None:
    async with town.visitor("a") as http:
        answer = await http.get("/", headers=[("Accept-Language", "de"), ("Accept-Language", "fr")])

    assert answer.headers["content-language"] == "fr"


@pytest.mark.parametrize("accept", [PAGE, ACTIVITY_JSON])
@pytest.mark.parametrize("path", ["/ns/v1", "/actors/cases"])
async def test_no_cache_gives_a_program_the_page_nor_a_reader_the_document(
    town: Town, path: str, accept: str
) -> None:
    async with town.visitor("a") as http:
        answer = await http.get(path, headers={"Accept": accept})

    assert "Accept" in answer.headers["vary"].split(", ")


async def test_the_signed_bytes_are_served_as_they_were_signed(town: Town) -> None:
    publication = await publish_case(town["a"].node)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        first = (await http.get(publication.url)).content
        second = (await http.get(publication.url)).content

    assert first == second


@pytest.mark.parametrize(
    "path", ["/cases/none", "/activities/none", "/actors/nobody", "/actors/nobody/outbox"]
)
async def test_what_is_not_there_says_so_safely(town: Town, path: str) -> None:
    async with town.visitor("a") as http:
        as_server = await http.get(path, headers={"Accept": ACTIVITY_JSON})
        as_person = await http.get(path, headers={"Accept": PAGE})

    assert as_server.status_code == as_person.status_code == 404
    assert set(as_server.json()) == {"error"}


async def test_a_private_activity_is_not_shown(town: Town) -> None:
    from sqlalchemy import select

    from node.peers.sending import Sent

    await town.befriend("hub", "a")
    async with town.hub.node.database.read() as session:
        sent = await session.scalar(select(Sent).where(Sent.type == "Follow"))
    assert sent is not None

    async with town.visitor("hub") as http:
        answer = await http.get(sent.id, headers={"Accept": ACTIVITY_JSON})

    assert answer.status_code == 404


async def test_a_hub_has_no_intake_and_no_desk(town: Town) -> None:
    async with town.visitor("hub") as http:
        for path in ("/alert", "/alert/receipt", "/desk", "/api/v1/desk/salt?name=x", "/api/v1/mailbox"):
            assert (await http.get(path)).status_code == 404, path
        assert (await http.post("/api/v1/alerts", json={})).status_code in {404, 405}


@pytest.mark.parametrize("path", ["/", "/cases", "/alert", "/desk", "/about", "/nothing"])
async def test_every_page_carries_the_strict_headers(town: Town, path: str) -> None:
    async with town.visitor("a") as http:
        answer = await http.get(path)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in answer.headers
    if path in {"/alert", "/desk"}:
        assert answer.headers["cache-control"] == "no-store"


async def test_a_file_is_read_as_what_it_is_and_over_https_only(town: Town) -> None:
    async with town.visitor("a") as http:
        answer = await http.get("/static/base.css")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/inbox", "/actors/cases/inbox"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_an_inbox_is_posted_to_and_says_so(town: Town, path: str, method: str) -> None:
    async with town.visitor("a") as http:
        answer = await http.request(method, path)
        nobody = await http.request(method, "/actors/nobody/inbox")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert nobody.status_code == 404


@pytest.mark.parametrize("known", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
async def test_what_a_server_has_already_is_not_sent_again(town: Town, known: str) -> None:
    publication = await publish_case(town["a"].node)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        for at in (publication.url, town["a"].settings.main_actor, "/actors/cases/outbox?page=1", "/ns/v1"):
            first = await http.get(at)
            again = await http.get(at, headers={"If-None-Match": known.format(tag=first.headers["etag"])})

            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["etag"] == first.headers["etag"]
            for name in ("vary", "cache-control"):
                assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize("known", ['"other"', "", "other", 'W/""'])
async def test_what_a_server_has_not_or_has_otherwise_is_sent(town: Town, known: str) -> None:
    publication = await publish_case(town["a"].node)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        answer = await http.get(publication.url, headers={"If-None-Match": known})
        page = await http.get(publication.url, headers={"Accept": PAGE, "If-None-Match": "*"})

    assert answer.status_code == page.status_code == 200
    assert answer.json()["id"] == publication.url


async def test_what_was_withdrawn_is_gone_whatever_a_server_has(town: Town) -> None:
    publication = await publish_case(town["a"].node)
    await withdraw_case(town["a"].node, publication)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        answer = await http.get(publication.url, headers={"If-None-Match": "*"})

    assert answer.status_code == 410


async def test_a_document_has_one_address(town: Town) -> None:
    case = (await publish_case(town["a"].node)).url
    actor = town["a"].settings.main_actor
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        sent = (await http.get(f"{actor}/outbox?page=1")).json()["orderedItems"][0]["id"]
        of = [case, f"{case}/context", f"{case}/history", actor, f"{actor}/followers", f"{actor}/featured"]
        for url in (*of, sent):
            answer = await http.get(f"{url}?utm_source=x")

            assert (answer.status_code, answer.headers["location"]) == (301, url)
            assert (await http.get(url)).json()["id"] == url


@pytest.mark.parametrize(
    ("spelled", "path"),
    [
        ("/actors/c%61ses", "/actors/cases"),
        ("/%61ctors/cases/outbox?page=1", "/actors/cases/outbox?page=1"),
        ("/actors/cases%2Ffollowers", "/actors/cases/followers"),
        ("/actors/cases/outbox?utm_source=x", "/actors/cases/outbox"),
        (
            "/actors/cases/outbox?page=1&utm_source=x&after=1.000000_x",
            "/actors/cases/outbox?page=1&after=1.000000_x",
        ),
        ("/cases/c/replies?page=1&Page=2", "/cases/c/replies?page=1"),
        ("/cases/c/stamps?x&of=a%20b&word=w", "/cases/c/stamps?of=a%20b&word=w"),
        ("/actors/%c5%bE", "/actors/%C5%BE"),
        ("/actors/a%0d%0aX:%20y", "/actors/a%0D%0AX:%20y"),
    ],
)
async def test_an_address_that_is_spelled_otherwise_leads_to_the_document(
    town: Town, spelled: str, path: str
) -> None:
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        answer = await http.get(spelled)
        there = await http.get(path)

    assert (answer.status_code, answer.headers["location"]) == (301, f"{town['a'].settings.origin}{path}")
    assert there.status_code in (200, 404)


@pytest.mark.parametrize("page", ["0", "01", "+1", "x", "", "\u0661"])
async def test_a_page_of_a_hubs_list_is_there_under_its_own_number_alone(town: Town, page: str) -> None:
    async with town.visitor("hub", headers={"Accept": ACTIVITY_JSON}) as http:
        first = await http.get("/actors/hub/members?page=1")
        other = await http.get("/actors/hub/members", params={"page": page})

    assert first.status_code == 200
    assert other.status_code == 404


async def test_people_are_led_nowhere_for_a_query(town: Town) -> None:
    case = (await publish_case(town["a"].node)).url
    async with town.visitor("a") as http:
        answer = await http.get(f"{case}?utm_source=x", headers={"Accept": PAGE})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/actors/cases", "/actors/cases/outbox?page=1", "/cases/any", "/positions/any"]
)
async def test_a_page_of_any_origin_may_ask_in_the_words_of_the_specification(town: Town, path: str) -> None:
    wanted = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "accept",
    }
    async with town.visitor("a") as http:
        answer = await http.options(path, headers=wanted)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert answer.headers["access-control-allow-headers"] == "Accept, If-None-Match"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/inbox",
        "/actors/cases/inbox",
        "/actors/cases/followers_synchronization",
        "/desk",
        "/alert",
        "/api/v1/alerts",
    ],
)
async def test_a_page_of_another_origin_may_not_ask_for_what_is_not_open(town: Town, path: str) -> None:
    wanted = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    async with town.visitor("a") as http:
        answer = await http.options(path, headers=wanted)

    assert answer.status_code in {404, 405}
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_page_of_any_origin_is_led_to_where_the_document_is(town: Town) -> None:
    url = (await publish_case(town["a"].node)).url
    async with town.visitor("a", headers={"Accept": LD_JSON}) as http:
        answer = await http.get(f"{url}?from=elsewhere")

    assert (answer.status_code, answer.headers["location"]) == (301, url)
    assert answer.headers["access-control-allow-origin"] == "*"
