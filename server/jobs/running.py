"""How a job runs on the executor: its takes, the events of each, and the files that they make.

Belongs to the event loop's thread; what may block is sent to the journal thread or the file
threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.compute.executor import CLOSING_EVENTS, EngineInfo, Event, Executor
from server.errors import RequestError, unreadable
from server.files.sandbox import AudioFile
from server.jobs import stems
from server.jobs.delivery import Delivery
from server.jobs.ending import JobEnder, LeftToNextStart
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.jobs.metrics import Metrics
from server.jobs.records import Result
from server.jobs.spec import JobSpec, ModelSpec
from server.threads import SerialExecutor

log = logging.getLogger(__name__)

DURATIONS_REMEMBERED = 16


class JobRunner:
    """Runs jobs that have a place.

    `takes`: folder under which each job gets one of its own. `changed` is set when the executor or
    a job changed.
    """

    def __init__(
        self,
        executor: Executor,
        delivery: Delivery,
        journal: Journal,
        journal_thread: SerialExecutor,
        file_threads: SerialExecutor,
        takes: Path,
        metrics: Metrics,
        ender: JobEnder,
        changed: asyncio.Event,
    ) -> None:
        self._executor, self._delivery, self._metrics = executor, delivery, metrics
        self._journal, self._journal_thread = journal, journal_thread
        self._file_threads, self._takes = file_threads, takes
        self._ender, self._changed = ender, changed
        # job -> the name of its request at the executor: each take is a request
        self.running: dict[Job, str] = {}
        self._inboxes: dict[str, asyncio.Queue[Event]] = {}  # by that name
        self.seconds: deque[float] = deque(maxlen=DURATIONS_REMEMBERED)  # of edits that were done

    def on_event(self, event: Event) -> None:
        """Take what the executor says about a request."""
        if inbox := self._inboxes.get(event["job"]):
            inbox.put_nowait(event)

    async def run(self, job: Job) -> None:
        """Run a job to its end, whatever happens. Raises LeftToNextStart."""
        try:
            if isinstance(job.spec, JobSpec):
                await self._run_edit(job, job.spec)
            else:
                await self._run_on_model(job, job.spec)
        except LeftToNextStart:
            raise
        except Exception as error:  # our own mistake must cost this job and not the queue
            await self._ender.end_with_error(
                job, error, f"{self._takes} or the journal cannot be written"
            )

    async def _run_edit(self, job: Job, spec: JobSpec) -> None:
        began = time.monotonic()
        await self._file_threads(_check_unchanged, spec.audio)
        await self._journal_thread(self._journal.start_job, job.name, spec)
        done: Event = {}
        for take in range(spec.takes):
            done = await self._run_take(job, spec, take)
            if done["event"] != "done":
                await self._ender.end(job, *_failure_reason(job, done))
                return
        self.seconds.append(time.monotonic() - began)
        folder = stems.take_folder(self._takes, job.name, spec.takes, 0)
        manifest = stems.manifest_path(folder, done.get("manifest", ""))
        await self._ender.end(job, manifest=str(manifest))

    async def _run_take(self, job: Job, spec: JobSpec, take: int) -> Event:
        """Make one version. Returns the closing event."""
        folder = stems.take_folder(self._takes, job.name, spec.takes, take)
        first = len(job.results)
        await self._file_threads(lambda: folder.mkdir(parents=True, exist_ok=True))
        name = self.running[job] = f"{job.name}.{take}"
        if obstacle := await self._wait_until_idle(job):
            return obstacle
        with self._submit(stems.worker_request(spec, name, job.name, take, folder)) as events:
            while True:
                event = await events.get()
                if event["event"] == "progress":
                    self._report(job, event, take)
                elif event["event"] == "result":
                    await self._keep(job, spec, _to_result(event, len(job.results), spec))
                elif event["event"] in CLOSING_EVENTS:
                    is_saved = _is_death(event) and await self._save(job, spec, folder, first)
                    return {"event": "done"} if is_saved else event

    @contextmanager
    def _submit(self, request: dict[str, Any]) -> Iterator[asyncio.Queue[Event]]:
        """Start a request; its events, for as long as the block runs."""
        events: asyncio.Queue[Event] = asyncio.Queue()
        self._inboxes[request["job"]] = events
        try:
            self._executor.submit(request)
            yield events
        finally:
            del self._inboxes[request["job"]]

    async def _save(self, job: Job, spec: JobSpec, folder: Path, first: int) -> bool:
        """Keep what a worker had finished that died before it could say so.

        Returns whether the take was whole.
        """
        results = await self._file_threads(stems.read_take, spec, folder, first)
        for result in (results or [])[len(job.results) - first :]:
            await self._keep(job, spec, result)
        return results is not None

    async def _run_on_model(self, job: Job, spec: ModelSpec) -> None:
        """Load or unload a model."""
        if obstacle := await self._wait_until_idle(job):
            await self._ender.end(job, obstacle["code"], obstacle["message"])
            return
        with self._submit({"op": spec.op, "job": job.name, "model": spec.model}) as events:
            while True:
                event = await events.get()
                if event["event"] == "progress":
                    self._report(job, event)
                elif event["event"] == "fail":
                    await self._ender.end(job, *_failure_reason(job, event))
                    return
                elif event["event"] in (*CLOSING_EVENTS, "ready"):
                    job.load_seconds = float(event.get("seconds", 0.0))
                    await self._ender.end(job)
                    return

    async def _wait_until_idle(self, job: Job) -> Event | None:
        """Wait for a worker that died since this job was chosen.

        Returns what speaks against running it, or None. Nothing may be awaited between this and
        `submit`: a cancel or a death would be missed.
        """
        info = self._executor.info
        while not job.stop_reason and not self._executor.is_idle and info.state != "error":
            self._changed.clear()
            await self._changed.wait()
        if job.stop_reason:
            return {"event": "fail", "code": job.stop_reason[0], "message": job.stop_reason[1]}
        if not self._executor.is_idle:
            return {"event": "fail", "code": "engine_died", "message": unavailable_message(info)}
        return None

    def _report(self, job: Job, event: Event, take: int = 0) -> None:
        fraction = float(event.get("fraction", -1))
        stage = event.get("stage", "generating")
        is_new_stage = stage != job.stage
        if is_new_stage:
            self._metrics.enter_stage(job, stage)
        job.advance(
            (take + fraction) / job.spec.takes if fraction >= 0 else -1,
            stage,
            float(event.get("eta_seconds", -1)),
        )
        if is_new_stage or self._delivery.may_report(job):
            self._delivery.send_progress(job, 0)

    async def _keep(self, job: Job, spec: JobSpec, result: Result) -> None:
        """A file is finished: journal it, then tell."""
        result, problem = await self._file_threads(stems.deliver, result, spec.output_folder)
        if problem and job.peer:
            self._delivery.send(job.peer, "log", 2, f"job {job.client_id}: {problem}")
        await self._ender.write(job, lambda: self._journal.add_result(job.name, result))
        job.results.append(result)
        self._delivery.send_result(job, result)


def unavailable_message(info: EngineInfo) -> str:
    """What a client is told when no worker starts."""
    return f"the engine does not start: {info.unavailable_reason}; run `retimbre doctor`"


def _to_result(event: Event, index: int, spec: JobSpec) -> Result:
    return Result(
        index,
        event["stem"],
        event["path"],
        event["rate_hz"],
        event["channels"],
        event["frames"],
        event["start_seconds"],
        spec.beats_start,
    )


def _is_death(event: Event) -> bool:
    return event["event"] == "fail" and event.get("code") in ("engine_died", "out_of_memory")


def _failure_reason(job: Job, event: Event) -> tuple[str, str]:
    """Code and message of a failure; a stop that was asked for says why."""
    code = event.get("code", "internal")
    if job.stop_reason and code in ("cancelled", "engine_died", job.stop_reason[0]):
        return job.stop_reason
    return code, event.get("message", "the engine gave no reason")


def _check_unchanged(audio: AudioFile) -> None:
    """Raises RequestError where a waiting job would get another sound.

    That happens to clients that render every region to the same file.
    """
    try:
        now = AudioFile.at(audio.path)
    except OSError as error:
        raise unreadable(
            error, "no_file", f"{audio.path} is gone: {error.strerror or error}"
        ) from error
    if now != audio:
        raise RequestError(
            "bad_audio",
            f"{audio.path} was written to while the job waited; "
            "render each region to a file of its own",
        )
