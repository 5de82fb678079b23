"""From /edit to /done with a warm model, and which stage takes how long: short and long regions,
further stems.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

from retimbre_client import Client

from benchmarks.figures import Figure, median, median_parts
from benchmarks.setting import RATE_HZ, TEXT, Running, Setting, running, write_region

WARM_EDITS = 1
SETTLE_SECONDS = 1.0


class MeasuredJob(NamedTuple):
    name: str
    text: str
    seconds: float
    edits: int
    goal_seconds: float | None


def measure(setting: Setting) -> list[Figure]:
    """Medians over several regions, split by the manifests' own timings."""
    sizes = setting.sizes
    short, long, few = sizes.region_seconds, sizes.long_seconds, -(-sizes.edits // 3)
    jobs = (
        MeasuredJob(f"turnaround of {short:g} s, warm", TEXT, short, sizes.edits, 0.5),
        MeasuredJob(f"turnaround of {long:g} s, warm", TEXT, long, few, 4.0),
        MeasuredJob(
            f"turnaround of {short:g} s, a bass line added", "add a bass line", short, few, None
        ),
        MeasuredJob(
            f"turnaround of {short:g} s, another genre, four stems",
            "as a bossa nova",
            short,
            few,
            None,
        ),
    )
    with running(setting) as server, server.client() as client:
        return [_measure_job(client, server, job) for job in jobs]


def _measure_job(client: Client, server: Running, job: MeasuredJob) -> Figure:
    regions = [  # each a frame longer: the worker remembers what it has just heard
        write_region(
            server.folder / f"{job.seconds:g}s_{len(job.text)}_{index}.wav",
            job.seconds + index / RATE_HZ,
        )
        for index in range(WARM_EDITS + job.edits)
    ]
    # a file that has just changed is watched for a moment before it is read
    time.sleep(SETTLE_SECONDS)
    kept = [_edit(client, region, job.text, seed) for seed, region in enumerate(regions)][
        WARM_EDITS:
    ]
    seconds = [taken for taken, _ in kept]
    notes = f"{len(kept)} edits with default knobs, worst {max(seconds):.3g} s"
    parts = median_parts([split(taken, manifest) for taken, manifest in kept])
    return Figure(job.name, median(seconds), "s", job.goal_seconds, notes, parts)


def split(seconds: float, manifest: dict) -> dict[str, float]:
    """Stage -> seconds: the engine's stages, the rest of its total, and what lies outside it."""
    stages = dict(manifest.get("timings_seconds", {}))
    total = stages.pop("total", sum(stages.values()))
    return {
        **stages,
        "engine, the rest": max(0.0, total - sum(stages.values())),
        "server, pipe and sockets": max(0.0, seconds - total),
    }


def _edit(client: Client, region: Path, text: str, seed: int) -> tuple[float, dict]:
    began = time.perf_counter()
    outcome = client.edit(region, text, seed=seed)
    return time.perf_counter() - began, json.loads(outcome.manifest.read_text(encoding="utf-8"))
