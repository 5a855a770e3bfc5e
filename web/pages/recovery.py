"""The desk's API for a forgotten passphrase: the twelve recovery words, from which a browser derives a proof and a key."""

from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.runtime import Node
from node.settings import Settings
from node.staff.entrance import Throttle
from node.staff.recovery import NewPassphrase, WrongRecoveryCode, change_passphrase, recover
from web.pages.wire import NO_STORE, Wire, answer, b64, read_json, takes
from web.sessions import require_same_origin

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Vault = Annotated[bytes, msgspec.Meta(min_length=1, max_length=64 * 1024)]


class Recover(Wire, frozen=True):
    """A name, and the proof that its recovery words are known."""

    name: Name
    recovery_auth: Bytes32


class Reseal(Wire, frozen=True):
    """The same keys under a new passphrase."""

    name: Name
    recovery_auth: Bytes32
    salt: Bytes16
    auth: Bytes32
    vault: Vault


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses of recovery. One memory of tries per application, apart from that of signing in."""
    throttle = Throttle()
    api = "/api/v1/desk/recovery"
    return [
        Route(api, partial(show_vault, throttle=throttle), methods=["POST"]),
        Route(f"{api}/passphrase", partial(reseal, throttle=throttle), methods=["POST"]),
    ]


@takes(Recover)
async def show_vault(request: Request, *, throttle: Throttle) -> Response:
    """The second copy of the vault. 401 for a wrong name and for wrong words alike, 429 after too many tries on one name."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Recover, max_bytes=4096)
    throttle.count(given.name, now=node.clock.now())
    try:
        async with node.database.read() as session:
            staff = await recover(session, name=given.name, proof=given.recovery_auth)
    except WrongRecoveryCode as error:
        return answer({"error": error.public}, 401)
    return answer({"recovery_vault": b64(staff.recovery_vault)})


@takes(Reseal)
async def reseal(request: Request, *, throttle: Throttle) -> Response:
    """Put a new passphrase in place of the forgotten one; every session of the account ends."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Reseal, max_bytes=256 * 1024)
    now = node.clock.now()
    throttle.count(given.name, now=now)
    new = NewPassphrase(given.salt, given.auth, given.vault)
    try:
        async with node.database.begin() as session:
            await change_passphrase(session, new, name=given.name, proof=given.recovery_auth, now=now)
    except WrongRecoveryCode as error:
        return answer({"error": error.public}, 401)
    throttle.forget(given.name)
    return Response(status_code=204, headers=NO_STORE)
