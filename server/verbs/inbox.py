"""The way in: a packet becomes messages, and each peer's messages are run in their order."""

from __future__ import annotations

import asyncio
import time

from osc_protocol import BadRequest, Request, decode_packet
from server.jobs import delivery
from server.services import Services
from server.verbs import table
from server.wire.sessions import MAX_ALL_WAITING_BYTES, Peer
from server.wire.transports import Link, Transports, UdpAddress, UdpLink, udp_key


class Inbox:
    """Both sockets, and the messages that wait for their turn. Belongs to the loop's thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.transports = Transports(self.receive, self.on_lost, self._link_for)
        # Until then a job of an earlier life is nowhere, and would be begun again.
        self.has_resumed = asyncio.Event()

    def receive(self, link: Link, packet: bytes) -> None:
        """Read a packet and put its messages in line. Never waits."""
        services = self._services
        peer = services.sessions.peer(link)
        for message in decode_packet(packet):
            if peer.session.dump_level and isinstance(message, Request):
                atoms = (*message.values.values(), *message.keys.items())
                delivery.trace(peer, "in", message.address, atoms, packet)
            if message.address in table.AT_ONCE:
                services.spawn(table.run(services, peer, message), message.address)
            else:
                self._put_in_line(peer, message)

    def on_lost(self, link: Link, reason: str) -> None:
        """A connection has gone, or `reason` makes us close it.

        Its jobs go on; their ends can be asked for.
        """
        services = self._services
        peer = services.sessions.peer(link)
        if reason:
            services.delivery.send(peer, "fail", "", 0, "bad_packet", reason)
            return
        for job in services.registry.living():
            if job.peer is peer:
                job.peer = None
        services.sessions.forget(link.key)

    def find_peer(self, client: str) -> Peer | None:
        """Where a client of this machine was last heard in an earlier life of the server."""
        known = self._services.sessions.find_known(client)
        link = self.transports.link_to(known.address if known else client)
        return self._services.sessions.peer(link) if link and link.is_local else None

    def _link_for(self, address: UdpAddress) -> Link:
        link = self._services.sessions.link(udp_key(address))
        return link or UdpLink(self.transports.udp, address)

    def _put_in_line(self, peer: Peer, message: Request | BadRequest) -> None:
        sessions = self._services.sessions
        if peer.is_filled() or sessions.waiting_bytes >= MAX_ALL_WAITING_BYTES:
            if not peer.link.is_stream:
                table.refuse_flood(self._services, peer, message)
                return
            peer.is_held = True
            peer.link.pause(True)
        sessions.waiting_bytes += peer.put(message, time.monotonic())
        if peer.reader is None:
            peer.reader = self._services.spawn(self._read(peer), f"messages of {peer.key}")

    async def _read(self, peer: Peer) -> None:
        """Run a peer's messages in order, then end; the next message starts this again."""
        try:
            await self.has_resumed.wait()
            while peer.inbox:
                message, came_at, size_bytes = peer.take()
                self._services.sessions.waiting_bytes -= size_bytes
                await table.run(self._services, peer, message, came_at)
                if peer.is_held and not peer.is_filled(0.5):
                    peer.is_held = False
                    peer.link.pause(False)
                await asyncio.sleep(0)  # others' turn
        finally:
            peer.reader = None
