"""Which of the pulses that were found are beats, and which beats begin a bar?

Beats as found may be half or twice what people count, dotted, or lie between. So every reading is
tried: tempi in simple ratios to the one found, three beats or four, a bar's start on each half,
quarter or third of a beat. A reading folds the music at its bar and looks at what begins in each
half beat of it: deep strokes, high ones, notes, another harmony. WEIGHTS says what speaks for a
bar; `python -m evaluation.exams.hearing --fit` learned them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from engine.hearing import beats, tempo
from engine.hearing.pitches import FRAMES_PER_SECOND, NOTES

METRES = (4, 3)
# Where beats may lie after those found, and half beats after them; swung ones at two thirds.
EVEN = ((0.0, 1 / 2), (1 / 4, 1 / 2))
SHUFFLED = (*EVEN, (0.0, 2 / 3), (1 / 3, 2 / 3))
SIMPLE = dict.fromkeys((1.0, 2.0, 0.5), SHUFFLED)
RATIOS = {
    **SIMPLE,
    **dict.fromkeys((2 / 3, 3 / 2, 3 / 4, 4 / 3, 4 / 5, 5 / 4), EVEN),
}  # of a beat as people count to the beat as found -> places
SAME_TEMPO = {1.0: SHUFFLED}
# with so much of all strokes on the beats as found, no dotted reading of them is tried
PLAIN_SHARE = 0.8
SHORTEST_SECONDS, LONGEST_SECONDS = 60 / 190, 60 / 50
# below about 150 Hz, above about 4 kHz, at 32 kHz
LOW_BANDS, HIGH_BANDS = slice(0, 5), slice(-6, None)
REACH_FRAMES = 3  # a stroke may be so early or late
BASS_BELOW = 53  # MIDI
CLUES = ("stroke", "low", "high", "notes", "bass", "harmony", "bass line", "slow harmony")
# Columns are CLUES, rows the half beats of a bar from its line on.
WEIGHTS = {
    4: (
        (0.86, 0.08, 0.32, 0.73, -0.39, 0.24, 0.16, 0.38),
        (0.44, -0.35, 0.38, -0.05, -0.04, -0.31, 0.16, -0.05),
        (0.12, 0.13, 0.33, -0.22, 0.03, -0.51, -0.16, 0.18),
        (-0.18, 0.49, 0.10, 0.53, 0.33, -0.44, -0.11, -0.55),
        (-0.36, 0.58, 0.15, -0.35, -0.20, 0.26, 0.40, -0.27),
        (-0.16, -0.17, 0.47, 0.29, 0.25, -0.32, -0.02, -0.60),
        (0.58, -0.19, -0.12, -0.51, 0.29, -0.40, 0.28, -0.02),
        (0.18, -0.12, 0.02, -0.36, 0.45, -0.12, 0.06, 0.40),
    ),
    3: (
        (0.79, 0.26, 0.30, 0.16, 0.05, 0.53, 0.29, 0.20),
        (-0.50, 0.03, -0.15, -0.49, 0.08, 0.00, 0.19, -0.31),
        (0.31, -0.26, 0.12, 0.11, -0.19, -0.36, 0.00, -0.20),
        (-0.16, 0.04, 0.16, 0.27, -0.06, -0.41, -0.25, -0.46),
        (0.41, 0.28, 0.65, -0.27, -0.24, -0.05, -0.10, -0.02),
        (-0.19, 0.11, 0.14, -0.09, 0.32, -0.20, -0.12, 0.39),
    ),
}
GENERAL_WEIGHTS = (
    -1.10,  # three beats a bar
    1.70,  # octaves above LIKELY_BPM
    -1.93,  # the same squared
    1.12,  # how well the period explains the music
    1.15,  # the tempo is the one found
    0.37,  # the place is
    -5.0,  # strokes fall between the beats alone: by far
)
EMPTY = 0.8  # deviations that half beats may be struck harder than beats, as off-beat chords are


class Reading(NamedTuple):
    """Ways to count that differ in the half beat where a bar begins."""

    ratio: float  # of its beat to the beat as found
    shift: float  # of its first half beat from the first beat as found, in its beats
    beats_per_bar: int
    period_seconds: float
    halves_seconds: np.ndarray  # its half beats, from the first on that the beats as found cover
    folded: np.ndarray  # [half beats of a bar, CLUES]: means over the bars


class Bars(NamedTuple):
    beats_seconds: np.ndarray
    first_bar: int
    beats_per_bar: int
    confidence: float  # 0..1


class Onsets:
    """What begins when: curves that can be asked for any times."""

    def __init__(self, rises: np.ndarray, notes: np.ndarray, seconds: float):
        """`rises` of tempo.rises; `notes` [frames, NOTES] of pitches.find_pitches."""
        bands = (rises, rises[:, LOW_BANDS], rises[:, HIGH_BANDS])
        strokes = [tempo.standing_out(band.mean(axis=1)) for band in bands]
        self._strokes, self._curves = strokes[0], [_widened(curve) for curve in strokes]
        loud = np.sqrt(notes)
        self._sums = np.concatenate([np.zeros((1, loud.shape[1])), np.cumsum(loud, axis=0)])
        self._seconds = seconds

    def at(self, times: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
        """(CLUES at each time [n, CLUES], is it inside the region?

        [n]); `period` is that of a beat.
        """
        places = np.round((times + beats.ONSET_LAG_SECONDS) * tempo.FRAMES_PER_SECOND).astype(int)
        columns = [curve[places.clip(0, len(curve) - 1)] for curve in self._curves]
        grown = np.maximum(self._mean(times, 0.5 * period) - self._mean(times, -0.5 * period), 0)
        low = NOTES < BASS_BELOW
        columns += [grown.sum(axis=1), grown[:, low].sum(axis=1)]
        columns += [
            self._change(times, period),
            self._change(times, period, low),
            self._change(times, 2 * period),
        ]
        inside = (times > -0.02) & (times < self._seconds - 0.05)
        return np.stack(columns, axis=1), inside

    def share_on(self, times: np.ndarray) -> float:
        """How much of all strokes falls on these times, 0..1."""
        places = np.round((times + beats.ONSET_LAG_SECONDS) * tempo.FRAMES_PER_SECOND).astype(int)
        near = np.unique(places[:, None] + np.arange(-REACH_FRAMES, REACH_FRAMES + 1))
        near = near[(near >= 0) & (near < len(self._strokes))]
        return float(self._strokes[near].sum() / max(float(self._strokes.sum()), 1e-9))

    def _mean(self, times: np.ndarray, span: float) -> np.ndarray:
        """Mean loudness of each note in the `span` after (before, where negative) each time,
        attacks apart.
        """
        gap = np.copysign(min(0.03, 0.2 * abs(span)), span)
        edges = np.sort([times + gap, times + span], axis=0)
        first, last = (edges * FRAMES_PER_SECOND + 0.5).clip(0, len(self._sums) - 1)
        return (self._sum_to(last) - self._sum_to(first)) / np.maximum(last - first, 0.3)[:, None]

    def _sum_to(self, place: np.ndarray) -> np.ndarray:
        whole = np.minimum(place.astype(int), len(self._sums) - 2)
        return self._sums[whole] + (place - whole)[:, None] * (
            self._sums[whole + 1] - self._sums[whole]
        )

    def _change(
        self, times: np.ndarray, span: float, which: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """How unlike the pitch classes before and after are, 0..1."""
        fold = np.eye(12)[NOTES % 12][which]
        before, after = (self._mean(times, way * span)[:, which] @ fold for way in (-1, 1))
        lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        return np.where(
            lengths > 1e-9, 1 - (before * after).sum(axis=1) / np.maximum(lengths, 1e-9), 0.0
        )


def find_bars(
    found: beats.Beats,
    onsets: Onsets,
    seconds: float,
    ratios: Mapping[float, tuple[tuple[float, float], ...]] = RATIOS,
) -> Bars:
    """The most convincing way to count beats as found, as beats and bars of its own."""
    if onsets.share_on(found.seconds) > PLAIN_SHARE:
        ratios = {ratio: ratios[ratio] for ratio in ratios if ratio in SIMPLE}
    read = list(readings(found.seconds, onsets, ratios))
    scores = [clues(reading, found.scores) @ _weights(reading.beats_per_bar) for reading in read]
    chances = np.exp(np.concatenate(scores) - max(float(part.max()) for part in scores))
    chosen = max(range(len(read)), key=lambda index: scores[index].max())
    reading, first = read[chosen], int(scores[chosen].argmax())
    times = reading.halves_seconds[first % 2 :: 2]
    covering = beats.covering(times, reading.period_seconds, seconds)
    bar = reading.halves_seconds[first] if first < len(reading.halves_seconds) else times[0]
    place = int(np.abs(covering - bar).argmin()) % reading.beats_per_bar
    return Bars(covering, place, reading.beats_per_bar, float(chances.max() / chances.sum()))


def readings(
    found: np.ndarray,
    onsets: Onsets,
    ratios: Mapping[float, tuple[tuple[float, float], ...]] = RATIOS,
) -> Iterator[Reading]:
    """Every way to count the beats as found [n + 1]."""
    places, period = np.arange(len(found)), float(np.median(np.diff(found)))
    usual, inside = onsets.at(np.interp(np.arange(0, len(found) - 1, 0.25), places, found), period)
    mean, spread = _spread(usual[inside])
    for ratio, places_in_beat in ratios.items():
        if ratio != 1 and not SHORTEST_SECONDS <= ratio * period <= LONGEST_SECONDS:
            continue
        for shift, half in places_in_beat:
            whole = np.arange(ratio * shift, len(found) - 1 + 1e-9, ratio)
            halves = np.stack([whole, whole + ratio * half], axis=1).ravel()
            halves = np.interp(halves[halves < len(found) - 1 + 1e-9], places, found)
            values, inside = onsets.at(halves, ratio * period)
            values = np.where(inside[:, None], (values - mean) / spread, 0.0)
            for metre in METRES:
                yield Reading(
                    ratio, shift, metre, ratio * period, halves, _folded(values, inside, 2 * metre)
                )


def clues(reading: Reading, scores: np.ndarray) -> np.ndarray:
    """What there is to weigh for each half beat as a bar's first: [half beats, half beats * CLUES +
    GENERAL].

    `scores`: how well each of beats.PERIODS explains the music.
    """
    length = len(reading.folded)
    turned = reading.folded[(np.arange(length)[:, None] + np.arange(length)) % length]
    strokes = turned[:, :, 0]
    empty = np.maximum(strokes[:, 1::2].mean(axis=1) - strokes[:, ::2].mean(axis=1) - EMPTY, 0)
    octaves = np.log2(60 / reading.period_seconds / beats.LIKELY_BPM)
    explained = np.interp(reading.period_seconds, beats.PERIODS, scores)
    general = (
        reading.beats_per_bar == 3,
        octaves,
        octaves**2,
        explained,
        reading.ratio == 1,
        reading.shift == 0,
    )
    same = np.broadcast_to(np.array(general, float), (length, len(general)))
    return np.concatenate([turned.reshape(length, -1), same, empty[:, None]], axis=1)


def _folded(values: np.ndarray, inside: np.ndarray, length: int) -> np.ndarray:
    """Means over all rows a multiple of `length` apart: [length, CLUES]."""
    missing = -len(values) % length
    values, inside = np.pad(values, ((0, missing), (0, 0))), np.pad(inside, (0, missing))
    counts = inside.reshape(-1, length).sum(axis=0)
    return values.reshape(-1, length, values.shape[1]).sum(axis=0) / np.maximum(counts, 1)[:, None]


def _spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, deviation) of each column; what does not vary counts as equal."""
    if not len(values):
        return np.zeros(len(CLUES)), np.ones(len(CLUES))
    mean = values.mean(axis=0)
    return mean, np.maximum(values.std(axis=0), 1e-6 + 0.02 * np.abs(mean))


def _widened(curve: np.ndarray) -> np.ndarray:
    """At each frame the most within REACH_FRAMES either way."""
    if not len(curve):
        return np.zeros(1)
    padded = np.pad(curve, REACH_FRAMES)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH_FRAMES + 1).max(axis=1)


def _weights(metre: int) -> np.ndarray:
    return np.concatenate([np.array(WEIGHTS[metre]).ravel(), GENERAL_WEIGHTS])
