"""How do packets get to the server and back? One socket, UDP or TCP."""

from __future__ import annotations

import abc
import asyncio
import socket
from collections.abc import Callable
from typing import Any

from osc_protocol import FramingError, StreamDecoder, encode_frame

TRANSPORTS = ("udp", "tcp")
# the usual default holds a few dozen chunks of audio, and loses the rest
RECEIVE_BUFFER_BYTES = 4 << 20

OnPackets = Callable[[list[bytes]], None]
OnLost = Callable[[Exception | None], None]


class Wire(asyncio.BaseProtocol, abc.ABC):
    """A connected socket. `on_packets` gets whole packets; `on_lost`: the other end is gone."""

    def __init__(self, on_packets: OnPackets, on_lost: OnLost) -> None:
        self._on_packets, self._on_lost = on_packets, on_lost
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


class _UdpWire(Wire, asyncio.DatagramProtocol):
    """Datagrams to and from one address; the connected socket ignores those of strangers."""

    def _tune(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def send(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(packet)

    def datagram_received(self, data: bytes, address: object) -> None:
        self._on_packets([data])

    def error_received(self, error: Exception) -> None:
        self._on_lost(error)


class _TcpWire(Wire, asyncio.Protocol):
    """Packets with a length before each, on one connection."""

    def __init__(self, on_packets: OnPackets, on_lost: OnLost) -> None:
        super().__init__(on_packets, on_lost)
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
        self._on_packets(packets)

    def connection_lost(self, error: Exception | None) -> None:
        self._on_lost(error)


async def open_wire(
    transport: str, host: str, port: int, on_packets: OnPackets, on_lost: OnLost
) -> Wire:
    """Connect, in the running loop. OSError."""
    loop = asyncio.get_running_loop()
    if transport == "tcp":
        return (await loop.create_connection(lambda: _TcpWire(on_packets, on_lost), host, port))[1]
    return (
        await loop.create_datagram_endpoint(
            lambda: _UdpWire(on_packets, on_lost), remote_addr=(host, port)
        )
    )[1]
