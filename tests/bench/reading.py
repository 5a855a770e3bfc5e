"""What readers ask of a hub: lists, filters, search and counts over many cases; how the cost grows with their number."""

import json
import math
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from node.database import Database
from node.entries.entries import Entry, EntryFacet, searchable
from node.entries.search import Filter, coverage, search
from tests.bench.figures import Bench, Figure, percentile
from tests.rig.clock import NOON
from tests.rig.databases import make_tables
from tests.rig.publications import a_case
from vocab import samples
from vocab.cases import facets

FEW, MANY = 10_000, 100_000
BATCH = 2_000
REPEATS = 10
ASKED = {
    "newest": Filter(),
    "state": Filter(state="FR"),
    "article": Filter(article="31"),
    "state and article": Filter(state="FR", article="31"),
    "words": Filter(q="emergency accommodation"),
    "page 50": Filter(page=50),
}


async def run(bench: Bench) -> list[Figure]:
    database = Database(f"sqlite:///{bench.directory / 'reading.sqlite'}")
    await make_tables(database)
    slowest: dict[int, dict[str, float]] = {}
    held = 0
    for size in (bench.amount(FEW), bench.amount(MANY)):
        bench.say(f"filling up to {size} cases")
        await _fill(bench, database, held, size)
        held = size
        bench.say(f"asking among {size} cases")
        slowest[size] = await _ask(database)
        for name, milliseconds in slowest[size].items():
            bench.say(f"{name}: {milliseconds:.1f} ms")
    await database.close()
    few, many = sorted(slowest)
    worst = max(slowest[many], key=lambda name: slowest[many][name])
    growth = max(slowest[many][name] / slowest[few][name] for name in slowest[many])
    allowed = many * math.log(many) / (few * math.log(few))
    said = ", ".join(f"{name} {value:.0f} ms" for name, value in slowest[many].items())
    return [
        Figure(
            "reading",
            slowest[many][worst],
            "ms",
            goal=100,
            more_is_better=False,
            note=f"95th percentile of the slowest question ({worst}) among {many:,} cases on SQLite: {said}.",
        ),
        Figure(
            "reading-growth",
            growth,
            "times",
            goal=allowed,
            more_is_better=False,
            note=f"From {few:,} to {many:,} cases, the question that grew most; n log n is the goal.",
        ),
    ]


async def _ask(database: Database) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        for name, wanted in ASKED.items():
            started = time.perf_counter()
            async with database.read() as session:
                await search(session, wanted)
            found.setdefault(name, []).append(1000 * (time.perf_counter() - started))
        started = time.perf_counter()
        async with database.read() as session:
            await coverage(session, now=NOON)
        found.setdefault("coverage", []).append(1000 * (time.perf_counter() - started))
    return {name: percentile(values, 0.95) for name, values in found.items()}


async def _fill(bench: Bench, database: Database, start: int, end: int) -> None:
    shapes = [_shape(number) for number in range(len(samples.cases()))]
    for first in range(start, end, BATCH):
        entries: list[dict[str, Any]] = []
        found: list[dict[str, str]] = []
        for number in range(first, min(first + BATCH, end)):
            values, pairs = shapes[number % len(shapes)]
            host = f"node-{number % 500}.example"
            id_ = f"https://{host}/cases/{number:032x}"
            moment = NOON - timedelta(minutes=number % 1_000_000)
            entries.append(values | {"id": id_, "host": host, "published_at": moment, "received_at": moment})
            found += [{"entry": id_, "facet": facet, "value": value} for facet, value in pairs]
        async with database.begin() as session:
            await session.execute(insert(Entry), entries)
            await session.execute(insert(EntryFacet), found)
        if first % (25 * BATCH) == 0 and first:
            bench.say(f"{first} cases in")


def _shape(number: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    case = a_case(number)
    values = {
        "actor": "https://node.example/actors/cases",
        "publisher": "A node (fictional)",
        "own": False,
        "state": "live",
        "language": case.language,
        "fields": case.fields(),
        "document": json.dumps(case.fields()).encode(),
        "sha256": "0" * 64,
        "proof_key": "https://node.example/actors/cases#ed25519-key",
        "text": searchable(case),
        "updated_at": None,
        "withdrawn_at": None,
    }
    return values, sorted(facets(case))
