"""The example's figures as a page with one picture."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.templates import fill
from training.worked_example.pairs import HELPERS
from training.worked_example.picture import NAMES, blend_distances, draw
from training.worked_example.scenario import (
    FIRST_SCORE,
    HELD_BACK,
    PHRASE,
    PROGRAM,
    RECORDINGS,
    SECONDS,
)

KEPT = {"base": "no style", "words": "learned words", "lora": "LoRA"}
PICTURE = "adaptation_example.png"


def write(page: Path, learned: Mapping[str, Any], found: Mapping[str, Any], sounds: Path) -> None:
    """The page, and the picture in `pictures/` beside it."""
    (page.parent / "pictures").mkdir(exist_ok=True)
    draw(page.parent / "pictures" / PICTURE, learned, found, sounds)
    page.write_text(text(learned, found), encoding="utf-8")


def text(learned: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    gain, kept = found["gain"], found["kept"]
    return fill(
        __package__,
        "page.md",
        phrase=PHRASE,
        program=PROGRAM + 1,
        recordings=RECORDINGS,
        held_back=HELD_BACK,
        seconds=f"{SECONDS:g}",
        first_score=FIRST_SCORE,
        helpers=", ".join(HELPERS),
        picture=PICTURE,
        count=len(gain["base"]),
        others=len(kept["base"]),
        gain_rows="\n".join(_gain_row(label, gain[name]) for name, label in NAMES.items()),
        curve=_curve(gain),
        retention_rows="\n".join(_retention_row(KEPT[name], kept[name]) for name in KEPT),
        same_at_zero="yes" if kept["same_at_zero"] else "**no**",
        machine=platform.machine(),
        **_learning_gaps(learned),
        **_live_gaps(found["live"], found["switch"]),
    )


def _learning_gaps(learned: Mapping[str, Any]) -> dict[str, object]:
    return {
        "steps": learned["lora"]["steps"],
        "learned_rows": "\n".join(_learning_row(name, learned[name]) for name in ("lora", "words")),
        "pair_seconds": f"{learned['pairs']['seconds']:.0f}",
        "words_kb": f"{learned['words']['bytes'] / 1024:.0f}",
        "lora_mb": f"{learned['lora']['bytes'] / 2**20:.1f}",
    }


def _live_gaps(live: Mapping[str, Any], switch: Mapping[str, Any]) -> dict[str, object]:
    (first_lora, first_words), again = switch["first"], switch["again"]
    jobs = (
        f"| {job['label']} | {1000 * job['checking']:.0f} ms | {job['total']:.2f} s |"
        for job in live["jobs"]
    )
    return {
        "reload_ms": f"{live['reload_ms']:.0f}",
        "presets": live["presets"],
        "job_rows": "\n".join(jobs),
        "first_lora": f"{first_lora:.0f}",
        "first_words": f"{first_words:.1f}",
        "again": f"{again[0]:.2f}, {again[1]:.2f} and (off again) {again[2]:.2f} ms from then on",
    }


def _learning_row(name: str, row: Mapping[str, Any]) -> str:
    losses = dict(row["looks"])
    return (
        f"| {NAMES[name]} | {row['numbers']:,} | {row['bytes'] / 1024:.0f} kB | {row['steps']} | "
        f"{row['seconds']:.0f} | {losses[0]:.3f} -> {min(losses.values()):.3f} |"
    )


def _gain_row(label: str, rows: Sequence[Mapping[str, Any]]) -> str:
    nearest = [row["nearest"] for row in rows]
    wrong = [name for name, _ in Counter(name for name in nearest if name != PHRASE).most_common(3)]
    chroma = np.mean([row["chroma"] for row in rows])
    distance = _mean([row["log_mel"] for row in rows])
    hits = f"{nearest.count(PHRASE)} of {len(rows)}"
    return f"| {label} | {distance} | {chroma:.3f} | {hits} | {', '.join(wrong)} |"


def _retention_row(label: str, rows: Sequence[Mapping[str, Any]]) -> str:
    right = sum(row["right"] for row in rows)
    return f"| {label} | {right} of {len(rows)} | {_mean([row['log_mel'] for row in rows])} |"


def _curve(gain: Mapping[str, Any]) -> str:
    return ", ".join(f"{weight:g}: {distance:.3f}" for weight, distance in blend_distances(gain))


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values) / np.sqrt(len(values)):.3f}"
