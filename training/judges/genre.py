"""Trains the evaluation's judge of genres on the arranger's pieces, and reports how good it is.

    python -m training.judges.genre --cache runs/genre_judge

Pieces come from JUDGE_SEEDS, which no model learns from; three soundfonts play tune, bass, chords
and drums, each a little louder or softer than it should be. Writes evaluation/weights/genre.onnx,
then asks it about fresh renderings of further pieces and writes genre.json. It knows the arranger's
genres, not the world's: what it hears is whether a stem does what a sampler would do with such a
piece.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engine.arranging.compose import compose
from engine.arranging.genres import GENRES
from evaluation.corpus.arrangements import GENRE_ROLES, RATE_HZ, PartRenderer, render_parts
from evaluation.corpus.render import SOUNDFONTS
from evaluation.corpus.scores import JUDGE_SEEDS
from evaluation.metrics.judge import WEIGHTS_FOLDER, WINDOW_FRAMES, Judge
from evaluation.metrics.sound import Sound
from training.judges.net import Recipe, export, train, write_card

NAME = "genre"
SECONDS = 10.24
LEVEL_DB = 3.0  # either way, of each part
FIRST_SEED, HELD_OUT_FIRST_SEED = 60_000, 90_000  # places in JUDGE_SEEDS
RECIPE = Recipe("genre judge", seed=0x6E4E, batch=16, frames=WINDOW_FRAMES)


def render_piece(renderer: PartRenderer, seed: int, genre: str) -> Sound:
    """One piece in this genre, mixed by an unsteady hand."""
    random = np.random.default_rng([0x6E4E, seed])
    played = render_parts(renderer, compose(seed, SECONDS, genre), GENRE_ROLES, random)
    gains = 10 ** (random.uniform(-LEVEL_DB, LEVEL_DB, len(played.parts)) / 20)
    mix = sum(
        np.float32(gain) * part for gain, part in zip(gains, played.parts.values(), strict=True)
    )
    return Sound(mix, RATE_HZ)


def render(cache: Path, font: str, pieces: int) -> Path:
    """`pieces` of every genre by one soundfont: log_mel [R, 64, T] half, label."""
    path = cache / f"{font}_{pieces}.npz"
    if path.exists():
        return path
    from tqdm import tqdm

    renderer, log_mel, label = PartRenderer(font), [], []
    first = FIRST_SEED + 10_000 * list(SOUNDFONTS).index(font)
    for index in tqdm(range(pieces * len(GENRES)), desc=font, unit="piece"):
        genre = index % len(GENRES)
        log_mel.append(
            render_piece(renderer, JUDGE_SEEDS[first + index], list(GENRES)[genre]).log_mel.astype(
                np.float16
            )
        )
        label.append(genre)
    renderer.close()
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, log_mel=np.stack(log_mel), label=np.array(label))
    partial.rename(path)
    return path


def measure(judge: Judge, font: str, rounds: int) -> tuple[int, list[str]]:
    """How many pieces it heard, and its mistakes in words."""
    renderer, mistakes, asked = PartRenderer(font), [], rounds * list(GENRES)
    for index, genre in enumerate(asked):
        heard = judge.name(render_piece(renderer, JUDGE_SEEDS[HELD_OUT_FIRST_SEED + index], genre))
        mistakes += [f"{heard} for {genre}"] if heard != genre else []
    renderer.close()
    return len(asked), mistakes


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/genre_judge"), help="renderings")
    parser.add_argument("--out", type=Path, default=WEIGHTS_FOLDER)
    parser.add_argument("--pieces", type=int, default=15, help="of each genre, a soundfont")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument(
        "--measure", action="store_true", help="only measure the judge that is there"
    )
    parser.add_argument(
        "--rounds", type=int, default=4, help="times that each genre is asked for, a soundfont"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not options.measure:
        sets = [np.load(render(options.cache, font, options.pieces)) for font in SOUNDFONTS]
        log_mel, label = (
            np.concatenate([data[name] for data in sets]) for name in ("log_mel", "label")
        )
        net = train(log_mel, label, len(GENRES), options.steps, RECIPE)
        export(net, options.out / f"{NAME}.onnx")
    write_card(options.out, NAME, list(GENRES), partial(measure, rounds=options.rounds))


if __name__ == "__main__":
    main()
