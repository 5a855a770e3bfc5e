"""What may never break: four doors for bytes of strangers. Each check ends in a value or a refusal of its own family, or fails."""

import asyncio
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from federation import ldsignatures, proofs
from federation.digests import check_content_digest, check_digest
from federation.proofs import Proven
from federation.requests import Refused, SignedRequest, Verified
from federation.structured import NotStructured, parse_byte_dictionary, parse_list_dictionary
from federation.verification import Presented, read_signature, verify
from node.inbox.receive import Answer, Inbox
from node.sealing import age, header
from node.sealing.errors import SealingError
from node.worker import run_due
from tests.federation.requests_to_us import BODY, NOW, ORIGIN, rfc9421_signed
from tests.fuzz import cases
from tests.rig.clock import FrozenClock
from tests.rig.databases import SQLITE, ready_database
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.servers import Servers
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab import jsonld
from vocab.activities import read_activity
from vocab.actors import read_actor, read_keys
from vocab.canonical import canonical
from vocab.cases import read_case
from vocab.errors import VocabError
from vocab.objects import read_object, read_page

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Target:
    """One door.

    opened   a context that gives the check.
    share    of a thousand cases of a long run, how many go here.
    """

    name: str
    strategy: st.SearchStrategy[Any]
    opened: Callable[[], Any]
    share: int


# ---- signatures ----------------------------------------------------------------------------------------------------


def _check_signature(case: tuple[int, list[Any], bytes]) -> None:
    number, edits, body = case
    honest = REQUESTS[number % len(REQUESTS)]
    request = SignedRequest(
        honest.method, honest.path_with_query, cases.headers(honest, edits), body or honest.body
    )
    presented = read_signature(request)
    if isinstance(presented, Presented):
        for key in KEYS:
            outcome = verify(presented, request, key, now=NOW, origin=ORIGIN)
            assert isinstance(outcome, Verified | Refused)
            if isinstance(outcome, Verified):
                # Whatever was changed in what is signed, nobody else's key and no other body may come of it.
                assert request.body == BODY
    else:
        assert isinstance(presented, Refused)
    for name, value in request.headers:
        for parse in (parse_byte_dictionary, parse_list_dictionary):
            with suppress(NotStructured):
                parse(value)
        if b"digest" in name:
            check_digest(value, body)
            check_content_digest(value, body)


# ---- JSON-LD ---------------------------------------------------------------------------------------------------------


def _check_document(case: tuple[int, list[Any], list[Any]]) -> None:
    number, edits, byte_edits = case
    body = cases.changed_bytes(
        cases.written(cases.changed(DOCUMENTS[number % len(DOCUMENTS)], edits)), byte_edits
    )
    try:
        document = jsonld.parse(body)
    except VocabError:
        return
    for read in (read_activity, read_actor, read_object, read_page, read_case, read_keys, canonical):
        with suppress(VocabError):
            cast(Callable[[Any], object], read)(document)
    assert jsonld.parse(jsonld.write(document)) == document
    outcome = proofs.check(document, {cases.PROVER.key_id: ed25519_key("stranger").public}, now=NOW)
    assert isinstance(outcome, Proven | Refused)
    if number % 8 == 0:
        # Slow: only now and then.
        assert isinstance(
            ldsignatures.check(document, rsa_key("stranger").public, now=NOW), ldsignatures.Signed | Refused
        )
        with suppress(VocabError):
            jsonld.canonize(document)


# ---- age -------------------------------------------------------------------------------------------------------------


def _check_age(edits: list[Any]) -> None:
    data = cases.changed_bytes(AGE, edits)
    for read in (header.parse_header, age.inspect, lambda data: header.read_header([data[:50], data[50:]])):
        with suppress(SealingError):
            read(data)


# ---- the inbox -------------------------------------------------------------------------------------------------------


class _Loud(logging.Handler):
    """Turns a record of an unhandled exception into a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.heard.append(logging.Formatter().format(record))


WORK_EVERY = 25


@contextmanager
def _inbox() -> Iterator[Check]:
    loud = _Loud()
    logging.getLogger().addHandler(loud)
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as directory:
        clock = FrozenClock()
        town = Town(Path(directory), clock, lambda path: ready_database(SQLITE, path, cast(Servers, None)))
        runner.run(town.__aenter__())
        site = runner.run(town.open("node"))
        Stranger(town, "stranger.example", "sam")
        inbox = Inbox(site.node)
        counted = 0

        async def receive(body: bytes, header_edits: list[Any]) -> Answer:
            if counted % 3:
                request = rfc9421_signed(body=body, signer=cases.PROVER)
            else:
                request = cases.timed(body, cases.RSA)
            return await inbox.receive(
                SignedRequest("POST", b"/inbox", cases.headers(request, header_edits), body)
            )

        async def work() -> None:
            for _ in range(50):
                if not await run_due(site.node):
                    break
            clock.forward(seconds=1)

        def check(case: tuple[int, list[Any], list[Any], list[Any]]) -> None:
            nonlocal counted
            number, edits, byte_edits, header_edits = case
            counted += 1
            document = cases.changed(DOCUMENTS[number % len(DOCUMENTS)], edits)
            if isinstance(document.get("id"), str) and document["id"].startswith("https://"):
                document["id"] += f"?{counted}"
            body = cases.changed_bytes(cases.written(document), byte_edits)
            assert isinstance(runner.run(receive(body, header_edits)), Answer)
            if counted % WORK_EVERY == 0:
                runner.run(work())
            assert loud.heard == [], (loud.heard, json.dumps(document)[:2000])

        try:
            yield check
            runner.run(work())
            assert loud.heard == []
        finally:
            logging.getLogger().removeHandler(loud)
            runner.run(town.__aexit__(None, None, None))


def _always(check: Check) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[Check]:
        yield check

    return opened


DOCUMENTS = cases.documents()
REQUESTS = cases.requests()
AGE = cases.age_file()
KEYS = (rsa_key("peer").public, ed25519_key("peer").public)
_index = st.integers(0, 1000)

TARGETS = (
    Target(
        "signatures",
        st.tuples(_index, cases.header_changes, st.sampled_from((b"", BODY, b"{}"))),
        _always(_check_signature),
        400,
    ),
    Target("documents", st.tuples(_index, cases.changes, cases.byte_changes), _always(_check_document), 350),
    Target("age", cases.byte_changes, _always(_check_age), 200),
    Target(
        "inbox",
        st.tuples(
            _index, cases.changes, st.just([]) | cases.byte_changes, st.just([]) | cases.header_changes
        ),
        _inbox,
        50,
    ),
)
