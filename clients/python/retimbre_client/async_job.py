"""What has a caller of a job that is on its way? Its progress, its stems, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from retimbre_client.callbacks import OnProgress, guard
from retimbre_client.job_exchange import JobExchange
from retimbre_client.values import Outcome, Progress, Refused, Stem

JobId = int | str


class AsyncJob:
    """A job on its way. `await job` gives its Outcome, or raises; as often as you like."""

    def __init__(
        self,
        id: JobId,
        on_progress: OnProgress,
        steps: Callable[[AsyncJob], Awaitable[Outcome]],
        send_cancel: Callable[[JobId], Awaitable[object]],
    ) -> None:
        """`steps` lead to its outcome and begin at once, in the running loop."""
        self.id, self._listeners = id, [guard(on_progress)]
        self.progress: Progress | None = None
        self._exchange: JobExchange | None = None
        self._send_cancel = send_cancel
        self._is_cancelled = False
        self._is_accepted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(
            self._run(steps(self)), name=f"job {id}"
        )

    def __await__(self) -> Generator[Any, None, Outcome]:
        # A caller that stops waiting does not stop the job.
        return asyncio.shield(self._task).__await__()

    @property
    def task(self) -> asyncio.Task[Outcome]:
        """The task that follows it."""
        return self._task

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._task.done()

    @property
    def server_name(self) -> str:
        """The server's name for it, once it was acknowledged."""
        return self._exchange.server_name if self._exchange else ""

    @property
    def stems(self) -> tuple[Stem, ...]:
        """What has come so far."""
        return tuple(self._exchange.stems.values()) if self._exchange else ()

    async def accepted(self) -> None:
        """Wait until it is in the server's journal, where no power cut loses it, or is over."""
        await self._is_accepted.wait()

    def on_progress(self, call: OnProgress) -> None:
        """One more function to call with how far it is."""
        self._listeners.append(guard(call))

    async def cancel(self) -> None:
        """Ask the server to stop it, so that it ends with Refused, code cancelled.

        One that has ended stays as it is.
        """
        if self.is_over:
            return
        self._is_cancelled = True
        self._task.add_done_callback(_take_error)
        if self._exchange is None or self._exchange.error:
            self._task.cancel()  # its audio is still on the way
            return
        self._exchange.cancel()
        await self._send_cancel(self.id)

    def make_exchange(
        self, command: str, packet: bytes, silence_seconds: float, also: str = ""
    ) -> JobExchange:
        """The exchange that starts the job or asks for it, and reports to it."""
        self._exchange = JobExchange(
            self.id,
            command,
            packet,
            silence_seconds,
            also=also,
            on_accepted=self._is_accepted.set,
            on_progress=self.report,
        )
        return self._exchange

    def report(self, progress: Progress) -> None:
        """Tell the listeners how far it is."""
        self.progress = progress
        for call in self._listeners:
            call(progress)

    async def _run(self, steps: Awaitable[Outcome]) -> Outcome:
        try:
            return await steps
        except asyncio.CancelledError:
            if self._is_cancelled:
                raise Refused("cancelled", "stopped before the job was sent") from None
            raise
        finally:
            self._is_accepted.set()


def _take_error(task: asyncio.Task[Outcome]) -> None:
    """asyncio logs an error that nobody takes; that of a cancelled job is expected."""
    if not task.cancelled():
        task.exception()
