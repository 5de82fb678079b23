"""Which client is speaking? Peers are sockets; a session is one client, with its own state.

A client that registers a name with /retimbre/notify is known by it on its machine, from any port.
A client without a name is the address it sends from. Two sessions share nothing: not ids, defaults,
region or takes. A session lives as long as a peer speaks for it. The settings of a named one
outlive it, see `Sessions.keep`. All of it belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from osc_protocol import BadRequest, Request
from server.wire.known import KnownClient, KnownSession
from server.wire.transports import Link, UdpLink

MAX_PEERS = 4096  # addresses that are remembered; each costs about a kilobyte
# named clients whose defaults and region are remembered; the longest silent go first
MAX_KEPT = 4096
MAX_WAITING = 256  # messages of one peer that wait for an earlier one of the same peer
MAX_WAITING_BYTES = 8 * 2**20  # their strings and blobs: chunks of an upload have a MiB each
MAX_ALL_WAITING_BYTES = 256 * 2**20  # those of all peers together
# answers to unknown messages: a storm of garbage is not answered in full
COMPLAINTS_PER_SECOND = 20


@dataclass(frozen=True)
class Region:
    """A client's current region, and the keys that came with it.

    `name` is what /take/list calls it.
    """

    audio: str
    start_seconds: float
    length_seconds: float
    keys: dict[str, Any]
    name: str


@dataclass(eq=False)
class Session:
    """One client's state. `client`: its identity in the journal."""

    client: str
    number: int
    dump_level: int = 0
    defaults: dict[str, Any] = field(default_factory=dict)
    region: Region | None = None
    # two sockets of one client, one id, one job
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    listeners: dict[str, Peer] = field(default_factory=dict)  # that get pushes, by key

    @property
    def is_named(self) -> bool:
        """Whether the client gave a name: then it is known from any port, after any restart."""
        return "/" in self.client and not self.client.startswith("http:")

    def state(self) -> dict[str, Any]:
        """What /set and /region have set, for the journal."""
        return {"defaults": self.defaults, "region": asdict(self.region) if self.region else None}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.defaults = dict(state["defaults"])
        self.region = Region(**state["region"]) if state["region"] else None


@dataclass(eq=False)
class Peer:
    """One socket of a client, and its messages in line. `level`: of /notify."""

    link: Link
    session: Session
    level: int = 0
    # (message, when it came)
    inbox: deque[tuple[Request | BadRequest, float]] = field(default_factory=deque)
    waiting_bytes: int = 0
    is_held: bool = False  # its connection is not read from
    reader: asyncio.Task[None] | None = None
    is_trusted: bool = True  # has sent the password, or needs none
    judged_at: float = 0.0
    allowance: float = COMPLAINTS_PER_SECOND

    @property
    def key(self) -> str:
        """The address this peer speaks from."""
        return self.link.key

    def put(self, message: Request | BadRequest, now: float) -> int:
        """One more message waits. Returns its bytes."""
        self.inbox.append((message, now))
        self.waiting_bytes += (size_bytes := weight(message))
        return size_bytes

    def take(self) -> tuple[Request | BadRequest, float, int]:
        """The message whose turn it is, when it came, and its bytes."""
        message, came_at = self.inbox.popleft()
        self.waiting_bytes -= (size_bytes := weight(message))
        return message, came_at, size_bytes

    def is_filled(self, share: float = 1.0) -> bool:
        """Whether this share of what may wait does wait."""
        return (
            len(self.inbox) >= MAX_WAITING * share
            or self.waiting_bytes >= MAX_WAITING_BYTES * share
        )

    def may_complain(self, now: float) -> bool:
        """Whether one more bad message of this peer is answered: a token bucket."""
        earned = (now - self.judged_at) * COMPLAINTS_PER_SECOND
        self.allowance, self.judged_at = min(COMPLAINTS_PER_SECOND, self.allowance + earned), now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True


class Sessions:
    """All peers and sessions.

    `reply_port`: where unregistered UDP clients listen; 0: where they send from.
    """

    def __init__(self, reply_port: int = 0, needs_password: bool = False) -> None:
        self._reply_port = reply_port
        self._needs_password = needs_password
        self._peers: dict[str, Peer] = {}  # the longest silent first
        self._sessions: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()
        # registrations of an earlier life of this server, by address
        self._known: dict[str, KnownClient] = {}
        # what clients have set, by client
        self._kept: OrderedDict[str, KnownSession] = OrderedDict()
        self._numbers = 0
        self.waiting_bytes = 0  # of all peers' inboxes
        # set for each new listener; its reader clears it
        self.has_new_listener = asyncio.Event()

    def restore(self, known: Iterable[KnownClient], kept: Iterable[KnownSession] = ()) -> None:
        """Take back what the journal remembers.

        Clients of other machines must register again, with the password.
        """
        self._known = {each.address: each for each in known}
        for each in kept:
            self._store(each)
            self._numbers = max(self._numbers, each.number)

    def keep(self, session: Session) -> KnownSession:
        """Remember what a session has set after its end. Returns the same for the journal."""
        kept = KnownSession(session.client, session.number, session.state())
        self._store(kept)
        return kept

    def _store(self, kept: KnownSession) -> None:
        self._kept[kept.client] = kept
        self._kept.move_to_end(kept.client)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def find_known(self, client: str) -> KnownClient | None:
        """The restored registration of a client, the latest if it has several."""
        return next(
            (each for each in reversed(self._known.values()) if each.client == client), None
        )

    def peer(self, link: Link) -> Peer:
        """The peer at the other end of `link`, made when it is new."""
        peer = self._peers.pop(link.key, None) or self._meet(link)
        self._peers[link.key] = peer
        return peer

    def link(self, key: str) -> Link | None:
        """The link of a peer that has spoken before."""
        peer = self._peers.get(key)
        return peer.link if peer else None

    def _meet(self, link: Link) -> Peer:
        if isinstance(link, UdpLink):
            link.reply_port = self._reply_port
        peer = Peer(
            link, self.session(link.key), is_trusted=link.is_local or not self._needs_password
        )
        known = self._known.get(link.key)
        if known and link.is_local:
            self._attach(peer, self.session(known.client), known.level, known.reply_port)
        self._make_room()
        return peer

    def session(self, client: str) -> Session:
        """The session of a client, made when it is new.

        It lives while the caller, a peer or a job holds it.
        """
        session = self._sessions.get(client)
        if session is None:
            session = self._sessions[client] = self._new_session(client)
        return session

    def _new_session(self, client: str) -> Session:
        kept = self._kept.get(client)
        if kept:
            session = Session(client, kept.number)
            session.set_state(kept.state)
            return session
        self._numbers += 1
        return Session(client, self._numbers)

    def register(self, peer: Peer, level: int, reply_port: int, name: str) -> Session:
        """What /notify asks for. Returns the session that `peer` now belongs to."""
        client = identity(peer.link, name) if name else peer.session.client
        session = self.session(client)
        before = peer.session
        if session is not before and not session.defaults and session.region is None:
            # its /set came before its name
            session.defaults, session.region = dict(before.defaults), before.region
        self._attach(peer, session, level, reply_port)
        return session

    def _attach(self, peer: Peer, session: Session, level: int, reply_port: int) -> None:
        peer.session.listeners.pop(peer.key, None)
        peer.session, peer.level = session, level
        if isinstance(peer.link, UdpLink):
            peer.link.reply_port = reply_port or self._reply_port
        if level:
            session.listeners[peer.key] = peer
            self.has_new_listener.set()

    def listeners(self, level: int = 1) -> Iterator[Peer]:
        """Peers that get pushes of at least this level."""
        for session in self._sessions.values():
            yield from (peer for peer in session.listeners.values() if peer.level >= level)

    def forget(self, key: str) -> None:
        """Forget a peer: its connection is closed, or its address was silent for too long."""
        peer = self._peers.pop(key, None)
        if peer:
            peer.session.listeners.pop(key, None)

    def add_listener(self, peer: Peer, level: int) -> None:
        """Push to a peer, though it sent no /notify. Its level is never lowered."""
        peer.level = max(peer.level, level)
        peer.session.listeners[peer.key] = peer
        self.has_new_listener.set()

    def remove_listener(self, peer: Peer) -> None:
        """Push no more to a peer."""
        peer.session.listeners.pop(peer.key, None)

    def _make_room(self) -> None:
        """Drop the longest silent address, registered ones last. Connections end by themselves."""
        if len(self._peers) < MAX_PEERS:
            return
        silent = [
            peer for peer in self._peers.values() if not peer.link.is_stream and not peer.inbox
        ]
        unregistered = (peer for peer in silent if peer.key not in peer.session.listeners)
        for oldest in (*unregistered, *silent)[:1]:
            self.forget(oldest.key)

    def regions(self) -> Iterator[str]:
        """The files that clients have chosen as their regions."""
        states = [kept.state for kept in self._kept.values()] + [
            each.state() for each in self._sessions.values()
        ]
        yield from (state["region"]["audio"] for state in states if state["region"])

    @property
    def counts(self) -> dict[str, int]:
        """How many of each are in memory."""
        return {"peers": len(self._peers), "sessions": len(self._sessions), "kept": len(self._kept)}


def weight(message: Request | BadRequest) -> int:
    """Bytes of the strings and blobs of a message; the rest is small."""
    if not isinstance(message, Request):
        return len(message.message)
    atoms = (*message.values.values(), *message.keys.values())
    return sum(len(atom) for atom in atoms if isinstance(atom, (str, bytes)))


def identity(link: Link, name: str) -> str:
    """The identity of a named client. A name counts on its own machine only."""
    return f"{'here' if link.is_local else link.host}/{name}"
