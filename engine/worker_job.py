"""How far is a request that the worker answers, and is it to stop?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.event_pipe import EventSink

MIN_GAP_SECONDS = 0.2  # at most 5 progress events a second
HEARTBEAT_SECONDS = 1.5  # the protocol promises one at least every 2 s
# A step that takes longer will not end: we fall silent, and the server takes us for hung.
STUCK_SECONDS = 900.0
ETA_FROM_FRACTION = 0.05  # earlier there is nothing to extrapolate


class WorkerJob:
    """A request with its cancel flag. `report` belongs to the main thread."""

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
        """Progress never goes back; sent at most five times a second, a new stage at once."""
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
