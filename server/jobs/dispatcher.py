"""Which job is next, and what happens to it: accepted -> settled -> queued -> running -> ended.

One coroutine, `_serve`, takes jobs from the queue in its order, as many at once as the executor has
places (the local one has one); a task of its own runs each to its end (`server.jobs.running`).
Every job ends by `server.jobs.ending`. All of it belongs to the event loop's thread; what may block
is sent to the journal thread or the file threads.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from server.compute.executor import Event, Executor
from server.errors import RequestError, to_error
from server.files.settle import wait_until_settled
from server.jobs.delivery import HEARTBEAT_SECONDS, Delivery
from server.jobs.ending import JobEnder, LeftToNextStart
from server.jobs.job import QUEUED, RUNNING, SETTLING, Job, JobRegistry, log_fields
from server.jobs.journal import Journal
from server.jobs.metrics import Metrics
from server.jobs.queue import FairQueue
from server.jobs.records import EditRecord
from server.jobs.running import JobRunner, unavailable_message
from server.jobs.spec import JobSpec
from server.tasks import BackgroundTasks
from server.threads import SerialExecutor
from server.wire.sessions import Peer

log = logging.getLogger(__name__)

# jobs of an earlier run begin together; their heartbeats must not come in one burst
HEARTBEAT_PHASES = 64
SHORTEST_BEAT_SECONDS = 0.05


class Dispatcher:
    """The queue.

    `takes`: folder under which each job gets one of its own. `quiet_seconds`: see
    `server.files.settle`, by path. `on_change` is called when a job begins or ends to run.
    """

    def __init__(
        self,
        registry: JobRegistry,
        delivery: Delivery,
        executor: Executor,
        journal: Journal,
        journal_thread: SerialExecutor,
        file_threads: SerialExecutor,
        takes: Path,
        queue_limit: int,
        quiet_seconds: Callable[[str], float],
        on_change: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._registry, self._delivery, self._executor = registry, delivery, executor
        self._journal, self._journal_thread = journal, journal_thread
        self._file_threads = file_threads
        self._queue_limit, self._quiet_seconds = queue_limit, quiet_seconds
        self._on_change, self._metrics = on_change, metrics
        self._queue = FairQueue(registry)
        self._waiting: list[Job] = []
        self._changed = asyncio.Event()  # there may be a job or a place for one
        self._nothing_runs = asyncio.Event()
        self._nothing_runs.set()
        self._ender = JobEnder(
            registry, delivery, journal, journal_thread, metrics, self._changed.set
        )
        self._runner = JobRunner(
            executor,
            delivery,
            journal,
            journal_thread,
            file_threads,
            takes,
            metrics,
            self._ender,
            self._changed,
        )
        self._tasks = BackgroundTasks()
        self._arrivals = 0
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return sum(job.state != RUNNING for job in self._registry.living())

    @property
    def running(self) -> int:
        """How many jobs run; no more than the executor has places."""
        return len(self._runner.running)

    @property
    def is_draining(self) -> bool:
        """Whether no job begins any more."""
        return self._ender.is_draining

    def drain(self) -> None:
        """Begin no job any more; what waits stays in the journal for the next start."""
        self._ender.is_draining = True

    def start(self) -> None:
        """Begin to serve the queue."""
        self._tasks.spawn(self._serve(), "dispatcher")

    async def stop(self, force: bool) -> None:
        """Finish what runs (not when forced), then stop."""
        self.drain()
        if not force:
            await self._nothing_runs.wait()
        for job in self._runner.running:
            job.stop_reason = (
                "interrupted",
                "the server was stopped while this ran; send it again",
            )
        self._changed.set()

    async def close(self) -> None:
        """End the tasks; call it when the executor has stopped."""
        # the closing events of what ran have come: let them be journalled
        await self._nothing_runs.wait()
        self._is_closed = True
        await self._tasks.cancel()

    # What the verbs call

    def check_room(self) -> None:
        """Raises RequestError when no job can be taken now."""
        if self.is_draining:
            raise RequestError(
                "not_ready", "the server is stopping; send the job again when it is back"
            )
        if self.waiting >= self._queue_limit:
            raise RequestError(
                "queue_full",
                f"{self.waiting} jobs wait already, and no more than {self._queue_limit} may; "
                "wait, or start the server with a larger --queue-limit",
            )
        if self._executor.info.state == "error":
            raise RequestError("not_ready", unavailable_message(self._executor.info))

    async def accept(self, job: Job) -> None:
        """Journal a job, acknowledge it, then wait for its file and queue it.

        Raises RequestError when it cannot be kept.
        """
        self._arrivals += 1
        job.order = self._arrivals
        self._registry.add(job)
        if isinstance(job.spec, JobSpec):
            try:
                record = job.record.with_spec(job.spec)
                await self._journal_thread(self._journal.add_job, record)
            except sqlite3.Error as error:
                self._registry.drop(job)
                log.exception("a job is not accepted", extra=log_fields(job))
                raise to_error(
                    error, "the job was not taken: the journal cannot be written"
                ) from error
            except BaseException:  # what is never accepted must not wait in the queue for ever
                self._registry.drop(job)
                raise
            self.acknowledge(job)
        job.state = SETTLING
        self._admit(job)

    def resume(self, record: EditRecord, peer: Peer | None) -> None:
        """Queue a job of an earlier run of this server."""
        self._arrivals += 1
        job = Job(record, peer, state=SETTLING, order=self._arrivals)
        job.accepted_at -= max(0.0, time.time() - record.created)
        self._registry.add(job)
        self._admit(job)

    def acknowledge(self, job: Job) -> None:
        """Say where a job stands."""
        self._delivery.send_ack(job, self.position(job), self.eta(job))

    def cancel(
        self, job: Job, code: str = "cancelled", message: str = "stopped on request"
    ) -> bool:
        """Ask a job to end. Returns whether it was still alive; its end comes later, on its own."""
        if not job.is_alive:
            return False
        job.stop_reason = job.stop_reason or (code, message)
        if job in self._runner.running:
            self._executor.cancel(self._runner.running[job])
            self._changed.set()
        elif job in self._waiting:
            self._waiting.remove(job)
            self._tasks.spawn(self._ender.end(job, *job.stop_reason), f"end of {job.name}")
        return True

    def position(self, job: Job) -> int:
        """How many jobs come before it; 0: it runs, or will at once."""
        if job in self._runner.running or not job.is_alive:
            return 0
        return max(0, self._queue.position(job) + self.running - (self._executor.places - 1))

    def eta(self, job: Job) -> float:
        """Seconds to its end; -1 unknown."""
        seconds = self._runner.seconds
        if not seconds:
            return -1.0
        each = sum(seconds) / len(seconds)
        return each * (self.position(job) / self._executor.places + 1)

    def on_event(self, event: Event) -> None:
        """Take what the executor says; called in the loop's thread."""
        if self._executor.info.state == "error":
            self._give_up()
        if "job" in event:
            self._runner.on_event(event)
        self._changed.set()

    def tell_waiting(self, text: str) -> None:
        """A warning for the clients of all jobs that wait."""
        for job in self._registry.living():
            if job.peer and job.state != RUNNING:
                self._delivery.send(job.peer, "log", 2, f"job {job.client_id}: {text}")

    def _give_up(self) -> None:
        """When no worker starts: tell everyone who waits, instead of letting them wait for ever."""
        for job in list(self._waiting):
            self.cancel(job, "engine_died", unavailable_message(self._executor.info))

    # Settled -> queued

    def _admit(self, job: Job) -> None:
        if deadline := job.spec.deadline_seconds:
            left = job.accepted_at + deadline - time.monotonic()
            asyncio.get_running_loop().call_later(max(0.0, left), self._expire, job, deadline)
        self._tasks.spawn(self._settle(job), f"settle {job.name}")
        phase = 1 if job.reported_at else job.order % HEARTBEAT_PHASES / HEARTBEAT_PHASES
        self._beat_later(job, HEARTBEAT_SECONDS * phase)

    async def _settle(self, job: Job) -> None:
        """Wait until the job's file is complete, then queue it."""
        spec = job.spec
        try:
            if isinstance(spec, JobSpec):
                file, _ = await wait_until_settled(
                    spec.audio.path, self._file_threads, self._quiet_seconds(spec.audio.path)
                )
                job.record = job.record.with_spec(replace(spec, audio=file))
        except Exception as error:  # as in JobRunner.run: no job is left without an end
            await self._ender.end_with_error(job, error, "the file cannot be looked at")
            return
        if job.stop_reason:
            await self._ender.end(job, *job.stop_reason)
            return
        job.state = QUEUED
        self._waiting.append(job)
        self._changed.set()
        if self._executor.info.state == "error":
            self._give_up()

    def _expire(self, job: Job, deadline: float) -> None:
        self.cancel(job, "timed_out", f"not done within its deadline of {deadline:g} s")

    # Queued -> running

    async def _serve(self) -> None:
        while True:
            job = await self._next()
            self._on_change()
            self._tasks.spawn(self._run(job), f"run of {job.name}")

    async def _next(self) -> Job:
        """Wait for a job and a place for it; the job is then running, so nobody else ends it."""
        while True:
            self._changed.clear()
            # A job whose file is not settled yet keeps its turn: its position was told, and
            # settling takes two seconds at most.
            job = self._queue.first()
            has_place = self._executor.is_idle and self.running < self._executor.places
            if job in self._waiting and has_place and not self.is_draining:
                assert job
                self._waiting.remove(job)
                job.state, self._runner.running[job] = RUNNING, job.name
                self._queue.begin(job)
                self._metrics.observe_start(job)
                log.info("job begins", extra={**log_fields(job), "model": job.spec.model})
                self._nothing_runs.clear()
                return job
            await self._changed.wait()

    async def _run(self, job: Job) -> None:
        try:
            await self._runner.run(job)
        except LeftToNextStart as error:
            log.warning("a job has no end yet", extra={**log_fields(job), "reason": error})
        finally:
            del self._runner.running[job]
            if not self._runner.running:
                self._nothing_runs.set()
            self._changed.set()
            self._on_change()

    # Heartbeat

    def _beat(self, job: Job) -> None:
        """Report a job that was silent for a while. Each has a timer: no job, no wake-up."""
        if not job.is_alive or self._is_closed:
            return
        if self._delivery.is_due(job):
            if job.state != RUNNING:
                is_coming = self._executor.info.state in ("starting", "loading")
                job.stage = "loading" if is_coming else "queued"
            self._delivery.send_progress(job, self.position(job))
        self._beat_later(job, job.reported_at + HEARTBEAT_SECONDS - time.monotonic())

    def _beat_later(self, job: Job, seconds: float) -> None:
        asyncio.get_running_loop().call_later(max(SHORTEST_BEAT_SECONDS, seconds), self._beat, job)
