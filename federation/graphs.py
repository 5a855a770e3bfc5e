"""From a signed graph back to one tree: what may be used of a document whose signature covers RDF statements.

RsaSignature2017 and eddsa-rdfc-2022 sign statements, and many JSON trees say the same statements. Whoever forwards a
document can therefore turn it inside out without breaking its signature: an inner Announce becomes the top, a member
moves elsewhere (Mastodon GHSA-53m7-2wrh-q839, Fedify CVE-2026-42462; CVE-2022-24307 for redefined terms). So trees that
could have another root are refused, and what is left is compacted anew, under our context.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from federation.requests import Reason, Refused
from vocab import jsonld, terms
from vocab.errors import VocabError

CONTEXT: list[object] = [terms.AS, terms.SECURITY_V1, terms.DATA_INTEGRITY_V1, terms.CASE_TERMS]

# They all say the same statements another way round, or beside the root. Tested on the expanded form: aliases are gone.
_RESTRUCTURING = frozenset(("@graph", "@included", "@reverse"))
_PUBLIC_KEY_PEM = "https://w3id.org/security#publicKeyPem"


def settle(document: Mapping[str, object]) -> dict[str, object] | Refused:
    """Return the one tree that a signed graph may be read as, compacted under our context; or why there is none.

    document   without its proof or signature.
    """
    try:
        expanded = jsonld.expand(document)
        if len(expanded) != 1:
            return Refused(Reason.STRUCTURE, "more than one root, or none")
        refusal = _check_tree(expanded[0])
        return refusal if refusal is not None else jsonld.compact(expanded[0], CONTEXT)
    except VocabError as error:
        return Refused(Reason.CONTEXT, type(error).__name__)


def _check_tree(root: Mapping[str, object]) -> Refused | None:
    own_id = root.get("@id")
    if not isinstance(own_id, str) or own_id.startswith("_:"):
        return Refused(Reason.STRUCTURE, "a root without an id")
    described: Counter[str] = Counter()
    for node, holder in _nodes(root, None):
        if _RESTRUCTURING & node.keys():
            return Refused(Reason.STRUCTURE, "a graph within, beside or in reverse")
        node_id = node.get("@id")
        if not isinstance(node_id, str):
            continue
        if len(node) > 1:
            described[node_id] += 1
        if node_id == own_id and holder is not None and _could_be_root(holder, own_id):
            # An arrow back to the root: the tree could have been hung up at the other end of it.
            return Refused(Reason.STRUCTURE, "the root is pointed to from within")
    if any(times > 1 for times in described.values()):
        # Members of one node in two places: each reader would see half of it.
        return Refused(Reason.STRUCTURE, "one node in two places")
    return None


def _nodes(
    value: object, holder: Mapping[str, object] | None
) -> Iterator[tuple[Mapping[str, object], Mapping[str, object] | None]]:
    """Yield every node of an expanded tree with the node that holds it."""
    if isinstance(value, list):
        for item in value:
            yield from _nodes(item, holder)
    elif isinstance(value, Mapping) and "@value" not in value:
        if "@list" in value:
            yield from _nodes(value["@list"], holder)
            return
        yield value, holder
        for key, inner in value.items():
            if key not in ("@id", "@type"):
                yield from _nodes(inner, value)


def _could_be_root(holder: Mapping[str, object], root_id: str) -> bool:
    """Tell whether a tree could be hung up at this node: not without an id, nor a key, nor a fragment of the root."""
    node_id = holder.get("@id")
    if not isinstance(node_id, str) or _PUBLIC_KEY_PEM in holder:
        return False
    return node_id.partition("#")[0] != root_id.partition("#")[0]
