"""From the start of `retimbre serve` until its model is loaded and warm.

The files are in the disk's cache by then.
"""

from __future__ import annotations

from benchmarks.figures import Figure, median
from benchmarks.setting import Setting, running

GOAL_SECONDS = 5.0


def measure(setting: Setting) -> list[Figure]:
    """Median of several starts on fresh data folders."""
    starts = []
    for _ in range(setting.sizes.starts):
        with running(setting) as server:
            starts.append((server.ready_seconds, server.listening_seconds))
    ready, listening = zip(*starts, strict=True)
    return [
        Figure(
            "cold start to ready",
            median(ready),
            "s",
            GOAL_SECONDS,
            f"{len(starts)} starts, worst {max(ready):.3g} s; "
            f"jobs are taken from {median(listening):.2g} s on",
        )
    ]
