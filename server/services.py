"""What verbs and HTTP may reach: the parts of a running server, and actions on several of them.

`server.app` makes one `Services` and hands it down. It belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from presets import Library, ReloadReport
from server.compute.executor import Executor
from server.config import ServeConfig
from server.files.downloads import Downloads
from server.files.sandbox import Sandbox
from server.files.uploads import Uploads
from server.jobs.delivery import Delivery
from server.jobs.dispatcher import Dispatcher
from server.jobs.job import JobRegistry
from server.jobs.journal import Journal
from server.jobs.metrics import Metrics
from server.jobs.retention import Retention
from server.jobs.spec import SpecBuilder
from server.live.session import LiveAudio
from server.paths import Paths
from server.tasks import BackgroundTasks
from server.threads import SerialExecutor
from server.wire.auth import Authenticator
from server.wire.discovery import Announcement
from server.wire.known import KnownClient
from server.wire.sessions import Peer, Session, Sessions
from server.wire.transports import UdpLink

T = TypeVar("T")

log = logging.getLogger(__name__)

STYLES_FRESH_SECONDS = 1.0  # the files of styles are not looked at again within this time


@dataclass
class Services:
    """The parts of one server, complete before the first message is run."""

    config: ServeConfig
    paths: Paths
    executor: Executor
    started_at: float  # monotonic

    journal: Journal
    journal_thread: SerialExecutor
    file_threads: SerialExecutor

    library: Library
    sandbox: Sandbox
    specs: SpecBuilder
    uploads: Uploads
    downloads: Downloads

    authenticator: Authenticator
    sessions: Sessions
    delivery: Delivery
    registry: JobRegistry
    dispatcher: Dispatcher
    retention: Retention
    live: LiveAudio
    metrics: Metrics

    tasks: BackgroundTasks = field(default_factory=BackgroundTasks)
    stop_requested: asyncio.Event = field(default_factory=asyncio.Event)
    force_requested: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0  # 0: not open
    http_port: int = 0
    announcement: Announcement | None = None
    _pushed_state: str = ""
    _styles_seen_at: float = 0.0  # monotonic

    # The server

    @property
    def state(self) -> str:
        """One of osc_protocol.STATES."""
        if self.stop_requested.is_set():
            return "draining"
        if self.executor.info.unavailable_reason:
            return "error"
        if self.executor.info.state == "ready":
            return "busy" if self.dispatcher.running else "ready"
        return self.executor.info.state

    @property
    def uptime_seconds(self) -> float:
        """Since the server was made."""
        return time.monotonic() - self.started_at

    def push_state(self) -> None:
        """Push the state to all listeners, if it has changed."""
        if self.state != self._pushed_state:
            self._pushed_state = self.state
            self.delivery.push("state", self.state)

    def request_stop(self) -> None:
        """Drain: the running job ends, waiting ones are resumed at the next start.

        A second call forces: the running job is interrupted.
        """
        if self.stop_requested.is_set():
            self.force_requested.set()
        self.stop_requested.set()
        if not self.dispatcher.is_draining:
            self.dispatcher.drain()
            self.dispatcher.tell_waiting(
                "the server stops; this job waits in its journal and runs at the next start"
            )
        self.push_state()

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run beside everything else; ended when the server stops."""
        return self.tasks.spawn(coroutine, name)

    # Clients

    async def register(self, peer: Peer, level: int, reply_port: int, name: str) -> Session:
        """What /notify asks for: in memory, and in the journal for the next start."""
        before = peer.session.client
        session = self.sessions.register(peer, level, reply_port, name)
        if session.client != before:
            moved = self.registry.rename(before, session.client)
            await self.journal_thread(self.journal.rename_client, moved, session.client)
        for job in self.registry.living(session.client):
            job.peer = peer
        if level:
            await self.remember(peer)
        elif not peer.link.is_stream:
            await self.journal_thread(self.journal.forget_client, peer.key)
        return session

    async def remember(self, peer: Peer) -> None:
        """Keep what can be recognised at the next start.

        That is a name with what it has set, and a registered UDP address.
        """
        session, link = peer.session, peer.link
        is_registered = isinstance(link, UdpLink) and peer.key in session.listeners
        if isinstance(link, UdpLink) and is_registered:
            known = KnownClient(peer.key, session.client, link.reply_port, peer.level)
            await self.journal_thread(self.journal.remember_client, known)
        if is_registered or session.is_named:
            await self.journal_thread(self.journal.remember_session, self.sessions.keep(session))

    # Styles

    async def reload_presets(self) -> ReloadReport:
        """Read the preset files again and tell everyone what is new or wrong."""
        before = self.library.presets()
        report = await self.file_threads(self.library.reload)
        for problem in report.errors:
            log.warning("a preset is not loaded", extra={"reason": problem})
            self.delivery.push("log", 2, f"preset: {problem}")
        if self.library.presets() != before:
            self.delivery.push("preset/changed", len(report.loaded))
        return report

    async def refresh_styles(self) -> None:
        """Reload changed files, unless they were looked at a moment ago."""
        now = time.monotonic()
        if now - self._styles_seen_at >= STYLES_FRESH_SECONDS:
            self._styles_seen_at = now
            if await self.file_threads(self.library.has_changed):
                await self.reload_presets()
