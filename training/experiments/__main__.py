"""Measures nano once and writes what was found into docs/experiments.md.

    python -m training.experiments                                    # all without recordings
    python -m training.experiments pooling steps --recordings DIR     # some, recordings too
    python -m training.experiments --pairs 8 --steps 40 --seconds 60  # small

What is measured already is not measured again: an interrupted command goes on. Needs FluidSynth,
the soundfonts and the train extra.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from training.experiments.ledger import Ledger

if TYPE_CHECKING:
    from engine.families.nano.family import NanoFamily
    from engine.families.nano.model import Denoiser
    from evaluation.methods.models import EditingModel
    from evaluation.metrics.judge import Judge
    from training.experiments.fused import Batches
    from training.experiments.knobs import Case

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
    model, judge = Nano(), Judge.load()
    ledger = Ledger(options.out / _name_of(model) / "ledger.jsonl")
    for part in options.parts or PARTS:
        measure = {"attention": _measure_attention, "length": _measure_length}
        measure.get(part, _measure_knobs)(part, Session(options, model, judge, ledger))
        page.write(options.page, part, ledger)


def _name_of(model: EditingModel) -> str:
    """Figures belong together if the weights are the same."""
    files = repr(sorted(model.describe()["files"].items()))
    return hashlib.sha256(files.encode()).hexdigest()[:8]


class Session(NamedTuple):
    """What every part needs."""

    options: argparse.Namespace
    model: EditingModel
    judge: Judge
    ledger: Ledger


def _measure_knobs(part: str, session: Session) -> None:
    from tqdm import tqdm

    from training.experiments import knobs

    options, model, judge, ledger = session
    pairs = min(options.pairs, knobs.PAIRS.get(part, options.pairs))
    cases = {"unseen": list(knobs.unseen_cases(pairs, options.seed, judge))}
    if options.recordings and part in knobs.WITH_RECORDINGS:
        cases["recorded"] = list(knobs.cases_of_recordings(options.recordings, judge))
    for kind, rows in cases.items():
        with tqdm(total=len(rows), desc=f"{part}, {kind}", unit="region") as bar:
            knobs.measure(part, kind, rows, model, judge, options.seed, ledger, bar.update)
    if part == "steps":
        ledger("turnaround", lambda: knobs.turnaround(model))


def _measure_attention(part: str, session: Session) -> None:
    from engine.families.nano.family import NanoFamily
    from training.experiments import fused, knobs

    options = session.options
    family, sizes = NanoFamily.load(), f"{options.scores}-{options.steps}-{options.batch}"
    folder = session.ledger.path.parent / sizes
    folder.mkdir(exist_ok=True)
    learned, held = _attention_batches(folder, family, options)
    pairs = min(options.pairs, fused.PAIRS)
    cases = list(knobs.unseen_cases(pairs, options.seed, session.judge))
    for name, make in fused.VARIANTS.items():
        denoiser = make(fused.load_shipped())
        examine = partial(_examine_denoiser, session, sizes, family, denoiser, held, cases)
        examine(f"{name}, as shipped")
        if name in fused.TRAINED_ON:
            fused.train(denoiser, learned, options.steps, folder / f"{name}.pt")
            examine(f"{name}, trained on")


def _attention_batches(
    folder: Path, family: NanoFamily, options: argparse.Namespace
) -> tuple[Batches, Batches]:
    """What is learned from, and what is held out."""
    from evaluation.corpus.scores import TEST_SEEDS, TRAINING_SEEDS
    from training.experiments import fused

    learned = TRAINING_SEEDS[fused.TRAIN_FIRST : fused.TRAIN_FIRST + options.scores]
    held = TEST_SEEDS[fused.HELD_FIRST : fused.HELD_FIRST + fused.HELD_SCORES]
    return (
        fused.Batches(fused.render(folder / "learned.npz", family, learned), family, options.batch),
        fused.Batches(fused.render(folder / "held.npz", family, held), family, fused.LOOK_ROWS),
    )


def _examine_denoiser(
    session: Session,
    sizes: str,
    family: NanoFamily,
    denoiser: Denoiser,
    held: Batches,
    cases: Sequence[Case],
    name: str,
) -> None:
    """Its held-out loss, and what its stems are like."""
    from tqdm import tqdm

    from training.experiments import fused, knobs

    def stem_figures(case: Case) -> dict[str, float]:
        model, settings = fused.NanoWith(family, denoiser), {"seed": session.options.seed}
        return knobs.figures(model.edit(case.source, case.text, settings), case, session.judge)

    ledger = session.ledger
    ledger(f"attention_loss/{name}/{sizes}", lambda: fused.measure_held_out_loss(denoiser, held))
    for index, case in enumerate(tqdm(cases, desc=f"attention, {name}", unit="region")):
        ledger(f"attention/{name}/{sizes}/{index}", partial(stem_figures, case))


def _measure_length(part: str, session: Session) -> None:
    from tqdm import tqdm

    from training.experiments import length

    options, model, judge, ledger = session
    for phrase in tqdm(length.PHRASES, desc="length", unit="phrase"):
        ledger(
            f"length/{phrase.name}/{options.seconds:g}",
            partial(length.examine, phrase, options.seconds, model, judge, options.seed),
        )


if __name__ == "__main__":
    main()
