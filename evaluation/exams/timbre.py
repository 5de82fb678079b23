"""Judge timbre transfer: instrument, notes, timing and sound, each beside its ceilings.

  (a) is it the instrument that was asked for? (b) are the notes kept? (c) is the timing kept?
  (d) is it near the true rendering? (e) the same on --recordings, and there (f): is the melody kept?

Definitions: docs/evaluation.md. The same seed gives the same scores, pairs and words.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.methods.subject import Subject

KNOB_VALUES = {  # one at a time, the others at the family's defaults
    "steps": (2, 4, 8, 16),
    "guidance": (1.0, 1.5, 2.0, 3.0),
    "strength": (0.5, 0.75, 1.0, 1.25),
    "pooling": (1, 2, 4, 8),
}
TABLE_WIDTH = 120  # in files and pipes
WHOLE_NUMBERS = ("steps", "pooling", "seed")


def main(argv: Sequence[str] | None = None, subject: Subject | None = None) -> int:
    """0: examined (with --check: and every goal reached), 1: not, 2: wrong use. Examines nano if
    not told what.
    """
    options = _parser().parse_args(argv)
    if options.recordings and not options.recordings.is_dir():
        print(
            f"retimbre eval timbre: {options.recordings} is not a folder: give one with audio files",
            file=sys.stderr,
        )
        return 2
    report = _examine(options, subject)
    if report is None:
        return 1
    if options.json:
        from evaluation.exams.report import plain

        text = json.dumps(plain(report), indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(
            text + "\n", encoding="utf-8"
        )
    return 1 if options.check and not all(goal["reached"] for goal in report["goals"]) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "retimbre eval timbre",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=74,
        metavar="N",
        help="unseen pairs, 0 for none (default 74: every target twice)",
    )
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="folder of real recordings")
    parser.add_argument(
        "--knobs", action="store_true", help="also sweep each knob on a third of the pairs"
    )
    parser.add_argument(
        "--melody", action="store_true", help="also ask (f) of the unseen pairs: takes minutes more"
    )
    parser.add_argument(
        "--held-out-words", action="store_true", help="also ask with words that training never said"
    )
    parser.add_argument(
        "--set",
        dest="knob_settings",
        action="append",
        default=[],
        type=_setting,
        metavar="KNOB=VALUE",
        help="examine with this knob",
    )
    parser.add_argument("--seed", type=int, default=0, help="of pairs, words and stems (default 0)")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="weights of nano (default: those that are shipped)",
    )
    parser.add_argument("--threads", type=int, default=1, help="of the model (default 1)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all figures there ('-': to stdout)"
    )
    parser.add_argument(
        "--gallery",
        type=Path,
        metavar="DIR",
        help="leave sound and a picture of the first ten pairs there",
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    return parser


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


def _examine(options: argparse.Namespace, subject: Subject | None) -> dict[str, Any] | None:
    """Everything that was asked for, printed as it ends; None if there is nothing to examine."""
    import warnings

    from rich.console import Console

    from engine.errors import EngineError
    from evaluation.exams import report as tables
    from evaluation.methods.subject import Nano
    from evaluation.metrics.judge import Judge

    warnings.filterwarnings("ignore", module="librosa")  # it comments on every short CQT octave
    console = Console(
        stderr=str(options.json) == "-", width=None if sys.stdout.isatty() else TABLE_WIDTH
    )
    try:
        judge, subject = Judge.load(), subject or Nano(options.weights, options.threads)
    except (FileNotFoundError, EngineError) as error:
        print(f"retimbre eval timbre: {error}", file=sys.stderr)
        return None
    knobs = {"seed": options.seed, **dict(options.knob_settings)}
    report: dict[str, Any] = {
        "schema": 1,
        "seed": options.seed,
        "knobs_set": knobs,
        "model": subject.describe(),
        "judge": judge.card,
        "skipped": [],
    }
    if options.pairs:
        _unseen_parts(report, options, subject, judge, knobs, console)
    if options.recordings:
        report["recordings"] = _recordings(options.recordings, subject, judge, knobs, console)
    report["goals"] = [goal.plain() for goal in tables.goals(report)]
    tables.print_report(console, report)
    return report


def _unseen_parts(report, options, subject, judge, knobs, console) -> None:
    """Fills in unseen, held_out_words and knobs, or says why they are skipped."""
    from evaluation.exams.unseen import Stage

    try:
        stage = Stage()
    except (FileNotFoundError, ImportError) as error:
        report["skipped"].append(f"unseen scores: {error}")
        return
    try:
        report["unseen"] = _unseen(options, stage, subject, judge, knobs, console)
        if options.held_out_words:
            report["held_out_words"] = _held_out_words(
                options, stage, subject, judge, knobs, console
            )
        if options.knobs:
            report["knobs"] = _sweep(options, stage, subject, judge, knobs, console)
    finally:
        stage.close()


def _unseen(options, stage, subject, judge, knobs, console) -> dict[str, Any]:
    from evaluation.exams import unseen

    results = []
    for index, (pair, sounds) in enumerate(
        _track(console, unseen.played(stage, options.pairs, options.seed), "unseen pairs")
    ):
        results.append(unseen.examine_pair(subject, judge, pair, sounds, knobs, options.melody))
        if options.gallery and index < 10:
            _hang(options.gallery, index, pair, sounds, subject, knobs)
    return {
        "soundfont": stage.soundfont,
        "pairs": len(results),
        "rows": unseen.summary(results),
        "per_target": unseen.per_target(results),
        "results": results,
    }


def _held_out_words(options, stage, subject, judge, knobs, console) -> dict[str, Any]:
    from evaluation.exams import unseen

    results = []
    for pair, sounds in _track(
        console,
        unseen.played(stage, options.pairs, options.seed + 1, held_out_words=True),
        "held-out words",
    ):
        heard = judge.name(subject.stem(sounds["source"], pair.text, knobs))
        results.append({"text": pair.text, "target": pair.target, "heard": heard})
    accuracy = unseen.mean_and_error([item["heard"] == item["target"] for item in results])
    return {"pairs": len(results), "accuracy": accuracy, "results": results}


def _sweep(options, stage, subject, judge, knobs, console) -> dict[str, Any]:
    from evaluation.exams import unseen

    pairs = unseen.played(stage, max(1, options.pairs // 3), options.seed)
    settings = [(knob, value) for knob, values in KNOB_VALUES.items() for value in values]
    rows = []
    for knob, value in _track(console, settings, "knobs"):
        found = [
            unseen.stem_figures(subject, judge, pair, sounds, {**knobs, knob: value})
            for pair, sounds in pairs
        ]
        figures = {
            figure: unseen.mean_and_error([item[figure] for item in found]) for figure in found[0]
        }
        rows.append({"knob": knob, "value": value, "figures": figures})
    return {"pairs": len(pairs), "rows": rows}


def _recordings(folder: Path, subject, judge, knobs, console) -> dict[str, Any]:
    from evaluation.exams import recordings

    sources = list(recordings.read_recordings(folder))
    with _progress(console) as progress:
        task = progress.add_task("recordings", total=len(sources) * len(recordings.TARGETS))
        results = [
            recordings.examine_recording(
                subject, judge, name, source, knobs, lambda: progress.advance(task)
            )
            for name, source in sources
        ]
    return {"summary": recordings.summary(results), "results": results}


def _hang(folder: Path, index: int, pair, sounds, subject, knobs: Mapping[str, Any]) -> None:
    """Sound and picture of one pair: source, true rendering, stem."""
    from evaluation.exams.gallery import hang

    stem = subject.stem(sounds["source"], pair.text, knobs)
    shown = {"source": sounds["source"], "stem": stem, "true": sounds["true"]}
    hang(
        folder,
        f"{index:02d}_{pair.target.replace(' ', '_')}",
        f"{pair.text} (program {pair.source_program})",
        shown,
    )


def _progress(console):
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _track(console, items: Sequence[Any], title: str):
    with _progress(console) as progress:
        yield from progress.track(items, description=title)


if __name__ == "__main__":
    sys.exit(main())
