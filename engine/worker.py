"""The engine as a process: `python -m engine.worker`. One JSON object a line; requests on stdin,
events on stdout.

requests  {"op": "edit", "job", "request"}   {"op": "load" | "unload", "job", "model"}   {"op": "cancel", "job"}
          {"op": "inspect", "job", "audio", "start_seconds", "length_seconds"}           {"op": "shutdown"}
events    hello, ready, progress, result, done, fail, info, unloaded;  not_ready: the first model could not be loaded;
          loaded: a model is in memory, maybe for the job that runs

Threads: the reader takes lines from stdin and sets flags; the main thread computes, one job after
the other; the ticker repeats the last progress of a silent job so that the server knows that we
live. Events may come from any of them, lines never mix. A job that fails costs its own `fail`,
never the worker. The end of stdin is a shutdown.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from engine.errors import Cancelled, EngineError
from engine.event_pipe import EventPipe, EventSink, take_stdout
from engine.families.registry import FAMILIES, ModelCache
from engine.manifest import versions
from engine.runtimes import providers
from engine.runtimes.runner import threads_for
from export.manifest import FOLDER

MIN_GAP_SECONDS = 0.2  # at most 5 progress events a second
HEARTBEAT_SECONDS = 1.5  # the protocol promises one at least every 2 s
# a step that takes longer will not end: we fall silent, and the server takes us for hung
STUCK_SECONDS = 900.0
SWEEP_AFTER_SECONDS = 0.2  # without work; the jobs of a queue follow each other within milliseconds
ETA_FROM_FRACTION = 0.05  # earlier there is nothing to extrapolate
REGION_FIELDS = ("start_seconds", "length_seconds")
NICENESS = 10  # a DAW and the acks of the server go first; 15 would leave nothing beside a busy DAW
ALLOCATION_WORDS = ("bad_alloc", "allocate memory", "bad allocation", "out of memory")


class Job:
    """One request while it runs: its cancel flag and its progress. `report` belongs to the main
    thread.
    """

    def __init__(
        self, name: str, pipe: EventSink, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.is_cancelled = threading.Event()
        self._pipe, self._clock = pipe, clock
        self._began = self._last_sent = self._last_report = clock()
        self._stage, self._fraction = "", -1.0
        self._sent_stage = ""
        self._over = False
        self._lock = threading.Lock()

    def report(self, stage: str, fraction: float) -> None:
        """Progress never goes back, and is sent at most five times a second (a new stage at once)."""
        with self._lock:
            self._stage, self._fraction, self._last_report = (
                stage,
                max(self._fraction, fraction),
                self._clock(),
            )
            is_due = self._clock() - self._last_sent >= MIN_GAP_SECONDS
            if is_due or stage != self._sent_stage:
                self._send()

    def tick(self) -> None:
        """Any thread: repeat the last progress if the job has been silent, but not for ever."""
        with self._lock:
            now = self._clock()
            is_stuck = now - self._last_report >= STUCK_SECONDS
            if not (self._over or is_stuck) and now - self._last_sent >= HEARTBEAT_SECONDS:
                self._send()

    def close(self) -> None:
        """No progress after this: the closing event is the last word."""
        with self._lock:
            self._over = True

    def _send(self) -> None:
        self._last_sent, self._sent_stage = self._clock(), self._stage
        self._pipe.send(
            "progress",
            job=self.name,
            fraction=round(self._fraction, 4),
            stage=self._stage or "loading",
            eta_seconds=round(self._eta_seconds(), 2),
        )

    def _eta_seconds(self) -> float:
        if self._fraction < ETA_FROM_FRACTION:
            return -1.0
        return (self._clock() - self._began) * (1 - self._fraction) / self._fraction


class Worker:
    """Takes requests from `submit` (any thread) and answers them in `run` (main thread)."""

    def __init__(self, pipe: EventSink, shelf: ModelCache, runtime: str = "auto") -> None:
        self._pipe, self._shelf, self._runtime = pipe, shelf, runtime
        # with the runtime that was asked for: every edit tells it
        self._trouble: EngineError | None = None
        self._requests: queue.SimpleQueue[tuple[dict[str, Any], Job] | None] = queue.SimpleQueue()
        self._jobs: list[Job] = []  # the one that runs and those that wait
        self._lock = threading.Lock()  # of _jobs
        self._should_stop = threading.Event()
        self._is_busy = threading.Event()  # there are jobs: the ticker sleeps without them
        self._operations = {
            "edit": self._edit,
            "load": self._load,
            "unload": self._unload,
            "inspect": self._inspect,
        }

    def hello(self) -> None:
        models = [
            {
                "name": family.name,
                "title": family.title,
                "loaded": self._shelf.is_loaded(family.name),
                "licence": family.licence,
                "max_seconds": family.max_seconds,
                "trouble": family.missing(self._shelf.models),
            }
            for family in FAMILIES.values()
        ]
        device = f"cpu, {self._shelf.threads} threads"
        self._pipe.send("hello", device=device, models=models, pid=os.getpid(), versions=versions())

    def load_first(self, model: str) -> None:
        """Choose what computes, and load the model that most edits will want before anybody asks.

        A failure is told, edits then tell it again.
        """
        try:
            device = self._choose_runtime()
            seconds = self._warm(model, self._should_stop.is_set, lambda stage, fraction: None)
            self._pipe.send("ready", model=model, seconds=seconds, device=device)
        except EngineError as error:
            print(f"not ready: {error.message}", file=sys.stderr, flush=True)
            self._pipe.send("not_ready", model=model, code=error.code, message=error.message)

    def _choose_runtime(self) -> str:
        """What the graphs run on from now on, in words.

        EngineError not_ready: asked for, and not there.
        """
        from engine.families.nano.family import WEIGHTS

        measure = providers.measure_graph(WEIGHTS / "denoiser.onnx", self._shelf.threads)
        record = self._shelf.models / FOLDER / providers.RECORD if self._shelf.models else None
        try:
            providers.use(providers.choose(self._runtime, measure, record))
        except EngineError as error:
            self._trouble = error
            raise
        print(f"runtime: {providers.used()}", file=sys.stderr, flush=True)
        return f"{providers.used().title}, {self._shelf.threads} threads"

    def submit(self, request: dict[str, Any]) -> None:
        """Any thread: a decoded line of stdin."""
        operation, name = request.get("op"), str(request.get("job"))
        if operation == "shutdown":
            self.stop()
        elif operation == "cancel":
            self._cancel(name)
        elif operation in self._operations:
            job = Job(name, self._pipe)
            with self._lock:
                self._jobs.append(job)
                self._is_busy.set()
            self._requests.put((request, job))
        else:
            expected = ", ".join([*self._operations, "cancel", "shutdown"])
            message = f"op: expected one of {expected}, got {operation!r}"
            self._pipe.send("fail", job=name, code="bad_args", message=message)

    def stop(self) -> None:
        """Any thread: cancel what runs and what waits, end `run`."""
        self._should_stop.set()
        with self._lock:
            for job in self._jobs:
                job.is_cancelled.set()
        self._requests.put(None)

    def tick(self) -> None:
        """The ticker, a few times a second; waits while there is no job."""
        self._is_busy.wait()
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.tick()

    def run(self) -> None:
        """Answer requests until `stop`; those that were waiting then are answered as cancelled."""
        while (item := self._next()) is not None:
            self._answer(*item)

    def _next(self) -> tuple[dict[str, Any], Job] | None:
        """The next request.

        Memory is swept while nobody waits: with torch loaded that takes 0.25 s.
        """
        try:
            return self._requests.get(timeout=SWEEP_AFTER_SECONDS)
        except queue.Empty:
            gc.collect()
            return self._requests.get()

    def _cancel(self, name: str) -> None:
        with self._lock:
            for job in self._jobs:
                if job.name == name:
                    job.is_cancelled.set()

    def _answer(self, request: dict[str, Any], job: Job) -> None:
        try:
            if job.is_cancelled.is_set():
                raise Cancelled
            event, values = self._operations[request["op"]](request, job)
        except EngineError as error:
            event, values = "fail", {"code": error.code, "message": error.message}
        except MemoryError:
            event, values = _out_of_memory()
        except Exception as error:
            # the boundary: whatever went wrong is this job's answer, not the worker's end
            traceback.print_exc()
            event, values = _out_of_memory() if _is_allocation(error) else _internal(error)
        job.close()
        with self._lock:
            self._jobs.remove(job)
            if not self._jobs:
                self._is_busy.clear()
        self._pipe.send(event, job=job.name, **values)
        if event == "fail":
            gc.collect()  # the traceback holds what its functions held

    def _edit(self, request: dict[str, Any], job: Job) -> tuple[str, dict[str, Any]]:
        from engine.editing import EditRequest, edit

        if self._trouble:
            raise self._trouble
        began = time.perf_counter()
        wanted = EditRequest.from_dict(_object(request, "request"))
        manifest = edit(
            wanted, progress=job.report, cancelled=job.is_cancelled.is_set, shelf=self._shelf
        )
        for index, stem in enumerate(manifest.stems):
            self._pipe.send(
                "result", job=job.name, index=index, **result_row(manifest.values["input"], stem)
            )
        seconds = round(time.perf_counter() - began, 4)
        return "done", {"seed": manifest.seed, "manifest": str(manifest.path), "seconds": seconds}

    def _load(self, request: dict[str, Any], job: Job) -> tuple[str, dict[str, Any]]:
        job.report("loading", -1.0)
        model = str(request.get("model"))
        return "ready", {
            "model": model,
            "seconds": self._warm(model, job.is_cancelled.is_set, job.report),
        }

    def _unload(self, request: dict[str, Any], job: Job) -> tuple[str, dict[str, Any]]:
        self._shelf.drop(str(request.get("model")))
        return "unloaded", {"model": str(request.get("model"))}

    def _inspect(self, request: dict[str, Any], job: Job) -> tuple[str, dict[str, Any]]:
        from engine.audio.reading import locate_region

        start, length = (
            None if request.get(name) is None else float(request[name]) for name in REGION_FIELDS
        )
        bounds = locate_region(str(request.get("audio")), start, length)
        info = bounds.info
        return "info", {
            "path": str(info.path),
            "rate_hz": info.rate_hz,
            "channels": info.channels,
            "frames": info.frames,
            "seconds": info.seconds,
            "container": info.container,
            "subtype": info.subtype,
            "start_frame": bounds.start_frame,
            "region_frames": bounds.frames,
            "notes": list(bounds.notes),
        }

    def _warm(
        self, model: str, cancelled: Callable[[], bool], progress: Callable[[str, float], None]
    ) -> float:
        """Load a family and its graphs; seconds that it took."""
        if self._trouble:
            raise self._trouble
        began = time.perf_counter()
        self._shelf.warm(model, cancelled, progress)
        return round(time.perf_counter() - began, 4)


def _object(request: dict[str, Any], name: str) -> dict[str, Any]:
    value = request.get(name)
    if not isinstance(value, dict):
        raise EngineError("bad_args", f"{name}: expected an object, got {value!r:.60}")
    return value


def result_row(source: dict[str, Any], stem: dict[str, Any]) -> dict[str, Any]:
    """What `result` says of a stem, from the manifest's rows of it and of its input."""
    return {
        "stem": stem["name"],
        "path": stem["path"],
        "rate_hz": stem["rate_hz"],
        "channels": stem["channels"],
        "frames": stem["frames"],
        "start_seconds": source["start_frame"] / source["rate_hz"],
    }


def _out_of_memory() -> tuple[str, dict[str, Any]]:
    message = "the region did not fit into memory; select less, or close other programs"
    return "fail", {"code": "out_of_memory", "message": message}


def _internal(error: Exception) -> tuple[str, dict[str, Any]]:
    message = f"{type(error).__name__}: {error}; this is our bug, the worker's log has the details"
    return "fail", {"code": "internal", "message": message}


def _is_allocation(error: Exception) -> bool:
    """ONNX Runtime and torch report memory that they did not get as a plain error with these words."""
    return any(word in str(error) for word in ALLOCATION_WORDS)


def read_requests(stream: TextIO, worker: Worker) -> None:
    """The reader thread: until the end of stdin, which is a shutdown."""
    for line in stream:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
        except ValueError as error:
            print(f"not a request: {line[:200]!r}: {error}", file=sys.stderr, flush=True)
            continue
        if isinstance(request, dict):
            worker.submit(request)
        else:
            print(f"not a request: {line[:200]!r}", file=sys.stderr, flush=True)
    worker.stop()


def _tick_for_ever(worker: Worker) -> None:
    while True:
        time.sleep(MIN_GAP_SECONDS)
        worker.tick()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the end of stdin or a shutdown."""
    parser = argparse.ArgumentParser(
        prog="engine.worker", description="Edit regions for the retimbre server."
    )
    parser.add_argument("--model", default="nano", help="family to load at once")
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        help="threads per stage; 0: as many as the machine can spare",
    )
    parser.add_argument(
        "--models-dir", type=Path, help="folder of weights that the user has fetched"
    )
    parser.add_argument(
        "--runtime",
        choices=providers.NAMES,
        default="auto",
        help="what computes; auto: the fastest",
    )
    options = parser.parse_args(arguments)
    if hasattr(os, "nice"):  # Windows has none
        os.nice(NICENESS)
    faulthandler.enable()  # a crash in a driver says where it was, in the server's log
    # ctrl-C in a terminal is for the server, which drains us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = EventPipe(take_stdout())
    tell = lambda family: pipe.send("loaded", model=family.name, licence=family.licence)  # noqa: E731
    worker = Worker(
        pipe, ModelCache(threads_for(options.threads), options.models_dir, tell), options.runtime
    )
    worker.hello()
    requests = open(0, encoding="utf-8", errors="replace", newline="\n")  # noqa: SIM115 (open as long as the process)
    threading.Thread(
        target=read_requests, args=(requests, worker), daemon=True, name="reader"
    ).start()
    threading.Thread(target=_tick_for_ever, args=(worker,), daemon=True, name="ticker").start()
    worker.load_first(options.model)
    worker.run()
    sys.stderr.flush()
    os._exit(0)  # the reader may still hang in a read that nothing ends


if __name__ == "__main__":
    main()
