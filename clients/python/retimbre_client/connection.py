"""How does a conversation meet its socket? Packets and time go from one to the other.

All of it belongs to one event loop and its thread. A TCP connection that is lost is made again
until `close`.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from osc_protocol import is_loopback
from retimbre_client.conversation import Conversation
from retimbre_client.exchange import Exchange
from retimbre_client.values import NoServer
from retimbre_client.wires import Wire, open_wire

RECONNECT_SECONDS = (0.1, 2.0)  # the first pause, and the longest


class Connection:
    """A connection to one server. `ask` says something; what it returns is the answer to come."""

    def __init__(self, conversation: Conversation, host: str, port: int, transport: str) -> None:
        self.conversation, self.transport = conversation, transport
        self.host, self.port = host, port
        # whether the server's address is this machine's own; known once it is connected
        self.is_loopback = False
        self._wire: Wire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self, seconds: float) -> None:
        """Connect and introduce ourselves. NoServer; Refused when the password is wrong."""
        try:
            self._wire = await asyncio.wait_for(self._connect(), seconds)
        except (OSError, asyncio.TimeoutError) as error:
            raise self._unreachable(error) from error
        introduction = self._future(self.conversation.open(_now()))
        self._pump()
        await introduction

    def ask(self, exchange: Exchange) -> asyncio.Future[Any]:
        """Begin an exchange. The future has its outcome or its error."""
        future = self._future(exchange)
        if self._is_closed:
            exchange.end(error=NoServer("not_ready", "this client is closed"))
        else:
            self.conversation.begin(exchange, _now())
            self._pump()
        return future

    def close(self, last_packet: bytes = b"") -> None:
        """Close the socket; what has not ended, ends with NoServer."""
        if self._is_closed:
            return
        self._is_closed = True
        if last_packet and self._wire:
            self._wire.send(last_packet)
        if self._reconnecting:
            self._reconnecting.cancel()
        if self._timer:
            self._timer.cancel()
        if self._wire:
            self._wire.close()
        self.conversation.give_up(
            NoServer("not_ready", "this client was closed before the answer came")
        )

    def _future(self, exchange: Exchange) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()

        def end(ended: Exchange) -> None:
            if future.done():  # nobody waits any more
                return
            if ended.error:
                future.set_exception(ended.error)
            else:
                future.set_result(ended.outcome)

        exchange.on_end = end
        return future

    async def _connect(self) -> Wire:
        # The server listens on one address family: IPv4, unless told otherwise; a datagram to the
        # other is lost.
        host = "127.0.0.1" if self.host == "localhost" else self.host
        wire = await open_wire(self.transport, host, self.port, self._hear, self._on_lost)
        self.is_loopback = is_loopback(wire.peer_host)
        return wire

    def _hear(self, packets: list[bytes]) -> None:
        for packet in packets:
            self.conversation.hear(packet, _now())
        self._pump()

    def _on_lost(self, error: Exception | None) -> None:
        """The connection is gone, or nobody listens at the other end of the datagrams."""
        if self._is_closed:
            return
        if not self.conversation.was_answered:
            self.conversation.give_up(self._unreachable(error))
        elif self.transport == "tcp":
            self._wire = None
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())
        else:
            self.conversation.reopen(_now())
            self._pump()

    async def _reconnect(self) -> None:
        pause_seconds, longest_seconds = RECONNECT_SECONDS
        while self._wire is None:
            try:
                self._wire = await self._connect()
            except OSError:
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, longest_seconds)
        self.conversation.reopen(_now())
        self._pump()

    def _pump(self) -> None:
        """Send what is to be sent, and set the timer for the next tick, where early is harmless."""
        for packet in self.conversation.take():
            if self._wire:  # while there is none, everything is said again later
                self._wire.send(packet)
        next_tick = self.conversation.next_tick
        if self._timer and self._timer.when() > next_tick:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and next_tick < math.inf and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_at(next_tick, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.conversation.tick(_now())
        self._pump()

    def _unreachable(self, error: Exception | None) -> NoServer:
        reason = getattr(error, "strerror", None) or error or "it hung up"
        return NoServer(
            "not_ready",
            f"nobody listens on {self.host} port {self.port} ({reason}); "
            "start a server with: retimbre serve",
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
