"""Which job is next, and what happens to it: accepted -> settled -> queued -> running -> ended.

One coroutine, `_serve`, takes jobs from the queue in its order, as many at once as the executor has
places (the local one has one); a task of its own sees each through to its end. Every ending goes
through `_end`: journal first, then the one terminal message. All of it belongs to the loop's
thread; what may block is sent to the journal thread or the file threads.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.compute.executor import CLOSING_EVENTS, Event, Executor
from server.errors import RequestError, to_error, unreadable
from server.files.sandbox import FileIdentity
from server.files.settle import settled
from server.jobs import stems
from server.jobs.delivery import HEARTBEAT_SECONDS, Delivery
from server.jobs.job import QUEUED, RUNNING, SETTLING, Job, JobRegistry, about
from server.jobs.journal import End, JobRecord, Journal, Result
from server.jobs.metrics import Metrics
from server.jobs.queue import FairQueue
from server.threads import SerialExecutor
from server.wire.sessions import Peer

log = logging.getLogger(__name__)

# jobs of an earlier life begin together; their heartbeats must not come in one burst
HEARTBEAT_PHASES = 64
SHORTEST_BEAT_SECONDS = 0.05
DURATIONS_REMEMBERED = 16
JOURNAL_AGAIN_SECONDS = 1.0


class LeftToNextStart(Exception):
    """The server stops and the journal cannot be written: the next start finds the job as it was,
    and ends it.
    """


class Dispatcher:
    """The queue.

    `takes`: folder under which each job gets one of its own. `quiet_seconds`: see `server.files.settle`,
    by path. `on_change` is called when a job begins or ends to run.
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
        self._journal, self._journal_lane, self._file_lane = journal, journal_thread, file_threads
        self._takes, self._queue_limit, self._quiet_seconds = takes, queue_limit, quiet_seconds
        self._on_change, self._metrics = on_change, metrics
        self._queue = FairQueue(registry)
        self._waiting: list[Job] = []
        # job -> what the executor calls it now: each take is a request of its own
        self._running: dict[Job, str] = {}
        # by that name: what the executor says about it
        self._inboxes: dict[str, asyncio.Queue[Event]] = {}
        self._wake = asyncio.Event()
        self._rests = asyncio.Event()  # nothing runs
        self._rests.set()
        self._tasks: set[asyncio.Task] = set()
        self._arrivals = 0
        self._seconds: deque[float] = deque(maxlen=DURATIONS_REMEMBERED)
        self.is_draining = self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return sum(job.state != RUNNING for job in self._registry.living())

    @property
    def running(self) -> int:
        """How many jobs run; no more than the executor has places."""
        return len(self._running)

    def start(self) -> None:
        """Begin to serve the queue."""
        self._spawn(self._serve(), "dispatcher")

    async def stop(self, force: bool) -> None:
        """Finish what runs (not when forced), then stop.

        What waits stays in the journal for the next start.
        """
        self.is_draining = True
        if not force:
            await self._rests.wait()
        for job in self._running:
            job.stop = ("interrupted", "the server was stopped while this ran; send it again")
        self._wake.set()

    async def close(self) -> None:
        """End the tasks; call it when the executor has stopped."""
        await self._rests.wait()  # the closing event of what ran has come: let it be journalled
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
            raise RequestError("not_ready", self._hopeless())

    async def accept(self, job: Job) -> None:
        """Journal a job, acknowledge it, then wait for its file and queue it.

        Raises RequestError when it cannot be kept.
        """
        self._arrivals += 1
        job.order = self._arrivals
        self._registry.add(job)
        if job.op == "edit":
            try:
                await self._journal_lane(self._journal.add_job, job.record)
            except sqlite3.Error as error:
                self._registry.drop(job)
                log.exception("a job is not accepted", extra=about(job))
                raise to_error(
                    error, "the job was not taken: the journal cannot be written"
                ) from error
            except BaseException:
                # whatever it was: what is never accepted must not stand in line for ever
                self._registry.drop(job)
                raise
            self.acknowledge(job)
        job.state = SETTLING
        self._admit(job)

    def resume(self, record: JobRecord, peer: Peer | None) -> None:
        """Queue a job of an earlier life of this server."""
        self._arrivals += 1
        job = Job(record, peer, state=SETTLING, order=self._arrivals)
        job.born_at -= max(0.0, time.time() - record.created)
        self._registry.add(job)
        self._admit(job)

    def acknowledge(self, job: Job) -> None:
        """The same request came again: say how it stands."""
        self._delivery.ack(job, self.position(job), self.eta(job))

    def cancel(
        self, job: Job, code: str = "cancelled", message: str = "stopped on request"
    ) -> bool:
        """Ask a job to end. Returns whether it was still alive; its end comes later, on its own."""
        if not job.is_alive:
            return False
        job.stop = job.stop or (code, message)
        if job in self._running:
            self._executor.cancel(self._running[job])
            self._wake.set()
        elif job in self._waiting:
            self._waiting.remove(job)
            self._spawn(self._end(job, *job.stop), f"end of {job.name}")
        return True

    def position(self, job: Job) -> int:
        """How many jobs come before it; 0: it runs, or will at once."""
        if job in self._running or not job.is_alive:
            return 0
        return max(0, self._queue.place(job) + self.running - (self._executor.places - 1))

    def eta(self, job: Job) -> float:
        """Seconds to its end; -1 unknown."""
        if not self._seconds:
            return -1.0
        each = sum(self._seconds) / len(self._seconds)
        return each * (self.position(job) / self._executor.places + 1)

    def on_event(self, event: Event) -> None:
        """What the executor says about a request; called in the loop's thread."""
        if inbox := self._inboxes.get(event["job"]):
            inbox.put_nowait(event)

    def tell_waiting(self, text: str) -> None:
        """A warning for the clients of all jobs that wait."""
        for job in self._registry.living():
            if job.peer and job.state != RUNNING:
                self._delivery.send(job.peer, "log", 2, f"job {job.client_id}: {text}")

    def wake(self) -> None:
        """The executor may have become idle."""
        self._wake.set()

    def give_up_if_hopeless(self) -> None:
        """When no worker starts: tell everyone who waits, instead of letting them wait for ever."""
        if self._executor.info.state == "error":
            for job in list(self._waiting):
                self.cancel(job, "engine_died", self._hopeless())

    def _hopeless(self) -> str:
        return f"the engine does not start: {self._executor.info.unavailable_reason}; run `retimbre doctor`"

    # Settled -> queued

    def _admit(self, job: Job) -> None:
        deadline = job.spec.get("deadline", 0.0)
        if deadline:
            left = job.born_at + deadline - time.monotonic()
            asyncio.get_running_loop().call_later(max(0.0, left), self._expire, job, deadline)
        self._spawn(self._settle(job), f"settle {job.name}")
        phase = 1 if job.told_at else job.order % HEARTBEAT_PHASES / HEARTBEAT_PHASES
        self._beat_later(job, HEARTBEAT_SECONDS * phase)

    async def _settle(self, job: Job) -> None:
        try:
            if job.op == "edit":
                path = job.spec["audio"]["path"]
                identity, _ = await settled(path, self._file_lane, self._quiet_seconds(path))
                job.spec["audio"] = vars(identity)
        except RequestError as refusal:
            await self._end(job, refusal.code, refusal.message)
            return
        except Exception as error:  # as in _serve: no job is left without an end
            log.exception("a job fails", extra=about(job))
            await self._end(job, "internal", f"{type(error).__name__}: {error}; the log has more")
            return
        if job.stop:
            await self._end(job, *job.stop)
            return
        job.state = QUEUED
        self._waiting.append(job)
        self._wake.set()
        self.give_up_if_hopeless()

    def _expire(self, job: Job, deadline: float) -> None:
        self.cancel(job, "timed_out", f"not done within its deadline of {deadline:g} s")

    # Queued -> running -> ended

    async def _serve(self) -> None:
        while True:
            job = await self._next()
            self._on_change()
            self._spawn(self._see_through(job), f"run of {job.name}")

    async def _see_through(self, job: Job) -> None:
        try:
            await self._run_to_its_end(job)
        except LeftToNextStart as error:
            log.warning("a job has no end yet", extra={**about(job), "reason": error})
        finally:
            del self._running[job]
            if not self._running:
                self._rests.set()
            self._wake.set()
            self._on_change()

    async def _run_to_its_end(self, job: Job) -> None:
        try:
            await self._run(job)
        except LeftToNextStart:
            raise
        except (OSError, sqlite3.Error) as error:
            log.exception("a job fails", extra=about(job))
            refusal = to_error(error, f"{self._takes} or the journal cannot be written")
            await self._end(job, refusal.code, refusal.message)
        except Exception as error:  # our own mistake must cost this job and not the queue
            log.exception("a job fails", extra=about(job))
            await self._end(job, "internal", f"{type(error).__name__}: {error}; the log has more")

    async def _next(self) -> Job:
        """Wait for a job and a place for it; the job is then running, so nobody else ends it."""
        while True:
            self._wake.clear()
            # Nobody is passed while his file is looked at: that takes two seconds at most, and
            # positions were told.
            job = self._queue.first()
            has_place = self._executor.is_idle and self.running < self._executor.places
            if job in self._waiting and has_place and not self.is_draining:
                self._waiting.remove(job)
                job.state, self._running[job] = RUNNING, job.name
                self._queue.begin(job)
                self._metrics.observe_start(job)
                log.info("job begins", extra={**about(job), "model": job.spec.get("model", "")})
                self._rests.clear()
                return job
            await self._wake.wait()

    async def _run(self, job: Job) -> None:
        began = time.monotonic()
        if job.op != "edit":
            await self._run_model(job)
            return
        try:
            await self._file_lane(_check_unchanged, job.spec["audio"])
        except RequestError as refusal:
            await self._end(job, refusal.code, refusal.message)
            return
        await self._journal_lane(self._journal.start_job, job.name, job.spec)
        done: Event = {}
        for take in range(job.spec["takes"]):
            done = await self._run_take(job, take)
            if done["event"] != "done":
                await self._end(job, *self._cause(job, done))
                return
        self._seconds.append(time.monotonic() - began)
        await self._end(
            job, manifest=str(stems.manifest_of(self._folder(job, 0), done.get("manifest", "")))
        )

    async def _run_take(self, job: Job, take: int) -> Event:
        """One version of a job. Returns the closing event."""
        folder, first = self._folder(job, take), len(job.results)
        await self._file_lane(lambda: folder.mkdir(parents=True, exist_ok=True))
        name = self._running[job] = f"{job.name}.{take}"
        obstacle = await self._until_idle(job)
        if obstacle:
            return obstacle
        with self._submitted(
            stems.worker_request(job.spec, name, job.name, take, folder)
        ) as events:
            while True:
                event = await events.get()
                if event["event"] == "progress":
                    self._report(job, event, take)
                elif event["event"] == "result":
                    await self._keep(
                        job,
                        Result(
                            len(job.results),
                            event["stem"],
                            event["path"],
                            event["rate_hz"],
                            event["channels"],
                            event["frames"],
                            event["start_seconds"],
                            job.spec["beats_start"],
                        ),
                    )
                elif event["event"] in CLOSING_EVENTS:
                    return (
                        await self._saved(job, folder, first) if _died(event) else None
                    ) or event

    @contextmanager
    def _submitted(self, request: dict[str, Any]) -> Iterator[asyncio.Queue[Event]]:
        """Start a request; its events, for as long as somebody reads them."""
        self._inboxes[request["job"]] = events = asyncio.Queue()
        try:
            self._executor.submit(request)
            yield events
        finally:
            del self._inboxes[request["job"]]

    async def _saved(self, job: Job, folder: Path, first: int) -> Event | None:
        """A worker may die between its last file and its last word; what it had finished is kept."""
        results = await self._file_lane(stems.finished_take, job.spec, folder, first)
        if results is None:
            return None
        for result in results[len(job.results) - first :]:
            await self._keep(job, result)
        return {"event": "done"}

    async def _run_model(self, job: Job) -> None:
        """Load or unload a model."""
        obstacle = await self._until_idle(job)
        if obstacle:
            await self._end(job, obstacle["code"], obstacle["message"])
            return
        with self._submitted({"op": job.op, "job": job.name, "model": job.spec["model"]}) as events:
            while True:
                event = await events.get()
                if event["event"] == "progress":
                    self._report(job, event)
                elif event["event"] == "fail":
                    await self._end(job, *self._cause(job, event))
                    return
                elif event["event"] in (*CLOSING_EVENTS, "ready"):
                    job.warm_seconds = float(event.get("seconds", 0.0))
                    await self._end(job)
                    return

    async def _until_idle(self, job: Job) -> Event | None:
        """Wait for a worker that died since this job was chosen.

        Returns what speaks against running it, or None.

        Nothing may be awaited between this and `submit`: a cancel or a death would be missed.
        """
        while not job.stop and not self._executor.is_idle and self._executor.info.state != "error":
            self._wake.clear()
            await self._wake.wait()
        if job.stop:
            return {"event": "fail", "code": job.stop[0], "message": job.stop[1]}
        if not self._executor.is_idle:
            return {"event": "fail", "code": "engine_died", "message": self._hopeless()}
        return None

    def _report(self, job: Job, event: Event, take: int = 0) -> None:
        takes = job.spec.get("takes", 1)
        fraction = float(event.get("fraction", -1))
        stage = event.get("stage", "generating")
        is_new_stage = stage != job.stage
        if is_new_stage:
            self._metrics.enter_stage(job, stage)
        job.advance(
            (take + fraction) / takes if fraction >= 0 else -1,
            stage,
            float(event.get("eta_seconds", -1)),
        )
        if is_new_stage or self._delivery.may_report(job):
            self._delivery.progress(job, 0)

    async def _keep(self, job: Job, result: Result) -> None:
        """A file is finished: journal it, then tell."""
        result, complaint = await self._file_lane(stems.delivered, result, job.spec["out"])
        if complaint and job.peer:
            self._delivery.send(job.peer, "log", 2, f"job {job.client_id}: {complaint}")
        await self._written(job, self._journal.add_result, job.name, result)
        job.results.append(result)
        self._delivery.result(job, result)

    async def _end(self, job: Job, code: str = "", message: str = "", manifest: str = "") -> None:
        """The only way to end a job."""
        if job.is_ending:
            return
        job.is_ending = True
        end = End(
            code,
            message,
            job.spec.get("seed", 0),
            manifest,
            max(0.0, time.monotonic() - job.born_at),
            len(job.results),
        )
        if job.op == "edit":
            end = await self._written(job, self._journal.end_job, job.name, end)
        job.end = end
        self._registry.close(job)
        self._wake.set()
        self._metrics.observe_end(job, end.code, end.seconds)
        log.log(
            logging.INFO if end.code in ("", "cancelled") else logging.WARNING,
            f"job {job.public_state}",
            extra={**about(job), "seconds": end.seconds, "code": end.code, "reason": end.message},
        )
        self._delivery.end(job)

    async def _written(self, job: Job, write: Callable[..., Any], *arguments: Any) -> Any:
        """Write to the journal, again and again until it can be: what does not stand there is not
        told, because the next start would tell another story. Raises LeftToNextStart.
        """
        has_warned = False
        while True:
            try:
                return await self._journal_lane(write, *arguments)
            except sqlite3.Error as error:
                refusal = to_error(
                    error, f"job {job.client_id} waits for the journal, which cannot be written"
                )
                if self.is_draining:
                    raise LeftToNextStart(refusal.message) from error
                if not has_warned:
                    has_warned = True
                    log.error(
                        "a job waits for the journal",
                        extra={**about(job), "reason": refusal.message},
                    )
                    if job.peer:
                        self._delivery.send(
                            job.peer, "log", 2, f"{refusal.code}: {refusal.message}"
                        )
            await asyncio.sleep(JOURNAL_AGAIN_SECONDS)

    def _cause(self, job: Job, event: Event) -> tuple[str, str]:
        """Code and message of a failure; a stop that we asked for says why we asked."""
        code, message = (
            event.get("code", "internal"),
            event.get("message", "the engine gave no reason"),
        )
        return (
            job.stop
            if job.stop and code in ("cancelled", "engine_died", *job.stop[:1])
            else (code, message)
        )

    def _folder(self, job: Job, take: int) -> Path:
        return stems.folder_of(self._takes, job.name, job.spec["takes"], take)

    # Heartbeat

    def _beat(self, job: Job) -> None:
        """A job that was silent for a while says that it lives.

        Each has a timer of its own: no job, no wake-up.
        """
        if not job.is_alive or self._is_closed:
            return
        if self._delivery.is_due(job):
            self._note_why_it_waits(job)
            self._delivery.progress(job, self.position(job))
        self._beat_later(job, job.told_at + HEARTBEAT_SECONDS - time.monotonic())

    def _beat_later(self, job: Job, seconds: float) -> None:
        asyncio.get_running_loop().call_later(max(SHORTEST_BEAT_SECONDS, seconds), self._beat, job)

    def _note_why_it_waits(self, job: Job) -> None:
        if job.state != RUNNING:
            job.stage = (
                "loading" if self._executor.info.state in ("starting", "loading") else "queued"
            )

    def _spawn(self, coroutine, name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_complain)


def _died(event: Event) -> bool:
    return event["event"] == "fail" and event.get("code") in ("engine_died", "out_of_memory")


def _check_unchanged(audio: dict[str, Any]) -> None:
    """Whoever renders every region to the same file must hear of it when a waiting job would get
    the wrong sound.
    """
    try:
        now = FileIdentity.of(audio["path"])
    except OSError as error:
        raise unreadable(
            error, "no_file", f"{audio['path']} is gone: {error.strerror or error}"
        ) from error
    if vars(now) != audio:
        raise RequestError(
            "bad_audio",
            f"{audio['path']} was written to while the job waited; "
            "render each region to a file of its own",
        )


def _complain(task: asyncio.Task) -> None:
    if not task.cancelled() and task.exception():
        log.error("a task failed", exc_info=task.exception(), extra={"said": task.get_name()})
