"""NodeInfo 2.1 and 2.0: what software a server says it is, built for ours and read from others.

What is read is for people and statistics; nothing may be concluded from a name or version (FEP-0151).
Spec: nodeinfo.diaspora.software protocol and schemas; FEP-f1d5; FEP-2677 for the link to the server's actor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from federation import addresses, discovery
from federation.errors import BadAnswer, Forbidden
from vocab.terms import AS_NAMESPACE

SCHEMA = "http://nodeinfo.diaspora.software/ns/schema/"
SERVER_ACTOR = f"{AS_NAMESPACE}Application"
SOFTWARE = "social-rights-tracker"
VERSIONS = ("2.1", "2.0")


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What another server says about itself."""

    software: str
    version: str
    protocols: tuple[str, ...]
    metadata: Mapping[str, object]


def well_known(origin: str, *, server_actor: str | None = None) -> dict[str, object]:
    """Return the document at /.well-known/nodeinfo."""
    links = [{"rel": f"{SCHEMA}{version}", "href": f"{origin}/nodeinfo/{version}"} for version in VERSIONS]
    if server_actor is not None:
        links.append({"rel": SERVER_ACTOR, "href": server_actor})
    return {"links": links}


def build(
    version: str,
    *,
    software_version: str,
    posts: int,
    users: int = 1,
    homepage: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return our NodeInfo document.

    version   of the schema, "2.1" or "2.0".
    users     actors, which are organisations: no member of staff is one, and none is counted.
    posts     public cases.
    """
    if version not in VERSIONS:
        raise ValueError(f"NodeInfo {version} is not spoken")
    software: dict[str, object] = {"name": SOFTWARE, "version": software_version}
    if version == "2.1" and homepage is not None:
        software["homepage"] = homepage
    return {
        "version": version,
        "software": software,
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": ["atom1.0"]},
        "openRegistrations": False,
        "usage": {"users": {"total": users}, "localPosts": posts},
        "metadata": dict(metadata or {}),
    }


async def read(http: httpx.AsyncClient, origin: str) -> NodeInfo:
    """Return what the server at `origin` says it is; 2.1 before 2.0. Raises FetchError.

    The document must lie on the same server: the link is a stranger's and could lead inward (Fedify CVE-2026-62857).
    """
    index = await discovery.get_json(http, f"{origin}/.well-known/nodeinfo", accept="application/json")
    links = index.get("links")
    found = {
        str(link.get("rel")): link.get("href")
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, Mapping)
    }
    href = next((found[f"{SCHEMA}{version}"] for version in VERSIONS if f"{SCHEMA}{version}" in found), None)
    if not isinstance(href, str):
        raise BadAnswer("no NodeInfo in a version that is read here", url=origin)
    if not addresses.same_origin(href, origin):
        raise Forbidden("NodeInfo on another server", url=href)
    document = await discovery.get_json(http, href, accept="application/json")
    software, protocols, metadata = (document.get(name) for name in ("software", "protocols", "metadata"))
    if not isinstance(software, Mapping):
        raise BadAnswer("NodeInfo without software", url=href)
    return NodeInfo(
        software=str(software.get("name"))[:100],
        version=str(software.get("version"))[:100],
        protocols=tuple(item for item in protocols if isinstance(item, str))
        if isinstance(protocols, list)
        else (),
        metadata=metadata if isinstance(metadata, Mapping) else {},
    )
