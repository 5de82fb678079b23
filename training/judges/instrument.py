"""Trains the evaluation's judge of instruments on true renderings, and reports how good it is.

    python -m training.judges.instrument --cache runs/judge

Scores come from JUDGE_SEEDS, which neither the model's training nor the examination touches; all
three soundfonts are heard, the unseen one too: the judge may know the sounds that the model has
never met. Writes evaluation/weights/judge.onnx, then asks it about fresh renderings of further
scores and writes judge.json (names, accuracies, commonest mistakes); `--measure` does the latter
alone. Rendering and training each continue where they stopped.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

from evaluation.corpus.instruments import INSTRUMENTS
from evaluation.corpus.render import SAMPLE_RATE_HZ, SOUNDFONTS, Renderer, find_soundfont
from evaluation.corpus.scores import JUDGE_SEEDS, make_score
from evaluation.metrics.judge import WEIGHTS_FOLDER, Judge
from evaluation.metrics.sound import Sound
from training.judges.net import Recipe, export, train, write_card

HELD_OUT_SEEDS = JUDGE_SEEDS[50_000:]  # training takes its scores from the first 30 000
QUIETEST_PEAK = 1e-3  # a soundfont may lack the notes of a score
# crops of 2.56 s: the judge must know a sound from half a region
RECIPE = Recipe("judge", seed=0x10D6E, batch=32, frames=256)


def render(cache: Path, font: str, scores: int) -> Path:
    """All instruments play `scores` scores: log_mel [R, 64, T] half, label [R], seed [R]."""
    path = cache / f"{font}_{scores}.npz"
    if path.exists():
        return path
    from tqdm import tqdm

    renderer, rows = Renderer(find_soundfont(font)), []
    # other scores for each soundfont: more music heard
    offset = 10_000 * list(SOUNDFONTS).index(font)
    for seed in tqdm(JUDGE_SEEDS[offset : offset + scores], desc=font, unit="score"):
        score = make_score(seed)
        for label, instrument in enumerate(INSTRUMENTS):
            samples = renderer.render(score, instrument.program)
            if np.abs(samples).max() > QUIETEST_PEAK:
                rows.append(
                    (Sound(samples, SAMPLE_RATE_HZ).log_mel.astype(np.float16), label, seed)
                )
    renderer.close()
    log_mel, labels, seeds = (np.asarray(column) for column in zip(*rows, strict=True))
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, log_mel=log_mel, label=labels, seed=seeds)
    partial.rename(path)
    return path


def measure(judge: Judge, font: str, rounds: int) -> tuple[int, list[str]]:
    """Every instrument `rounds` times, each time another score.

    How many renderings were heard, and the mistakes as "oboe for clarinet".
    """
    renderer, asked, mistakes = Renderer(find_soundfont(font)), 0, []
    scores = iter(HELD_OUT_SEEDS)
    for instrument in rounds * INSTRUMENTS:
        samples = renderer.render(make_score(next(scores)), instrument.program)
        if np.abs(samples).max() > QUIETEST_PEAK:
            asked += 1
            heard = judge.name(Sound(samples, SAMPLE_RATE_HZ))
            mistakes += [f"{heard} for {instrument.name}"] if heard != instrument.name else []
    renderer.close()
    return asked, mistakes


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/judge"), help="renderings and checkpoint"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS_FOLDER)
    parser.add_argument(
        "--scores", type=int, default=75, help="a soundfont, each played by every instrument"
    )
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument(
        "--measure", action="store_true", help="only measure the judge that is there"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="times that each instrument is asked for, a soundfont"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not options.measure:
        sets = [np.load(render(options.cache, font, options.scores)) for font in SOUNDFONTS]
        log_mel, label = (
            np.concatenate([data[name] for data in sets]) for name in ("log_mel", "label")
        )
        checkpoint = options.cache / f"judge_{options.scores}_{options.steps}.pt"
        net = train(log_mel, label, len(INSTRUMENTS), options.steps, RECIPE, checkpoint)
        export(net, options.out / "judge.onnx")
    names = [instrument.name for instrument in INSTRUMENTS]
    write_card(options.out, "judge", names, partial(measure, rounds=options.rounds))


if __name__ == "__main__":
    main()
