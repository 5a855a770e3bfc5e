"""A peer for the tests: `python main.py --data DIR --contexts FILE [--knock …]`. Prints {"origin","actor"} when it listens.

    GET  /control/received   what came to its inboxes, in order, with what bovine and apsig say of each
    GET  /control/state      followers, following, who accepted or rejected its follows, likes it got
    POST /control/do         {"deed": "follow"|"unfollow"|"note"|"like"|"announce"|"post", …} → what was sent
    POST /control/check      {"url"} → fetches a document, signed, and verifies its proofs

It runs in an environment of its own, of requirements.lock, and has no code in common with the server it talks to.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--data", type=Path, required=True, help="an empty directory, for what it remembers")
    asked.add_argument(
        "--contexts", type=Path, required=True, help="JSON-LD contexts by address: none is fetched"
    )
    asked.add_argument(
        "--knock", choices=("cavage", "rfc9421"), default="cavage", help="how it signs what it posts"
    )
    given = asked.parse_args()
    contexts = json.loads(given.contexts.read_text())
    logging.basicConfig(level=logging.INFO)
    os.chdir(given.data)  # importing bovine makes a cache of contexts where one stands

    import bovine.jsonld

    bovine.jsonld.jsonld_cache.cache |= contexts
    bovine.jsonld.requests_document_loader = _nothing_is_fetched
    asyncio.run(serve(given.knock))


async def serve(knock: str) -> None:
    """Serve on a free loopback port until standard input ends."""
    from actor import Peer
    from hypercorn.asyncio import serve as hypercorn
    from hypercorn.config import Config
    from quart import Quart, g, request
    from signing import proofs_of

    listening = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = Quart(__name__)
    peer = Peer(app, origin, knock=knock, database="peer.sqlite3")
    received: list[dict] = []

    @app.before_serving
    async def ready() -> None:
        await peer.settle()
        print(json.dumps({"origin": origin, "actor": peer.id}), flush=True)

    @app.before_request
    async def show():
        shown = peer.shown.get(f"{origin}{request.path}") if request.method == "GET" else None
        return None if shown is None else (shown, 200, {"content-type": "application/activity+json"})

    @app.after_request
    async def witness(response):
        if request.method == "POST" and not request.path.startswith("/control/"):
            received.append({"path": request.path, "status": response.status_code, **await _seen()})
        return response

    async def _seen() -> dict:
        activity = await request.get_json(force=True, silent=True)
        context, embedded = (activity.get("@context"), activity.get("object")) if activity else (None, None)
        dialect = "rfc9421" if "signature-input" in request.headers else "cavage"
        owner = g.get("retriever")
        return {
            "signature": {
                "verified": owner is not None,
                "owner": owner,
                "dialect": dialect if "signature" in request.headers else None,
            },
            "proof": await proofs_of(activity, peer.actor),
            "objectProof": await proofs_of(embedded, peer.actor, context),
            "activity": activity,
        }

    @app.get("/control/received")
    async def _received():
        return received

    @app.get("/control/state")
    async def _state():
        return await peer.state()

    @app.post("/control/do")
    async def _do():
        told = await request.get_json(force=True)
        deeds = {
            "follow": peer.follow,
            "unfollow": peer.unfollow,
            "note": peer.note,
            "like": peer.like,
            "announce": peer.announce,
            "post": peer.post,
        }
        try:
            return {"ok": True, "sent": await deeds[told.pop("deed")](**told)}
        except Exception as error:
            logging.exception("told to do what cannot be done")
            return {"ok": False, "error": repr(error)}

    @app.post("/control/check")
    async def _check():
        document = await peer.actor.get((await request.get_json(force=True))["url"])
        return {"document": document, "proof": await proofs_of(document, peer.actor)}

    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    # Whoever started it holds its standard input: when that closes, the test is over.
    await hypercorn(app, config, shutdown_trigger=lambda: asyncio.to_thread(sys.stdin.read))


def _nothing_is_fetched(**_: object) -> NoReturn:
    raise LookupError("the tests have no network: this context is not among those given")


if __name__ == "__main__":
    main()
