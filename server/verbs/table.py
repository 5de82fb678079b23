"""What does each address do? One table, and the one place where a message is run.

A verb is a function of (services, peer, request): plain when it answers at once, a coroutine
function when it must wait for a file or the journal. Messages of one peer are run one after
another in the order in which they came, but for those in AT_ONCE.
"""

from __future__ import annotations

import inspect
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable

from osc_protocol import ADDRESSES, ROOT, BadRequest, Request
from server.errors import RequestError, to_error
from server.services import Services
from server.verbs import audio as verbs_audio
from server.verbs import jobs as verbs_jobs
from server.verbs import live as verbs_live
from server.verbs import presets as verbs_lists
from server.verbs import server as verbs_server
from server.wire.sessions import Peer

log = logging.getLogger(__name__)

Verb = Callable[[Services, Peer, Request], Awaitable[None] | None]

VERBS: dict[str, Verb] = {
    f"{ROOT}/{name}": verb
    for table in (
        verbs_jobs.VERBS,
        verbs_audio.VERBS,
        verbs_live.VERBS,
        verbs_lists.VERBS,
        verbs_server.VERBS,
    )
    for name, verb in table.items()
}
# A patch's link light must not wait for a slow disk, and a position that waits is wrong.
AT_ONCE = frozenset((f"{ROOT}/ping", f"{ROOT}/got", f"{ROOT}/live/transport"))
NEED_STYLES = frozenset(
    f"{ROOT}/{name}"
    for name in (
        "edit",
        "say",
        "again",
        "capture",
        "set",
        "preset/list",
        "preset/get",
        "preset/blend",
    )
)
STORMS = frozenset(("auth", "busy"))  # answered at a limited rate, like garbage
# not worth a line
FREQUENT = AT_ONCE | {f"{ROOT}/{name}" for name in ("status", "job/query", "audio/data")}
WITHOUT_PASSWORD = frozenset((f"{ROOT}/auth",))


async def run(
    services: Services, peer: Peer, message: Request | BadRequest, came_at: float = 0.0
) -> None:
    """Run one message.

    Whatever goes wrong costs an answer, not the session. `came_at`: monotonic; 0: now.
    """
    came_at = came_at or time.monotonic()
    refusal = await _outcome(services, peer, message)
    seconds = time.monotonic() - came_at
    services.metrics.observe_answer(message.address, refusal.code if refusal else "", seconds)
    if refusal:
        _refuse(services, peer, message, refusal)
    elif message.address not in FREQUENT:
        log.info(
            "answered",
            extra={
                "verb": message.address,
                "client": peer.session.client,
                "peer": peer.key,
                "id": message.id or "",
                "seconds": seconds,
            },
        )


async def _outcome(
    services: Services, peer: Peer, message: Request | BadRequest
) -> RequestError | None:
    try:
        request = _check_allowed(peer, message)
        for warning in request.warnings:
            services.delivery.send(peer, "log", 2, f"{request.address}: {warning}")
        if request.address in NEED_STYLES:
            await services.refresh_styles()
        outcome = VERBS[request.address](services, peer, request)
        if inspect.isawaitable(outcome):
            await outcome
    except RequestError as refusal:
        return refusal
    except (OSError, sqlite3.Error) as error:
        log.warning(
            "a request failed", extra={"verb": message.address, "peer": peer.key, "reason": error}
        )
        return to_error(error, "the server's disk does not do what it should")
    except Exception as error:  # a mistake of ours: the client must hear of it all the same
        log.exception("a request failed", extra={"verb": message.address, "peer": peer.key})
        return RequestError("internal", f"{type(error).__name__}: {error}; the log has more")
    return None


def _check_allowed(peer: Peer, message: Request | BadRequest) -> Request:
    """The message as a request that this peer may make. Raises RequestError."""
    if not peer.is_trusted and message.address not in WITHOUT_PASSWORD:
        raise RequestError("auth", f"send {ROOT}/auth <password> first")
    if isinstance(message, BadRequest):
        raise RequestError(message.code, message.message)
    if ADDRESSES[message.address].loopback_only and not peer.link.is_local:
        raise RequestError("auth", f"{message.address} is taken from the server's own machine only")
    return message


def _refuse(
    services: Services, peer: Peer, message: Request | BadRequest, refusal: RequestError
) -> None:
    may_storm = isinstance(message, BadRequest) or refusal.code in STORMS
    if may_storm and not peer.may_complain(time.monotonic()):
        return
    log.info(
        "refused",
        extra={
            "verb": _name_of(message),
            "peer": peer.key,
            "code": refusal.code,
            "reason": "" if message.address in WITHOUT_PASSWORD else refusal.message,
        },
    )
    identity = message.job_id if isinstance(message, Request) else message.id
    services.delivery.send(peer, "fail", message.address, identity, refusal.code, refusal.message)


def _name_of(message: Request | BadRequest) -> str:
    """The address if it is one of ours; a foreign one may hold anything."""
    return message.address if message.address in ADDRESSES else "unknown"


def refuse_flood(services: Services, peer: Peer, message: Request | BadRequest) -> None:
    """Too many messages of one peer wait: say so for this one, and drop it."""
    _refuse(
        services,
        peer,
        message,
        RequestError("busy", "too many of your messages wait for their turn; send fewer at once"),
    )
