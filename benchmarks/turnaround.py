"""From /edit to /done for a region of five seconds with a warm model, and which stage takes how long of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from retimbre_client import Client

from benchmarks.figures import Figure, median, median_parts
from benchmarks.setting import RATE_HZ, TEXT, Setting, running, write_region

GOAL_SECONDS = 1.0
WARM_EDITS = 2


def measure(setting: Setting) -> list[Figure]:
    """Median over several regions, split by the manifests' own timings."""
    with running(setting) as server, server.client() as client:
        regions = [  # each a frame longer than the one before: the worker remembers what it has just heard
            write_region(server.folder / f"region_{index}.wav", setting.sizes.region_seconds + index / RATE_HZ)
            for index in range(WARM_EDITS + setting.sizes.edits)
        ]
        runs = [_edit(client, region, seed) for seed, region in enumerate(regions)][WARM_EDITS:]
    seconds = [taken for taken, _ in runs]
    notes = f"{len(runs)} edits with default knobs, worst {max(seconds):.3g} s"
    return [Figure(f"turnaround of {setting.sizes.region_seconds:g} s, warm", median(seconds), "s", GOAL_SECONDS, notes,
                   median_parts([split(taken, manifest) for taken, manifest in runs]))]


def split(seconds: float, manifest: dict) -> dict[str, float]:
    """Stage -> seconds: what the engine says, the rest of its total, and what lies outside of it."""
    stages = dict(manifest.get("timings_seconds", {}))
    total = stages.pop("total", sum(stages.values()))
    return {**stages, "engine, the rest": max(0.0, total - sum(stages.values())),
            "server, pipe and sockets": max(0.0, seconds - total)}


def _edit(client: Client, region: Path, seed: int) -> tuple[float, dict]:
    began = time.perf_counter()
    outcome = client.edit(region, TEXT, seed=seed)
    return time.perf_counter() - began, json.loads(outcome.manifest.read_text(encoding="utf-8"))
