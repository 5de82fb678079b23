"""The websocket of OSCQuery: text frames are commands, binary frames are OSC packets.

A client that sends OSC here is treated like one on TCP. A client that LISTENs to an address gets
every such message, also about other clients' jobs. A client that does not read is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from aiohttp import WSMsgType, web

from osc_protocol import REPLIES, ROOT, encode
from server.http.oscquery import Node
from server.services import Services
from server.verbs.inbox import Inbox
from server.wire.sessions import Peer
from server.wire.transports import MAX_FRAME_BYTES, Link

log = logging.getLogger(__name__)

MAX_UNREAD_BYTES = 4 * 2**20
HEARTBEAT_SECONDS = 15.0
CLOSE_SECONDS = 1.0  # for the other side to agree
NEWS, JOBS = 1, 2  # levels of /notify
CHANGED = f"{ROOT}/preset/changed"


class SocketLink(Link):
    """One websocket; what is sent waits in a queue of limited size."""

    is_stream = True

    def __init__(self, request: web.Request) -> None:
        if request.transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport = request.transport
        self.host, port = self._transport.get_extra_info("peername")[:2]
        self.key, self.reply_port = f"ws:{self.host}:{port}", port
        self._queue: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._unread_bytes = 0
        self.may_read = asyncio.Event()
        self.may_read.set()

    def send(self, packet: bytes) -> None:
        self.put(packet)

    def put(self, data: bytes | str) -> None:
        """Send OSC (bytes) or a command (text)."""
        self._unread_bytes += len(data)
        if self._unread_bytes > MAX_UNREAD_BYTES:
            log.warning("closed: it does not read what it asked for", extra={"peer": self.key})
            self.close()
            return
        self._queue.put_nowait(data)

    async def write(self, socket: web.WebSocketResponse) -> None:
        """Send what waits, for ever."""
        # the reader has gone, and the reading side ends this
        with contextlib.suppress(ConnectionError):
            while True:
                data = await self._queue.get()
                await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
                self._unread_bytes -= len(data)

    def close(self) -> None:
        self._transport.abort()

    def pause(self, should_pause: bool) -> None:
        (self.may_read.clear if should_pause else self.may_read.set)()


class Subscriber(Link):
    """The messages that a websocket LISTENs to: pushes, and reports about all jobs."""

    is_stream = True

    def __init__(self, link: SocketLink) -> None:
        self._link = link
        self.key, self.host = f"{link.key} listens", link.host
        self.paths: set[str] = set()

    def send(self, packet: bytes) -> None:
        path = packet[: packet.index(b"\0")].decode("ascii")
        if path == CHANGED:  # the tree has the names of the styles
            self._link.put(json.dumps({"COMMAND": "PATH_CHANGED", "DATA": ROOT}))
        if path in self.paths:
            self._link.send(packet)

    def close(self) -> None:
        """Ends with its websocket."""

    def pause(self, should_pause: bool) -> None:
        """Nothing comes in here."""


async def serve(
    services: Services, inbox: Inbox, request: web.Request, sockets: set[web.WebSocketResponse]
) -> web.WebSocketResponse:
    """One websocket from its beginning to its end."""
    socket = web.WebSocketResponse(
        timeout=CLOSE_SECONDS, heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_FRAME_BYTES
    )
    await socket.prepare(request)
    link = SocketLink(request)
    peer = services.sessions.peer(link)
    peer.is_trusted = True  # its request had the password
    subscriber = Subscriber(link)
    listener = Peer(subscriber, peer.session)
    services.sessions.add_listener(listener, NEWS)
    writer = asyncio.create_task(link.write(socket), name=f"writes to {link.key}")
    sockets.add(socket)
    try:
        async for frame in socket:
            if frame.type == WSMsgType.BINARY:
                inbox.receive(link, frame.data)
            elif frame.type == WSMsgType.TEXT:
                _obey(services, listener, subscriber, frame.data)
            await link.may_read.wait()
    finally:
        sockets.discard(socket)
        writer.cancel()
        services.sessions.remove_listener(listener)
        inbox.on_lost(link, "")
    return socket


def _obey(services: Services, listener: Peer, subscriber: Subscriber, text: str) -> None:
    """Run a command. Anything else is ignored: the proposal has no answer for it."""
    command, path = _parse(text)
    if command == "LISTEN" and path in REPLIES:
        subscriber.paths.add(path)
        services.sessions.add_listener(listener, JOBS)
        if path == f"{ROOT}/state":
            subscriber.send(encode(path, services.state))
    elif command == "IGNORE":
        subscriber.paths.discard(path)
    else:
        log.info("an unknown command", extra={"peer": listener.key, "said": text[:200]})


def _parse(text: str) -> tuple[Any, Any]:
    try:
        message: Node = json.loads(text)
        return message["COMMAND"], message["DATA"] if isinstance(message["DATA"], str) else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
