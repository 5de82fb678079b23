"""The server's life: start, serve, drain, stop. Everything is built here and used elsewhere.

async with Server(config) as server:
    await server.ready.wait()
    print(server.port)

`server.serving` is the same for the command line: it blocks until ctrl-C.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from osc_protocol import ROOT
from presets import SHIPPED_FOLDER, Library
from server import housekeeping, status
from server.compute.executor import Event, Executor
from server.compute.local import LocalExecutor, worker_command
from server.config import ServeConfig
from server.files.downloads import Downloads
from server.files.sandbox import Sandbox
from server.files.uploads import Uploads
from server.jobs.delivery import Delivery
from server.jobs.dispatcher import Dispatcher
from server.jobs.job import ENDED, Job, JobRegistry
from server.jobs.journal import Journal, JournalError
from server.jobs.metrics import Metrics
from server.jobs.recovery import Recovery, recover
from server.jobs.retention import Retention
from server.jobs.spec import SpecBuilder
from server.live.session import LiveAudio
from server.paths import ServerAddress, remove_port_file, write_port_file
from server.services import Services
from server.threads import SerialExecutor
from server.verbs.inbox import Inbox
from server.wire import discovery
from server.wire.auth import Authenticator
from server.wire.sessions import Peer, Sessions

if TYPE_CHECKING:
    from server.http.app import HttpTwin

log = logging.getLogger(__name__)

FILE_THREADS = 4  # a network drive that wakes up may hold one for seconds
REMEMBER_CLIENTS_SECONDS = 7 * 24 * 3600.0


class _Storage(NamedTuple):
    journal: Journal
    journal_thread: SerialExecutor
    file_threads: SerialExecutor


class Server:
    """One server.

    `services`, `inbox` and `http` are there from `start` on. All methods belong to the event
    loop's thread, but for `request_stop_from_thread`.
    """

    services: Services
    inbox: Inbox

    def __init__(self, config: ServeConfig, executor: Executor | None = None) -> None:
        self.config = config
        self.paths = config.paths()
        self.executor = executor or _make_executor(config)
        self.ready = asyncio.Event()  # the engine takes jobs at once
        self.http: HttpTwin | None = None
        self._is_stopping = False
        self._made_at = time.monotonic()

    @property
    def port(self) -> int:
        """Of OSC, UDP and TCP."""
        return self.services.port

    @property
    def http_port(self) -> int:
        """Of HTTP; 0 where there is none."""
        return self.services.http_port

    # Start

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.services.request_stop()
        self.services.request_stop()  # twice: a block that is left does not wait for jobs
        await self.stop()

    async def start(self) -> None:
        """Open everything.

        Raises OSError (no port), JournalError (data folder in use), sqlite3.Error (disk full).
        """
        self._loop = asyncio.get_running_loop()
        self.paths.create()
        self.services = services = await self._build()
        self.inbox = Inbox(services)
        try:
            recovery = await services.journal_thread(recover, services.journal, self.paths.takes)
            services.port = await self.inbox.transports.open(self.config.host, self.config.port)
        except (OSError, sqlite3.Error):
            await self._close_journal()
            raise
        await self._resume(recovery)
        self.inbox.has_resumed.set()
        await self.executor.start(self._on_event)
        services.dispatcher.start()
        # last: importing it takes a while, in which OSC is answered and the model loads
        await self._open_http()
        self._announce()
        housekeeping.start(services)
        write_port_file(
            self.paths.port_file,
            ServerAddress(self.config.host, services.port, services.http_port, os.getpid()),
        )
        log.info("listening, UDP and TCP", extra={"port": services.port})

    async def _build(self) -> Services:
        journal_thread = SerialExecutor("journal")
        file_threads = SerialExecutor("files", FILE_THREADS)
        try:
            journal = await journal_thread(Journal, self.paths.journal)
        except JournalError:
            journal_thread.close()
            file_threads.close()
            raise
        await file_threads(status.version)
        library = await file_threads(_open_library, self.config)
        return self._assemble(_Storage(journal, journal_thread, file_threads), library)

    def _assemble(self, storage: _Storage, library: Library) -> Services:
        config, paths, file_threads = self.config, self.paths, storage.file_threads
        limit_bytes, password = config.max_file_mb * 10**6, config.password()
        sandbox = Sandbox([paths.spool, paths.takes, *config.root], limit_bytes)
        uploads = Uploads(paths.spool, limit_bytes, file_threads)
        sessions = Sessions(config.reply_port, needs_password=bool(password))
        delivery, registry, metrics = Delivery(sessions), JobRegistry(), Metrics()
        spared = functools.partial(housekeeping.jobs_to_keep, registry, sessions, paths.takes)
        return Services(
            config=config,
            paths=paths,
            executor=self.executor,
            started_at=self._made_at,
            journal=storage.journal,
            journal_thread=storage.journal_thread,
            file_threads=file_threads,
            library=library,
            sandbox=sandbox,
            specs=SpecBuilder(library, sandbox, config.model),
            uploads=uploads,
            downloads=Downloads(file_threads, functools.partial(_fail_download, delivery)),
            authenticator=Authenticator(password),
            sessions=sessions,
            delivery=delivery,
            registry=registry,
            dispatcher=self._make_dispatcher(storage, registry, delivery, uploads, metrics),
            retention=Retention(*storage, paths.takes, config.keep_days, config.keep_gb, spared),
            live=LiveAudio(functools.partial(delivery.push, "live/state")),
            metrics=metrics,
        )

    def _make_dispatcher(
        self,
        storage: _Storage,
        registry: JobRegistry,
        delivery: Delivery,
        uploads: Uploads,
        metrics: Metrics,
    ) -> Dispatcher:
        return Dispatcher(
            registry,
            delivery,
            self.executor,
            *storage,
            self.paths.takes,
            self.config.queue_limit,
            uploads.quiet_seconds,
            self._push_state,
            metrics,
        )

    async def _resume(self, recovery: Recovery) -> None:
        """Take up what an earlier life of this server left."""
        services, journal = self.services, self.services.journal
        services.sessions.restore(
            await services.journal_thread(journal.clients, REMEMBER_CLIENTS_SECONDS),
            await services.journal_thread(journal.sessions),
        )
        await services.uploads.prepare(record.spec.audio.path for record in recovery.resumed)
        for record, results, end in recovery.ended:
            peer = self.inbox.find_peer(record.client)
            job = Job(record, peer, state=ENDED, results=results, end=end)
            services.registry.add(job)
            services.registry.close(job)
            services.delivery.send_end(job)
        for record in recovery.resumed:
            services.dispatcher.resume(record, self.inbox.find_peer(record.client))

    async def _open_http(self) -> None:
        """The HTTP twin, unless it is off.

        Without a free port the server goes on: its clients speak OSC.
        """
        if not self.config.http_port:
            return
        module = await self.services.file_threads(importlib.import_module, "server.http.app")
        twin: HttpTwin = module.HttpTwin(self.services, self.inbox)
        try:
            self.services.http_port = await twin.open(self.config.host, self.config.http_port)
            self.http = twin
        except OSError as error:
            await twin.close()
            log.warning("no HTTP and no page", extra={"reason": error})

    def _announce(self) -> None:
        services = self.services
        if discovery.is_wanted(self.config.announce, self.config.host):
            services.announcement = discovery.Announcement(
                self.config.host, services.port, services.http_port
            )
            services.spawn(services.announcement.open(), "announcement")

    # Stop

    async def serve_until_stopped(self, on_stopping: Callable[[], None] = lambda: None) -> None:
        """Wait until a stop is requested, then drain and stop. `on_stopping`: called in between."""
        await self.services.stop_requested.wait()
        on_stopping()
        await self.stop()

    def request_stop_from_thread(self) -> None:
        """`Services.request_stop` for any thread."""
        self._loop.call_soon_threadsafe(self.services.request_stop)

    async def stop(self) -> None:
        """Finish the running job (unless forced), close everything."""
        if self._is_stopping:
            return
        self._is_stopping = True
        services = self.services
        await self._drain()
        is_forced = services.force_requested.is_set()
        await services.dispatcher.stop(force=is_forced)
        await self.executor.stop(force=is_forced)
        await services.dispatcher.close()
        await services.tasks.cancel()
        await services.live.stop()
        await services.downloads.close()
        await services.uploads.close()
        services.delivery.close()
        await self.inbox.transports.close()
        if services.announcement:
            await services.announcement.close()
        if self.http:
            await self.http.close()
        await self._close_journal()
        remove_port_file(self.paths.port_file, os.getpid())
        log.info("stopped")

    async def _drain(self) -> None:
        """Wait for the running job, or for the order not to."""
        services = self.services
        services.push_state()
        waits = [
            asyncio.ensure_future(services.dispatcher.stop(force=False)),
            asyncio.ensure_future(services.force_requested.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _close_journal(self) -> None:
        await self.services.journal_thread(self.services.journal.close)
        self.services.journal_thread.close()
        self.services.file_threads.close()

    # The engine

    def _on_event(self, event: Event) -> None:
        """What the executor reports; never waits."""
        services, kind = self.services, event["event"]
        if kind == "hello":
            services.metrics.observe_worker_start()
        if kind == "ready":
            model, seconds = event.get("model", ""), float(event.get("seconds", 0.0))
            self.ready.set()
            services.delivery.push("ready", model, seconds)
            log.info(
                "the engine is ready",
                extra={"model": model, "device": self.executor.info.device, "seconds": seconds},
            )
        services.dispatcher.on_event(event)
        services.push_state()

    def _push_state(self) -> None:
        self.services.push_state()


def _make_executor(config: ServeConfig) -> Executor:
    """What computes, by the options. Raises ConfigError where its packages are missing."""
    if config.executor == "local":
        models = config.paths().models(config.models_dir)
        return LocalExecutor(worker_command(config.model, config.threads, models, config.runtime))
    from server.compute.ray import RayExecutor
    from server.compute.ray_cluster import Cluster

    return RayExecutor(Cluster.of(config))


def _fail_download(
    delivery: Delivery, peer: Peer, identity: int | str, code: str, message: str
) -> None:
    delivery.send(peer, "fail", f"{ROOT}/audio/get", identity, code, message)


def _open_library(config: ServeConfig) -> Library:
    """All styles: shipped ones, the user's, those of --presets-dir."""
    library = Library([SHIPPED_FOLDER, config.paths().presets, *config.presets_dir])
    for problem in library.report.errors:
        log.warning("a preset is not loaded", extra={"reason": problem})
    return library
