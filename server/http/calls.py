"""POST /retimbre/<verb>: runs the verb's own function and returns what it answers at once.

`200 {"replies": [{"address": "/retimbre/ack", "id": "7", ...}]}`; a /fail among the replies sets
the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web

from osc_protocol import (
    ADDRESSES,
    ROOT,
    BadRequest,
    ReplyMessage,
    Request,
    decode_message,
    decode_reply,
    encode,
)
from server.errors import RequestError
from server.http import json_form
from server.http.clients import Client, OpenCall
from server.jobs import delivery
from server.services import Services
from server.verbs import table as verbs
from server.wire.sessions import Peer
from server.wire.transports import Link

MAX_BODY_BYTES = 2 * 2**20  # an /audio/data of 1 MiB as Base64

# A call is answered when its verb's function has returned, which by then has sent its immediate
# answers. These verbs answer later, and their call waits for one of the messages.
ANSWERED_LATER = {
    "sync": ("synced", "fail"),
    "model/load": ("done", "fail"),
    "model/unload": ("done", "fail"),
}
FAIL = f"{ROOT}/fail"
ALWAYS_ANSWERS = ("fail", "log")
ALWAYS_EVENTS = ("progress",)

STATUS = {
    "bad_packet": 400,
    "bad_args": 400,
    "auth": 401,
    "path_denied": 403,
    "unknown_address": 404,
    "unknown_preset": 404,
    "unknown_model": 404,
    "unknown_job": 404,
    "unknown_take": 404,
    "unknown_upload": 404,
    "no_file": 404,
    "no_device": 404,
    "no_region": 409,
    "not_live": 409,
    "no_transport": 409,
    "busy": 409,
    "cancelled": 409,
    "stale_chunk": 409,
    "too_large": 413,
    "bad_audio": 422,
    "bad_preset": 422,
    "too_long": 422,
    "too_short": 422,
    "not_heard": 422,
    "internal": 500,
    "engine_died": 503,
    "interrupted": 503,
    "missing_weights": 503,
    "no_portaudio": 503,
    "model_damaged": 503,
    "no_handles": 503,
    "not_ready": 503,
    "queue_full": 503,
    "timed_out": 504,
    "out_of_memory": 507,
    "disk_full": 507,
    "write_failed": 507,
}


class Call(Link):
    """The way to one call.

    While it is open, the replies of its row are its answer; all others become the client's events.
    """

    is_stream = True

    def __init__(self, client: Client, request: Request | BadRequest) -> None:
        self._client, self._link, self.request = client, client.link, request
        self._answers = _answers(request.address)
        self.key, self.host, self.reply_port = (
            client.link.key,
            client.link.host,
            client.link.reply_port,
        )
        self.replies: list[ReplyMessage] = []
        self.is_open = True
        self._news = asyncio.Event()

    def send(self, packet: bytes) -> None:
        message = decode_reply(packet)
        if not self.is_open or message.address not in self._answers:
            self._link.append(message)
            return
        for call in {self, *self._twins()}:
            call.take(message)

    def _twins(self) -> list[OpenCall]:
        """The same request, sent again while it waits: they share the one answer."""
        if self.request.address not in _paths(ANSWERED_LATER):
            return []
        return [call for call in self._client.calls if call.request == self.request]

    def take(self, message: ReplyMessage) -> None:
        """One more answer."""
        self.replies.append(message)
        self._news.set()

    async def wait_for(self, names: tuple[str, ...]) -> None:
        """Until one of those messages has come, or the server stops."""
        wanted = _paths(names)
        while wanted and not wanted & {message.address for message in self.replies}:
            if self._link.events.is_closed:
                raise RequestError("not_ready", "the server stops; the answer will not come")
            self._news.clear()
            await self._news.wait()

    def stir(self) -> None:
        """Look again at what there is to wait for."""
        self._news.set()

    def close(self) -> None:
        self.is_open = False

    def pause(self, should_pause: bool) -> None:
        """Nothing to do: a call waits for its own answer."""


def _answers(address: str) -> set[str]:
    row = ADDRESSES.get(address)
    return _paths((*(row.replies if row else ()), *ALWAYS_ANSWERS)) - _paths(ALWAYS_EVENTS)


def _paths(names: Iterable[str]) -> set[str]:
    return {f"{ROOT}/{name}" for name in names}


async def run(services: Services, client: Client, address: str, body: bytes) -> list[ReplyMessage]:
    """Run one request of a client. Returns the verb's immediate answers. Raises RequestError."""
    try:
        request = decode_message(json_form.message(address, json_form.parse(body)))
    except json_form.BadBody as error:
        raise RequestError("bad_args", str(error)) from error
    call = Call(client, request)
    peer = Peer(call, client.peer.session)
    client.calls.add(call)
    try:
        if peer.session.dump_level and isinstance(request, Request):
            delivery.trace(
                peer, "in", address, (*request.values.values(), *request.keys.items()), body
            )
        if address in verbs.AT_ONCE:
            await verbs.run(services, peer, request)
        else:
            async with client.turn:
                await verbs.run(services, peer, request)
        await call.wait_for(ANSWERED_LATER.get(address.removeprefix(f"{ROOT}/"), ()))
    finally:
        call.close()
        client.calls.remove(call)
    return call.replies


def to_response(replies: list[ReplyMessage]) -> web.Response:
    """The answer to a call; a /fail sets the status."""
    codes = [message.values["code"] for message in replies if message.address == FAIL]
    return web.json_response(
        {"replies": [json_form.reply(message) for message in replies]},
        status=STATUS[codes[0]] if codes else 200,
    )


def fail_response(command: str, code: str, message: str, status: int = 0) -> web.Response:
    """A /fail in the same form, for a request that never became a call."""
    fail = decode_reply(encode(FAIL, command, 0, code, message))
    return web.json_response({"replies": [json_form.reply(fail)]}, status=status or STATUS[code])
