"""Judge accompaniment: is a new stem in key, on the beat and in tempo, is it free of its source, is
it the instrument?

Unseen pieces by the arranger are truly played by a soundfont that training never heard; some parts
of each go to the model with words that ask for another. Beside every figure stands that of the true
part. Definitions: docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evaluation.corpus.arrangements import RATE_HZ, TUNE, Players, perform
from evaluation.exams.report import Goal, figures_table, goals_table, plain
from evaluation.exams.unseen import mean_and_error
from evaluation.metrics.musical import (
    beat_onset_f,
    harmony_share,
    key_share,
    source_db,
    tempo_error_bpm,
)
from evaluation.metrics.similarity import Sound, chroma_similarity

if TYPE_CHECKING:
    from engine.arranging.compose import Arrangement
    from evaluation.methods.subject import Band
    from evaluation.metrics.judge import Judge

SECONDS = 15.0
TABLE_WIDTH = 130  # in files and pipes
FIRST_SEED = 50_000  # place in the seeds of tests
FLOOR_SHIFT_BEATS = 0.3  # the true part laid beside the beat: what chance gets


class Ask(NamedTuple):
    """A part that is asked for. `sounds`: the judge's names for it, where it knows the sound."""

    role: str
    text: str
    words: str  # what plays it in the true rendering
    sounds: tuple[str, ...] = ()


ASKS = (
    Ask("bass", "add a bass guitar line", "bass guitar", ("bass guitar",)),
    Ask("drums", "add drums", "standard drum kit"),
    Ask("pad", "add a soft string pad", "string ensemble", ("string ensemble", "synth pad")),
    Ask("chords", "add piano chords", "piano", ("piano",)),
    Ask("counter", "add a flute counter-melody", "flute", ("flute",)),
    Ask("arpeggio", "add a harp arpeggio", "harp", ("harp",)),
)
SOURCES = {  # what the model hears, of those parts that are not asked for
    "melody alone": (TUNE,),
    "melody and chords": (TUNE, "chords"),
    "full mix": (TUNE, "chords", "bass", "drums"),
}
FIGURES = {
    "key": "in key",
    "harmony": "in key or chord",
    "beats": "onsets on beats, F",
    "tempo": "tempo off, BPM",
    "source": "source, dB",
    "chroma": "chroma to source",
    "accuracy": "instrument",
}
ROWS = {
    "stem": "stem",
    "true": "true part",
    "shifted": "true part, 0.3 beats late",
    "copy": "the source itself",
}


def main(argv: Sequence[str] | None = None, subject: Band | None = None) -> int:
    """0: examined (with --check: and every goal reached), 1: not, 2: wrong use. Examines nano if
    not told what.
    """
    options = parser("accompaniment", __doc__, "arrangements", 36).parse_args(argv)
    return examined("accompaniment", options, subject, _examine)


def parser(
    name: str, description: str | None, counted: str, default: int
) -> argparse.ArgumentParser:
    """The options of both examinations of arrangements."""
    parser = argparse.ArgumentParser(
        f"retimbre eval {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        f"--{counted}",
        dest="count",
        type=int,
        default=default,
        metavar="N",
        help=f"0 for none (default {default})",
    )
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="folder of real recordings")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"of a region (default {SECONDS:g})"
    )
    parser.add_argument("--seed", type=int, default=0, help="of pieces and stems (default 0)")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="weights of nano (default: those that are shipped)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all figures there ('-': to stdout)"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    return parser


def examined(
    name: str, options: argparse.Namespace, subject: Band | None, examine: Callable
) -> int:
    """The frame of both examinations: load, examine, print, write; the exit code."""
    from rich.console import Console

    from engine.errors import EngineError
    from evaluation.methods.subject import Nano
    from evaluation.metrics.judge import Judge

    warnings.filterwarnings("ignore", module="librosa")  # it comments on every short CQT octave
    if options.recordings and not options.recordings.is_dir():
        print(
            f"retimbre eval {name}: {options.recordings} is not a folder: give one with audio files",
            file=sys.stderr,
        )
        return 2
    console = Console(
        stderr=str(options.json) == "-", width=None if sys.stdout.isatty() else TABLE_WIDTH
    )
    try:
        subject = subject or Nano(options.weights)
        report = {"schema": 1, "seed": options.seed, "model": subject.describe(), "skipped": []}
        goals = examine(report, options, subject, Judge, console)
    except (FileNotFoundError, EngineError) as error:
        print(f"retimbre eval {name}: {error}", file=sys.stderr)
        return 1
    report["goals"] = [goal.plain() for goal in goals]
    console.print(goals_table(report["goals"]))
    if options.json:
        text = json.dumps(plain(report), indent=1)
        print(text) if str(options.json) == "-" else options.json.write_text(
            text + "\n", encoding="utf-8"
        )
    return 1 if options.check and not all(goal.is_reached for goal in goals) else 0


def _examine(report: dict[str, Any], options, subject: Band, judges, console) -> list[Goal]:
    judge = judges.load()
    goals: list[Goal] = []
    if options.count:
        results = list(
            tracked(console, _unseen(options, subject, judge), options.count, "arrangements")
        )
        report["unseen"] = {"results": results, **summaries(results)}
        goals += _goals(report["unseen"]["rows"])
        title = f"{len(results)} unseen arrangements, unseen soundfont, mean ± standard error"
        console.print(
            figures_table(
                title, FIGURES, {ROWS[row]: own for row, own in report["unseen"]["rows"].items()}
            )
        )
        console.print(figures_table("By what was asked", FIGURES, report["unseen"]["by_ask"]))
        console.print(figures_table("By what was heard", FIGURES, report["unseen"]["by_source"]))
    if options.recordings:
        rows = list(tracked(console, _recorded(options, subject, judge), None, "recordings"))
        means = {
            f"{kind}, {row}": _means([item[row] for item in rows if item["asked"] == kind])
            for kind in dict.fromkeys(item["asked"] for item in rows)
            for row in ("stem", "source")
        }
        report["recordings"] = {"results": rows, "rows": means}
        console.print(
            figures_table("Real recordings, key and beats as librosa hears them", FIGURES, means)
        )
    return goals


def _unseen(options, subject: Band, judge: Judge) -> Iterator[dict[str, Any]]:
    """Asks and sources come round in turn, so that each meets each; genres too."""
    from engine.arranging.compose import compose
    from engine.arranging.genres import GENRES
    from evaluation.corpus.render import UNSEEN_SOUNDFONT
    from evaluation.corpus.scores import TEST_SEEDS

    players, genres, sources = Players(UNSEEN_SOUNDFONT), list(GENRES), list(SOURCES)
    for index in range(options.count):
        ask, kind = ASKS[index % len(ASKS)], sources[index // len(ASKS) % len(sources)]
        seed = TEST_SEEDS[FIRST_SEED + 1000 * options.seed + index]
        piece = compose(seed, options.seconds, genres[index % len(genres)])
        yield examine_piece(players, piece, ask, kind, subject, judge, options.seed + index)
    players.close()


def examine_piece(
    players: Players,
    piece: Arrangement,
    ask: Ask,
    kind: str,
    subject: Band,
    judge: Judge,
    seed: int,
) -> dict[str, Any]:
    """Figures of the stem, of the true part, of that part beside the beat, and of the source taken
    for the stem.
    """
    roles = [role for role in SOURCES[kind] if role != ask.role]
    played = perform(
        players, piece, [role for role in roles if role != TUNE], np.random.default_rng(seed)
    )
    source = Sound(played.mix(*roles), RATE_HZ)
    text = f"{ask.text}, {piece.genre}"
    (stem,) = subject.perform(source, text, {"seed": seed}).values()
    true = Sound(players.play(piece.parts[ask.role], ask.words, piece.grid.seconds), RATE_HZ)
    late = round(FLOOR_SHIFT_BEATS * 60 / piece.grid.tempo_bpm * RATE_HZ)
    sounds = {
        "stem": stem,
        "true": true,
        "shifted": Sound(np.roll(true.samples, late), RATE_HZ),
        "copy": source,
    }
    rows = {row: piece_figures(sound, source, piece, ask, judge) for row, sound in sounds.items()}
    named = judge.name(stem)
    return {
        "genre": piece.genre,
        "asked": ask.text,
        "heard": kind,
        "text": text,
        "named": named,
        "rows": rows,
    }


def piece_figures(
    sound: Sound, source: Sound, piece: Arrangement, ask: Ask, judge: Judge
) -> dict[str, float]:
    """Beside the truth that the piece was written from. Drums have no key, pads no beat."""
    grid, is_pitched, has_beat = piece.grid, ask.role != "drums", ask.role != "pad"
    inside = grid.beats_seconds[(grid.beats_seconds >= 0) & (grid.beats_seconds < grid.seconds)]
    nan = float("nan")
    return {
        "key": key_share(sound, grid.key.pitch_classes) if is_pitched else nan,
        "harmony": harmony_share(sound, allowed_classes(piece)) if is_pitched else nan,
        "beats": beat_onset_f(sound, inside) if has_beat else nan,
        "tempo": tempo_error_bpm(sound, grid.tempo_bpm) if has_beat else nan,
        "source": source_db(sound, source),
        "chroma": chroma_similarity(sound, source) if is_pitched else nan,
        "accuracy": float(judge.name(sound) in ask.sounds) if ask.sounds else nan,
    }


def allowed_classes(piece: Arrangement) -> list[tuple[float, set[int]]]:
    """(seconds, pitch classes) of each beat: the key and the beat's chord."""
    own, grid = set(piece.grid.key.pitch_classes), piece.grid
    starts = zip(grid.beats_seconds[:-1], grid.chords, strict=True)
    return [(start, own | set(chord.pitch_classes if chord else ())) for start, chord in starts]


def _recorded(options, subject: Band, judge: Judge) -> Iterator[dict[str, Any]]:
    """No truth: key, beats and tempo are those that librosa hears in the source."""
    from evaluation.exams.recordings import read_recordings

    for name, source in read_recordings(options.recordings):
        source = Sound(source.samples[: round(options.seconds * RATE_HZ)], RATE_HZ)
        for ask in ASKS[:3]:
            (stem,) = subject.perform(source, ask.text, {"seed": options.seed}).values()
            sounds = {"stem": stem, "source": source}
            rows = {
                row: recorded_figures(sound, source, ask, judge) for row, sound in sounds.items()
            }
            yield {"recording": name, "asked": ask.text, **rows}


def recorded_figures(sound: Sound, source: Sound, ask: Ask, judge: Judge) -> dict[str, float]:
    from engine.hearing.music import Key

    nan, is_pitched = float("nan"), ask.role != "drums" and source.key is not None
    key = Key(source.key[0], "minor" if source.key[1] else "major") if source.key else None
    return {
        "key": key_share(sound, key.pitch_classes) if key and is_pitched else nan,
        "beats": beat_onset_f(sound, source.beats_seconds) if len(source.beats_seconds) else nan,
        "source": source_db(sound, source),
        "chroma": chroma_similarity(sound, source) if is_pitched else nan,
        "accuracy": float(judge.name(sound) in ask.sounds) if ask.sounds else nan,
    }


def summaries(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means of every row, and of stems and true parts by what was asked and by what was heard."""

    def split(by: str) -> dict[str, Any]:
        names = dict.fromkeys(item[by] for item in results)
        return {
            f"{name}: {ROWS[row]}": _means(
                [item["rows"][row] for item in results if item[by] == name]
            )
            for name in names
            for row in ("stem", "true")
        }

    rows = {row: _means([item["rows"][row] for item in results]) for row in ROWS}
    return {"rows": rows, "by_ask": split("asked"), "by_source": split("heard")}


def means_of(
    figures: Iterable[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Figure -> mean and error over the rows that have it."""
    return {
        figure: mean_and_error([row.get(figure, float("nan")) for row in rows])
        for figure in figures
    }


_means = partial(means_of, FIGURES)


def _goals(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Goal]:
    stem, true = rows["stem"], rows["true"]
    on_beats = stem["beats"]["mean"] / true["beats"]["mean"]
    return [
        Goal("key agreement", stem["key"]["mean"], 0.9),
        Goal("onsets on the source's beats, share of the true part's F", on_beats, 0.85),
        Goal("tempo deviation, BPM", stem["tempo"]["mean"], 1.0, below=True),
        Goal("energy of the source in the stem, dB", stem["source"]["mean"], -20.0, below=True),
    ]


def tracked(console, rows: Iterator[Any], count: int | None, title: str) -> Iterator[Any]:
    """The rows, with a bar."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield from progress.track(rows, total=count, description=title)


if __name__ == "__main__":
    sys.exit(main())
