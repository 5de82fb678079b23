"""Measures nano once and writes what was found into docs/experiments.md.

    python -m training.experiments                                       # everything that no recordings are needed for
    python -m training.experiments pooling steps --recordings DIR        # some of it, steps on recordings too
    python -m training.experiments --pairs 8 --steps 40 --seconds 60     # small

What is measured already is not measured again: an interrupted command goes on. Needs FluidSynth,
the soundfonts and the train extra.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from pathlib import Path

from training.experiments.ledger import Ledger

PARTS = ("pooling", "negative", "colour", "steps", "attention", "length")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; default: all"
    )
    parser.add_argument(
        "--pairs", type=int, default=37, help="unseen pairs (37: every target once)"
    )
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="steps on these, too")
    parser.add_argument("--scores", type=int, default=100, help="that both attentions learn from")
    parser.add_argument("--steps", type=int, default=120, help="that both attentions learn")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the long region")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="what is measured so far"
    )
    parser.add_argument("--page", type=Path, default=Path("docs/experiments.md"))
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="librosa")  # it comments on every short CQT octave

    import torch

    from evaluation.methods.models import Nano
    from evaluation.metrics.judge import Judge
    from training.experiments import page

    torch.set_num_threads(1)
    subject, judge = Nano(), Judge.load()
    ledger = Ledger(options.out / _name_of(subject) / "ledger.jsonl")
    for part in options.parts or PARTS:
        {"attention": _attention, "length": _length}.get(part, _knobs)(
            part, options, subject, judge, ledger
        )
        page.write(options.page, part, ledger)


def _name_of(subject) -> str:
    """Figures belong together if the weights are the same."""
    return hashlib.sha256(repr(sorted(subject.describe()["files"].items())).encode()).hexdigest()[
        :8
    ]


def _knobs(part: str, options, subject, judge, ledger: Ledger) -> None:
    from tqdm import tqdm

    from training.experiments import knobs

    pairs = min(options.pairs, knobs.PAIRS.get(part, options.pairs))
    cases = {"unseen": list(knobs.unseen_cases(pairs, options.seed, judge))}
    if options.recordings and part in knobs.WITH_RECORDINGS:
        cases["recorded"] = list(knobs.recorded_cases(options.recordings, judge))
    for kind, rows in cases.items():
        with tqdm(total=len(rows), desc=f"{part}, {kind}", unit="region") as bar:
            knobs.measure(part, kind, rows, subject, judge, options.seed, ledger, bar.update)
    if part == "steps":
        ledger("turnaround", lambda: knobs.turnaround(subject))


def _attention(part: str, options, subject, judge, ledger: Ledger) -> None:
    from tqdm import tqdm

    from engine.families.nano.family import NanoFamily
    from evaluation.corpus.scores import TEST_SEEDS, TRAINING_SEEDS
    from training.experiments import fused, knobs

    sizes = f"{options.scores}-{options.steps}-{options.batch}"
    family, folder = NanoFamily.load(), ledger.path.parent / sizes
    folder.mkdir(exist_ok=True)
    last = fused.TRAIN_FIRST + options.scores
    seeds = (
        TRAINING_SEEDS[fused.TRAIN_FIRST : last],
        TEST_SEEDS[fused.HELD_FIRST : fused.HELD_FIRST + fused.HELD_SCORES],
    )
    rows = [
        fused.rendered(folder / f"{name}.npz", family, own)
        for name, own in zip(("learned", "held"), seeds, strict=True)
    ]
    learned, held = (
        fused.Batches(rows[0], family, options.batch),
        fused.Batches(rows[1], family, fused.LOOK_ROWS),
    )
    cases = list(knobs.unseen_cases(min(options.pairs, fused.PAIRS), options.seed, judge))

    def examine(name: str, denoiser) -> None:
        ledger(f"attention_loss/{name}/{sizes}", lambda: fused.held_out_loss(denoiser, held))
        with tqdm(total=len(cases), desc=f"attention, {name}", unit="region") as bar:
            for index, case in enumerate(cases):
                ledger(
                    f"attention/{name}/{sizes}/{index}",
                    lambda case=case: _stem_figures(denoiser, case),
                )
                bar.update()

    def _stem_figures(denoiser, case) -> dict[str, float]:
        stem = fused.Played(family, denoiser).edit(case.source, case.text, {"seed": options.seed})
        return knobs.figures(stem, case, judge)

    for name, make in fused.VARIANTS.items():
        denoiser = make(fused.shipped())
        examine(f"{name}, as shipped", denoiser)
        if name in fused.TRAINED_ON:
            with tqdm(total=options.steps, desc=f"{name}, learning", unit="step") as bar:
                for step in fused.train(denoiser, learned, options.steps, folder / f"{name}.pt"):
                    bar.update(step - bar.n)
            examine(f"{name}, trained on", denoiser)


def _length(part: str, options, subject, judge, ledger: Ledger) -> None:
    from tqdm import tqdm

    from training.experiments import length

    for phrase in tqdm(length.PHRASES, desc="length", unit="phrase"):
        ledger(
            f"length/{phrase.name}/{options.seconds:g}",
            lambda phrase=phrase: length.examine(
                phrase, options.seconds, subject, judge, options.seed
            ),
        )


if __name__ == "__main__":
    main()
