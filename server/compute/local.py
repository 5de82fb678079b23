"""Who does the work?

The interface that the dispatcher knows, and its default: one local worker process.

A listener is a plain function that takes one event (a dict of the worker pipe, see
`engine.worker`); it is called in the loop's thread. Whatever happens to the worker, each submitted
request gets exactly one closing event: `done`, `fail`, `info`, `unloaded`, or `ready` for a load.
What the worker did not live to say is said for it here. All methods belong to the event loop's
thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

log = logging.getLogger(__name__)

Event = dict[str, Any]
Listener = Callable[[Event], None]

CLOSING = ("done", "fail", "info", "unloaded")
BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
# in a row that never became ready: then waiting jobs are failed instead of kept waiting
STARTS_BEFORE_ERROR = 3
MAX_LINE_BYTES = 16 * 2**20
DIED = ("engine_died", "send the request again")
OUT_OF_MEMORY = ("out_of_memory", "select less, or close other programs")
# last words, as OpenBLAS has them
MEMORY_WORDS = ("emory allocation", "allocate memory", "bad_alloc", "out of memory")
# numpy's sums come out differently in the last bit for other numbers of threads, which is by
# default the machine's number of cores: the same seed gives the same stem on every machine only
# when it is fixed.
SAME_SUMS = {"OPENBLAS_NUM_THREADS": "1"}
# torch's threads sleep at once when they have nothing to do; ONNX Runtime's are told so by
# `engine.runtimes.runner`.
NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE"}
OOM_KILLER = ", as the system does when memory runs out"


@dataclass
class EngineInfo:
    """What is known about the engine. `state`: starting, loading, ready, error, draining."""

    state: str = "starting"
    device: str = "unknown"
    models: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


class Executor(Protocol):
    """Runs requests, `places` of them at once.

    The local one is here, the cluster's in `server.cluster`.
    """

    info: EngineInfo
    places: int  # at least 1

    async def start(self, listener: Listener) -> None:
        """Begin to serve; events go to `listener`, among them {"event": "state"} whenever `info`
        changed.
        """

    @property
    def is_idle(self) -> bool:
        """Whether `submit` may be called now."""

    def submit(self, request: dict[str, Any]) -> None:
        """Start a request of the worker pipe; it has a unique "job"."""

    def cancel(self, job: str) -> None:
        """Ask for the running request to end; it still gets its closing event."""

    async def stop(self, force: bool = False) -> None:
        """End the engine. A request that runs gets `fail engine_died`."""


@dataclass(frozen=True)
class Timeouts:
    """How long the local executor waits before it takes a worker for hung, in seconds."""

    start_seconds: float = 60.0  # until the first word: importing a runtime from a cold disk
    # from there until its first model is loaded: graphs may be compiled
    load_seconds: float = 600.0
    # between two events of a request; the worker promises one every 2 s
    silence_seconds: float = 30.0
    cancel_seconds: float = 30.0  # from a cancel to the end of the request
    stop_seconds: float = 5.0  # from "shutdown" to the end of the process


DEFAULT_PATIENCE = Timeouts()


def worker_command(
    model: str, threads: int, models_folder: Path, runtime: str = "auto"
) -> list[str]:
    """The command of the real worker; it loads `model` before it takes jobs."""
    return [
        sys.executable,
        "-m",
        "engine.worker",
        "--model",
        model,
        "--threads",
        str(threads),
        "--models-dir",
        str(models_folder),
        "--runtime",
        runtime,
    ]


class LocalExecutor:
    """Keeps one worker process alive and speaks JSON lines with it."""

    places = 1

    def __init__(self, command: Sequence[str], patience: Timeouts = DEFAULT_PATIENCE) -> None:
        self.command = list(command)
        self.patience = patience
        self.info = EngineInfo()
        self._listener: Listener = lambda event: None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task | None = None
        self._running: str | None = None  # job of the request that the worker has now
        self._is_load = False
        self._was_ready = False
        self._lacking = ""  # the first model, where it could not be loaded
        self._should_stop = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._last_words: deque[str] = deque(maxlen=5)  # of stderr, for the message of engine_died
        self._cause_of_death = ""

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        self._keeper = asyncio.create_task(self._keep_alive(), name="worker keeper")

    @property
    def is_idle(self) -> bool:
        return self.info.state == "ready" and self._running is None and not self._should_stop

    @property
    def pid(self) -> int | None:
        """Of the worker process, None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def submit(self, request: dict[str, Any]) -> None:
        assert self.is_idle, "the dispatcher submits one request at a time"
        self._running, self._is_load = request["job"], request["op"] == "load"
        self._write(request)
        self._expect_a_word(self.patience.silence_seconds)

    def cancel(self, job: str) -> None:
        if job != self._running:
            return
        self._write({"op": "cancel", "job": job})
        asyncio.get_running_loop().call_later(
            self.patience.cancel_seconds, self._kill_if_still, job
        )

    async def stop(self, force: bool = False) -> None:
        self._should_stop = True
        process = self._process
        if process and process.returncode is None:
            if not force:
                self._write({"op": "shutdown"})
                process.stdin.close()
            try:
                await asyncio.wait_for(
                    asyncio.shield(process.wait()), 0 if force else self.patience.stop_seconds
                )
            except asyncio.TimeoutError:
                self._kill("the server stopped")
        if self._keeper:
            if process is None or process.returncode is not None:
                self._keeper.cancel()  # asleep between two starts
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._on_worker_exit()

    # The life of the process: keeper -> spawn -> read until it ends -> bury -> wait -> spawn ...

    async def _keep_alive(self) -> None:
        vain_starts = 0
        while not self._should_stop:
            await self._live_once()
            vain_starts = 0 if self._was_ready else vain_starts + 1
            is_hopeless = vain_starts >= STARTS_BEFORE_ERROR
            self._change(
                "error" if is_hopeless else "starting", self._cause_of_death if is_hopeless else ""
            )
            self._on_worker_exit()
            if not self._should_stop:
                await asyncio.sleep(BACKOFF_SECONDS[min(vain_starts, len(BACKOFF_SECONDS) - 1)])

    async def _live_once(self) -> None:
        self._was_ready, self._cause_of_death = False, ""
        self._last_words.clear()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                limit=MAX_LINE_BYTES,
                env={**NO_SPINNING, **os.environ, **SAME_SUMS},
                **own_group(),
            )
        except OSError as error:
            self._cause_of_death = f"the worker could not be started: {error}"
            log.error("the engine worker does not start", extra={"reason": error})
            return
        process = self._process
        self._expect_a_word(self.patience.start_seconds)
        try:
            await asyncio.gather(self._read_events(process.stdout), self._read_log(process.stderr))
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        self._cause_of_death = self._cause_of_death or ending(process.returncode, self._last_words)
        if not self._should_stop:
            log.error("the engine worker has ended", extra={"reason": self._cause_of_death})

    def _on_worker_exit(self) -> None:
        """Say what the dead worker cannot say any more."""
        self._rest()
        self._process = None
        job, self._running = self._running, None
        if job is not None:
            cause = self._cause_of_death or "the worker is gone"
            code, cure = OUT_OF_MEMORY if any(word in cause for word in MEMORY_WORDS) else DIED
            self._listener(
                {"event": "fail", "job": job, "code": code, "message": f"{cause}; {cure}"}
            )

    async def _read_events(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than MAX_LINE_BYTES
                self._kill("the worker wrote a line that is too long")
                return
            if not line:
                return
            event = _parse(line)
            try:
                if event:
                    self._take(event)
            except Exception:
                # an event that we do not understand must not end the reading of the next ones
                log.exception("an event of the worker", extra={"said": event})

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        async for line in _lines(stream):
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._last_words.append(text)
                log.info("the worker says", extra={"said": text})

    def _take(self, event: Event) -> None:
        kind = event["event"]
        self._rest()
        if kind == "unloaded" and event.get("model"):
            self._mark_loaded(event["model"], False)
        if kind == "hello":
            self.info.device, self.info.models = (
                event.get("device", "unknown"),
                event.get("models", []),
            )
            self.info.versions = event.get("versions", {})
            self._change("loading")
            self._expect_a_word(self.patience.load_seconds)
        elif kind == "ready":
            self._was_ready = True
            # hello came before the runtime was chosen
            self.info.device = event.get("device", self.info.device)
            self._mark_loaded(event.get("model", ""), True)
            self._change("ready")
        elif kind == "not_ready":
            # of the first model; another may work, and jobs will be told the reason
            log.error(
                "the model is not loaded",
                extra={"model": event.get("model", ""), "reason": event.get("message", "")},
            )
            self._was_ready, self._lacking = True, event.get("model", "")
            self._change("ready", f"{event.get('code')}: {event.get('message')}")
        elif kind == "loaded":
            self._mark_loaded(event["model"], True)
            if event["model"] == self._lacking:  # somebody has put its files right
                self._change("ready")
            level = logging.WARNING if "non-commercial" in event["licence"] else logging.INFO
            log.log(
                level,
                "a model is loaded; its licence: %s",
                event["licence"],
                extra={"model": event["model"]},
            )
        elif event.get("job") != self._running:
            log.debug("worker: %s about %s, which does not run", kind, event.get("job"))
            return
        if self._closes(event):
            event["job"] = event.get("job") or self._running
            self._running = None
        elif self._running is not None:
            self._expect_a_word(self.patience.silence_seconds)
        self._listener(event)

    def _closes(self, event: Event) -> bool:
        if self._running is None:
            return False
        if event["event"] == "ready":
            return self._is_load and event.get("job", self._running) == self._running
        return event["event"] in CLOSING

    def _mark_loaded(self, model: str, is_loaded: bool) -> None:
        for each in self.info.models:
            if each.get("name") == model:
                each["loaded"] = is_loaded

    def _change(self, state: str, trouble: str = "") -> None:
        if (state, trouble) != (self.info.state, self.info.trouble):
            self.info.state, self.info.trouble = state, trouble
            self._listener({"event": "state"})

    def _write(self, request: dict[str, Any]) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(request, ensure_ascii=False).encode() + b"\n")

    # Watchdog

    def _expect_a_word(self, seconds: float) -> None:
        self._rest()
        cause = f"the worker said nothing for {seconds:g} s and was ended"
        self._watchdog = asyncio.get_running_loop().call_later(seconds, self._kill, cause)

    def _rest(self) -> None:
        if self._watchdog:
            self._watchdog.cancel()
            self._watchdog = None

    def _kill_if_still(self, job: str) -> None:
        if self._running == job:
            self._kill("the worker did not obey a cancel and was ended")

    def _kill(self, cause: str) -> None:
        if self._process and self._process.returncode is None:
            self._cause_of_death = cause
            self._process.kill()


def own_group() -> dict[str, Any]:
    """For a child process: ctrl-C in the terminal is for the server, which then drains; its
    children go on.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def ending(returncode: int | None, last_words: Sequence[str], who: str = "the worker") -> str:
    """How a child process ended, in words."""
    if returncode is not None and returncode < 0:
        name = (
            signal.Signals(-returncode).name
            if -returncode in set(signal.Signals)
            else str(-returncode)
        )
        told = f"{who} was killed by {name}" + (OOM_KILLER if name == "SIGKILL" else "")
    else:
        told = f"{who} ended with exit code {returncode}"
    return f"{told} ({last_words[-1][:300]})" if last_words else told


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict) and isinstance(event.get("event"), str):
        return event
    log.warning("the worker wrote what is not an event", extra={"said": line[:200]})
    return None


async def _lines(stream: asyncio.StreamReader):
    """Lines of a log, long ones in pieces; readline would raise."""
    rest = b""
    while chunk := await stream.read(2**16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > 2**16:
            yield rest
            rest = b""
    if rest:
        yield rest
