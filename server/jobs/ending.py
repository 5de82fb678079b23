"""How a job ends: once, in the journal first, and then told to its client."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from server.errors import RequestError, to_error
from server.jobs.delivery import Delivery
from server.jobs.job import Job, JobRegistry, log_fields
from server.jobs.journal import Journal
from server.jobs.metrics import Metrics
from server.jobs.records import End
from server.jobs.spec import JobSpec
from server.threads import SerialExecutor

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class LeftToNextStart(Exception):
    """The server stops and the journal cannot be written: the next start ends the job."""


class JobEnder:
    """Writes to the journal what clients are told afterwards. Belongs to the event loop's thread.

    `on_end` is called when a job has ended.
    """

    def __init__(
        self,
        registry: JobRegistry,
        delivery: Delivery,
        journal: Journal,
        journal_thread: SerialExecutor,
        metrics: Metrics,
        on_end: Callable[[], None],
    ) -> None:
        self._registry, self._delivery, self._metrics = registry, delivery, metrics
        self._journal, self._journal_thread = journal, journal_thread
        self._on_end = on_end
        self.is_draining = False  # the server stops: the journal is not waited for

    async def end(self, job: Job, code: str = "", message: str = "", manifest: str = "") -> None:
        """The only way to end a job. An empty code means done. Raises LeftToNextStart."""
        if job.is_ending:
            return
        job.is_ending = True
        seconds = max(0.0, time.monotonic() - job.accepted_at)
        end = End(code, message, job.spec.seed, manifest, seconds, len(job.results))
        if isinstance(job.spec, JobSpec):
            end = await self.write(job, lambda: self._journal.end_job(job.name, end))
        job.end = end
        self._registry.close(job)
        self._on_end()
        self._metrics.observe_end(job, end.code, end.seconds)
        log.log(
            logging.INFO if end.code in ("", "cancelled") else logging.WARNING,
            f"job {job.public_state}",
            extra={
                **log_fields(job),
                "seconds": end.seconds,
                "code": end.code,
                "reason": end.message,
            },
        )
        self._delivery.send_end(job)

    async def end_with_error(self, job: Job, error: Exception, what: str) -> None:
        """End a job for an error that nobody expected. `what`: what could not be done."""
        if isinstance(error, RequestError):
            await self.end(job, error.code, error.message)
            return
        log.exception("a job fails", exc_info=error, extra=log_fields(job))
        if isinstance(error, (OSError, sqlite3.Error)):
            reason = to_error(error, what)
            await self.end(job, reason.code, reason.message)
        else:
            await self.end(job, "internal", f"{type(error).__name__}: {error}; the log has more")

    async def write(self, job: Job, write: Callable[[], T]) -> T:
        """Write to the journal, again and again until it can be written. Raises LeftToNextStart.

        What does not stand there is not told: the next start would tell another story.
        """
        has_warned = False
        while True:
            try:
                return await self._journal_thread(write)
            except sqlite3.Error as error:
                reason = to_error(
                    error, f"job {job.client_id} waits for the journal, which cannot be written"
                )
                if self.is_draining:
                    raise LeftToNextStart(reason.message) from error
                if not has_warned:
                    has_warned = True
                    self._warn(job, reason)
            await asyncio.sleep(RETRY_SECONDS)

    def _warn(self, job: Job, reason: RequestError) -> None:
        log.error(
            "a job waits for the journal", extra={**log_fields(job), "reason": reason.message}
        )
        if job.peer:
            self._delivery.send(job.peer, "log", 2, f"{reason.code}: {reason.message}")
