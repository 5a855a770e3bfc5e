"""The documents say what the code does: federation, settings, the map of the house, its verbs and commands."""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from federation import (
    allowance,
    connections,
    delivery,
    discovery,
    fetch,
    proofs,
    requests,
    resolving,
    retrieval,
)
from federation.transport import Limits
from node import roles
from node.casework import redrawing
from node.effects import stamping
from node.hub import quarantine
from node.inbox import copying, envelopes, receive, shedding, signers
from node.peers import follows, reports, visitors
from node.peers.ours import local_actors
from node.publishing import copies, reactions
from node.settings import PREFIX, Settings
from node.upkeep import outboxes, rereading
from tests.house.examples import examples, written
from vocab import activities, actors, casewire, jsonld, publiccase, terms
from web.fediverse.discovery import _intents as found_intents
from web.fediverse.inbox import BODY_SECONDS, MAX_UNFINISHED_BYTES
from web.patience import (
    MAX_HEAD_BYTES,
    MOST_AHEAD,
    MOST_AHEAD_OF_ALL,
    MOST_CONNECTIONS,
    MOST_HEADERS,
    Patience,
)

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
FLOORS = ("vocab", "federation", "node", "web")
ROW = re.compile(r"^\|(.+)\|$", re.M)


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(document: str, heading: str) -> str:
    """The text under a heading, up to the next one of the same height or higher."""
    level = len(heading) - len(heading.lstrip("#"))
    start = document.index(f"\n{heading}\n") + len(heading) + 2
    after = re.compile(rf"^#{{1,{level}}} ", re.M).search(document, start)
    return document[start : after.start() if after else None]


def rows(table: str) -> list[list[str]]:
    """The cells of each row of a table, without its head."""
    found = [[cell.strip() for cell in match[1].split("|")] for match in ROW.finditer(table)]
    return [row for row in found if not set("".join(row)) <= set("- ")][1:]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# ---- FEDERATION.md -----------------------------------------------------------------------------------------------


def test_the_actors_that_the_page_names_are_there() -> None:
    node, hub = (
        {
            actor.name
            for actor in local_actors(
                Settings.read({f"{PREFIX}ORIGIN": "https://host.example", f"{PREFIX}ROLE": role})
            )
        }
        for role in ("node", "hub")
    )
    table = rows(section(text("FEDERATION.md"), "## Actors"))
    named = {name.strip("@").removesuffix("@host") for row in table for name in names(row[0])} - {"host"}

    assert named <= node | hub
    assert {name for name in named if "-" in name} <= hub


def test_the_activities_taken_in_are_those_that_have_a_handler() -> None:
    listed = {row[0].strip("`") for row in rows(section(text("FEDERATION.md"), "### Taken in"))}

    assert set(roles.ACTIVITIES) == listed
    assert roles.NODE.activities == roles.HUB.activities


def test_the_activities_sent_are_those_that_are_built() -> None:
    builders = {name for name in vars(activities) if name.capitalize() in activities.ACTIVITY_TYPES}
    used = {
        name
        for path in (ROOT / "node").rglob("*.py")
        for name in re.findall(r"\bactivities\.(\w+)", path.read_text("utf-8"))
        if name in builders
    }

    listed = {name for row in rows(section(text("FEDERATION.md"), "### Sent")) for name in names(row[0])}

    assert {name.capitalize() for name in used} == listed


def test_the_terms_are_those_that_are_written_and_read() -> None:
    table = rows(section(text("FEDERATION.md"), "## A case on the wire"))
    kinds = {"@language": "texts", "@list": "list"}

    def kind(term: object) -> str:
        mapping = term if isinstance(term, dict) else {}
        return kinds.get(mapping.get("@container", ""), "link" if mapping.get("@type") == "@id" else "value")

    used = {*casewire._TERMS.values(), "withdrawal", "reason", "summary", "date", "position", "caseHash"}
    used |= {name for record in casewire._RECORDS.values() for name in record.values()}
    declared = {name.removeprefix("srt:") for name in terms.CASE_TERMS if name.startswith("srt:")}

    assert sorted(f"srt:{name}" for name in used) == sorted(row[0].strip("`") for row in table)
    assert declared <= used
    for row in table:
        assert kind(terms.CASE_TERMS.get(row[0].strip("`"))) == row[1], row[0]
    assert terms.SRT in text("FEDERATION.md")


def test_the_examples_are_what_the_code_writes() -> None:
    document = text("FEDERATION.md")
    shown = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", document, re.M | re.S)]

    for title, expected in examples().items():
        assert expected in shown, f"the example “{title}” should read:\n{written(expected)}"
    assert len(examples()) == len(shown)


# Each claim, and where the code that makes it true is.
CLAIMS = {
    "67ff": ("FEDERATION.md", "FEP-67ff"),
    "f1d5": ("federation/nodeinfo.py", "FEP-f1d5"),
    "0151": ("federation/nodeinfo.py", "FEP-0151"),
    "2677": ("federation/nodeinfo.py", "server_actor"),
    "d556": ("federation/webfinger.py", "is_server_actor"),
    "2c59": ("vocab/actors.py", "webfinger"),
    "844e": ("node/peers/ours.py", "IMPLEMENTS"),
    "521a": ("vocab/actors.py", "assertionMethod"),
    "8b32": ("federation/proofs.py", "eddsa-jcs-2022"),
    "fe34": ("federation/fetch.py", "same_origin"),
    "5feb": ("vocab/actors.py", '"indexable"'),
    "5e53": ("vocab/properties.py", "FEP-5e53"),
    "b2b8": ("vocab/casewire.py", '"preview"'),
    "4f05": ("web/fediverse/objects.py", "410"),
    "bad1": ("web/fediverse/objects.py", "FEP-bad1"),
    "1311": ("vocab/pictures.py", "FEP-1311"),
    "eb48": ("vocab/terms.py", "as:Hashtag"),
    "e232": ("vocab/casewire.py", "FEP-e232"),
    "5711": ("vocab/terms.py", "FEP-5711"),
    "96ff": ("web/fediverse/answers.py", 'rel="type"'),
    "8fcf": ("node/peers/synchronising.py", "FEP-8fcf"),
    "044f": ("node/effects/stamping.py", "FEP-044f"),
    "7628": ("node/effects/moving.py", "FEP-7628"),
    "1b12": ("node/hub/announcing.py", "FEP-1b12"),
    "7888": ("web/fediverse/objects.py", "FEP-7888"),
    "ae0c": ("node/hub/announcing.py", "FEP-ae0c"),
    "3b86": ("federation/webfinger.py", "FEP-3b86"),
}


@pytest.mark.parametrize("role", ["node", "hub"])
def test_the_intents_are_those_that_webfinger_names(role: str) -> None:
    row = next(row for row in rows(section(text("FEDERATION.md"), "## Supported FEPs")) if "3b86" in row[0])
    settings = Settings.read(
        {f"{PREFIX}DATA": "/x", f"{PREFIX}ORIGIN": "https://a.example", f"{PREFIX}ROLE": role}
    )
    named = [name for name in names(row[1]) if name.istitle()]

    assert list(found_intents(settings)) == (named if role == "node" else named[:1])


def test_the_interaction_policy_and_the_picture_are_as_the_page_says() -> None:
    said = " ".join(section(text("FEDERATION.md"), "## A case on the wire").split())

    for name in casewire._EVERYBODY:
        assert f"`{name}`" in said
    assert f"{redrawing.SHOWN_SIDES[0]:,} pixels to a side" in said
    assert f"{redrawing.MAX_OUTPUT_BYTES:,} bytes" in said
    for kind in publiccase.EXTENSIONS:
        assert f"`{kind}`" in said


def test_every_fep_that_is_claimed_is_in_the_code() -> None:
    table = section(text("FEDERATION.md"), "## Supported FEPs")
    claimed = [match for row in rows(table) for match in re.findall(r"\[FEP-([0-9a-f]{4})\]", row[0])]

    assert list(CLAIMS) == claimed
    for fep, (file, witness) in CLAIMS.items():
        assert witness in text(file), fep


def test_the_limits_are_those_of_the_code() -> None:
    said = dict(row[:2] for row in rows(section(text("FEDERATION.md"), "## Limits")))
    wire, keys, patience, fetching = Limits(), shedding.Limits(), Patience(), copying.Limits()

    assert patience.body_seconds == 60
    assert shedding.ONE_BYTES == 16 * 1024
    assert receive.MAX_BODY_BYTES == retrieval.MAX_BODY_BYTES == jsonld.MAX_BYTES
    assert retrieval.MAX_REDIRECTS == discovery.MAX_REDIRECTS
    assert said == {
        "body of an activity or a fetched document": f"{jsonld.MAX_BYTES:,} bytes",
        "nesting · members of one document": f"{jsonld.MAX_DEPTH} · {jsonld.MAX_MEMBERS:,}",
        "values of one member · in all, of a document that is proven by its statements": (
            f"{jsonld.MAX_VALUES:,} · {jsonld.MAX_VALUES_IN_ALL:,}"
        ),
        "an `Article` that is published here, so that its `Create`, and a hub's `Announce` of that, stay below both": (
            f"{casewire.MAX_ARTICLE_BYTES:,} bytes · {casewire.MAX_ARTICLE_MEMBERS:,} members"
        ),
        "redirects": f"{retrieval.MAX_REDIRECTS}",
        "clock of a signing stranger · of a server that we follow and whose actor says that it is of this network": (
            f"{requests.STRANGER_WINDOW.seconds // 3600} hour either way · {requests.OWN_WINDOW.seconds // 60} minutes"
        ),
        "life of a signature that names no end · that names one · claimed, from which on it is refused": (
            f"{requests.USUAL_LIFE.seconds // 60} minutes · {requests.LONGEST_LIFE.seconds // 3600} hours at most"
            f" · {requests.LONGEST_CLAIM.days} days"
        ),
        "proofs of one document": f"{proofs.MAX_PROOFS}",
        "keys of one actor": f"{actors._MAX_KEYS}",
        "one request, from the name to the last byte": f"{wire.deadline:g} seconds",
        "headers of a request to us": (
            f"{MOST_HEADERS}, {MAX_HEAD_BYTES // 1024} KiB, {patience.head_seconds:.0f} seconds"
        ),
        "requests on one connection behind one that is not answered yet; then, behind their answers, it is closed": (
            f"{MOST_AHEAD}; {MOST_AHEAD_OF_ALL:,} on all together"
        ),
        "an answer of which nothing is taken": f"{patience.read_seconds / 60:.0f} minutes",
        "connections to us; then who has been silent for longest in its turn is let go": (
            f"{MOST_CONNECTIONS:,}, fewer where the system allows few open files"
        ),
        "bodies of activities that are not all there yet, of all together; then the oldest is answered 408": (
            f"{MAX_UNFINISHED_BYTES // 1024**2} MiB"
        ),
        "body of an activity, once it has begun to come · of anything": (
            f"{BODY_SECONDS:.0f} seconds, then 408 · {patience.least_bytes:,} bytes a minute"
        ),
        "connections to one host · to one site · to all": f"{wire.per_host} · {wire.per_site} · {wire.at_once}",
        "keys being asked for at once: of one host · of one site · of all": (
            f"{keys.host_fetches} · {keys.site_fetches} · {keys.fetches}"
        ),
        "requests that wait for keys: of one site · of all; then 429": f"{keys.site_waiters} · {keys.waiters}",
        "bodies that wait for keys, of all together; then 429": f"{keys.fetch_bytes // 1024**2} MiB",
        "activities that are not worked off yet, one for each 16 KiB that they begin: of one host · of one site · of all; then 429": (
            f"{keys.host_backlog:,} · {keys.site_backlog:,} · {keys.backlog:,}"
        ),
        "one key, with its owner and all that leads there": f"{fetch.KEY_SECONDS:g} seconds",
        "names looked up at once: of one site · of all": f"{resolving.OF_ONE_SITE} · {resolving.THREADS}",
        "interim answers (1xx) before an answer": f"{connections.MAX_INTERIM}",
        "pages of an outbox that are read · of them, one after the other, that name no case": (
            f"{outboxes.MAX_PAGES:,} · {outboxes.MAX_EMPTY_PAGES}"
        ),
        "cases of an outbox asked for one by one · of them not there, one after the other": (
            f"{outboxes.MAX_CASES:,} · {outboxes.MAX_MISSES}"
        ),
        "replies shown that are asked for again in a day · of one host": (
            f"{rereading.MOST} · {rereading.MOST_OF_A_HOST}"
        ),
        "keys that were not there, what strangers named, and what others redirect to, in five minutes, of one host · of one site": (
            f"{allowance.OF_ONE_ORIGIN} · {allowance.OF_ONE_SITE}; then one a second"
        ),
        "posts of one actor that quote, or answer by asking, one case": f"{stamping.MAX_ASKED}",
        "servers of visitors asked in a minute: one · all": f"{visitors.OF_ONE_HOST} · {visitors.OF_ALL}",
        "of one site, which wait for people: reports · replies · at a hub, cases kept out": (
            f"{reports.MAX_OPEN} · {reactions.MOST_WAITING} · {quarantine.MOST_OF_A_SITE}"
        ),
        "likes, boosts and quotes of one case that are kept of one site · inboxes of one site that are told what becomes"
        " of it": f"{reactions.MOST_OF_A_SITE:,} · {reactions.MOST_INBOXES}",
        "inboxes of one site that one activity goes to because they follow": f"{follows.MOST_INBOXES}",
        "servers that fetched a case and are told what becomes of it: of one site · of all": (
            f"{copies.MOST_OF_A_SITE} · {copies.MOST:,}"
        ),
        "signatures of those who fetch cases: looked into in a second · that wait, of one site · of all; more are let go": (
            f"{fetching.a_second} · {fetching.site_line} · {fetching.line:,}"
        ),
        "of these, whose key is not known yet: asked for at once · of one site · that wait, of one site · of all": (
            f"{fetching.at_once} · {fetching.site_at_once} · {fetching.site_line} · {fetching.strangers:,}"
        ),
        "of these, whose key could not be had: asked for once more at once · of one site · that wait, of one site · of all": (
            f"{fetching.again_at_once} · {fetching.site_again_at_once} · {fetching.site_again} · {fetching.again}"
        ),
        "an id": f"{envelopes.MAX_ID_CHARACTERS:,} characters",
    }
    assert allowance.TRICKLE.seconds == 1
    assert visitors.WINDOW.seconds == 60
    assert delivery.LONGEST_RETRY_AFTER.days == 2
    assert signers.REFETCH_AFTER.seconds == fetch.FAILURE_LASTS.seconds == allowance.WITHIN.seconds == 5 * 60


# ---- settings ----------------------------------------------------------------------------------------------------


def test_the_handbook_describes_each_setting_with_its_default() -> None:
    table = rows(section(text("deploy/README.md"), "## 4. Settings"))
    described = {row[0].strip("`"): row[1].strip("`") for row in table}
    defaults = {
        PREFIX + field.name.upper(): getattr(Settings(origin="https://a.example"), field.name)
        for field in fields(Settings)
    }

    assert list(defaults) != []
    assert sorted(defaults) == sorted(described)
    for name, value in defaults.items():
        match value:
            case bool():
                assert described[name] == str(int(value)), name
            case int():
                assert described[name] == str(value), name
            case tuple() if value:
                assert described[name] == " ".join(value), name
            case Path() | str() if str(value) and name != "TRACKER_ORIGIN":
                assert described[name] == str(value), name


def test_nothing_speaks_of_a_setting_that_does_not_exist() -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    deployed = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]

    for path in {*DOCUMENTS, *deployed, ROOT / "Makefile"}:
        spoken_of = set(re.findall(r"\bTRACKER_[A-Z_]+[A-Z]\b", path.read_text("utf-8")))
        assert spoken_of <= known, path.relative_to(ROOT)


# ---- the map of the house ----------------------------------------------------------------------------------------


def rooms(floor: str) -> set[str]:
    return {
        path.name if path.is_file() else f"{path.name}/"
        for path in (ROOT / floor).iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py")
        or (path.is_dir() and not path.name.startswith((".", "__")))
    }


@pytest.mark.parametrize("floor", FLOORS)
def test_the_map_names_every_room_of_a_floor_and_no_other(floor: str) -> None:
    table = section(text("CONTRIBUTING.md"), f"### {floor}/")
    named = {name for row in rows(table) for name in names(row[0]) if name.endswith((".py", "/"))}

    assert sorted(rooms(floor)) == sorted(named)


def test_the_paths_the_documents_name_exist() -> None:
    path = re.compile(r"`((?:vocab|federation|node|web|tests|deploy)/[\w./{}-]+)`")
    for document in DOCUMENTS:
        for found in path.findall(document.read_text("utf-8")):
            if not any(mark in found for mark in "{<*…") and not found.startswith("web/static/built"):
                assert (ROOT / found).exists(), f"{document.name}: {found}"


def test_the_links_between_the_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        content = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", content):
            if target.startswith(("https://", "http://", "mailto:")):
                continue
            name, _, anchor = target.partition("#")
            file = document.parent / name if name else document
            assert file.exists(), f"{document.name}: {target}"
            if anchor:
                assert anchor in anchors(file), f"{document.name}: {target}"


def anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_decision_says_the_same_five_things() -> None:
    document = text("DECISIONS.md")
    records = re.split(r"^## ", document, flags=re.M)[1:]

    assert [int(record.split(".")[0]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        parts = re.findall(r"^\*\*([A-Z][^*]+)\.\*\*", record, re.M)
        assert parts == ["Context", "Decision", "Consequences", "What would change our mind"], record[:60]
        assert re.search(r"^\d{4}-\d{2}-\d{2} · (accepted|superseded by \d+)$", record, re.M), record[:60]


# ---- verbs and commands ------------------------------------------------------------------------------------------


def test_the_verbs_are_those_of_the_makefile() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*?## ", text("Makefile"), re.M))
    listed = {name for row in rows(section(text("CONTRIBUTING.md"), "## Verbs")) for name in names(row[0])}

    assert {f"make {verb}" for verb in verbs} == listed
    for document in DOCUMENTS:
        for verb in re.findall(r"`make ([a-z-]+)", document.read_text("utf-8")):
            assert verb in verbs, f"{document.name}: make {verb}"


def test_every_command_that_is_mentioned_is_one() -> None:
    from web.cli import parser

    known = set(commands(parser()))
    for document in DOCUMENTS:
        content = document.read_text("utf-8")
        spans = re.findall(r"`(tracker [^`\n]+)`", content)
        blocks = [
            line for block in re.findall(r"```sh\n(.*?)```", content, re.S) for line in block.splitlines()
        ]
        for line in [*spans, *(line for line in blocks if re.match(r"tracker [a-z]", line))]:
            words = [word for word in line.split("#")[0].split()[1:] if not word.startswith("-")]
            if not words or words[0] == "…":
                continue
            # One to three words deep, as in `tracker keys root sign`.
            assert any(tuple(words[:deep]) in known for deep in (1, 2, 3)), f"{document.name}: {line}"


def commands(parser: argparse.ArgumentParser, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command as its words; a group of commands is none itself."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups and above:
        yield above
    for group in groups:
        for name, below in group.choices.items():
            yield from commands(below, (*above, name))
