"""Who computes? The interface that the dispatcher knows, and what its implementations share.

A listener is a plain function that takes one event (see the pipe of `engine.worker`); it is called
in the event loop's thread. Whatever happens to the engine, each submitted request gets exactly one
closing event: `done`, `fail`, `info`, `unloaded`, or `ready` for a load. What the engine did not
live to say is said for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.child import Event

__all__ = [
    "BACKOFF_SECONDS",
    "CLOSING_EVENTS",
    "DEFAULT_TIMEOUTS",
    "REPRODUCIBLE_SUMS",
    "STARTS_BEFORE_ERROR",
    "EngineInfo",
    "Event",
    "Executor",
    "Listener",
    "Timeouts",
]

Listener = Callable[[Event], None]

CLOSING_EVENTS = ("done", "fail", "info", "unloaded")
BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)  # between starts that failed
# in a row that never became ready: then waiting jobs are failed instead of kept waiting
STARTS_BEFORE_ERROR = 3
# NumPy's sums differ in the last bit with the number of threads, which is by default the number of
# cores: the same seed gives the same stem on every machine only when it is fixed.
REPRODUCIBLE_SUMS = {"OPENBLAS_NUM_THREADS": "1"}


@dataclass
class EngineInfo:
    """What is known about the engine. `state`: starting, loading, ready, error, draining."""

    state: str = "starting"
    device: str = "unknown"
    models: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    unavailable_reason: str = ""  # why it does not start, or has not loaded its first model

    def mark_loaded(self, model: str, is_loaded: bool) -> None:
        """A model has come into memory, or has left it."""
        for each in self.models:
            if each.get("name") == model:
                each["loaded"] = is_loaded


@dataclass(frozen=True)
class Timeouts:
    """How long an executor waits before it takes its engine for hung, in seconds."""

    start_seconds: float = 60.0  # until the first event: importing a runtime from a cold disk
    load_seconds: float = 600.0  # of a cluster's replica, until its first model is loaded
    # between two events of a worker that loads its first model: it promises one every 2 s, but a
    # library that is read from a cold disk may hold all of its threads
    loading_silence_seconds: float = 60.0
    # between two events of a request; the worker promises one every 2 s
    silence_seconds: float = 30.0
    cancel_seconds: float = 30.0  # from a cancel to the end of the request
    stop_seconds: float = 5.0  # from "shutdown" to the end of the process


DEFAULT_TIMEOUTS = Timeouts()


class Executor(Protocol):
    """Runs requests, `places` of them at once. Belongs to the event loop's thread.

    `server.compute.local` has the default, `server.compute.ray` the cluster's.
    """

    info: EngineInfo
    places: int  # at least 1

    async def start(self, listener: Listener) -> None:
        """Begin to serve. Events go to `listener`; {"event": "state"} says that `info` changed."""

    @property
    def is_idle(self) -> bool:
        """Whether `submit` may be called now."""

    def submit(self, request: dict[str, Any]) -> None:
        """Start a request of the worker's pipe, which has a unique "job"."""

    def cancel(self, job: str) -> None:
        """Ask for the running request to end; it still gets its closing event."""

    async def stop(self, force: bool = False) -> None:
        """End the engine. A request that runs gets `fail engine_died`."""
