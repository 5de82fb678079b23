"""Which frame was at the converter at a time?"""

from __future__ import annotations

import numpy as np

TICKS = 128  # callbacks that are remembered: a second or so
LONGEST_LAG_SECONDS = 2.0  # what a driver reports beyond this is nonsense


class FrameClock:
    """From times of `time.perf_counter`, which all processes share, to frames.

    `tick` belongs to the callback: it stores two numbers. A callback is late by chance and never
    early, so the earliest of the last TICKS is right. When frames were lost, answers are late by
    them for as many callbacks: the direction in which `Transport` expects errors.
    """

    def __init__(self, rate_hz: int, usual_lag_seconds: float) -> None:
        self._rate_hz, self._usual_lag_seconds = rate_hz, usual_lag_seconds
        # frames that had come at a callback - frames by the clock
        self._offsets = np.full(TICKS, -np.inf)
        self._lags_seconds = np.zeros(TICKS)
        self.ticks = 0

    def tick(self, frame: int, seconds: float, lag_seconds: float) -> None:
        """A block that begins with `frame` came at `seconds`, `lag_seconds` old by its driver."""
        self._offsets[self.ticks % TICKS] = frame - seconds * self._rate_hz
        self._lags_seconds[self.ticks % TICKS] = lag_seconds
        self.ticks += 1

    def frame_at(self, seconds: float) -> float:
        """The frame at a time. For any thread, after the first tick."""
        lag = float(np.median(self._lags_seconds[: min(self.ticks, TICKS)]))
        lag = lag if 0 < lag < LONGEST_LAG_SECONDS else self._usual_lag_seconds
        return float(self._offsets.max()) + (seconds + lag) * self._rate_hz
