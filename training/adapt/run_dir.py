"""A run's folder: what lies in it, and whether a run may use it.

config.json              what was asked, with the data's fingerprint; never overwritten
checkpoints/step_000100  all that is needed to go on; renamed when whole, the last `keep` stay
best.safetensors         the style at the lowest validation loss
last.safetensors         the style at the end
samples/step_000250/     the same captions and seeds each time; step 0 is the base
log.jsonl, tensorboard/  figures
pause                    make this file, or press ctrl-C once: the run saves and stops
preset/                  the finished style
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.adapt.config import TrainError
from training.dataset.clips import write_text

CONFIG, CHECKPOINTS, BEST, LAST = (
    "config.json",
    "checkpoints",
    "best.safetensors",
    "last.safetensors",
)
SAMPLES, LOG, BOARD, PAUSE, PRESET = "samples", "log.jsonl", "tensorboard", "pause", "preset"


def acquire_run_dir(folder: Path, asked: Mapping[str, Any]) -> None:
    """The folder is new, or holds this very run, unfinished. TrainError run_exists."""
    path = folder / CONFIG
    if path.exists():
        _check_same_run(folder, json.loads(path.read_text(encoding="utf-8")), asked)
        return
    if folder.exists() and any(folder.iterdir()):
        raise TrainError("run_exists", f"{folder} is no run and not empty; choose another --name")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asked, indent=2) + "\n")


def _check_same_run(folder: Path, before: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    if before["data"] != asked["data"]:
        raise TrainError("run_exists", f"{folder} was begun with other data; choose another --name")
    old, new = before["config"], asked["config"]
    if changed := [
        f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key]
    ]:
        raise TrainError(
            "run_exists",
            f"{folder} is a run with other settings ({', '.join(changed)}); choose another "
            "--name, or the old settings to go on",
        )
    if (folder / PRESET).exists():
        raise TrainError(
            "run_exists", f"{folder} is done; nothing is overwritten: choose another --name"
        )


def best_style(folder: Path) -> Path:
    """A run's best style, or its last. TrainError no_run."""
    for name in (BEST, LAST):
        if (folder / name).is_file():
            return folder / name
    raise TrainError(
        "no_run",
        f"{folder} holds no style; expected {BEST} or {LAST}, as retimbre train run leaves them",
    )
