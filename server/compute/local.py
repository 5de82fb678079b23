"""The default executor: one worker process on this machine, kept alive.

keeper: start -> read events until it ends -> close what ran -> wait -> start ...
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from server.child import ChildProcess
from server.compute.executor import (
    BACKOFF_SECONDS,
    CLOSING_EVENTS,
    DEFAULT_TIMEOUTS,
    REPRODUCIBLE_SUMS,
    STARTS_BEFORE_ERROR,
    EngineInfo,
    Event,
    Listener,
    Timeouts,
)

log = logging.getLogger(__name__)

DIED = ("engine_died", "send the request again")
OUT_OF_MEMORY = ("out_of_memory", "select less, or close other programs")
# in the last line of a process that got no memory, as OpenBLAS and others write it
MEMORY_WORDS = ("emory allocation", "allocate memory", "bad_alloc", "out of memory")
# After a watchdog's time: we may have stood still ourselves, and read first what lies in the pipe.
GRACE_SECONDS = 0.5
# torch's threads sleep at once when they have nothing to do; `engine.runtimes.runner` asks the
# same of ONNX Runtime's.
NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE"}


def worker_command(
    model: str, threads: int, models_folder: Path, runtime: str = "auto"
) -> list[str]:
    """The command of the real worker; it loads `model` before it takes jobs."""
    options = {
        "--model": model,
        "--threads": str(threads),
        "--models-dir": str(models_folder),
        "--runtime": runtime,
    }
    return [
        sys.executable,
        "-m",
        "engine.worker",
        *(word for option in options.items() for word in option),
    ]


class LocalExecutor:
    """Keeps one worker process alive and passes requests and events on."""

    places = 1

    def __init__(self, command: Sequence[str], timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self.command = list(command)
        self.timeouts = timeouts
        self.info = EngineInfo()
        self._listener: Listener = lambda event: None
        self._worker: ChildProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._running: str | None = None  # job of the request that the worker has now
        self._is_load = False
        self._was_ready = False
        self._missing_model = ""  # the first model, where it could not be loaded
        self._should_stop = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._exit_reason = ""

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        self._keeper = asyncio.create_task(self._keep_alive(), name="worker keeper")

    @property
    def is_idle(self) -> bool:
        return self.info.state == "ready" and self._running is None and not self._should_stop

    @property
    def pid(self) -> int | None:
        """Of the worker process, None while there is none."""
        return self._worker.pid if self._worker else None

    def submit(self, request: dict[str, Any]) -> None:
        assert self.is_idle, "the dispatcher submits one request at a time"
        self._running, self._is_load = request["job"], request["op"] == "load"
        self._send(request)
        self._expect_event(self.timeouts.silence_seconds)

    def cancel(self, job: str) -> None:
        if job == self._running:
            self._send({"op": "cancel", "job": job})
            loop = asyncio.get_running_loop()
            loop.call_later(
                self.timeouts.cancel_seconds,
                loop.call_later,
                GRACE_SECONDS,
                self._kill_if_still,
                job,
            )

    async def stop(self, force: bool = False) -> None:
        self._should_stop = True
        worker = self._worker
        if worker and worker.is_running:
            if not force:
                worker.send({"op": "shutdown"})
                worker.close_input()
            try:
                await asyncio.wait_for(worker.wait(), 0 if force else self.timeouts.stop_seconds)
            except asyncio.TimeoutError:
                worker.kill("the server stopped")
        if self._keeper:
            if worker is None or not worker.is_running:
                self._keeper.cancel()  # asleep between two starts
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._on_worker_exit()

    # The life of the process

    async def _keep_alive(self) -> None:
        failed_starts = 0
        while not self._should_stop:
            await self._run_once()
            failed_starts = 0 if self._was_ready else failed_starts + 1
            is_hopeless = failed_starts >= STARTS_BEFORE_ERROR
            self._set_state(
                "error" if is_hopeless else "starting", self._exit_reason if is_hopeless else ""
            )
            self._on_worker_exit()
            if not self._should_stop:
                await asyncio.sleep(BACKOFF_SECONDS[min(failed_starts, len(BACKOFF_SECONDS) - 1)])

    async def _run_once(self) -> None:
        self._was_ready, self._exit_reason = False, ""
        worker = self._worker = ChildProcess("the worker", self._on_event, log)
        try:
            await worker.start(self.command, {**NO_SPINNING, **os.environ, **REPRODUCIBLE_SUMS})
        except OSError as error:
            self._exit_reason = f"the worker could not be started: {error}"
            log.error("the engine worker does not start", extra={"reason": error})
            return
        self._expect_event(self.timeouts.start_seconds)
        self._exit_reason = await worker.run()
        if not self._should_stop:
            log.error("the engine worker has ended", extra={"reason": self._exit_reason})

    def _on_worker_exit(self) -> None:
        """Close the request that the worker cannot close any more."""
        self._stop_watchdog()
        self._worker = None
        job, self._running = self._running, None
        if job is not None:
            reason = self._exit_reason or "the worker is gone"
            code, cure = OUT_OF_MEMORY if any(word in reason for word in MEMORY_WORDS) else DIED
            self._listener(
                {"event": "fail", "job": job, "code": code, "message": f"{reason}; {cure}"}
            )

    def _send(self, request: dict[str, Any]) -> None:
        if self._worker:
            self._worker.send(request)

    # Events

    def _on_event(self, event: Event) -> None:
        self._stop_watchdog()
        kind = event["event"]
        if kind == "unloaded" and event.get("model"):
            self.info.mark_loaded(event["model"], False)
        if handle := self._handlers.get(kind):
            handle(self, event)
        elif event.get("job") != self._running:
            log.debug("worker: %s about %s, which does not run", kind, event.get("job"))
            return
        if self._is_closing(event):
            event["job"] = event.get("job") or self._running
            self._running = None
        elif self._running is not None:
            self._expect_event(self.timeouts.silence_seconds)
        self._listener(event)

    def _on_hello(self, event: Event) -> None:
        self.info.device = event.get("device", "unknown")
        self.info.models = event.get("models", [])
        self.info.versions = event.get("versions", {})
        self._set_state("loading")
        self._expect_event(self.timeouts.loading_silence_seconds)

    def _on_loading(self, event: Event) -> None:
        self._expect_event(self.timeouts.loading_silence_seconds)

    def _on_ready(self, event: Event) -> None:
        self._was_ready = True
        # hello came before the runtime was chosen
        self.info.device = event.get("device", self.info.device)
        self.info.mark_loaded(event.get("model", ""), True)
        self._set_state("ready")

    def _on_not_ready(self, event: Event) -> None:
        """The first model is not there. Another may be; jobs on this one get the reason."""
        model, message = event.get("model", ""), event.get("message", "")
        log.error("the model is not loaded", extra={"model": model, "reason": message})
        self._was_ready, self._missing_model = True, model
        self._set_state("ready", f"{event.get('code')}: {event.get('message')}")

    def _on_loaded(self, event: Event) -> None:
        model, licence = event["model"], event["licence"]
        self.info.mark_loaded(model, True)
        if model == self._missing_model:  # somebody has put its files right
            self._set_state("ready")
        log.log(
            logging.WARNING if "non-commercial" in licence else logging.INFO,
            "a model is loaded; its licence: %s",
            licence,
            extra={"model": model},
        )

    _handlers: dict[str, Callable[[LocalExecutor, Event], None]] = {
        "hello": _on_hello,
        "loading": _on_loading,
        "ready": _on_ready,
        "not_ready": _on_not_ready,
        "loaded": _on_loaded,
    }

    def _is_closing(self, event: Event) -> bool:
        if self._running is None:
            return False
        if event["event"] == "ready":
            return self._is_load and event.get("job", self._running) == self._running
        return event["event"] in CLOSING_EVENTS

    def _set_state(self, state: str, unavailable_reason: str = "") -> None:
        if (state, unavailable_reason) != (self.info.state, self.info.unavailable_reason):
            self.info.state, self.info.unavailable_reason = state, unavailable_reason
            self._listener({"event": "state"})

    # Watchdog

    def _expect_event(self, seconds: float) -> None:
        self._stop_watchdog()
        reason = f"the worker said nothing for {seconds:g} s and was ended"
        self._watchdog = asyncio.get_running_loop().call_later(seconds, self._look_again, reason)

    def _look_again(self, reason: str) -> None:
        """We may have stood still ourselves; what the worker said meanwhile is read first."""
        self._watchdog = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._kill, reason)

    def _stop_watchdog(self) -> None:
        if self._watchdog:
            self._watchdog.cancel()
            self._watchdog = None

    def _kill_if_still(self, job: str) -> None:
        if self._running == job:
            self._kill("the worker did not obey a cancel and was ended")

    def _kill(self, reason: str) -> None:
        if self._worker:
            self._worker.kill(reason)
