"""HTTP clients: the name that comes with each request, its session, and its events.

An HTTP client has no connection of its own. It is kept while it listens, calls, or has jobs, and
for a while after that.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Protocol

from osc_protocol import ROOT, BadRequest, ReplyMessage, Request, decode_reply
from server.errors import RequestError
from server.http import json_form
from server.http.events import EventLog
from server.services import Services
from server.wire.sessions import Peer, identity
from server.wire.transports import Link

MAX_CLIENTS = 64  # each may cost the 2 MiB of its events
KEEP_SECONDS = 3600.0  # after its last request
NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,64}")


class OpenCall(Protocol):
    """A request of a client that is not answered yet."""

    request: Request | BadRequest

    def take(self, message: ReplyMessage) -> None:
        """One more answer."""

    def stir(self) -> None:
        """Look again at what there is to wait for."""


class HttpLink(Link):
    """The way to an HTTP client: everything becomes an event."""

    is_stream = True  # nothing gets lost on the way, so nothing is repeated

    def __init__(self, host: str, name: str, port: int) -> None:
        self.host, self.name = host, name
        self.key = key_of(host, name)
        self.reply_port = port
        self.events = EventLog()

    def send(self, packet: bytes) -> None:
        self.append(decode_reply(packet))

    def append(self, message: ReplyMessage) -> None:
        """Put a message into the client's events."""
        self.events.append(message.address.removeprefix(f"{ROOT}/"), json_form.values(message))

    def close(self) -> None:
        self.events.close()

    def pause(self, should_pause: bool) -> None:
        """Nothing to do: each call waits for its answer, which holds its client back."""


class Client:
    """One named client of one host. `peer` gets its events: pushes, and reports about its jobs."""

    def __init__(self, services: Services, link: HttpLink) -> None:
        self.link = link
        name = identity(link, link.name) if link.name else link.key
        self.peer = Peer(link, services.sessions.session(name))
        self.used_at = time.monotonic()
        self.turn = asyncio.Lock()  # its requests run one after another, as those of a socket do
        self.calls: set[OpenCall] = set()  # under way

    def close(self) -> None:
        """End its streams and calls."""
        self.link.close()
        for call in self.calls:
            call.stir()

    @property
    def is_listening(self) -> bool:
        """Whether a stream of events is open."""
        return bool(self.link.events.streams)


class Clients:
    """All HTTP clients. Belongs to the loop's thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._clients: dict[str, Client] = {}

    def client(self, host: str, name: str) -> Client:
        """The client of that name on that machine, made when it is new. Raises RequestError."""
        if name and not NAME.fullmatch(name):
            raise RequestError(
                "bad_args",
                f"client: expected 1 to 64 characters without a slash, came {name[:80]!r}",
            )
        key = key_of(host, name)
        if key not in self._clients:
            self._make_room()
            self._clients[key] = Client(
                self._services, HttpLink(host, name, self._services.http_port)
            )
        client = self._clients[key]
        client.used_at = time.monotonic()
        return client

    def listen(self, client: Client) -> None:
        """It opens a stream: pushes and reports of its jobs go there from then on."""
        self._services.sessions.add_listener(client.peer, 1)
        for job in self._services.registry.living(client.peer.session.client):
            job.peer = job.peer or client.peer
        self._services.delivery.send(client.peer, "state", self._services.state)

    def leave(self, client: Client) -> None:
        """A stream has ended. After the last one, pushes are not kept for it."""
        if not client.is_listening:
            self._services.sessions.remove_listener(client.peer)

    def expire(self) -> None:
        """Forget those that have made no request for KEEP_SECONDS."""
        for client in list(self._clients.values()):
            if time.monotonic() - client.used_at > KEEP_SECONDS and self._is_idle(client):
                self._forget(client)

    def close(self) -> None:
        """End all streams."""
        for client in self._clients.values():
            client.close()

    def _make_room(self) -> None:
        if len(self._clients) < MAX_CLIENTS:
            return
        idle = [client for client in self._clients.values() if self._is_idle(client)]
        if not idle:
            raise RequestError(
                "queue_full",
                f"{MAX_CLIENTS} HTTP clients are at work; use the name of one of yours",
            )
        self._forget(min(idle, key=lambda client: client.used_at))

    def _is_idle(self, client: Client) -> bool:
        has_jobs = any(self._services.registry.living(client.peer.session.client))
        return not (client.is_listening or client.calls or has_jobs)

    def _forget(self, client: Client) -> None:
        del self._clients[client.link.key]
        client.close()
        self._services.sessions.remove_listener(client.peer)


def key_of(host: str, name: str) -> str:
    """What stands for the address of an HTTP client."""
    return f"http:{host}/{name}"
