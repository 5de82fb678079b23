"""nano on its exported graphs (float32) for regions of 1 to 120 s, each length in a fresh process:
CPU seconds on one thread, and the most memory that was held. Without reading, fitting and
writing the file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure
from benchmarks.setting import Setting
from benchmarks.tools.ways import Run, Watch, measure_way

LENGTHS_SECONDS, QUICK_SECONDS = (1, 5, 10, 30, 60, 120), (1, 2)
WARM_UP = 1
TEXT, KNOBS = "a violin", {"seed": 3}


def measure(setting: Setting) -> list[Figure]:
    """A figure for each length."""
    lengths = QUICK_SECONDS if setting.sizes.is_quick else LENGTHS_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        measure_way("scaling", "export", Path(folder), 1)
        found = {
            seconds: measure_way("scaling", "nano", Path(folder), seconds) for seconds in lengths
        }
    return [
        Figure(
            f"nano, {seconds} s",
            row.seconds,
            "CPU s",
            parts=row.parts,
            notes=f"{1e3 * row.seconds / seconds:.0f} ms for a second of audio; "
            f"{row.peak_mb:.0f} MB at most",
        )
        for seconds, row in found.items()
    ]


def _nano(folder: Path, watch: Watch) -> Run:
    from engine.families.nano import exporting

    family = exporting.load(1, folder)
    family.warm_up()
    runners = family.editor.runners
    for stage, runner in list(runners.items()):
        runners[stage] = watch.on(stage, runner)
    # every region is another one: what was heard before is remembered
    draw = np.random.default_rng(0)
    return lambda seconds: family.transfer(_region(seconds, draw), TEXT, KNOBS)


def _export(folder: Path, watch: Watch) -> Run:
    """And load it once, which writes the optimised graphs down."""
    from engine.families.nano import exporting
    from engine.runtimes.exported import open_for_parity
    from export import build

    def _run(seconds: float) -> None:
        region = _region(seconds, np.random.default_rng(0))
        build.build(exporting.plan(folder, region), folder, "float32", open_for_parity(1))
        exporting.load(1, folder).warm_up()

    return _run


def _region(seconds: float, draw: np.random.Generator) -> np.ndarray:
    return (0.1 * draw.standard_normal(int(seconds * 32_000))).astype(np.float32)


WAYS = {"nano": _nano, "export": _export}
