"""One socket, UDP or TCP, and the conversation over it: moves packets and time from one to the
other.

All of it belongs to one event loop and its thread. A TCP connection that is lost is made again
until `close`.
"""

from __future__ import annotations

import abc
import asyncio
import math
import socket
from collections.abc import Callable
from typing import Any

from osc_protocol import FramingError, StreamDecoder, encode_frame, is_loopback
from retimbre_client.conversation import Conversation
from retimbre_client.exchanges import Exchange
from retimbre_client.values import NoServer

# the usual default holds a few dozen chunks of audio, and loses the rest
RECEIVE_BUFFER_BYTES = 4 << 20
RECONNECT_SECONDS = (0.1, 2.0)  # the first pause, and the longest

Hear = Callable[[bytes], None]
Lost = Callable[[Exception | None], None]


class Line:
    """A connection to one server. `ask` says something; what it returns is the answer to come."""

    def __init__(self, conversation: Conversation, host: str, port: int, transport: str) -> None:
        self.conversation, self.host, self.port, self.transport = (
            conversation,
            host,
            port,
            transport,
        )
        # whether the server's address is this machine's own; known once it is connected
        self.is_loopback = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wire: _Wire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reconnecting: asyncio.Task | None = None
        self._is_closed = False

    async def open(self, seconds: float) -> None:
        """Connect and introduce ourselves. Raises NoServer, or Refused when the password is wrong."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(self._connect(), seconds)
        except (OSError, asyncio.TimeoutError) as error:
            raise self._unreachable(error) from error
        introduced = self._future(self.conversation.open(self._loop.time()))
        self._pump()
        await introduced

    def ask(self, exchange: Exchange) -> asyncio.Future[Any]:
        """Begin an exchange. The future has its outcome or its error."""
        future = self._future(exchange)
        if self._is_closed:
            exchange.end(error=NoServer("not_ready", "this client is closed"))
        else:
            self.conversation.begin(exchange, self._loop.time())
            self._pump()
        return future

    def close(self, last_words: bytes = b"") -> None:
        """Close the socket; what has not ended, ends with NoServer."""
        if self._is_closed:
            return
        self._is_closed = True
        if last_words and self._wire:
            self._wire.send(last_words)
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
        future = self._loop.create_future()

        def end(ended: Exchange) -> None:
            if future.done():  # nobody waits any more
                return
            if ended.error:
                future.set_exception(ended.error)
            else:
                future.set_result(ended.outcome)

        exchange.on_end = end
        return future

    async def _connect(self) -> None:
        def protocol() -> _Wire:
            return _WIRES[self.transport](self._hear, self._lost)

        # The server listens on one address family: IPv4, unless told otherwise; a datagram to the
        # other is lost.
        address = ("127.0.0.1" if self.host == "localhost" else self.host, self.port)
        if self.transport == "tcp":
            _, self._wire = await self._loop.create_connection(protocol, *address)
        else:
            _, self._wire = await self._loop.create_datagram_endpoint(protocol, remote_addr=address)
        self.is_loopback = is_loopback(self._wire.peer_host)

    def _hear(self, packets: list[bytes]) -> None:
        for packet in packets:
            self.conversation.hear(packet, self._loop.time())
        self._pump()

    def _lost(self, error: Exception | None) -> None:
        """The connection is gone, or nobody listens at the other end of the datagrams."""
        if self._is_closed:
            return
        if not self.conversation.was_answered:
            self.conversation.give_up(self._unreachable(error))
        elif self.transport == "tcp":
            self._wire = None
            self._reconnecting = self._loop.create_task(self._reconnect())
        else:
            self.conversation.forgotten(self._loop.time())
            self._pump()

    async def _reconnect(self) -> None:
        pause_seconds, longest_seconds = RECONNECT_SECONDS
        while self._wire is None:
            try:
                await self._connect()
            except OSError:
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, longest_seconds)
        self.conversation.forgotten(self._loop.time())
        self._pump()

    def _pump(self) -> None:
        """Send what is to be sent, and set the alarm for the next tick; an alarm that rings early
        does no harm.
        """
        for packet in self.conversation.take():
            if self._wire:  # while there is none, everything is said again later
                self._wire.send(packet)
        next_tick = self.conversation.next_tick
        if self._timer and self._timer.when() > next_tick:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and next_tick < math.inf and not self._is_closed:
            self._timer = self._loop.call_at(next_tick, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.conversation.tick(self._loop.time())
        self._pump()

    def _unreachable(self, error: Exception | None) -> NoServer:
        reason = getattr(error, "strerror", None) or error or "it hung up"
        return NoServer(
            "not_ready",
            f"nobody listens on {self.host} port {self.port} ({reason}); "
            "start a server with: retimbre serve",
        )


class _Wire(abc.ABC):
    """What both transports do for a Line. `hear` gets whole packets."""

    def __init__(self, hear: Hear, lost: Lost) -> None:
        self._hear, self._lost = hear, lost
        self._transport: Any = None
        self.peer_host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.peer_host = transport.get_extra_info("peername")[0]
        self._tune(transport.get_extra_info("socket"))

    @abc.abstractmethod
    def _tune(self, connected: socket.socket) -> None:
        """Set the socket's options."""

    @abc.abstractmethod
    def send(self, packet: bytes) -> None:
        """Never waits, never raises."""

    def close(self) -> None:
        self._transport.close()


class _UdpWire(_Wire, asyncio.DatagramProtocol):
    """Datagrams to and from one address; the socket is connected, so that strangers are not heard."""

    def _tune(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def send(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(packet)

    def datagram_received(self, data: bytes, address: tuple) -> None:
        self._hear([data])

    def error_received(self, error: OSError) -> None:
        self._lost(error)


class _TcpWire(_Wire, asyncio.Protocol):
    """Packets with a length before each, on one connection."""

    def __init__(self, hear: Hear, lost: Lost) -> None:
        super().__init__(hear, lost)
        self._decoder = StreamDecoder()

    def _tune(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(encode_frame(packet, "int32"))

    def data_received(self, data: bytes) -> None:
        try:
            packets = self._decoder.feed(data)
        except FramingError:  # not our protocol: connection_lost follows
            self._transport.abort()
            return
        self._hear(packets)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(error)


_WIRES: dict[str, type[_Wire]] = {"udp": _UdpWire, "tcp": _TcpWire}
