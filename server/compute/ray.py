"""The executor on Ray Serve: requests go to replicas on any machine, one at a time to each.

Rule: the loop never calls Ray. Each request has a thread of its own for that, which posts its
events to the loop. What `server.compute.executor` promises holds here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from server.compute.executor import (
    BACKOFF_SECONDS,
    DEFAULT_TIMEOUTS,
    STARTS_BEFORE_ERROR,
    EngineInfo,
    Event,
    Listener,
    Timeouts,
)
from server.compute.ray_cluster import Cluster, Deployment
from server.compute.ray_request import RequestRun, RequestRunner, death, kill_replica

T = TypeVar("T")

log = logging.getLogger(__name__)


class RayExecutor:
    """Deploys the replicas and passes requests and events on."""

    def __init__(self, cluster: Cluster, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self.cluster, self.timeouts = cluster, timeouts
        self.info = EngineInfo()
        self.places = cluster.max_replicas  # more jobs than replicas make Serve start another
        self.runs: dict[str, RequestRun] = {}
        self._listener: Listener = lambda event: None
        self._deployment = Deployment(cluster, timeouts)
        self._runner = RequestRunner(self._deployment, timeouts, self._post)
        self._keeper: asyncio.Task[None] | None = None
        self._nothing_runs = asyncio.Event()
        self._nothing_runs.set()

    async def start(self, listener: Listener) -> None:
        self._listener, self._loop = listener, asyncio.get_running_loop()
        self._keeper = asyncio.create_task(self._open(), name="cluster")

    @property
    def is_idle(self) -> bool:
        has_place = len(self.runs) < self.places
        return self.info.state == "ready" and has_place and not self._runner.should_stop

    def submit(self, request: dict[str, Any]) -> None:
        assert self.is_idle, "the dispatcher submits no more requests than there are places"
        run = self.runs[request["job"]] = RequestRun(request)
        self._nothing_runs.clear()
        _start_thread(self._run, run)

    def cancel(self, job: str) -> None:
        if run := self.runs.get(job):
            _start_thread(run.cancel)
            self._loop.call_later(
                self.timeouts.cancel_seconds,
                self._end_replica,
                run,
                "the replica did not obey a cancel and was ended",
            )

    async def stop(self, force: bool = False) -> None:
        self._runner.should_stop = True
        for job in list(self.runs):
            self.cancel(job)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._nothing_runs.wait(), self.timeouts.stop_seconds)
        for run in list(self.runs.values()):
            self._close(run, death(run.job, "the server stopped"))
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(
                self._in_thread(self._deployment.leave), self.timeouts.load_seconds
            )

    async def _open(self) -> None:
        failed_starts = 0
        while True:
            try:
                for event in await self._in_thread(self._deployment.deploy):
                    self._on_introduction(event)
                return
            except Exception as error:
                # of Ray's many kinds; whichever it is, there is no engine now
                log.exception("no cluster")
                failed_starts += 1
                if failed_starts >= STARTS_BEFORE_ERROR:
                    self._set_state("error", f"Ray Serve: {error}")
            await asyncio.sleep(BACKOFF_SECONDS[min(failed_starts, len(BACKOFF_SECONDS) - 1)])

    # The thread of a request

    def _run(self, run: RequestRun) -> None:
        closing = self._runner.run(run)
        self._loop.call_soon_threadsafe(self._close, run, closing)

    def _post(self, run: RequestRun, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._on_event, run, event)

    # In the loop again

    def _on_event(self, run: RequestRun, event: Event) -> None:
        if self.runs.get(run.job) is not run:
            return
        self._stop_watchdog(run)
        reason = f"the replica said nothing for {self.timeouts.silence_seconds:g} s and was ended"
        run.watchdog = self._loop.call_later(
            self.timeouts.silence_seconds, self._end_replica, run, reason
        )
        if event["event"] == "begun":
            run.replica = event
            log.info(
                "%s runs on %s, process %d, which %s its style",
                run.job,
                event["replica"],
                event["pid"],
                "holds" if event["had_style"] else "has yet to fetch",
            )
        self._listener(event)

    def _close(self, run: RequestRun, closing: Event) -> None:
        if self.runs.pop(run.job, None) is not run:
            return
        self._stop_watchdog(run)
        if not self.runs:
            self._nothing_runs.set()
        if closing["event"] in ("done", "ready", "unloaded"):
            self.info.mark_loaded(
                closing.get("model") or run.request["request"]["model"],
                closing["event"] != "unloaded",
            )
        self._listener(closing)

    def _end_replica(self, run: RequestRun, reason: str) -> None:
        if self.runs.get(run.job) is run and run.replica:
            run.kill_reason = reason
            _start_thread(kill_replica, run.replica["replica"])

    def _stop_watchdog(self, run: RequestRun) -> None:
        if run.watchdog:
            run.watchdog.cancel()

    def _on_introduction(self, event: Event) -> None:
        kind = event["event"]
        if kind == "hello":
            self.info.models, self.info.versions = event["models"], event["versions"]
            self._set_device(event["device"])
            return
        if "device" in event:  # hello came before the runtime was chosen
            self._set_device(event["device"])
        self.info.mark_loaded(event["model"], kind == "ready")
        self._set_state("ready", "" if kind == "ready" else f"{event['code']}: {event['message']}")
        self._listener(event)

    def _set_device(self, device: str) -> None:
        self.info.device = (
            f"{device}; {self.cluster.min_replicas} to {self.cluster.max_replicas} replicas"
        )

    def _set_state(self, state: str, unavailable_reason: str = "") -> None:
        self.info.state, self.info.unavailable_reason = state, unavailable_reason
        self._listener({"event": "state"})

    def _in_thread(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """What the function returns or raises.

        Its thread does not keep the process alive: Ray may block for long.
        """
        outcome: asyncio.Future[T] = self._loop.create_future()

        def settle(method: Callable[[Any], None], value: Any) -> None:
            if not outcome.done():
                method(value)

        def work() -> None:
            settlement: tuple[Callable[[Any], None], Any]
            try:
                settlement = outcome.set_result, function()
            except BaseException as error:  # handed over, whatever it is
                settlement = outcome.set_exception, error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(settle, *settlement)

        _start_thread(work)
        return outcome


def _start_thread(function: Callable[..., None], *arguments: Any) -> None:
    name = function.__name__.strip("_")
    threading.Thread(target=function, args=arguments, daemon=True, name=name).start()
