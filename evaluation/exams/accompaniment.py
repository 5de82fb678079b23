"""Judge accompaniment: is a stem in key and in time, free of its source, the right instrument?

Unseen pieces by the arranger are rendered with a soundfont that training never heard. Some parts of
each go to the model, with words that ask for another part. Every figure stands beside that of the
true part. Definitions: docs/evaluation.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from engine.arranging.compose import Arrangement, compose
from engine.arranging.genres import GENRES
from engine.hearing.music import Key
from evaluation.corpus.arrangements import RATE_HZ, TUNE, PartRenderer, render_parts
from evaluation.corpus.render import UNSEEN_SOUNDFONT
from evaluation.corpus.scores import TEST_SEEDS
from evaluation.exams.arrangements import SOURCES, Exam, legal_pitch_classes, run_exam
from evaluation.methods.models import ArrangingModel
from evaluation.metrics.judge import Judge
from evaluation.metrics.means import figure_means
from evaluation.metrics.musical import (
    beat_onset_f,
    harmony_share,
    key_share,
    source_db,
    tempo_error_bpm,
)
from evaluation.metrics.similarity import chroma_similarity
from evaluation.metrics.sound import Sound
from evaluation.reporting.tables import Goal, figures_table

FIRST_SEED = 50_000  # place in the seeds of tests
FLOOR_SHIFT_BEATS = 0.3  # the true part laid beside the beat: what chance gets
NAN = float("nan")


class PartRequest(NamedTuple):
    """A part that is asked for. `sounds`: the judge's names for it, where it knows the sound."""

    role: str
    text: str
    words: str  # the sound of the true rendering
    sounds: tuple[str, ...] = ()


REQUESTS = (
    PartRequest("bass", "add a bass guitar line", "bass guitar", ("bass guitar",)),
    PartRequest("drums", "add drums", "standard drum kit"),
    PartRequest(
        "pad", "add a soft string pad", "string ensemble", ("string ensemble", "synth pad")
    ),
    PartRequest("chords", "add piano chords", "piano", ("piano",)),
    PartRequest("counter", "add a flute counter-melody", "flute", ("flute",)),
    PartRequest("arpeggio", "add a harp arpeggio", "harp", ("harp",)),
)
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
_means = partial(figure_means, FIGURES)


def main(argv: Sequence[str] | None = None, model: ArrangingModel | None = None) -> int:
    """0: examined (with --check: and every goal reached), 1: not, 2: wrong use. Default: nano."""
    return run_exam("accompaniment", __doc__, 36, argv, model, "judge", _examine)


def _examine(exam: Exam) -> list[Goal]:
    goals = _examine_unseen(exam) if exam.options.count else []
    if exam.options.recordings:
        _examine_recordings(exam)
    return goals


def _examine_unseen(exam: Exam) -> list[Goal]:
    results = exam.track(_unseen_results(exam), exam.options.count, "arrangements")
    part = exam.report["unseen"] = {"results": results, **summaries(results)}
    title = f"{len(results)} unseen arrangements, unseen soundfont, mean ± standard error"
    rows = {ROWS[row]: figures for row, figures in part["rows"].items()}
    exam.console.print(figures_table(title, FIGURES, rows))
    exam.console.print(figures_table("By what was asked", FIGURES, part["by_ask"]))
    exam.console.print(figures_table("By what was heard", FIGURES, part["by_source"]))
    return _find_goals(part["rows"])


def _unseen_results(exam: Exam) -> Iterator[dict[str, Any]]:
    """Requests, sources and genres come round in turn, so that each request meets each source."""
    options, genres, sources = exam.options, list(GENRES), list(SOURCES)
    renderer = PartRenderer(UNSEEN_SOUNDFONT)
    for index in range(options.count):
        request = REQUESTS[index % len(REQUESTS)]
        source = sources[index // len(REQUESTS) % len(sources)]
        seed = TEST_SEEDS[FIRST_SEED + 1000 * options.seed + index]
        piece = compose(seed, options.seconds, genres[index % len(genres)])
        yield examine_piece(exam, renderer, piece, request, source, options.seed + index)
    renderer.close()


def examine_piece(
    exam: Exam,
    renderer: PartRenderer,
    piece: Arrangement,
    request: PartRequest,
    source_name: str,
    seed: int,
) -> dict[str, Any]:
    """Figures of the stem, of the true part on and beside the beat, and of the source itself."""
    roles = [role for role in SOURCES[source_name] if role != request.role]
    others, random = [role for role in roles if role != TUNE], np.random.default_rng(seed)
    source = Sound(render_parts(renderer, piece, others, random).mix(*roles), RATE_HZ)
    text = f"{request.text}, {piece.genre}"
    (stem,) = exam.model.arrange(source, text, {"seed": seed}).values()
    notes, grid = piece.parts[request.role], piece.grid
    true = Sound(renderer.render(notes, request.words, grid.seconds), RATE_HZ)
    late = round(FLOOR_SHIFT_BEATS * 60 / grid.tempo_bpm * RATE_HZ)
    sounds = {
        "stem": stem,
        "true": true,
        "shifted": Sound(np.roll(true.samples, late), RATE_HZ),
        "copy": source,
    }
    return {
        "genre": piece.genre,
        "asked": request.text,
        "heard": source_name,
        "text": text,
        "named": exam.judge.name(stem),
        "rows": {
            row: piece_figures(sound, source, piece, request, exam.judge)
            for row, sound in sounds.items()
        },
    }


def piece_figures(
    sound: Sound, source: Sound, piece: Arrangement, request: PartRequest, judge: Judge
) -> dict[str, float]:
    """Against the truth that the piece was written from. Drums have no key, pads no beat."""
    grid, is_pitched, has_beat = piece.grid, request.role != "drums", request.role != "pad"
    inside = grid.beats_seconds[(grid.beats_seconds >= 0) & (grid.beats_seconds < grid.seconds)]
    return {
        "key": key_share(sound, grid.key.pitch_classes) if is_pitched else NAN,
        "harmony": harmony_share(sound, legal_pitch_classes(piece)) if is_pitched else NAN,
        "beats": beat_onset_f(sound, inside) if has_beat else NAN,
        "tempo": tempo_error_bpm(sound, grid.tempo_bpm) if has_beat else NAN,
        "source": source_db(sound, source),
        "chroma": chroma_similarity(sound, source) if is_pitched else NAN,
        "accuracy": float(judge.name(sound) in request.sounds) if request.sounds else NAN,
    }


def _examine_recordings(exam: Exam) -> None:
    results = exam.track(_recordings_results(exam), None, "recordings")
    means = {
        f"{text}, {row}": _means([item[row] for item in results if item["asked"] == text])
        for text in dict.fromkeys(item["asked"] for item in results)
        for row in ("stem", "source")
    }
    exam.report["recordings"] = {"results": results, "rows": means}
    title = "Real recordings, key and beats as librosa hears them"
    exam.console.print(figures_table(title, FIGURES, means))


def _recordings_results(exam: Exam) -> Iterator[dict[str, Any]]:
    """There is no truth: key, beats and tempo are those that librosa hears in the source."""
    for name, source in exam.read_recordings():
        for request in REQUESTS[:3]:
            stems = exam.model.arrange(source, request.text, {"seed": exam.options.seed})
            (stem,) = stems.values()
            rows = {
                row: recording_figures(sound, source, request, exam.judge)
                for row, sound in {"stem": stem, "source": source}.items()
            }
            yield {"recording": name, "asked": request.text, **rows}


def recording_figures(
    sound: Sound, source: Sound, request: PartRequest, judge: Judge
) -> dict[str, float]:
    is_pitched = request.role != "drums" and source.key is not None
    key = Key(source.key[0], "minor" if source.key[1] else "major") if source.key else None
    beats = source.beats_seconds
    return {
        "key": key_share(sound, key.pitch_classes) if key and is_pitched else NAN,
        "beats": beat_onset_f(sound, beats) if len(beats) else NAN,
        "source": source_db(sound, source),
        "chroma": chroma_similarity(sound, source) if is_pitched else NAN,
        "accuracy": float(judge.name(sound) in request.sounds) if request.sounds else NAN,
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


def _find_goals(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Goal]:
    stem, true = rows["stem"], rows["true"]
    on_beats = stem["beats"]["mean"] / true["beats"]["mean"]
    return [
        Goal("key agreement", stem["key"]["mean"], 0.9),
        Goal("onsets on the source's beats, share of the true part's F", on_beats, 0.85),
        Goal("tempo deviation, BPM", stem["tempo"]["mean"], 1.0, below=True),
        Goal("energy of the source in the stem, dB", stem["source"]["mean"], -20.0, below=True),
    ]


if __name__ == "__main__":
    sys.exit(main())
