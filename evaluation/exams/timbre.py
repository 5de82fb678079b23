"""Judge timbre transfer: instrument, notes, timing and sound, each beside its ceilings.

  (a) is it the instrument that was asked for? (b) are the notes kept? (c) is the timing kept?
  (d) is it near the true rendering? (e) the same on --recordings, and (f): is the melody kept?

Definitions: docs/evaluation.md. The same seed gives the same scores, pairs and words.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from evaluation.corpus.pairs import Pair, PairRenderer, render_pairs
from evaluation.corpus.recordings import read_recordings
from evaluation.exams import recordings, unseen
from evaluation.exams.timbre_report import find_goals, print_report
from evaluation.methods.models import EditingModel, Nano
from evaluation.metrics.judge import Judge
from evaluation.metrics.means import figure_means, mean_and_error
from evaluation.metrics.sound import Sound
from evaluation.reporting.command import (
    CHECK,
    JSON,
    RECORDINGS,
    WEIGHTS,
    check_recordings,
    ignore_librosa_warnings,
    make_parser,
    make_progress,
    open_console,
    option,
    print_error,
    track,
    write_json,
)
from evaluation.reporting.gallery import save_example

if TYPE_CHECKING:
    from rich.console import Console


PROG = "retimbre eval timbre"
KNOB_VALUES = {  # one at a time, the others at the family's defaults
    "steps": (2, 4, 8, 16),
    "guidance": (1.0, 1.5, 2.0, 3.0),
    "strength": (0.5, 0.75, 1.0, 1.25),
    "pooling": (1, 2, 4, 8),
}
TABLE_WIDTH = 120  # in files and pipes
WHOLE_NUMBERS = ("steps", "pooling", "seed")
GALLERY_PAIRS = 10


@dataclass(frozen=True)
class _Exam:
    """What every part of the examination needs."""

    options: argparse.Namespace
    model: EditingModel
    judge: Judge
    knobs: Mapping[str, Any]
    console: Console


def main(argv: Sequence[str] | None = None, model: EditingModel | None = None) -> int:
    """0: examined (with --check: and every goal reached), 1: not, 2: wrong use. Default: nano."""
    options = make_parser(PROG, __doc__, OPTIONS).parse_args(argv)
    if not check_recordings(PROG, options.recordings):
        return 2
    report = _examine(options, model)
    if report is None:
        return 1
    write_json(report, options.json)
    return 1 if options.check and not all(goal["reached"] for goal in report["goals"]) else 0


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    known = (*KNOB_VALUES, "fidelity", "guidance_from", "guidance_to", "negative", "seed")
    if not equals or name not in known:
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(known)} with =VALUE, got {text!r}"
        )
    if name == "negative":
        return name, value
    return name, (int if name in WHOLE_NUMBERS else float)(value)


# fmt: off
OPTIONS = (
    option("--pairs", "unseen pairs, 0 for none (default 74: every target twice)",
           type=int, default=74, metavar="N"),
    RECORDINGS,
    option("--knobs", "also sweep each knob on a third of the pairs", action="store_true"),
    option("--melody", "also ask (f) of the unseen pairs: takes minutes more", action="store_true"),
    option("--held-out-words", "also ask with words that training never said", action="store_true"),
    option("--set", "examine with this knob", dest="knob_settings", action="append", default=[],
           type=_setting, metavar="KNOB=VALUE"),
    option("--seed", "of pairs, words and stems (default 0)", type=int, default=0),
    WEIGHTS,
    option("--threads", "of the model (default 1)", type=int, default=1),
    JSON,
    option("--gallery", "leave sound and a picture of the first ten pairs there",
           type=Path, metavar="DIR"),
    CHECK,
)
# fmt: on


def _examine(options: argparse.Namespace, model: EditingModel | None) -> dict[str, Any] | None:
    """Everything that was asked for, printed as it ends; None if there is nothing to examine."""
    ignore_librosa_warnings()
    console = open_console(options.json, TABLE_WIDTH)
    try:
        judge, model = Judge.load(), model or Nano(options.weights, options.threads)
    except (FileNotFoundError, EngineError) as error:
        print_error(PROG, error)
        return None
    knobs = {"seed": options.seed, **dict(options.knob_settings)}
    exam = _Exam(options, model, judge, knobs, console)
    report: dict[str, Any] = {
        "schema": 1,
        "seed": options.seed,
        "knobs_set": knobs,
        "model": model.describe(),
        "judge": judge.card,
        "skipped": [],
    }
    if options.pairs:
        report |= _examine_unseen_parts(exam, report["skipped"])
    if options.recordings:
        report["recordings"] = _examine_recordings(exam)
    report["goals"] = [goal.to_dict() for goal in find_goals(report)]
    print_report(console, report)
    return report


def _examine_unseen_parts(exam: _Exam, skipped: list[str]) -> dict[str, Any]:
    """The parts on unseen scores that were asked for; `skipped` says why there are none."""
    try:
        renderer = PairRenderer()
    except (FileNotFoundError, ImportError) as error:
        skipped.append(f"unseen scores: {error}")
        return {}
    try:
        parts = {"unseen": _examine_unseen(exam, renderer)}
        if exam.options.held_out_words:
            parts["held_out_words"] = _examine_words(exam, renderer)
        if exam.options.knobs:
            parts["knobs"] = _sweep_knobs(exam, renderer)
        return parts
    finally:
        renderer.close()


def _examine_unseen(exam: _Exam, renderer: PairRenderer) -> dict[str, Any]:
    options, results = exam.options, []
    pairs = render_pairs(renderer, options.pairs, options.seed)
    for index, (pair, sounds) in enumerate(track(exam.console, pairs, "unseen pairs")):
        results.append(
            unseen.examine_pair(exam.model, exam.judge, pair, sounds, exam.knobs, options.melody)
        )
        if options.gallery and index < GALLERY_PAIRS:
            _save_example(exam, index, pair, sounds)
    return {
        "soundfont": renderer.soundfont,
        "pairs": len(results),
        "rows": unseen.summary(results),
        "per_target": unseen.per_target(results),
        "results": results,
    }


def _examine_words(exam: _Exam, renderer: PairRenderer) -> dict[str, Any]:
    """Words that training never used: does the judge hear what they mean?"""
    options, results = exam.options, []
    pairs = render_pairs(renderer, options.pairs, options.seed + 1, held_out_words=True)
    for pair, sounds in track(exam.console, pairs, "held-out words"):
        heard = exam.judge.name(exam.model.edit(sounds["source"], pair.text, exam.knobs))
        results.append({"text": pair.text, "target": pair.target, "heard": heard})
    accuracy = mean_and_error([item["heard"] == item["target"] for item in results])
    return {"pairs": len(results), "accuracy": accuracy, "results": results}


def _sweep_knobs(exam: _Exam, renderer: PairRenderer) -> dict[str, Any]:
    pairs = render_pairs(renderer, max(1, exam.options.pairs // 3), exam.options.seed)
    settings = [(knob, value) for knob, values in KNOB_VALUES.items() for value in values]
    rows = []
    for knob, value in track(exam.console, settings, "knobs"):
        knobs = {**exam.knobs, knob: value}
        found = [unseen.stem_figures(exam.model, exam.judge, *pair, knobs) for pair in pairs]
        rows.append({"knob": knob, "value": value, "figures": figure_means(found[0], found)})
    return {"pairs": len(pairs), "rows": rows}


def _examine_recordings(exam: _Exam) -> dict[str, Any]:
    sources = list(read_recordings(exam.options.recordings))
    with make_progress(exam.console) as progress:
        task = progress.add_task("recordings", total=len(sources) * len(recordings.TARGETS))
        results = [
            recordings.examine_recording(
                exam.model, exam.judge, name, source, exam.knobs, lambda: progress.advance(task)
            )
            for name, source in sources
        ]
    return {"summary": recordings.summary(results), "results": results}


def _save_example(exam: _Exam, index: int, pair: Pair, sounds: Mapping[str, Sound]) -> None:
    """Sound and picture of one pair: source, stem, true rendering."""
    stem = exam.model.edit(sounds["source"], pair.text, exam.knobs)
    shown = {"source": sounds["source"], "stem": stem, "true": sounds["true"]}
    name = f"{index:02d}_{pair.target.replace(' ', '_')}"
    title = f"{pair.text} (program {pair.source_program})"
    save_example(exam.options.gallery, name, title, shown)


if __name__ == "__main__":
    sys.exit(main())
