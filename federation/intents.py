"""Activity intents of others: where somebody's own server asks them whether to do what a page here suggests.

A template is a stranger's word that becomes a link on a page of ours. It is filled in only where it leads, by https, to a public host
that it names itself, and says where the address of the object goes. Nothing is sent there from here: a browser asks for it by GET.
Spec: FEP-3b86 §3.2, §3.3, §6 and §7.2; RFC 6570 level 1; OStatus `subscribe` for servers that name no intents.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

import httpx

from federation import addresses, discovery
from federation.errors import Forbidden
from federation.retrieval import Permit
from federation.webfinger import INTENT, parse_handle
from vocab.terms import JRD_JSON

SUBSCRIBE = "http://ostatus.org/schema/1.0/subscribe"
TO_FOLLOW = (f"{INTENT}Follow", f"{INTENT}Object", SUBSCRIBE)

# The host stands before the first expression: what is put in decides about nothing but the rest.
_TEMPLATE = re.compile(r"https?://[^/?#\\{}\s]+[/?#].*")
# Of RFC 6570 what needs no reserved characters left as they are; the FEP's names may have a hyphen.
_EXPRESSION = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
_OBJECT = frozenset({"object", "uri"})


async def ask(
    http: httpx.AsyncClient,
    server: str,
    resource: str,
    object_id: str,
    *,
    permit: Permit,
    allow_loopback: bool = False,
) -> str | None:
    """Return where the server of an account asks whether to follow `object_id`; None when it names no such place.

    server    as it stands in the account.
    resource  `acct:name@server`, or the address of a profile there. Its handle may be at another domain, which is asked once.
    permit    asked before each address, also the one that is returned.
    Raises FetchError.
    """
    document = await _links(http, server, resource, permit)
    found = destination(document, object_id, allow_loopback=allow_loopback)
    subject = document.get("subject")
    if found is None and isinstance(subject, str) and subject.startswith("acct:"):
        handle = parse_handle(subject)
        if handle.host != server:
            document = await _links(http, handle.host, f"acct:{handle}", permit)
            found = destination(document, object_id, allow_loopback=allow_loopback)
    if found is not None:
        await permit(found)
    return found


def destination(
    document: Mapping[str, object], object_id: str, *, allow_loopback: bool = False
) -> str | None:
    """Return where a JRD sends its account to follow something: the best of its templates that can be used, filled in."""
    links = document.get("links")
    named = [link for link in links if isinstance(link, Mapping)] if isinstance(links, list) else []
    for relation in TO_FOLLOW:
        for link in named:
            if link.get("rel") == relation:
                found = fill_in(link.get("template"), object_id, allow_loopback=allow_loopback)
                if found is not None:
                    return found
    return None


def fill_in(template: object, object_id: str, *, allow_loopback: bool = False) -> str | None:
    """Return the address that a template makes of an object, percent-encoded; None for one that is not to be used.

    What it asks for beside the object stays empty, as the FEP has it: none of our pages waits for anybody to come back.
    """
    if not isinstance(template, str) or not _TEMPLATE.fullmatch(template):
        return None
    if not _OBJECT & set(_EXPRESSION.findall(template)):
        return None
    value = quote(object_id, safe="")
    filled = _EXPRESSION.sub(lambda found: value if found[1] in _OBJECT else "", template)
    try:
        address = addresses.parse(filled)
    except Forbidden:
        # Other expressions, with braces of their own, end here too.
        return None
    return filled if _is_public(address, allow_loopback=allow_loopback) else None


def _is_public(address: addresses.Address, *, allow_loopback: bool) -> bool:
    ip = addresses.ip_literal(address.host)
    if allow_loopback and (address.host == "localhost" or (ip is not None and addresses.is_loopback(ip))):
        return True
    if address.scheme != "https" or address.port != addresses.DEFAULT_PORTS["https"]:
        return False
    return not addresses.is_local_name(address.host) and (ip is None or addresses.is_public(ip))


async def _links(http: httpx.AsyncClient, server: str, resource: str, permit: Permit) -> Mapping[str, object]:
    url = f"{discovery.origin_of_host(server)}/.well-known/webfinger?resource={quote(resource, safe='')}"
    return await discovery.get_json(http, url, accept=f"{JRD_JSON}, application/json", permit=permit)
