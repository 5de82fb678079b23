"""Several ways to the same sound, each in a fresh process: seconds of its parts, peak memory.

A way is a function (models folder, watch) -> run(amount); `amount` is a number of steps, or of
seconds. It is run with the module's WARM_UP before. Seconds are the process's own, so that other
work on the machine does not count, on as many threads as are asked. The floor: operations of the
parts over the rate at which this machine multiplies matrices, or bytes over the rate at which it
reads them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from server.paths import REPOSITORY

Run = Callable[[float], Any]
Way = Callable[[Path, "Watch"], Run]
MATRIX, VECTOR_MB, BEST_OF = 1536, 256, 5


@dataclass(frozen=True)
class WayCost:
    """What one way took. `operations` of each part, where they were counted."""

    seconds: float
    peak_mb: float
    parts: Mapping[str, float]
    operations: Mapping[str, float] = field(default_factory=dict)


class Watch:
    """CPU seconds of a run's parts, by name; floating point operations while there is a counter."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.operations: dict[str, float] = defaultdict(float)
        self.counter: Any = None  # torch.utils.flop_counter.FlopCounterMode

    def on(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def _watch(*given: Any, **named: Any) -> Any:
            began, before = time.process_time(), self._count()
            try:
                return run(*given, **named)
            finally:
                self.seconds[name] += time.process_time() - began
                if self.counter:
                    self.operations[name] += self._count() - before

        return _watch

    def _count(self) -> float:
        return self.counter.get_total_flops() if self.counter else 0.0


def measure_way(module: str, way: str, folder: Path, amount: float, threads: int = 1) -> WayCost:
    """Run a way of `benchmarks.measures.<module>` in a process of its own.

    RuntimeError with what it said where it fails.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [
        sys.executable,
        "-m",
        "benchmarks.tools.ways",
        module,
        way,
        str(folder),
        str(amount),
        str(threads),
    ]
    found = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"{module}, {way}: {found.stderr[-2000:]}")
    row = WayCost(**json.loads(found.stdout.splitlines()[-1]))
    print(
        f"{module}, {way}: {row.seconds:.3g} CPU s, {row.peak_mb:.0f} MB {dict(row.parts)}",
        file=sys.stderr,
    )
    return row


def exporting(family: str, precisions: Sequence[str]) -> dict[str, Way]:
    """The ways that export a family's graphs, one a precision; a second run finds them done."""

    def _prepare(precision: str, folder: Path, watch: Watch) -> Run:
        from engine.families.registry import FAMILIES
        from engine.runtimes.exported import open_for_parity
        from export import build

        ours = FAMILIES[family].exporting()
        region = (0.1 * np.random.default_rng(0).standard_normal(ours.RATE_HZ)).astype(np.float32)
        built = lru_cache(
            lambda: build.build(ours.plan(folder, region), folder, precision, open_for_parity(1))
        )
        return lambda amount: built()

    return {f"export {precision}": partial(_prepare, precision) for precision in precisions}


def matrix_rate() -> float:
    """Operations a second of one thread in float32: the best of a few matrix products by torch."""
    import torch

    before, left = torch.get_num_threads(), torch.ones(MATRIX, MATRIX)
    torch.set_num_threads(1)
    try:
        return 2 * MATRIX**3 / _best(lambda: left @ left)
    finally:
        torch.set_num_threads(before)


def reading_rate() -> float:
    """Bytes a second one thread reads from memory: the best of a few matrix-vector products."""
    matrix = np.ones((VECTOR_MB * 256, 1024), np.float32)
    vector = np.ones(1024, np.float32)
    return matrix.nbytes / _best(lambda: matrix @ vector)


def peak_mb() -> float:
    """Of this process so far. Linux's `getrusage` counts the parent, too; macOS's says bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _best(run: Callable[[], Any]) -> float:
    run()
    seconds = []
    for _ in range(BEST_OF):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main(module: str, way: str, folder: str, amount: str, threads: str) -> None:
    """In the fresh process: print a Taken as JSON. Of the ways in the module's COUNTED, operations
    are counted.
    """
    import importlib

    ours, watch = importlib.import_module(f"benchmarks.measures.{module}"), Watch()
    prepared = ours.WAYS[way]
    import torch

    torch.set_num_threads(int(threads))
    run = prepared(Path(folder), watch)
    with _counting(watch) if way in getattr(ours, "COUNTED", ()) else nullcontext():
        run(ours.WARM_UP)
    watch.seconds.clear()
    began = time.process_time()
    run(float(amount))
    seconds = time.process_time() - began
    parts = {**watch.seconds, "the rest": seconds - sum(watch.seconds.values())}
    print(json.dumps(asdict(WayCost(seconds, peak_mb(), parts, dict(watch.operations)))))


@contextmanager
def _counting(watch: Watch) -> Iterator[None]:
    """Attention by two products: the other kernels of the processor are not counted."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as watch.counter, sdpa_kernel(SDPBackend.MATH):
        yield
    watch.counter = None


if __name__ == "__main__":
    main(*sys.argv[1:])
