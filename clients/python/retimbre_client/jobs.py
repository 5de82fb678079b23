"""Which requests start a job? Edits of several kinds, loads of models, and the use of a take."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from retimbre_client.async_job import AsyncJob, JobId
from retimbre_client.audio_link import new_id
from retimbre_client.callbacks import OnProgress, ignore
from retimbre_client.exchange import Exchange, request
from retimbre_client.requests import Requests, pairs
from retimbre_client.values import Outcome


class Jobs(Requests):
    """One method for each request that starts a job; subclasses say how to reach the server."""

    def __init__(self, silence_seconds: float) -> None:
        self.silence_seconds = silence_seconds
        self._jobs: dict[JobId, AsyncJob] = {}

    @abc.abstractmethod
    def _ask(self, exchange: Exchange) -> asyncio.Future[Any]:
        """Begin an exchange. The future has its outcome or its error."""

    @abc.abstractmethod
    async def _with_audio(
        self, audio: str | Path, use: Callable[[str], Awaitable[Any]], on_progress: OnProgress
    ) -> Any:
        """Use `audio` where the server sees it, else send it first and use its handle."""

    async def edit(
        self,
        audio: str | Path,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: JobId | None = None,
        **keys: Any,
    ) -> Outcome:
        """Edit one region and wait for the stems; a caller that stops waiting cancels.

        `keys`: osc_protocol.EDIT_KEYS.
        """
        job = self.submit(audio, text, on_progress=on_progress, job_id=job_id, **keys)
        try:
            return await job
        except asyncio.CancelledError:
            await job.cancel()
            raise

    def submit(
        self,
        audio: str | Path,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: JobId | None = None,
        **keys: Any,
    ) -> AsyncJob:
        """Send an edit and return at once.

        An id that was used before finds that job, also after a restart. `audio`: a file of ours
        (uploaded when the server cannot see it), a path of the server's, or a handle.
        """
        id = new_id() if job_id is None else job_id

        def packet(location: str) -> bytes:
            return request("edit", id, location, text, **keys)

        packet("")  # a key or value that the protocol does not have fails here and now

        def run(job: AsyncJob) -> Awaitable[Outcome]:
            def follow(location: str) -> asyncio.Future[Outcome]:
                return self._follow(job, "edit", packet(location))

            return self._with_audio(audio, follow, job.report)

        return self._begin(id, on_progress, run)

    def say(
        self, text: str, *, on_progress: OnProgress = ignore, job_id: JobId | None = None
    ) -> AsyncJob:
        """Edit the current region."""
        id = new_id() if job_id is None else job_id
        return self._begin(
            id, on_progress, lambda job: self._follow(job, "say", request("say", id, text))
        )

    def again(
        self,
        old_id: JobId,
        *,
        on_progress: OnProgress = ignore,
        job_id: JobId | None = None,
        **keys: Any,
    ) -> AsyncJob:
        """Run an earlier job again, with changes; with none, the same audio comes back."""
        id = new_id() if job_id is None else job_id
        packet = request("again", id, old_id, **keys)
        return self._begin(id, on_progress, lambda job: self._follow(job, "again", packet))

    def attach(self, job_id: JobId, *, on_progress: OnProgress = ignore) -> AsyncJob:
        """A job that was sent earlier, by this client or by one of the same name."""
        packet = request("job/query", job_id)
        return self._begin(job_id, on_progress, lambda job: self._follow(job, "job/query", packet))

    def capture(
        self,
        bars: int,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: JobId | None = None,
        **keys: Any,
    ) -> AsyncJob:
        """Edit the last whole bars of live audio.

        `keys`: osc_protocol.CAPTURE_KEYS; the stem plays at a bar line.
        """
        id = new_id() if job_id is None else job_id
        packet = request("capture", id, bars, text, **keys)
        return self._begin(id, on_progress, lambda job: self._follow(job, "capture", packet))

    def load(self, model: str, *, on_progress: OnProgress = ignore) -> AsyncJob:
        """Load and warm up a model before it is needed."""
        return self._on_model("model/load", model, on_progress)

    def unload(self, model: str) -> AsyncJob:
        """Give a model's memory back."""
        return self._on_model("model/unload", model, ignore)

    def use_take(self, take: Mapping[str, Any]) -> AsyncJob:
        """Go back to one of `takes()`; its outcome comes again."""
        packet = request("take/use", take["job"])
        return self._begin(
            take["id"], ignore, lambda job: self._follow(job, "take/use", packet, also=take["job"])
        )

    def job(self, id: JobId) -> AsyncJob | None:
        """The job of this client that has that id and has not ended."""
        return self._jobs.get(id)

    async def cancel_all(self) -> int:
        """Stop all jobs of this client. Returns how many were stopped."""
        return (await self.ask("cancel/all", reply="done"))["cancelled"]

    def _on_model(self, command: str, model: str, on_progress: OnProgress) -> AsyncJob:
        id = new_id()
        return self._begin(
            id, on_progress, lambda job: self._follow(job, command, request(command, model, id))
        )

    def _begin(
        self, id: JobId, on_progress: OnProgress, steps: Callable[[AsyncJob], Awaitable[Outcome]]
    ) -> AsyncJob:
        if id in self._jobs:  # the same job while it lives, here as on the server
            return self._jobs[id]
        job = self._jobs[id] = AsyncJob(id, on_progress, steps, self._send_cancel)
        job.task.add_done_callback(lambda _: self._jobs.pop(id, None))
        return job

    def _follow(
        self, job: AsyncJob, command: str, packet: bytes, also: str = ""
    ) -> asyncio.Future[Outcome]:
        return self._ask(job.make_exchange(command, packet, self.silence_seconds, also))

    async def _send_cancel(self, id: JobId) -> None:
        await self.ask("cancel", id, reply="done")

    async def region(
        self, audio: str | Path, start: float = 0.0, length: float = 0.0, **keys: Any
    ) -> dict[str, Any]:
        """Choose the region that `say` edits, in seconds; length 0: to the end.

        Returns what the server reads there.
        """
        return await self._with_audio(
            audio,
            lambda location: self.ask(
                "region", new_id(), location, start, length, *pairs(keys), reply="region.reply"
            ),
            ignore,
        )
