"""JSON in and out of documents: strict reading, writing, and JSON-LD through bundled contexts only.

The one file that meets pyld, whose values are untyped. No context is ever fetched: an unknown one is an error.
JSON-LD 1.1 Processing Algorithms; RDF Dataset Canonicalization 1.0.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from math import factorial, isinf
from threading import Lock
from typing import Any, Final, NoReturn

import msgspec
import pyld
from pyld import jsonld
from pyld.canon import URDNA2015
from pyld.context_resolver import ContextResolver

from vocab import terms
from vocab.errors import Malformed, NotCanonical, TooLarge, UnknownContext, VocabError

MAX_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 32
MAX_MEMBERS: Final = 10_000
MAX_BLANK_NODES: Final = 256
# Permutations the canonicalisation may try: the hardest honest graphs of the RDFC-1.0 tests need 2880.
MAX_PERMUTATIONS: Final = 4_000
# As long as it takes to copy so many names, so long does it take to try one permutation.
NAMES_COPIED: Final = 64
# pyld compares each statement of N-Quads it reads with all before it, and each value of a member with those before it.
MAX_STATEMENTS: Final = 2_000
MAX_VALUES: Final = 1_000
MAX_VALUES_IN_ALL: Final = 2_000
# Definitions of terms that may be read, and carried from one context into the next: ours and Mastodon's need some 2,000. A term may
# have a context of its own, and that be read for each thing it is said of.
MAX_DEFINITIONS: Final = 30_000
# Of an address that a context puts before others, and of what a term stands for: it is written out for each of them.
MAX_PREFIX: Final = 256

_NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

# Of what has room between its members, so many bytes show it.
_BEGINNING: Final = 256
# Below it each whole number is a double.
EXACT: Final = 2**53
# JSON gives these exactly, and no others that hold anything.
_CONTAINERS = frozenset({dict, list})

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()

Document = dict[str, object]


# ---- bytes ---------------------------------------------------------------------------------------------------------


def parse(
    body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_members: int = MAX_MEMBERS
) -> Document:
    """Read a JSON object, strictly: what two parsers could read differently is refused.

    Refused are bytes that are not UTF-8, a byte order mark, duplicate keys, NaN and infinities, lone surrogates, null
    characters, and anything longer, deeper or with more members (of objects and arrays together) than the limits. Numbers become what
    they are to ECMAScript, so that what is signed is what the signer's program saw: whole ones beyond 2^53 are floating-point numbers,
    and below that 640.0 and 6.4e2 are 640. A proof holds for each spelling, and whoever passes a document on may choose one.
    Raises Malformed, TooLarge. RFC 8259, RFC 7493 (I-JSON).
    """
    if len(body) > max_bytes:
        raise TooLarge(f"{len(body)} bytes, at most {max_bytes} are read")
    plain = _plain(body)
    if plain is not None and _measure(plain, max_depth, max_members):
        return plain
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_constant=_refuse_constant,
            parse_float=_fraction,
            parse_int=_number,
        )
    except RecursionError as error:
        raise TooLarge("nested too deeply to read") from error
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("the top of the document is not an object")
    _measure(value, max_depth, max_members)
    # Looked for as plain text first: a search for an expression takes longer than the reading itself.
    if "\\ud" in text or "\\uD" in text:
        _refuse_lone_surrogates(value)
    if "\\u0000" in text and _NUL_ESCAPE.search(text):
        raise Malformed("a null character, which no database and no other program takes for text")
    return value


def write(document: Mapping[str, object]) -> bytes:
    """Return the bytes of a document for the wire, members in the order they were put in.

    The order matters: Mastodon and GoToSocial read the language of a post from the first key of `contentMap`.
    """
    return _encoder.encode(document)


def _plain(body: bytes) -> Document | None:
    """A document that is spelled exactly as we would write it, read several times as quickly; None for any other.

    Written again it gives the same bytes: so no key was there twice, no number was out of range or lost digits, and no half
    character, byte order mark or second spelling was passed over. Left to the strict reading are the two that such bytes can hide: a
    null character, looked for here, and numbers that are others to ECMAScript, of which `_measure` tells.
    """
    # What has room between its members is spelled otherwise, and found out soonest by that.
    if b'": ' in body[:_BEGINNING] or (b"\\" in body and b"\\u0000" in body):
        return None
    try:
        value = _decoder.decode(body)
        if type(value) is dict and _encoder.encode(value) == body:
            return value
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return None


def _distinct(pairs: list[tuple[str, object]]) -> Document:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise ValueError("a number is too large")
    return number


def _fraction(digits: str) -> int | float:
    number = _finite(digits)
    return int(number) if _is_whole(number) else number


def _is_whole(number: float) -> bool:
    return abs(number) < EXACT and number.is_integer()


def _number(digits: str) -> int | float:
    # 15 digits are always exact in a double; Python also refuses to read very long integers.
    if len(digits) <= 15:
        return int(digits)
    number = _finite(digits)
    return number if abs(number) >= EXACT else int(digits)


def _measure(top: Document, max_depth: int, max_members: int) -> bool:
    """Whether all its numbers are the same to every reader. Raises TooLarge."""
    members, is_exact = 0, True
    level: list[object] = [top]
    for _ in range(max_depth):
        below: list[object] = []
        for value in level:
            inner = value.values() if isinstance(value, dict) else value
            members += len(inner)  # type: ignore[arg-type]  # only dicts and lists enter a level
            if members > max_members:
                raise TooLarge(f"more than {max_members} members")
            for item in inner:  # type: ignore[attr-defined]  # as above
                kind = type(item)
                if kind in _CONTAINERS:
                    below.append(item)
                elif (kind is int and abs(item) >= EXACT) or (kind is float and _is_whole(item)):
                    is_exact = False
        if not below:
            return is_exact
        level = below
    raise TooLarge(f"nested deeper than {max_depth}")


def _refuse_lone_surrogates(value: object) -> None:
    match value:
        case str():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise Malformed("a lone surrogate is not text") from error
        case dict():
            for key, member in value.items():
                _refuse_lone_surrogates(key)
                _refuse_lone_surrogates(member)
        case list():
            for item in value:
                _refuse_lone_surrogates(item)


# ---- JSON-LD -------------------------------------------------------------------------------------------------------


def expand(document: Mapping[str, object], *, base: str | None = None) -> list[Document]:
    """Return the expanded form, in which every name is an IRI.

    Raises UnknownContext, Malformed, and TooLarge for more values than are compared in a second.
    """
    _refuse_many(document)
    expanded: list[Document] = _run(_Processor().expand, dict(document), _options(base))
    return expanded


def compact(document: object, context: object, *, base: str | None = None) -> Document:
    """Return the document as it reads under `context`; what it does not name stays in full.

    Raises UnknownContext, Malformed.
    """
    compacted: Document = _run(_Processor().compact, document, context, _options(base))
    return compacted


def canonize(document: object, *, base: str | None = None, max_blank_nodes: int = MAX_BLANK_NODES) -> str:
    """Return the canonical statements of a document: sorted N-Quads with issued blank node names (RDFC-1.0).

    Raises UnknownContext, Malformed, TooLarge as `expand` does, and NotCanonical for a graph made to take for ever.
    """
    _refuse_many(document)
    dataset = _run(_Processor().to_rdf, document, _options(base))
    return _canonize(dataset, max_blank_nodes)


def canonize_nquads(quads: str, *, max_blank_nodes: int = MAX_BLANK_NODES) -> str:
    """Return the canonical form of statements given as N-Quads. Raises Malformed, TooLarge, NotCanonical."""
    if quads.count("\n") > MAX_STATEMENTS:
        raise TooLarge(f"more than {MAX_STATEMENTS} statements")
    return _canonize(_run(jsonld.JsonLdProcessor.parse_nquads, quads), max_blank_nodes)


def _refuse_many(document: object) -> None:
    """Raise TooLarge before pyld meets a document that it would compare with itself for seconds; Malformed for an `@import`.

    In all as well: objects with one id become one node, and what they say of a member is compared together.
    """
    level = _inner(document)
    values = 0
    for _ in range(MAX_DEPTH + 1):
        below: list[list[object]] = []
        for inner in level:
            values += len(inner)
            if len(inner) > MAX_VALUES or values > MAX_VALUES_IN_ALL:
                raise TooLarge(f"more than {MAX_VALUES} values of a member, or {MAX_VALUES_IN_ALL} in all")
            for item in inner:
                below += _inner(item)
        if not below:
            return
        level = below
    raise TooLarge(f"nested deeper than {MAX_DEPTH}")


def _inner(value: object) -> list[list[object]]:
    """What an object or an array holds, as one list; nothing for any other value."""
    if isinstance(value, Mapping):
        if "@import" in value:
            # Of no use without other contexts than the bundled, and pyld writes into the one that is imported.
            raise Malformed("a context that imports another")
        return [list(value.values())]
    return [value] if isinstance(value, list) else []


def _canonize(dataset: dict[str, Any], max_blank_nodes: int) -> str:
    components = [
        component for triples in dataset.values() for triple in triples for component in triple.values()
    ]
    if None in components:
        # Others fail here as well (jsonld.js 9.0, json-gold 0.7): nobody has signed it.
        raise Malformed("a list with an item that is no address")
    named = {component["value"] for component in components if component["type"] == "blank node"}
    # Each blank node may have to be told from all others: a canonicalisation bomb is a clique of them.
    if len(named) > max_blank_nodes:
        raise NotCanonical(f"{len(named)} blank nodes, at most {max_blank_nodes} are sorted")
    canonical: str = _run(_Frugal().main, dataset, {"format": "application/n-quads"})
    return canonical


class _Frugal(URDNA2015):  # type: ignore[misc]  # pyld is untyped
    """RDFC-1.0 with a budget, spent before the permutations are tried (RDFC-1.0 §7.1, dataset poisoning)."""

    def __init__(self) -> None:
        super().__init__()
        self.left = MAX_PERMUTATIONS

    def create_hash_to_related(self, id_: str, issuer: Any) -> dict[str, list[str]]:
        related: dict[str, list[str]] = super().create_hash_to_related(id_, issuer)
        # Each copies the names given so far: along a ring of hundreds that costs more than the trying.
        copied = 1 + len(issuer.order) // NAMES_COPIED
        self.left -= copied * sum(factorial(len(nodes)) for nodes in related.values())
        if self.left < 0:
            raise NotCanonical("the graph is too entangled to sort")
        return related


class _Processor(jsonld.JsonLdProcessor):  # type: ignore[misc]  # pyld is untyped
    """JSON-LD with a budget: a document of 3 kB can have its contexts read for minutes (JSON-LD 1.1 §9.15, API §12.1)."""

    def __init__(self) -> None:
        super().__init__()
        self.left = MAX_DEFINITIONS

    def _spend(self, definitions: int) -> None:
        self.left -= definitions
        if self.left < 0:
            raise TooLarge(
                f"contexts that define more than {MAX_DEFINITIONS} terms, in all that they are read for"
            )

    def _process_context(self, active_ctx: Any, local_ctx: Any, *arguments: Any, **named: Any) -> Any:
        self._spend(_size(local_ctx))
        processed = super()._process_context(active_ctx, local_ctx, *arguments, **named)
        for name in ("@base", "@vocab"):
            _refuse_long(processed.get(name))
        return processed

    def _clone_active_context(self, active_ctx: Any) -> Any:
        self._spend(len(active_ctx["mappings"]))
        return super()._clone_active_context(active_ctx)

    def _expand_iri(
        self, active_ctx: Any, value: Any, base: Any = None, *arguments: Any, **named: Any
    ) -> Any:
        # pyld 3.3.0 puts http://example.org/base/ before what has no base; in every other implementation it stays relative, and is
        # no statement (JSON-LD 1.1 API §8.2.2, step 2).
        if base == "" and "@base" not in active_ctx:
            base = None
        return super()._expand_iri(active_ctx, value, base, *arguments, **named)

    def _create_term_definition(
        self, active_ctx: Any, local_ctx: Any, term: Any, *arguments: Any, **named: Any
    ) -> None:
        self._spend(1)
        super()._create_term_definition(active_ctx, local_ctx, term, *arguments, **named)
        _refuse_long((active_ctx["mappings"].get(term) or {}).get("@id"))


def _refuse_long(address: object) -> None:
    """Raise TooLarge for one that is written out a thousand times, and resolved character by character."""
    if isinstance(address, str) and len(address) > MAX_PREFIX:
        raise TooLarge(f"a context with an address of more than {MAX_PREFIX} characters")


def _size(value: object) -> int:
    """How many values there are in all: each is looked at, to see whether that context was read before."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return 1 + sum(_size(item) for item in inner)


# Whoever canonicalises does so in a thread, and pyld's caches of contexts are not made for several.
_ONE_AT_A_TIME = Lock()


def _run(step: Any, *arguments: Any) -> Any:
    try:
        with _ONE_AT_A_TIME:
            return step(*arguments)
    except VocabError:
        raise
    except RecursionError as error:
        raise TooLarge("nested too deeply to process") from error
    except Exception as error:
        # pyld wraps what its loader raises, and raises bare TypeErrors and KeyErrors on odd shapes.
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, VocabError):
                raise cause from error
            cause = cause.__cause__
        raise Malformed(f"not JSON-LD: {error}") from error


def _options(base: str | None) -> dict[str, Any]:
    # Nothing is kept from one document to the next: what one says of a context is of no concern to any other.
    options: dict[str, Any] = {"documentLoader": _load, "contextResolver": ContextResolver({}, _load)}
    if base is not None:
        options["base"] = base
    return options


# ---- contexts ------------------------------------------------------------------------------------------------------

_FILES: Final = {
    terms.AS: "activitystreams.jsonld",
    "https://w3id.org/security/v1": "security-v1.jsonld",
    "https://w3id.org/identity/v1": "identity-v1.jsonld",
    "https://w3id.org/security/data-integrity/v1": "data-integrity-v1.jsonld",
    terms.DATA_INTEGRITY_V2: "data-integrity-v2.jsonld",
    "https://w3id.org/security/multikey/v1": "multikey-v1.jsonld",
    "https://w3id.org/security/jwk/v1": "jwk-v1.jsonld",
    "https://www.w3.org/ns/cid/v1": "cid-v1.jsonld",
    "https://www.w3.org/ns/did/v1": "did-v1.jsonld",
}


def known_contexts() -> frozenset[str]:
    """Return the addresses of the contexts that can be read here."""
    return frozenset(_FILES) | frozenset(pyld.BUNDLED_CONTEXTS)


def context(url: str) -> Mapping[str, object]:
    """Return a bundled context document, for reading only. Raises UnknownContext."""
    loaded: Mapping[str, object] = json.loads(_written(url))
    return loaded


@cache
def _written(url: str) -> str:
    if name := _FILES.get(url):
        return resources.files("vocab").joinpath("contexts", name).read_text("utf-8")
    if path := pyld.BUNDLED_CONTEXTS.get(url):
        text: str = path.read_text("utf-8")
        return text
    raise UnknownContext(url)


def _load(url: str, _options: dict[str, Any]) -> dict[str, Any]:
    # Older software spells the address with a trailing hash or over http.
    plain = url.rstrip("#").replace("http://", "https://", 1)
    return {
        "contentType": "application/ld+json",
        "contextUrl": None,
        "documentUrl": url,
        "document": context(plain),
    }
