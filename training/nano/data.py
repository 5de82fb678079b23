"""The data factory: scores rendered on many instruments, stored in shards that training reads.

    python -m training.nano.data --out runs/data --solo 2700 --drums 600 --parts 1200

A shard holds whole scores: each is played on several instruments, so that any two of its rows are
an aligned pair. Its kind says what is played: made-up music for one player, a drummer, or one part
of what the arranger composed. Shards are written whole or not at all; the command continues where
it stopped, and several may run side by side (`--part 0/2`, `--part 1/2`).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.arranging import guide
from engine.families.nano import features as F
from evaluation.corpus.instruments import PERCUSSION, SOUNDS, SOURCE_ONLY_KITS, SOURCE_ONLY_PROGRAMS
from evaluation.corpus.render import TRAINING_SOUNDFONTS, Renderer, find_soundfont
from training.nano.adjectives import ADJECTIVES, PLAIN
from training.nano.augment import degrade
from training.nano.pieces import SEEDS, Piece, make_piece

TARGETS_PER_SCORE, SOURCES_PER_SCORE = 4, 2
SCORES_PER_SHARD = 50
SOURCE_ONLY = -1  # label of a sound that is never asked for
CLEAN_PROBABILITY = 0.35
ADJECTIVE_PROBABILITY = 0.3  # of a target: played or sounding otherwise, as an adjective says
KIT_LABELS = np.array([label for label, sound in enumerate(SOUNDS) if sound.bank == PERCUSSION])
PITCHED_LABELS = np.setdiff1d(np.arange(len(SOUNDS)), KIT_LABELS)
SUITED = {  # groups of instruments that two of the four targets of a part come from
    "bass": ("bass",),
    "chords": ("keys", "guitar", "organ"),
    "pad": ("strings", "synth", "voice", "organ"),
    "arpeggio": ("keys", "guitar", "mallets", "plucked"),
}
# Features are kept as bytes: 0.03 of a standard deviation, 0.7 dB, far below what augmentation
# moves.
BYTE_LOWEST, BYTE_STEP = -3.6, 0.03


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round((values - BYTE_LOWEST) / BYTE_STEP), 0, 255).astype(np.uint8)


def from_bytes(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) * BYTE_STEP + BYTE_LOWEST


def normalise_level(samples: np.ndarray) -> np.ndarray:
    return samples * F.level_gain(samples)


class Player(NamedTuple):
    """Who plays a score: a row of SOUNDS under an adjective, another sound, or the guide."""

    label: int
    adjective: int = PLAIN
    program: int = 0
    bank: int = 0
    is_guide: bool = False


def choose_players(piece: Piece, random: np.random.Generator) -> list[Player]:
    """Targets, and sounds that are only heard; the arranger's pieces are heard as guides, too."""
    sounds, others = (
        (KIT_LABELS, SOURCE_ONLY_KITS) if piece.is_drums else (PITCHED_LABELS, SOURCE_ONLY_PROGRAMS)
    )
    suited = [label for label in sounds if SOUNDS[label].group in SUITED.get(piece.role, ())]
    first = (
        random.choice(suited, min(2, len(suited)), replace=False) if suited else np.zeros(0, int)
    )
    rest = random.choice(np.setdiff1d(sounds, first), TARGETS_PER_SCORE - len(first), replace=False)
    cast = [_target(int(label), random) for label in (*first, *rest)]
    for program in random.choice(others, SOURCES_PER_SCORE - piece.has_guide, replace=False):
        cast.append(
            Player(SOURCE_ONLY, program=int(program), bank=PERCUSSION if piece.is_drums else 0)
        )
    return cast + [Player(SOURCE_ONLY, is_guide=True)] * piece.has_guide


def _target(label: int, random: np.random.Generator) -> Player:
    adjective = (
        int(random.integers(1, len(ADJECTIVES)))
        if random.random() < ADJECTIVE_PROBABILITY
        else PLAIN
    )
    return Player(label, adjective, SOUNDS[label].program, SOUNDS[label].bank)


def make_shard(kind: str, seeds: range, renderers: dict[str, Renderer]) -> dict[str, np.ndarray]:
    """Rows grouped by score: wave int16 [R, N], clean and heard uint8 [R, T, 944]; the rest [R].

    The codec encodes `clean`. The audio encoder hears `heard`: the same sound, two times out of
    three through a microphone in a room. `colour` is the index of the adjective.
    """
    rows: dict[str, list] = {
        name: [] for name in ("wave", "clean", "heard", "label", "colour", "score")
    }
    for seed in seeds:
        random = np.random.default_rng([0xDA7A, seed])
        piece = make_piece(kind, seed)
        for player in choose_players(piece, random):
            font = TRAINING_SOUNDFONTS[random.integers(len(TRAINING_SOUNDFONTS))]
            clean = play_piece(piece, player, renderers[font])
            if np.abs(clean).max() < 1e-3:
                continue
            clean = normalise_level(clean)
            features = to_bytes(F.features(clean))
            recorded = random.random() >= CLEAN_PROBABILITY
            rows["wave"].append(np.clip(np.round(clean * 16384), -32768, 32767).astype(np.int16))
            rows["clean"].append(features)
            rows["heard"].append(
                to_bytes(F.features(normalise_level(degrade(clean, random))))
                if recorded
                else features
            )
            rows["label"].append(player.label)
            rows["colour"].append(player.adjective)
            rows["score"].append(seed)
    return {name: np.asarray(values) for name, values in rows.items()}


def play_piece(piece: Piece, player: Player, renderer: Renderer) -> np.ndarray:
    """Mono float32 [32 000 * seconds]: the piece as this player plays it."""
    if player.is_guide:
        return guide.sound(piece.role, piece.score.notes, piece.score.seconds)
    adjective = ADJECTIVES[player.adjective]
    played = renderer.render(adjective.play(piece.score), player.program, player.bank)
    return np.asarray(adjective.sound(played), np.float32)


def write_shard(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """One .npy an array, which training maps; the folder is renamed into place when whole."""
    partial = folder.with_name(f"{folder.name}.partial{os.getpid()}")
    partial.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(partial / f"{name}.npy", values)
    partial.rename(folder)


def shard_folders(root: Path) -> list[Path]:
    """The finished shards under `root`, in order."""
    return sorted(folder for folder in root.glob("shard_*") if folder.suffix == "")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    for kind in SEEDS:
        parser.add_argument(
            f"--{kind}", type=int, default=0, metavar="N", help=f"scores of the kind {kind}"
        )
    parser.add_argument(
        "--part", default="0/1", help="which part of how many, for processes side by side"
    )
    options = parser.parse_args(arguments)
    part, parts = (int(number) for number in options.part.split("/"))
    from tqdm import tqdm

    renderers = {name: Renderer(find_soundfont(name)) for name in TRAINING_SOUNDFONTS}
    wanted = [
        (kind, index)
        for kind in SEEDS
        for index in range(getattr(options, kind) // SCORES_PER_SHARD)
    ]
    for kind, index in tqdm(wanted[part::parts], desc="shards", unit="shard"):
        folder = options.out / f"shard_{kind}_{index:05d}"
        if not folder.exists():
            seeds = SEEDS[kind][index * SCORES_PER_SHARD : (index + 1) * SCORES_PER_SHARD]
            write_shard(folder, make_shard(kind, seeds, renderers))


if __name__ == "__main__":
    main()
