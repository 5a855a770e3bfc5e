"""From signed statements back to one document: what may be used when a signature covers a graph and not a tree.

RsaSignature2017 and eddsa-rdfc-2022 sign RDF statements, and many JSON trees say the same statements: an inner Announce
can be hung up as the top, terms redefined, members added that mean nothing (ActivityStreams maps unknown names to `_:`,
which no statement shows). So the received tree is thrown away. The document is built anew from the very statements that
were hashed, hung up at its root, and refused when it could have another root or when something is left over.
(Mastodon CVE-2022-24307 and GHSA-53m7-2wrh-q839, Fedify CVE-2026-42462.)
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from federation.requests import Reason, Refused
from vocab import jsonld, terms
from vocab.errors import VocabError

# The short names that other software writes; without them a reader of plain JSON would not find the members.
_COMMON_TERMS: dict[str, object] = {
    "toot": "http://joinmastodon.org/ns#",
    "sensitive": "as:sensitive",
    "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
    "discoverable": "toot:discoverable",
    "indexable": "toot:indexable",
    "featured": {"@id": "toot:featured", "@type": "@id"},
}
CONTEXT: list[object] = [
    terms.AS,
    terms.SECURITY_V1,
    terms.DATA_INTEGRITY_V1,
    {**terms.CASE_TERMS, **_COMMON_TERMS},
]
MAX_DEPTH = 32
_MAX_TEXTS = 16

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_SECURITY = "https://w3id.org/security#"
_NATIVE = frozenset(f"{_XSD}{name}" for name in ("boolean", "integer", "double"))
"""What JSON-LD writes without a type."""

# Strict about IRIs: the serialiser does not escape them, so one with a bracket and a line break could pass for others.
_IRI = r"<([^<>\"{}|^`\\\x00-\x20]*)>"
_NODE = rf"(?:{_IRI}|(_:[A-Za-z0-9]+))"
_LITERAL = rf'"((?:[^"\\\n\r]|\\[^\n\r])*)"(?:\^\^{_IRI}|@([A-Za-z0-9-]+))?'
_QUAD = re.compile(rf"{_NODE} {_IRI} (?:{_NODE}|{_LITERAL})(?: {_NODE})? \.")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\", "b": "\b", "f": "\f"}

Node = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str
    datatype: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class _Quad:
    subject: str
    predicate: str
    object: str | _Literal
    graph: str | None


class _Unsettled(Exception):  # says what happened; never leaves this file
    """The statements make no single tree."""


def check_statements(canonical: str) -> None:
    """Raise ValueError when canonical statements could be read as others: nobody should sign such."""
    try:
        _read(canonical)
    except _Unsettled as error:
        raise ValueError(str(error)) from error


def is_plain(option: object) -> bool:
    """Tell whether an option of a signature says but itself: text, or a few texts; many would be compared with each other for seconds.

    A node in the place of one can say something of the options from within, which counts and at which nobody looks, and hang on an
    address that no statement shows.
    """
    texts = option if isinstance(option, list) else [option]
    return len(texts) <= _MAX_TEXTS and all(isinstance(text, str) for text in texts)


def settle(document: Mapping[str, object], canonical: str) -> dict[str, object] | Refused:
    """Return the one document that signed statements may be read as, compacted under our context; or why there is none.

    document    as received, without its proof or signature: only the id of its root is taken from it.
    canonical   its canonical statements, exactly as they were hashed.
    Proofs within are left out: they were checked, or are to be checked, on the received bytes.
    """
    try:
        expanded = jsonld.expand(document)
        root = expanded[0].get("@id") if len(expanded) == 1 else None
        if not isinstance(root, str) or root.startswith("_:"):
            return Refused(Reason.STRUCTURE, "one root with an id is needed")
        tree = _Tree(_without_proofs(_read(canonical))).hang_up(root)
        return jsonld.compact(tree, CONTEXT)
    except _Unsettled as error:
        return Refused(Reason.STRUCTURE, str(error))
    except VocabError as error:
        return Refused(Reason.CONTEXT, type(error).__name__)


def _read(canonical: str) -> list[_Quad]:
    quads: list[_Quad] = []
    # Not splitlines: it breaks at characters that may stand in a literal.
    for line in canonical.split("\n"):
        if not line:
            continue
        match = _QUAD.fullmatch(line)
        if match is None:
            raise _Unsettled("a statement that could be read as another")
        iri, blank, predicate, object_iri, object_blank, text, datatype, language, graph_iri, graph_blank = (
            match.groups()
        )
        value: str | _Literal
        if text is not None:
            value = _Literal(_unescaped(text), datatype, language)
        else:
            value = object_iri if object_iri is not None else object_blank
        quads.append(
            _Quad(
                iri if iri is not None else blank,
                predicate,
                value,
                graph_iri if graph_iri is not None else graph_blank,
            )
        )
    return quads


def _without_proofs(quads: list[_Quad]) -> list[_Quad]:
    """Leave out Data Integrity proofs, each of which is a graph of its own; any other graph is refused."""
    proofs = {
        quad.object
        for quad in quads
        if quad.graph is None and quad.predicate == f"{_SECURITY}proof" and isinstance(quad.object, str)
    }
    kept = []
    for quad in quads:
        if quad.graph is not None:
            if quad.graph not in proofs or not quad.graph.startswith("_:"):
                raise _Unsettled("a graph within")
        elif quad.object not in proofs:
            if quad.subject in proofs:
                raise _Unsettled("a proof that says more than it should")
            kept.append(quad)
    return kept


@dataclass(slots=True)
class _Tree:
    """Hangs statements up at one node, each subject in one place."""

    quads: list[_Quad]
    _of: dict[str, list[_Quad]] = field(default_factory=dict)
    _times: Counter[str] = field(default_factory=Counter)
    _placed: set[str] = field(default_factory=set)
    _root: str = ""

    def hang_up(self, root: str) -> Node:
        for quad in self.quads:
            self._of.setdefault(quad.subject, []).append(quad)
            if isinstance(quad.object, str):
                self._times[quad.object] += 1
        self._root = root
        tree = self._node(root, 0)
        if len(self._placed) != len(self._of):
            # An inner activity hung up as the top leaves the outer one without a place.
            raise _Unsettled("statements that do not belong to the root")
        return tree

    def _node(self, name: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _Unsettled("nested too deeply")
        is_blank = name.startswith("_:")
        if is_blank and self._times[name] > 1:
            raise _Unsettled("a nameless node in two places")
        node: Node = {} if is_blank else {"@id": name}
        if name in self._placed or name not in self._of:
            return node
        self._placed.add(name)
        for quad in self._of[name]:
            if quad.object == self._root and self._could_be_root(name):
                # An arrow back: the same statements could have been hung up at its other end.
                raise _Unsettled("the root is pointed to from within")
            if quad.predicate == f"{_RDF}type":
                # A type outside the context is a nameless node, and says nothing.
                if isinstance(quad.object, str) and not quad.object.startswith("_:"):
                    _add(node, "@type", quad.object)
            else:
                _add(node, quad.predicate, self._value(quad.object, depth))
        return node

    def _value(self, value: str | _Literal, depth: int) -> Node:
        if isinstance(value, _Literal):
            return _literal(value)
        if value == f"{_RDF}nil":
            return {"@list": []}
        cell = {quad.predicate for quad in self._of.get(value, ())}
        if value.startswith("_:") and cell == {f"{_RDF}first", f"{_RDF}rest"}:
            return {"@list": self._list(value, depth)}
        return self._node(value, depth + 1)

    def _list(self, cell: str, depth: int) -> list[Node]:
        items: list[Node] = []
        while cell != f"{_RDF}nil":
            quads = {quad.predicate: quad.object for quad in self._of.get(cell, ())}
            rest = quads.get(f"{_RDF}rest")
            if (
                len(quads) != 2
                or len(self._of[cell]) != 2
                or cell in self._placed
                or not isinstance(rest, str)
            ):
                raise _Unsettled("a list that is none")
            self._placed.add(cell)
            items.append(self._value(quads[f"{_RDF}first"], depth))
            cell = rest
        return items

    def _could_be_root(self, name: str) -> bool:
        """Tell whether a document could be hung up at this node: not without an id, nor a key, nor a part of the root."""
        if name.startswith("_:") or name.partition("#")[0] == self._root.partition("#")[0]:
            return False
        return all(quad.predicate != f"{_SECURITY}publicKeyPem" for quad in self._of.get(name, ()))


def _add(node: Node, name: str, value: object) -> None:
    held = node.setdefault(name, [])
    if isinstance(held, list):
        held.append(value)


def _literal(literal: _Literal) -> Node:
    if literal.language is not None:
        return {"@value": literal.text, "@language": literal.language}
    if literal.datatype is None:
        return {"@value": literal.text}
    native = _native(literal.text, literal.datatype)
    if native is not None and literal.datatype in _NATIVE:
        return {"@value": native}
    return {"@value": literal.text if native is None else native, "@type": literal.datatype}


def _native(text: str, datatype: str) -> bool | int | float | None:
    """Return the JSON value of a number or truth value, or None for what is written as text."""
    try:
        if datatype == f"{_XSD}boolean":
            return {"true": True, "false": False}.get(text)
        if datatype in (f"{_XSD}integer", f"{_XSD}nonNegativeInteger"):
            return int(text)
        if datatype in (f"{_XSD}double", f"{_XSD}float"):
            number = float(text)
            return number if isfinite(number) else None
    except ValueError:
        pass
    return None


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text)
