"""Bytes in, bytes out: UDP and TCP on one port number. Nothing here knows what the bytes mean.

All of it runs in the event loop's thread. Receiving only hands on; sending never waits: what a TCP
client does not read is buffered up to MAX_UNREAD_BYTES, then its connection is closed.
"""

from __future__ import annotations

import abc
import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

from osc_protocol import FramingError, StreamDecoder, encode_frame, is_loopback

log = logging.getLogger(__name__)

# the kernel's default of 208 KiB holds 26 packets of 8 KB, and loses the rest
UDP_RECEIVE_BUFFER_BYTES = 4 * 2**20
UDP_SEND_BUFFER_BYTES = 64 * 2**10  # macOS refuses datagrams over its default of 9216
MAX_FRAME_BYTES = 2 * 2**20  # the largest message is one chunk of an upload, 1 MiB
MAX_UNREAD_BYTES = 32 * 2**20
# of all connections; looked at where one holds more than its share
MAX_ALL_UNREAD_BYTES = 256 * 2**20
MAX_CONNECTIONS = 256
# for another machine to send the password: idle connections must not keep others out
STRANGER_SECONDS = 30.0
# A machine that was switched off says nothing. After a minute of silence the system asks, after
# another minute it gives up. TCP_KEEPALIVE is the name on macOS.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
PORTS_TO_TRY = 11  # the wanted one and the next ten

Receive = Callable[["Link", bytes], None]
UdpAddress = tuple[Any, ...]  # (host, port), and two more of IPv6
Lost = Callable[["Link", str], None]  # the reason is empty unless we close


class Link(abc.ABC):
    """One way to one client: `key` names it, `send` reaches it."""

    key: str
    host: str
    is_stream: bool

    @abc.abstractmethod
    def send(self, packet: bytes) -> None:
        """Send one OSC packet; never waits, never raises."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the connection, where there is one."""

    @abc.abstractmethod
    def pause(self, should_pause: bool) -> None:
        """Stop reading from this client or go on, where the transport can."""

    def welcome(self) -> None:  # noqa: B027 - most links have nothing to do
        """The client may stay."""

    @property
    def is_local(self) -> bool:
        """Whether the client runs on this machine."""
        return is_loopback(self.host)


class UdpLink(Link):
    """Datagrams of one source address; answers go to `reply_port` when it is set."""

    is_stream = False

    def __init__(
        self, transport: asyncio.DatagramTransport, address: UdpAddress, reply_port: int = 0
    ) -> None:
        self._transport = transport
        self._address = address
        self.host = address[0]
        self.key = udp_key(address)
        self.reply_port = reply_port

    def send(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(
                packet, (self.host, self.reply_port or self._address[1], *self._address[2:])
            )

    def close(self) -> None:
        """A datagram has no connection."""

    def pause(self, should_pause: bool) -> None:
        """A datagram cannot be held back; see sessions.MAX_WAITING."""


class TcpLink(Link, asyncio.Protocol):
    """One connection, framed as its first byte shows: int32 or SLIP."""

    is_stream = True

    def __init__(self, receive: Receive, lost: Lost, links: set[TcpLink]) -> None:
        self._receive, self._lost, self._links = receive, lost, links
        self._decoder = StreamDecoder(max_frame_bytes=MAX_FRAME_BYTES)
        self._transport: asyncio.Transport  # from `connection_made` on
        self._until_sent_away: asyncio.TimerHandle | None = None
        self.key = self.host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio types the argument by its base class; a stream's protocol gets a Transport.
        self._transport = stream = cast(asyncio.Transport, transport)
        self.host, port = transport.get_extra_info("peername")[:2]
        self.key = f"tcp:{self.host}:{port}"
        if len(self._links) >= MAX_CONNECTIONS:
            log.warning(
                "a connection is refused: too many are open",
                extra={"peer": self.key, "count": MAX_CONNECTIONS},
            )
            stream.abort()
            return
        self._links.add(self)
        _prepare(transport.get_extra_info("socket"))
        if not self.is_local:
            self._until_sent_away = asyncio.get_running_loop().call_later(
                STRANGER_SECONDS, self._send_away
            )

    def _send_away(self) -> None:
        log.warning(
            "closed: it has not sent the password",
            extra={"peer": self.key, "seconds": STRANGER_SECONDS},
        )
        self._transport.abort()

    def welcome(self) -> None:
        if self._until_sent_away:
            self._until_sent_away.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            packets = self._decoder.feed(data)
        except FramingError as error:
            log.warning("closed: its bytes are no OSC", extra={"peer": self.key, "reason": error})
            self._lost(self, str(error))
            self._transport.close()
            return
        for packet in packets:
            self._receive(self, packet)

    def connection_lost(self, error: Exception | None) -> None:
        self._links.discard(self)
        self.welcome()  # it has gone: no timer is left
        self._lost(self, "")

    def send(self, packet: bytes) -> None:
        if self._transport.is_closing():
            return
        if self._is_unread():
            log.warning("closed: it does not read what it asked for", extra={"peer": self.key})
            self._transport.abort()
            return
        self._transport.write(encode_frame(packet, self._decoder.framing or "int32"))

    def _is_unread(self) -> bool:
        own = self._transport.get_write_buffer_size()
        if own <= MAX_ALL_UNREAD_BYTES // MAX_CONNECTIONS:
            return False
        return (
            own > MAX_UNREAD_BYTES
            or sum(link.unread_bytes for link in self._links) > MAX_ALL_UNREAD_BYTES
        )

    @property
    def unread_bytes(self) -> int:
        """What was sent and the system has not taken yet."""
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        self._transport.close()

    def pause(self, should_pause: bool) -> None:
        if not self._transport.is_closing():
            (self._transport.pause_reading if should_pause else self._transport.resume_reading)()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[UdpAddress, bytes], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, address: UdpAddress) -> None:
        self._receive(address, data)

    def error_received(self, error: Exception) -> None:
        # The machine of a client that has gone says so for each packet. Its jobs go on.
        log.debug("udp: %s", error)


class Transports:
    """Both sockets. `link_for` finds the Link of a UDP source address; TCP makes its own."""

    def __init__(
        self, receive: Receive, lost: Lost, link_for: Callable[[UdpAddress], Link]
    ) -> None:
        self._receive, self._lost, self._link_for = receive, lost, link_for
        self._links: set[TcpLink] = set()
        self._server: asyncio.AbstractServer | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> int:
        """Listen on `port` or one of the next ten. Returns the real one.

        0: any free one. Raises OSError.
        """
        for candidate in (
            range(port, min(port + PORTS_TO_TRY, 65536)) if port else [0] * PORTS_TO_TRY
        ):
            try:
                self.port = await self._open_pair(host, candidate)
                return self.port
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                log.info("port %d is taken (%s)", candidate, error.strerror)
        raise OSError(
            errno.EADDRINUSE,
            f"ports {port} to {port + PORTS_TO_TRY - 1} on {host} are all taken; "
            "free one, or choose another with --port",
        )

    async def _open_pair(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        # one address family, so that one port number does
        host = "127.0.0.1" if host == "localhost" else host
        server = await loop.create_server(
            lambda: TcpLink(self._receive, self._lost, self._links), host, port
        )
        address = server.sockets[0].getsockname()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._datagram), local_addr=(address[0], address[1])
            )
        except OSError:
            server.close()
            raise
        self._server = server
        sock = self._udp.get_extra_info("socket")
        _ask_for_buffer(sock, socket.SO_RCVBUF, UDP_RECEIVE_BUFFER_BYTES)
        _ask_for_buffer(sock, socket.SO_SNDBUF, UDP_SEND_BUFFER_BYTES)
        return address[1]

    @property
    def udp(self) -> asyncio.DatagramTransport:
        """The socket that datagrams leave by. Raises RuntimeError before `open`."""
        if self._udp is None:
            raise RuntimeError("the UDP socket is not open")
        return self._udp

    @property
    def connections(self) -> int:
        """How many TCP connections are open."""
        return len(self._links)

    def link_to(self, key: str) -> UdpLink | None:
        """A link to a UDP client that has not spoken since the start, by its key."""
        kind, _, rest = key.partition(":")
        host, _, port = rest.rpartition(":")
        return UdpLink(self.udp, (host, int(port))) if kind == "udp" and port.isdigit() else None

    def _datagram(self, address: UdpAddress, data: bytes) -> None:
        self._receive(self._link_for(address), data)

    async def close(self) -> None:
        """Close sockets and connections. Bytes already written to TCP are still sent."""
        if self._server:
            self._server.close()
        for link in list(self._links):
            link.close()
        if self._udp:
            self._udp.close()
        await asyncio.sleep(0)  # connection_lost of each


def udp_key(address: UdpAddress) -> str:
    """The name of a UDP source address."""
    return f"udp:{address[0]}:{address[1]}"


def _prepare(sock: socket.socket) -> None:
    """Send small messages at once, and notice a machine that has vanished."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _ask_for_buffer(sock: socket.socket, option: int, size_bytes: int) -> None:
    """Ask for half as much until the system agrees: some refuse what others reduce."""
    while size_bytes >= 2**16:
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size_bytes)
            return
        except OSError:
            size_bytes //= 2
