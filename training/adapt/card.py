"""A style's model card: data, settings, versions, hashes and licence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from presets.files import file_sha256
from training.adapt.config import to_json
from training.adapt.run import Run
from training.dataset.clips import SPLITS, Clip
from training.templates import fill

PACKAGES = ("retimbre", "torch", "transformers", "diffusers", "peft", "accelerate")


def fingerprint(parts: Mapping[str, Sequence[Clip]]) -> str:
    """A hash of sounds, captions and splits: another one means other data."""
    digest = hashlib.sha256()
    for name in SPLITS:
        for clip in sorted(parts[name], key=lambda clip: clip.path.name):
            digest.update(f"{name} {file_sha256(clip.path)} {clip.text}\n".encode())
    return digest.hexdigest()


def describe_data(parts: Mapping[str, Sequence[Clip]]) -> dict[str, Any]:
    """Clips, recordings and minutes of each split."""
    import soundfile

    def minutes(clips: Sequence[Clip]) -> float:
        return round(sum(soundfile.info(clip.path).duration for clip in clips) / 60, 2)

    return {
        name: {
            "clips": len(clips),
            "recordings": len({clip.track for clip in clips}),
            "minutes": minutes(clips),
        }
        for name, clips in parts.items()
    }


def make_card(
    run: Run, name: str, parts: Mapping[str, Sequence[Clip]], licence: str, style: Path
) -> dict[str, Any]:
    model, progress = run.model, run.progress
    return {
        "name": name,
        "family": run.config.family,
        "base": model.base,
        "method": run.config.method,
        "licence": f"{licence}; base: {model.licence}",
        "data": {"fingerprint": run.fingerprint, "seed": run.config.seed, **describe_data(parts)},
        "result": {
            "outcome": progress.outcome,
            "steps": progress.step,
            "best_step": progress.best_step,
            "validation_loss": progress.best,
            "numbers": run.adapter.count,
        },
        "config": to_json(run.config),
        "versions": {package: _version(package) for package in PACKAGES},
        "hashes": {
            style.name: file_sha256(style),
            **{f"base/{key}": file_sha256(path) for key, path in sorted(model.files().items())},
        },
    }


def markdown(card: Mapping[str, Any]) -> str:
    """The card for people."""
    data, result = card["data"], card["result"]
    rows = [
        f"| {name} | {data[name]['clips']} | {data[name]['recordings']} | {data[name]['minutes']} |"
        for name in SPLITS
    ]
    return fill(
        __package__,
        "card.md",
        name=card["name"],
        family=card["family"],
        base=card["base"],
        method=card["method"],
        licence=card["licence"],
        data_rows="\n".join(rows),
        fingerprint=data["fingerprint"],
        seed=data["seed"],
        numbers=f"{result['numbers']:,}",
        outcome=result["outcome"],
        steps=result["steps"],
        best_step=result["best_step"],
        validation_loss=f"{result['validation_loss']:.5f}",
        settings="\n".join(f"| {key} | {value} |" for key, value in card["config"].items()),
        versions=", ".join(f"{name} {number}" for name, number in card["versions"].items()),
        hashes="\n".join(f"- `{name}`: {value}" for name, value in card["hashes"].items()),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"
