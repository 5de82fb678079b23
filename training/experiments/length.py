"""Ten minutes of one phrase, again and again: does the sound drift, and can the windows be heard?

phrase |----4.7 s----|----4.7 s----| ...     the same notes, never at the same place of a window
window |=====5.12 s=====|
                   |=====5.12 s=====|        sharing 1.28 s or a little more
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.families.nano.features import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, frame_count
from engine.families.nano.sampler import WINDOW_FRAMES, cut, plan_frames
from engine.hearing.music import Note
from evaluation.methods.models import RATE_HZ, EditingModel
from evaluation.metrics.judge import Judge
from evaluation.metrics.means import mean_and_error
from evaluation.metrics.mel import log_mel
from evaluation.metrics.similarity import chroma_similarity, log_mel_distance
from evaluation.metrics.sound import Sound
from training.experiments.knobs import centroid_hz

PHRASE_SECONDS = 4.7
MEL_FRAMES_PER_SECOND = 100
BORDER_FRAMES = 4  # either way: 40 ms
SEPARATE_SECONDS = 60.0  # of the control: windows that know nothing of each other


class Phrase(NamedTuple):
    """Notes of one phrase, who plays it, and what is asked."""

    name: str
    program: int
    target: str
    notes: Sequence[Note]


def _row(pitches: Sequence[int], length: float) -> tuple[Note, ...]:
    return tuple(
        Note(index * length, 0.95 * length, pitch, 90) for index, pitch in enumerate(pitches)
    )


PHRASES = (
    Phrase(
        "melody, flute to violin",
        73,
        "violin",
        _row((72, 74, 76, 79, 76, 74, 72, 67), PHRASE_SECONDS / 8),
    ),
)


def repeat_phrase(phrase: Phrase, seconds: float) -> np.ndarray:
    """The phrase by a soundfont that training never heard, over and over: mono 32 kHz."""
    from evaluation.corpus.render import UNSEEN_SOUNDFONT, Renderer, find_soundfont
    from evaluation.corpus.scores import Score

    renderer = Renderer(find_soundfont(UNSEEN_SOUNDFONT))
    once = renderer.render(Score.from_notes(phrase.notes, PHRASE_SECONDS), phrase.program)
    renderer.close()
    return np.resize(once, round(seconds * RATE_HZ))


def examine(
    phrase: Phrase, seconds: float, model: EditingModel, judge: Judge, seed: int
) -> dict[str, Any]:
    """Figures by minute; seams of the stem, of its source, of windows played separately."""
    text, knobs = f"turn this into a {phrase.target}", {"seed": seed}
    source = repeat_phrase(phrase, seconds)
    stem = model.edit(Sound(source, RATE_HZ), text, knobs).samples
    window = WINDOW_FRAMES * SAMPLES_PER_FRAME
    starts = range(0, round(min(seconds, SEPARATE_SECONDS) * RATE_HZ) - window + 1, window)
    separate = [
        model.edit(
            Sound(source[start : start + window], RATE_HZ), text, {"seed": seed + index}
        ).samples
        for index, start in enumerate(starts)
    ]
    begins, ends = borders_seconds(len(source))
    middles = (begins + ends) / 2
    return {
        "minutes": by_minute(stem, source, phrase.target, judge),
        "seams": {
            "where a window begins": seams(stem, begins),
            "in the middle of what two share": seams(stem, middles),
            "where a window ends": seams(stem, ends),
            "the source, at the same places": seams(source, middles),
            "windows played separately": seams(
                np.concatenate(separate), np.array(starts[1:]) / RATE_HZ
            ),
        },
    }


def borders_seconds(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each window but the first begins, and where the one before it ends."""
    frames = plan_frames(frame_count(samples))
    firsts = cut(np.arange(frames)[:, None], frames)[:, 0, 0]
    return firsts[1:] / FRAMES_PER_SECOND, (firsts[:-1] + WINDOW_FRAMES) / FRAMES_PER_SECOND


def by_minute(
    stem: np.ndarray, source: np.ndarray, target: str, judge: Judge
) -> list[dict[str, float]]:
    """What each minute's repetitions of the phrase are like, and how far from the first's."""
    length = round(PHRASE_SECONDS * RATE_HZ)
    rows = [
        Sound(stem[at : at + length], RATE_HZ) for at in range(0, len(stem) - length + 1, length)
    ]
    true = Sound(source[:length], RATE_HZ)
    minutes: dict[int, list[Sound]] = {}
    for index, row in enumerate(rows):
        minutes.setdefault(int(index * PHRASE_SECONDS // 60), []).append(row)
    first = minutes[0]
    return [
        {
            "level_db": float(
                np.mean([20 * np.log10(np.sqrt(np.mean(row.samples**2)) + 1e-9) for row in own])
            ),
            "centroid_hz": float(np.mean([centroid_hz(row) for row in own])),
            "accuracy": float(np.mean([judge.name(row) == target for row in own])),
            "chroma": float(np.mean([chroma_similarity(row, true) for row in own])),
            "to_first_minute": float(
                np.mean([log_mel_distance(a, b) for a in own for b in first if a is not b])
            ),
        }
        for own in minutes.values()
        if len(own) >= len(first) // 2
    ]


def seams(samples: np.ndarray, borders: np.ndarray) -> dict[str, float]:
    """How much the log-mel moves near borders (seconds), as a share of how much elsewhere."""
    mel = log_mel(Sound(samples, RATE_HZ).at(16_000))
    moves = np.abs(np.diff(mel, axis=1)).mean(axis=0)
    borders = borders[(borders > 1) & (borders < len(samples) / RATE_HZ - 1)]
    near = (borders[:, None] * MEL_FRAMES_PER_SECOND).round().astype(int) + np.arange(
        -BORDER_FRAMES, BORDER_FRAMES
    )
    elsewhere = np.ones(len(moves), bool)
    elsewhere[near] = False
    return mean_and_error((moves[near].mean(axis=1) / moves[elsewhere].mean()).tolist())


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The last minute beside the first."""
    first, last = rows[0], rows[-1]
    return {
        "level_db": last["level_db"] - first["level_db"],
        "centroid": last["centroid_hz"] / first["centroid_hz"] - 1,
        "distance_first": first["to_first_minute"],
        "distance_last": last["to_first_minute"],
        "chroma_first": first["chroma"],
        "chroma_last": last["chroma"],
    }
