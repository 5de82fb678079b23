"""Which requests does the worker answer, in which order, and what does each do?

The main thread computes, one job after the other, and takes the requests from a queue. A job that
fails costs its own `fail` event, never the worker.
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import Cancelled, EngineError
from engine.event_pipe import EventSink
from engine.families.registry import FAMILIES, ModelCache
from engine.manifest import versions
from engine.progress import IsCancelled, Progress, ignore_progress
from engine.runtimes import providers
from engine.worker_job import WorkerJob
from export.manifest import FOLDER

LOADING_EVERY_SECONDS = 2.0
SWEEP_AFTER_SECONDS = 0.2  # without work; the jobs of a queue follow each other within milliseconds
REGION_FIELDS = ("start_seconds", "length_seconds")
ALLOCATION_WORDS = ("bad_alloc", "allocate memory", "bad allocation", "out of memory")


class Worker:
    """Takes requests from `submit` (any thread) and answers them in `run` (main thread)."""

    def __init__(self, pipe: EventSink, model_cache: ModelCache, runtime: str = "auto") -> None:
        self._pipe, self._model_cache, self._runtime = pipe, model_cache, runtime
        # why the runtime that was asked for cannot be used: every edit tells it
        self._unavailable: EngineError | None = None
        self._requests: queue.SimpleQueue[tuple[dict[str, Any], WorkerJob] | None] = (
            queue.SimpleQueue()
        )
        self._jobs: list[WorkerJob] = []  # the one that runs and those that wait
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
                "loaded": self._model_cache.is_loaded(family.name),
                "licence": family.licence,
                "max_seconds": family.max_seconds,
                "trouble": family.missing(self._model_cache.models),
            }
            for family in FAMILIES.values()
        ]
        device = f"cpu, {self._model_cache.threads} threads"
        self._pipe.send("hello", device=device, models=models, pid=os.getpid(), versions=versions())

    def load_first(self, model: str) -> None:
        """Choose what computes, and load the model that most edits will want before anybody asks.

        A failure is told now, and again by every edit.
        """
        try:
            with self._tell_loading():
                device = self._choose_runtime()
                seconds = self._warm(model, self._should_stop.is_set, ignore_progress)
            self._pipe.send("ready", model=model, seconds=seconds, device=device)
        except EngineError as error:
            print(f"not ready: {error.message}", file=sys.stderr, flush=True)
            self._pipe.send("not_ready", model=model, code=error.code, message=error.message)

    @contextmanager
    def _tell_loading(self) -> Iterator[None]:
        """Say now and then that we live, since loading may take minutes."""
        is_over = threading.Event()

        def repeat() -> None:
            while not is_over.wait(LOADING_EVERY_SECONDS):
                self._pipe.send("loading")

        thread = threading.Thread(target=repeat, daemon=True, name="loading ticker")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _choose_runtime(self) -> str:
        """What the graphs run on from now on, in words.

        EngineError not_ready: asked for, and not there.
        """
        from engine.families.nano.family import WEIGHTS

        measure = providers.measure_graph(WEIGHTS / "denoiser.onnx", self._model_cache.threads)
        record = (
            self._model_cache.models / FOLDER / providers.RECORD
            if self._model_cache.models
            else None
        )
        try:
            providers.use(providers.choose(self._runtime, measure, record))
        except EngineError as error:
            self._unavailable = error
            raise
        print(f"runtime: {providers.current()}", file=sys.stderr, flush=True)
        return f"{providers.current().title}, {self._model_cache.threads} threads"

    def submit(self, request: dict[str, Any]) -> None:
        """Any thread: a decoded line of stdin."""
        operation, name = request.get("op"), str(request.get("job"))
        if operation == "shutdown":
            self.stop()
        elif operation == "cancel":
            self._cancel(name)
        elif operation in self._operations:
            job = WorkerJob(name, self._pipe)
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

    def _next(self) -> tuple[dict[str, Any], WorkerJob] | None:
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

    def _answer(self, request: dict[str, Any], job: WorkerJob) -> None:
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

    def _edit(self, request: dict[str, Any], job: WorkerJob) -> tuple[str, dict[str, Any]]:
        from engine.editing import EditRequest, edit

        if self._unavailable:
            raise self._unavailable
        began = time.perf_counter()
        wanted = EditRequest.from_dict(_object(request, "request"))
        manifest = edit(
            wanted,
            progress=job.report,
            cancelled=job.is_cancelled.is_set,
            model_cache=self._model_cache,
        )
        for index, stem in enumerate(manifest.stems):
            self._pipe.send(
                "result", job=job.name, index=index, **result_row(manifest.values["input"], stem)
            )
        seconds = round(time.perf_counter() - began, 4)
        return "done", {"seed": manifest.seed, "manifest": str(manifest.path), "seconds": seconds}

    def _load(self, request: dict[str, Any], job: WorkerJob) -> tuple[str, dict[str, Any]]:
        job.report("loading", -1.0)
        model = str(request.get("model"))
        return "ready", {
            "model": model,
            "seconds": self._warm(model, job.is_cancelled.is_set, job.report),
        }

    def _unload(self, request: dict[str, Any], job: WorkerJob) -> tuple[str, dict[str, Any]]:
        self._model_cache.drop(str(request.get("model")))
        return "unloaded", {"model": str(request.get("model"))}

    def _inspect(self, request: dict[str, Any], job: WorkerJob) -> tuple[str, dict[str, Any]]:
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

    def _warm(self, model: str, cancelled: IsCancelled, progress: Progress) -> float:
        """Load a family and its graphs; seconds that it took."""
        if self._unavailable:
            raise self._unavailable
        began = time.perf_counter()
        self._model_cache.warm(model, cancelled, progress)
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
    """ONNX Runtime and torch report memory that they did not get as a plain error."""
    return any(word in str(error) for word in ALLOCATION_WORDS)
