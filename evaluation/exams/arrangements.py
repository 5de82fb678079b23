"""What do the two examinations of arrangements share? Their options, their frame, their pieces."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from engine.arranging.compose import Arrangement
from engine.errors import EngineError
from evaluation.corpus.arrangements import RATE_HZ, TUNE
from evaluation.corpus.recordings import read_recordings
from evaluation.methods.models import ArrangingModel, Nano
from evaluation.metrics.judge import Judge
from evaluation.metrics.sound import Sound
from evaluation.reporting.command import (
    CHECK,
    JSON,
    RECORDINGS,
    WEIGHTS,
    check_recordings,
    ignore_librosa_warnings,
    make_parser,
    open_console,
    option,
    print_error,
    track,
    write_json,
)
from evaluation.reporting.tables import Goal, goals_table

if TYPE_CHECKING:
    from rich.console import Console


Item = TypeVar("Item")

SECONDS = 15.0
TABLE_WIDTH = 130  # in files and pipes
SOURCES = {  # what the model hears, of those parts that are not asked for
    "melody alone": (TUNE,),
    "melody and chords": (TUNE, "chords"),
    "full mix": (TUNE, "chords", "bass", "drums"),
}


@dataclass(frozen=True)
class Exam:
    """One run: its options, the model, the judge, where to print, and what is found."""

    options: argparse.Namespace
    model: ArrangingModel
    judge: Judge
    console: Console
    report: dict[str, Any] = field(default_factory=dict)

    def track(self, rows: Iterable[Item], total: int | None, title: str) -> list[Item]:
        """All rows, with a bar."""
        return list(track(self.console, rows, title, total))

    def read_recordings(self) -> Iterator[tuple[str, Sound]]:
        """(name, sound) of each recording, cut to the length of a region."""
        frames = round(self.options.seconds * RATE_HZ)
        for name, sound in read_recordings(self.options.recordings):
            yield name, Sound(sound.samples[:frames], RATE_HZ)


def run_exam(
    name: str,
    description: str | None,
    count: int,
    argv: Sequence[str] | None,
    model: ArrangingModel | None,
    judge_name: str,
    examine: Callable[[Exam], list[Goal]],
) -> int:
    """Load, examine, print, write; the exit code. `count`: default of --arrangements."""
    prog = f"retimbre eval {name}"
    options = make_parser(prog, description, _options(count)).parse_args(argv)
    ignore_librosa_warnings()
    if not check_recordings(prog, options.recordings):
        return 2
    console = open_console(options.json, TABLE_WIDTH)
    try:
        model = model or Nano(options.weights)
        report = {"schema": 1, "seed": options.seed, "model": model.describe(), "skipped": []}
        goals = examine(Exam(options, model, Judge.load(name=judge_name), console, report))
    except (FileNotFoundError, EngineError) as error:
        print_error(prog, error)
        return 1
    report["goals"] = [goal.to_dict() for goal in goals]
    console.print(goals_table(report["goals"]))
    write_json(report, options.json)
    return 1 if options.check and not all(goal.is_reached for goal in goals) else 0


def _options(count: int) -> tuple:
    # fmt: off
    return (
        option("--arrangements", f"0 for none (default {count})", dest="count", type=int,
               default=count, metavar="N"),
        RECORDINGS,
        option("--seconds", f"of a region (default {SECONDS:g})", type=float, default=SECONDS),
        option("--seed", "of pieces and stems (default 0)", type=int, default=0),
        WEIGHTS,
        JSON,
        CHECK,
    )
    # fmt: on


def legal_pitch_classes(piece: Arrangement) -> list[tuple[float, set[int]]]:
    """(seconds, pitch classes) of each beat: the key and the beat's chord."""
    own, grid = set(piece.grid.key.pitch_classes), piece.grid
    starts = zip(grid.beats_seconds[:-1], grid.chords, strict=True)
    return [(start, own | set(chord.pitch_classes if chord else ())) for start, chord in starts]
