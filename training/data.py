"""The data factory: scores rendered on many instruments, stored in shards that training reads.

    python -m training.data --out runs/data --scores 4000

A shard holds whole scores: each is played on several instruments, so that any two of its rows are an
aligned pair. Shards are written whole or not at all; the command continues where it stopped, and several
may run side by side (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from engine.nano import features as F
from training.augment import like_a_recording
from training.instruments import INSTRUMENTS, SOURCE_ONLY_PROGRAMS
from training.render import TRAINING_SOUNDFONTS, Renderer, find_soundfont
from training.scores import TRAINING_SEEDS, make_score

TARGETS_PER_SCORE, SOURCES_PER_SCORE = 4, 2
SCORES_PER_SHARD = 50
SOURCE_ONLY = -1  # label of a sound that is never asked for
CLEAN_PROBABILITY = 0.35
# Features are kept as bytes: 0.03 of a standard deviation, 0.7 dB, far below what augmentation moves.
BYTE_LOWEST, BYTE_STEP = -3.6, 0.03


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round((values - BYTE_LOWEST) / BYTE_STEP), 0, 255).astype(np.uint8)


def from_bytes(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) * BYTE_STEP + BYTE_LOWEST


def levelled(samples: np.ndarray) -> np.ndarray:
    return samples * F.level_gain(samples)


def make_shard(seeds: range, renderers: dict[str, Renderer]) -> dict[str, np.ndarray]:
    """Rows grouped by score: wave int16 [R, N], clean and heard uint8 [R, T, 944], label and score [R].

    `clean` is what the codec encodes; `heard` is what the audio encoder gets to hear:
    the same sound, two times out of three through a microphone in a room.
    """
    rows: dict[str, list] = {name: [] for name in ("wave", "clean", "heard", "label", "score")}
    for seed in seeds:
        score, random = make_score(seed), np.random.default_rng([0xDA7A, seed])
        targets = random.choice(len(INSTRUMENTS), TARGETS_PER_SCORE, replace=False)
        sources = random.choice(SOURCE_ONLY_PROGRAMS, SOURCES_PER_SCORE, replace=False)
        players = [(int(t), INSTRUMENTS[t].program) for t in targets] + [(SOURCE_ONLY, int(p)) for p in sources]
        for label, program in players:
            font = TRAINING_SOUNDFONTS[random.integers(len(TRAINING_SOUNDFONTS))]
            clean = renderers[font].render(score, program)
            if np.abs(clean).max() < 1e-3:
                continue
            clean = levelled(clean)
            features = to_bytes(F.features(clean))
            recorded = random.random() >= CLEAN_PROBABILITY
            rows["wave"].append(np.clip(np.round(clean * 16384), -32768, 32767).astype(np.int16))
            rows["clean"].append(features)
            rows["heard"].append(
                to_bytes(F.features(levelled(like_a_recording(clean, random)))) if recorded else features
            )
            rows["label"].append(label)
            rows["score"].append(seed)
    return {name: np.asarray(values) for name, values in rows.items()}


def write_shard(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """One .npy an array, so that training can map them; the folder is renamed into place when whole."""
    partial = folder.with_name(f"{folder.name}.partial{os.getpid()}")
    partial.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(partial / f"{name}.npy", values)
    partial.rename(folder)


def shard_folders(root: Path) -> list[Path]:
    """The finished shards under `root`, in order."""
    return sorted(folder for folder in root.glob("shard_*") if folder.suffix == "")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scores", type=int, default=4000)
    parser.add_argument("--part", default="0/1", help="which part of how many, for processes side by side")
    options = parser.parse_args(arguments)
    part, parts = (int(number) for number in options.part.split("/"))
    from tqdm import tqdm

    renderers = {name: Renderer(find_soundfont(name)) for name in TRAINING_SOUNDFONTS}
    shards = range(part, options.scores // SCORES_PER_SHARD, parts)
    for shard in tqdm(shards, desc="shards", unit="shard"):
        folder = options.out / f"shard_{shard:05d}"
        if not folder.exists():
            seeds = TRAINING_SEEDS[shard * SCORES_PER_SHARD : (shard + 1) * SCORES_PER_SHARD]
            write_shard(folder, make_shard(seeds, renderers))


if __name__ == "__main__":
    main()
