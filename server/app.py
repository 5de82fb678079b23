"""The server's life: start, serve, drain, stop. Everything is built here and used elsewhere.

async with Server(config) as server:        # tests and programs
    await server.ready.wait()
    print(server.port)

serve(config)                               # the command line: blocks until ctrl-C
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osc_protocol import BadRequest, Request, decode_packet
from presets import SHIPPED_FOLDER, Library, ReloadReport
from server import logs, status
from server.compute.local import Event, Executor, LocalExecutor, worker_command
from server.config import ServeConfig
from server.files.downloads import Downloads
from server.files.sandbox import Sandbox
from server.files.settle import QUIET_SECONDS
from server.files.uploads import Uploads
from server.jobs import delivery, retention
from server.jobs.delivery import Delivery
from server.jobs.dispatcher import Dispatcher
from server.jobs.job import ENDED, Job, JobRegistry
from server.jobs.journal import Journal, JournalError, KnownClient
from server.jobs.metrics import Metrics
from server.jobs.recovery import Recovery, recover
from server.jobs.retention import Retention, owner
from server.jobs.spec import Recipes
from server.live.session import LiveAudio
from server.paths import ServerAddress, remove_port_file, write_port_file
from server.threads import SerialExecutor
from server.verbs import table as verbs
from server.wire import discovery
from server.wire.auth import Authenticator
from server.wire.sessions import MAX_ALL_WAITING_BYTES, Peer, Session, Sessions
from server.wire.transports import Link, Transports, UdpLink, udp_key

if TYPE_CHECKING:
    from server.http.app import HttpTwin

log = logging.getLogger(__name__)

FILE_HANDLES = 4096  # 256 connections, uploads, downloads, presets; a few are enough for most
FILE_THREADS = 4  # a network drive that wakes up may hold one for seconds
# while somebody listens; and verbs that need styles look, if nobody did for so long
PRESET_WATCH_SECONDS = 1.0
UPLOAD_WATCH_SECONDS = 5.0  # while one is open
SPOOL_WATCH_SECONDS = 60.0
REMEMBER_CLIENTS_SECONDS = 7 * 24 * 3600.0


class Server:
    """One server.

    All methods belong to the event loop's thread, but for `request_stop_from_thread`.
    """

    def __init__(self, config: ServeConfig, executor: Executor | None = None) -> None:
        self.config = config
        self.paths = config.paths()
        self.executor = executor or self._engine()
        self.ready = asyncio.Event()  # the engine takes jobs at once
        self.port = self.http_port = 0
        self.is_stopping = False
        self._should_stop, self._should_force = asyncio.Event(), asyncio.Event()
        # before that a job of an earlier life is nowhere, and would be begun again
        self._has_resumed = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        self.metrics = Metrics()
        self._told_state = ""
        self._styles_seen_at = 0.0  # monotonic
        self._began = time.monotonic()
        self.http: HttpTwin | None = None
        self.announcement: discovery.Announcement | None = None

    def _engine(self) -> Executor:
        """Whoever computes by the options.

        Raises ConfigError where that needs what is not installed.
        """
        config = self.config
        if config.executor == "local":
            models = self.paths.models(config.models_dir)
            return LocalExecutor(
                worker_command(config.model, config.threads, models, config.runtime)
            )
        from server.compute.ray import Cluster, RayExecutor

        return RayExecutor(Cluster.of(config))

    # Life

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.request_stop()
        self.request_stop()  # twice: a block that is left does not wait for jobs
        await self.stop()

    async def start(self) -> None:
        """Open everything.

        Raises OSError (no port), JournalError (data folder in use), sqlite3.Error (disk full).
        """
        self._loop = asyncio.get_running_loop()
        self.paths.create()
        self.journal_thread, self.file_threads = (
            SerialExecutor("journal"),
            SerialExecutor("files", FILE_THREADS),
        )
        try:
            self.journal = await self.journal_thread(Journal, self.paths.journal)
        except JournalError:
            self._close_threads()
            raise
        await self._build()
        try:
            recovery = await self.journal_thread(recover, self.journal, self.paths.takes)
            self.port = await self.transports.open(self.config.host, self.config.port)
        except (OSError, sqlite3.Error):
            await self.journal_thread(self.journal.close)
            self._close_threads()
            raise
        await self._resume(recovery)
        self._has_resumed.set()
        await self.executor.start(self._on_event)
        self.dispatcher.start()
        # last: importing it takes a while, in which OSC is answered and the model loads
        await self._open_http()
        if discovery.is_wanted(self.config.announce, self.config.host):
            self.announcement = discovery.Announcement(self)
            self.spawn(self.announcement.open(), "announcement")
        self.spawn(self._watch_presets(), "preset watch")
        self.spawn(self._watch_uploads(), "upload watch")
        self.spawn(self._watch_takes(), "take watch")
        write_port_file(
            self.paths.port_file,
            ServerAddress(self.config.host, self.port, self.http_port, os.getpid()),
        )
        log.info("listening, UDP and TCP", extra={"port": self.port})

    async def _build(self) -> None:
        config, paths = self.config, self.paths
        limit_bytes = config.max_file_mb * 10**6
        folders = [SHIPPED_FOLDER, paths.presets, *config.presets_dir]
        self.library: Library = await self.file_threads(Library, folders)
        for problem in self.library.report.errors:
            log.warning("a preset is not loaded", extra={"reason": problem})
        await self.file_threads(status.version)
        self.sandbox = Sandbox([paths.spool, paths.takes, *config.root], limit_bytes)
        self.recipes = Recipes(self.library, self.sandbox, config.model)
        password = config.password()
        self.authenticator = Authenticator(password)
        self.sessions = Sessions(config.reply_port, needs_password=bool(password))
        self.delivery = Delivery(self.sessions)
        self.registry = JobRegistry()
        self.dispatcher = Dispatcher(
            self.registry,
            self.delivery,
            self.executor,
            self.journal,
            self.journal_thread,
            self.file_threads,
            paths.takes,
            config.queue_limit,
            self.quiet_seconds,
            self._push_state,
            self.metrics,
        )
        self.uploads = Uploads(paths.spool, limit_bytes, self.file_threads)
        self.retention = Retention(
            self.journal,
            self.journal_thread,
            self.file_threads,
            paths.takes,
            config.keep_days,
            config.keep_gb,
            self._spared,
        )
        self._uploads_folder = os.path.realpath(self.uploads.folder)
        self.downloads = Downloads(self.file_threads, self._fail_download)
        self.live = LiveAudio(lambda *state: self.delivery.push("live/state", *state))
        self.transports = Transports(self.receive, self.lost, self._link_for)
        self.metrics.watch(self)

    async def _open_http(self) -> None:
        """The HTTP twin, unless it is off.

        Without a free port the server goes on: its clients speak OSC.
        """
        if not self.config.http_port:
            return
        twin = (await self.file_threads(importlib.import_module, "server.http.app")).HttpTwin(self)
        try:
            self.http_port = await twin.open(self.config.host, self.config.http_port)
            self.http = twin
        except OSError as error:
            await twin.close()
            log.warning("no HTTP and no page", extra={"reason": error})

    async def _resume(self, recovery: Recovery) -> None:
        """Take up what an earlier life of this server left."""
        self.sessions.restore(
            await self.journal_thread(self.journal.clients, REMEMBER_CLIENTS_SECONDS),
            await self.journal_thread(self.journal.sessions),
        )
        await self.uploads.prepare(record.spec["audio"]["path"] for record in recovery.resumed)
        for record, results, end in recovery.ended:
            job = Job(record, self._peer_of(record.client), state=ENDED, results=results, end=end)
            self.registry.add(job)
            self.registry.close(job)
            self.delivery.end(job)
        for record in recovery.resumed:
            self.dispatcher.resume(record, self._peer_of(record.client))

    async def serve_until_stopped(self) -> None:
        """Wait for `request_stop`, then drain and stop."""
        await self._should_stop.wait()
        await self.stop()

    def request_stop(self) -> None:
        """The first call drains: the running job ends, what waits is resumed at the next start. The
        second forces.
        """
        if self._should_stop.is_set():
            self._should_force.set()
        self._should_stop.set()
        if not self.dispatcher.is_draining:
            self.dispatcher.is_draining = True
            self.dispatcher.tell_waiting(
                "the server stops; this job waits in its journal and runs at the next start"
            )
        self._push_state()

    def request_stop_from_thread(self) -> None:
        """`request_stop` for any thread."""
        self._loop.call_soon_threadsafe(self.request_stop)

    async def stop(self) -> None:
        """Finish the running job (unless forced), close everything."""
        if self.is_stopping:
            return
        self.is_stopping = True
        await self._drain()
        is_forced = self._should_force.is_set()
        await self.dispatcher.stop(force=is_forced)
        await self.executor.stop(force=is_forced)
        await self.dispatcher.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.live.stop()
        await self.downloads.close()
        await self.uploads.close()
        self.delivery.close()
        await self.transports.close()
        if self.announcement:
            await self.announcement.close()
        if self.http:
            await self.http.close()
        await self.journal_thread(self.journal.close)
        self._close_threads()
        remove_port_file(self.paths.port_file, os.getpid())
        log.info("stopped")

    async def _drain(self) -> None:
        self._push_state()
        waits = [
            asyncio.ensure_future(self.dispatcher.stop(force=False)),
            asyncio.ensure_future(self._should_force.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def _close_threads(self) -> None:
        self.journal_thread.close()
        self.file_threads.close()

    # What verbs need

    @property
    def state(self) -> str:
        """One of osc_protocol.STATES."""
        if self._should_stop.is_set():
            return "draining"
        if self.executor.info.trouble:
            return "error"
        if self.executor.info.state == "ready":
            return "busy" if self.dispatcher.running else "ready"
        return self.executor.info.state

    @property
    def uptime_seconds(self) -> float:
        """Since this object was made."""
        return time.monotonic() - self._began

    def spawn(self, coroutine: Coroutine, name: str) -> None:
        """Run beside everything else; ended when the server stops."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)

    def _forget_task(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s has ended", task.get_name(), exc_info=error)

    def quiet_seconds(self, path: str) -> float:
        """How long nobody may have written to a file before it is believed: our own uploads are
        closed.
        """
        return 0.0 if path.startswith(self._uploads_folder + os.sep) else QUIET_SECONDS

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
        """Keep what can be recognised for the next start: a name with what it has set, a registered
        UDP address.
        """
        session = peer.session
        is_registered = isinstance(peer.link, UdpLink) and peer.key in session.listeners
        if is_registered:
            known = KnownClient(peer.key, session.client, peer.link.reply_port, peer.level)
            await self.journal_thread(self.journal.remember_client, known)
        if is_registered or session.is_named:
            await self.journal_thread(self.journal.remember_session, self.sessions.kept(session))

    async def reload_presets(self) -> ReloadReport:
        """Read the preset files again and tell everyone."""
        before = self.library.presets()
        report = await self.file_threads(self.library.reload)
        for problem in report.errors:
            log.warning("a preset is not loaded", extra={"reason": problem})
            self.delivery.push("log", 2, f"preset: {problem}")
        if self.library.presets() != before:
            self.delivery.push("preset/changed", len(report.loaded))
        return report

    async def look_at_styles(self) -> None:
        """Reload what has changed, unless somebody looked a moment ago."""
        now = time.monotonic()
        if now - self._styles_seen_at >= PRESET_WATCH_SECONDS:
            self._styles_seen_at = now
            if await self.file_threads(self.library.changed):
                await self.reload_presets()

    # Messages

    def _link_for(self, address: tuple) -> Link:
        return self.sessions.link(udp_key(address)) or UdpLink(self.transports.udp, address)

    def receive(self, link: Link, packet: bytes) -> None:
        """Read a packet and put its messages in line. Never waits."""
        peer = self.sessions.peer(link)
        for message in decode_packet(packet):
            if peer.session.dump_level and isinstance(message, Request):
                delivery.trace(
                    peer,
                    "in",
                    message.address,
                    (*message.values.values(), *message.keys.items()),
                    packet,
                )
            if message.address in verbs.AT_ONCE:
                self.spawn(verbs.run(self, peer, message), message.address)
            else:
                self._put_in_line(peer, message)

    def _put_in_line(self, peer: Peer, message: Request | BadRequest) -> None:
        if peer.is_filled() or self.sessions.waiting_bytes >= MAX_ALL_WAITING_BYTES:
            if not peer.link.is_stream:
                verbs.refuse_flood(self, peer, message)
                return
            peer.is_held = True
            peer.link.pause(True)
        self.sessions.waiting_bytes += peer.put(message, time.monotonic())
        if peer.reader is None:
            peer.reader = asyncio.create_task(self._read(peer), name=f"messages of {peer.key}")
            self._tasks.add(peer.reader)
            peer.reader.add_done_callback(self._forget_task)

    async def _read(self, peer: Peer) -> None:
        """Run a peer's messages in order, then end; the next message starts this again."""
        try:
            await self._has_resumed.wait()
            while peer.inbox:
                message, came_at, size_bytes = peer.take()
                self.sessions.waiting_bytes -= size_bytes
                await verbs.run(self, peer, message, came_at)
                if peer.is_held and not peer.is_filled(0.5):
                    peer.is_held = False
                    peer.link.pause(False)
                await asyncio.sleep(0)  # others' turn
        finally:
            peer.reader = None

    def lost(self, link: Link, reason: str) -> None:
        """A connection has gone, or `reason` makes us close it.

        Its jobs go on; their ends can be asked for.
        """
        peer = self.sessions.peer(link)
        if reason:
            self.delivery.send(peer, "fail", "", 0, "bad_packet", reason)
            return
        for job in self.registry.living():
            if job.peer is peer:
                job.peer = None
        self.sessions.forget(link.key)

    def _peer_of(self, client: str) -> Peer | None:
        """Who hears about a job of an earlier life: a client of this machine, where it was last
        heard.
        """
        known = self.sessions.known(client)
        link = self.transports.link_to(known.address if known else client)
        return self.sessions.peer(link) if link and link.is_local else None

    def _fail_download(self, peer: Peer, identity: int | str, code: str, message: str) -> None:
        self.delivery.send(peer, "fail", "/retimbre/audio/get", identity, code, message)

    # The engine

    def _on_event(self, event: Event) -> None:
        """What the executor says; never waits."""
        kind = event["event"]
        if kind == "hello":
            self.metrics.worker_started()
        if kind == "ready":
            self.ready.set()
            self.delivery.push("ready", event.get("model", ""), float(event.get("seconds", 0.0)))
            log.info(
                "the engine is ready",
                extra={
                    "model": event.get("model", ""),
                    "device": self.executor.info.device,
                    "seconds": float(event.get("seconds", 0.0)),
                },
            )
        self.dispatcher.give_up_if_hopeless()
        if "job" in event:
            self.dispatcher.on_event(event)
        self.dispatcher.wake()
        self._push_state()

    def _push_state(self) -> None:
        if self.state != self._told_state:
            self._told_state = self.state
            self.delivery.push("state", self.state)

    # Watches

    async def _watch_presets(self) -> None:
        """For those who asked to be told; whoever uses a style sees the latest anyway, see
        `verbs.NEED_STYLES`.
        """
        while True:
            self.sessions.listened.clear()
            if not any(self.sessions.listeners()):
                await self.sessions.listened.wait()
            await self.look_at_styles()
            await asyncio.sleep(PRESET_WATCH_SECONDS)

    async def _watch_uploads(self) -> None:
        while True:
            self.uploads.begun.clear()
            if self.uploads.open:
                await asyncio.sleep(UPLOAD_WATCH_SECONDS)
            else:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.uploads.begun.wait(), SPOOL_WATCH_SECONDS)
            try:
                await self.uploads.expire(
                    [
                        job.spec["audio"]["path"]
                        for job in self.registry.living()
                        if job.op == "edit"
                    ]
                )
            except OSError as error:
                log.warning("old uploads are not deleted", extra={"reason": error})
            with contextlib.suppress(OSError):  # no room for a reserve now
                await self.journal_thread(self.journal.refill)

    async def _watch_takes(self) -> None:
        while True:
            try:
                await self.retention.prune()
            except sqlite3.Error as error:
                log.warning("old takes are not deleted", extra={"reason": error})
            await asyncio.sleep(retention.WATCH_SECONDS)

    def _spared(self) -> set[str]:
        """Jobs whose takes somebody needs: just made, or the source of a job or a region."""
        heard = [job.spec["audio"]["path"] for job in self.registry.living() if job.op == "edit"]
        takes = Path(os.path.realpath(self.paths.takes))  # as the sandbox names files
        return {job.name for job in self.registry.all()} | {
            owner(path, takes) for path in (*heard, *self.sessions.regions())
        }


def serve(
    config: ServeConfig,
    *,
    announce: Callable[[Server, str], None] | None = None,
    until: Callable[[], Any] | None = None,
) -> None:
    """Serve until ctrl-C: the first lets the running job finish, the second does not wait.

    `announce(server, "listening" | "ready" | "stopping")` is called as it happens. `until`: a
    function that blocks; when it returns, the server drains and stops. Raises OSError (no port),
    JournalError (data folder in use).
    """
    _allow_more_files()
    with logs.kept(config.paths().log_lines, config.log_level, config.log_format, config.log_mb):
        asyncio.run(_serve(config, announce or (lambda server, what: None), until))


def _allow_more_files() -> None:
    """As many handles as the caps on connections and uploads may need: macOS begins with 256."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILE_HANDLES if hard == resource.RLIM_INFINITY else min(FILE_HANDLES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    config: ServeConfig, announce: Callable[[Server, str], None], until: Callable[[], Any] | None
) -> None:
    server = Server(config)
    await server.start()
    restore = _handle_signals(server)
    if until:
        threading.Thread(
            target=lambda: (until(), server.request_stop_from_thread()), daemon=True
        ).start()
    announce(server, "listening")
    ready = asyncio.create_task(_announce_ready(server, announce))
    try:
        await server._should_stop.wait()
        announce(server, "stopping")
        await server.stop()
    finally:
        ready.cancel()
        restore()


async def _announce_ready(server: Server, announce: Callable[[Server, str], None]) -> None:
    await server.ready.wait()
    announce(server, "ready")


def _handle_signals(server: Server) -> Callable[[], None]:
    """SIGINT and SIGTERM ask for a stop. Returns what restores the handlers."""
    before = {
        number: signal.signal(number, lambda *_: server.request_stop_from_thread())
        for number in (signal.SIGINT, signal.SIGTERM)
    }

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore
