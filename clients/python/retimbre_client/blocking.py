"""The client, for programs without an event loop. Any thread may use it, several at once.

    with Client() as client:
        outcome = client.edit("solo.wav", "turn this into a violin", seed=3)

It is AsyncClient with a loop and a thread of its own. So jobs are watched, their ends acknowledged
and lost packets repeated while the caller does something else, and there is one implementation.
`on_progress` is called by the thread that waits for the job; `on_log`, `on_news` and `on_end` by
the client's own, where nothing may wait for the client.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from retimbre_client.aio import AsyncClient
from retimbre_client.async_job import AsyncJob, JobId
from retimbre_client.callbacks import OnProgress, ignore
from retimbre_client.questions import ANSWER_SECONDS
from retimbre_client.values import NoServer, Outcome, Progress, Stem

P = ParamSpec("P")
T = TypeVar("T")

WAKE_SECONDS = 0.5  # Windows delivers ctrl-C only between waits


class Job:
    """A job on its way."""

    def __init__(self, client: Client, job: AsyncJob, on_progress: OnProgress) -> None:
        """Belongs into the loop's thread."""
        self._client, self._job, self._on_progress = client, job, on_progress
        self._heard: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()  # None: it is over
        job.on_progress(self._heard.put)
        self._call_at_end(lambda: self._heard.put(None))

    @property
    def id(self) -> JobId:
        """Yours, or the one that was made for it."""
        return self._job.id

    @property
    def progress(self) -> Progress | None:
        """The latest report on how far it is."""
        return self._job.progress

    @property
    def stems(self) -> tuple[Stem, ...]:
        """What has come so far."""
        return self._job.stems

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._job.is_over

    def wait(self, seconds: float | None = None) -> Outcome:
        """Its outcome; raises Refused or NoServer.

        After `seconds` raises TimeoutError, and the job goes on.
        """
        ends_at = None if seconds is None else time.monotonic() + seconds
        while (progress := self._next(ends_at)) is not None:
            self._on_progress(progress)
        self._heard.put(None)  # for another thread that waits, or the next wait
        return self._job.task.result()

    def accepted(self) -> None:
        """Wait until it is in the server's journal, where no power cut loses it, or is over."""
        self._client._run(self._job.accepted())

    def cancel(self) -> None:
        """Ask the server to stop it; it then ends with Refused, code cancelled."""
        self._client._run(self._job.cancel())

    def on_end(self, call: Callable[[Job], None]) -> None:
        """Call when it has ended, from the client's thread; `wait` then returns at once."""
        self._client._loop.call_soon_threadsafe(self._call_at_end, lambda: call(self))

    def _next(self, ends_at: float | None) -> Progress | None:
        while True:
            left = WAKE_SECONDS if ends_at is None else ends_at - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {self.id!r} is not over yet")
            with contextlib.suppress(queue.Empty):
                return self._heard.get(timeout=min(left, WAKE_SECONDS))

    def _call_at_end(self, call: Callable[[], None]) -> None:
        self._job.task.add_done_callback(lambda task: call())


def _wait(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    """The same method, which waits."""

    @functools.wraps(method)
    def call(self: Client, *args: P.args, **keys: P.kwargs) -> T:
        return self._run(method(self._client, *args, **keys))

    return call


def _start(method: Callable[Concatenate[AsyncClient, P], AsyncJob]) -> Callable[..., Job]:
    """The same method, which begins a job."""

    @functools.wraps(method)
    def call(self: Client, *args: Any, on_progress: OnProgress = ignore, **keys: Any) -> Job:
        async def begin() -> Job:
            return Job(self, method(self._client, *args, **keys), on_progress)

        return self._run(begin())

    return call


class Client:
    """As AsyncClient, with the same arguments; connects at once. Raises NoServer and Refused."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._client = AsyncClient(*args, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="retimbre client", daemon=True
        )
        self._thread.start()
        try:
            self._run(self._client.open())
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=error is not None)

    def close(self, at_once: bool = False) -> None:
        """Close the sockets, when the server has accepted what was submitted.

        Jobs go on there, and takes are kept.
        """
        if self._loop.is_closed():
            return
        try:
            self._run(self._close(at_once))
        finally:
            self._stop()

    @property
    def host(self) -> str:
        """Where the server is."""
        return self._client.host

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._client.port

    @property
    def shares_disk(self) -> bool:
        """Whether paths are taken to mean the same to the server and to us."""
        return self._client.shares_disk

    def job(self, id: JobId) -> Job | None:
        """The job of this client that has that id and has not ended."""

        async def find() -> Job | None:
            found = self._client.job(id)
            return Job(self, found, ignore) if found else None

        return self._run(find())

    submit = _start(AsyncClient.submit)
    say = _start(AsyncClient.say)
    again = _start(AsyncClient.again)
    capture = _start(AsyncClient.capture)
    attach = _start(AsyncClient.attach)
    load = _start(AsyncClient.load)
    unload = _start(AsyncClient.unload)
    use_take = _start(AsyncClient.use_take)

    def edit(
        self,
        audio: str | Path,
        text: str,
        *,
        on_progress: OnProgress = ignore,
        job_id: JobId | None = None,
        **keys: Any,
    ) -> Outcome:
        """Edit one region and wait for the stems; an interruption cancels.

        `keys`: osc_protocol.EDIT_KEYS.
        """
        job = self.submit(audio, text, on_progress=on_progress, job_id=job_id, **keys)
        try:
            return job.wait()
        except BaseException:  # ctrl-C, or a mistake in on_progress
            if not job.is_over:
                job.cancel()
            raise

    cancel_all = _wait(AsyncClient.cancel_all)
    region = _wait(AsyncClient.region)
    set = _wait(AsyncClient.set)
    get = _wait(AsyncClient.get)
    presets = _wait(AsyncClient.presets)
    preset = _wait(AsyncClient.preset)
    blend = _wait(AsyncClient.blend)
    reload_presets = _wait(AsyncClient.reload_presets)
    models = _wait(AsyncClient.models)
    takes = _wait(AsyncClient.takes)
    live_start = _wait(AsyncClient.live_start)
    live_stop = _wait(AsyncClient.live_stop)
    live_devices = _wait(AsyncClient.live_devices)
    live_status = _wait(AsyncClient.live_status)
    live_transport = _wait(AsyncClient.live_transport)
    live_measure = _wait(AsyncClient.live_measure)
    live_play = _wait(AsyncClient.live_play)
    live_silence = _wait(AsyncClient.live_silence)
    ping = _wait(AsyncClient.ping)
    status = _wait(AsyncClient.status)
    version = _wait(AsyncClient.version)
    folder = _wait(AsyncClient.folder)
    ask = _wait(AsyncClient.ask)
    collect = _wait(AsyncClient.collect)
    upload = _wait(AsyncClient.upload)
    download = _wait(AsyncClient.download)
    read = _wait(AsyncClient.read)
    fetch = _wait(AsyncClient.fetch)
    manifest = _wait(AsyncClient.manifest)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it in our thread and wait for it here; an interruption cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "on_log, on_news or on_end called the client, which would wait for itself "
                "for ever; hand the work to another thread, or use AsyncClient"
            )
        if self._loop.is_closed():
            coroutine.close()
            raise NoServer("not_ready", "this client is closed; make another")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            while not future.done():
                concurrent.futures.wait([future], WAKE_SECONDS)
                # closed by another thread at this very moment
                if self._loop.is_closed() and not future.done():
                    raise NoServer("not_ready", "this client is closed; make another")
        except BaseException:
            future.cancel()
            raise
        return future.result()

    async def _close(self, at_once: bool) -> None:
        await self._client.close(at_once)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:  # what other threads wait for has ended by now; they have to learn of it
            await asyncio.wait(others, timeout=ANSWER_SECONDS)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
