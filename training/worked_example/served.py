"""nano as a server plays it: exported graphs, presets as files, from preset to stem."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.families.nano.family import NanoFamily
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.knobs import Knobs
from engine.knobs import resolve as resolve_knobs
from engine.progress import ignore_progress, never_cancelled
from evaluation.metrics.sound import Sound
from presets.blending import resolve
from presets.schema import Preset
from presets.style import ResolvedStyle

STEM_SEED = 5


class Served:
    """nano on its exported graphs in `models`, made if they are not there."""

    def __init__(self, models: Path, weights: Path | None = None) -> None:
        from engine.families.nano import exporting
        from engine.runtimes.exported import open_for_parity
        from export import build

        family = exporting.load(1, models, weights)
        if family is None:
            noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
            plan = exporting.plan(models, noise * 0.1, weights=weights)
            build.build(plan, models, "float32", open_for_parity(1))
            family = exporting.load(1, models, weights)
        assert family is not None
        self.family: NanoFamily = family

    def stem(self, preset: Preset, mono_32k: np.ndarray) -> Sound:
        """What a job with this preset makes of a region, mono at 32 kHz."""
        asked, decided = self._resolve(preset)
        job = self.family.prepare(asked, decided)
        port = self.family.port(job, ignore_progress, never_cancelled)
        return Sound(port.run(mono_32k).samples, SAMPLE_RATE_HZ)

    def switch_ms(self, presets: Sequence[Preset]) -> list[float]:
        """How long it took to change to each of these presets, one after the other."""
        found = []
        for preset in presets:
            asked, decided = self._resolve(preset)
            began = time.perf_counter()
            self.family.prepare(asked, decided)
            found.append(1000 * (time.perf_counter() - began))
        return found

    def _resolve(self, preset: Preset) -> tuple[ResolvedStyle, Knobs]:
        asked = resolve(preset)
        return asked, resolve_knobs("", {"seed": STEM_SEED}, asked, self.family.defaults)[0]
