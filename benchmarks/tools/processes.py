"""What the system says about a process and its children, from /proc: Linux only."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.setting import BenchmarkError

PROC = Path("/proc")


@dataclass(frozen=True)
class Sample:
    """One process at one moment.

    `wake_ups`: how often any of its threads has waited, since its start.
    """

    at: float
    megabytes: float
    handles: int
    threads: int
    cpu_seconds: float
    wake_ups: int


def sample(pid: int) -> Sample:
    """Raises BenchmarkError where there is no such process, or no /proc."""
    folder = PROC / str(pid)
    try:
        status = _fields(folder / "status")
        times = (folder / "stat").read_text().rpartition(")")[2].split()
        waits = [
            int(_fields(task / "status")["voluntary_ctxt_switches"])
            for task in (folder / "task").iterdir()
        ]
        handles = len(list((folder / "fd").iterdir()))
    except OSError as error:
        raise BenchmarkError(
            f"process {pid} cannot be looked at ({error}); this needs Linux"
        ) from error
    ticks = int(times[11]) + int(times[12])
    return Sample(
        time.monotonic(),
        int(status["VmRSS"].split()[0]) / 1000,
        handles,
        int(status["Threads"]),
        ticks / os.sysconf("SC_CLK_TCK"),
        sum(waits),
    )


def worker_of(pid: int) -> int:
    """The largest child of a server. Raises BenchmarkError."""
    children = [
        child
        for task in (PROC / str(pid) / "task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    if not children:
        raise BenchmarkError(f"process {pid} has no worker")
    return max(map(int, children), key=lambda child: sample(child).megabytes)


def _fields(path: Path) -> dict[str, str]:
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in path.read_text().splitlines())
    }
