"""Which of the pulses that were found are beats, and which beats begin a bar?

The beats as found may be half or twice what people count, dotted, or lie between. So every metrical
hypothesis is tried: tempi in simple ratios to the one found, three beats or four, a bar's start on
each half, quarter or third of a beat. Each folds the music at its bar and collects features of what
begins in each half beat: low onsets, high ones, notes, another harmony. The learned weights say how
much each feature counts for a bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from engine.hearing import beats, learned, tempo
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
# With this share of all onset strength on the beats as found, dotted tempi are not tried.
PLAIN_SHARE = 0.8
SHORTEST_SECONDS, LONGEST_SECONDS = 60 / 190, 60 / 50
# below about 150 Hz, above about 4 kHz, at 32 kHz
LOW_BANDS, HIGH_BANDS = slice(0, 5), slice(-6, None)
REACH_FRAMES = 3  # how early or late an onset may be
BASS_BELOW = 53  # MIDI
FEATURES = ("onset", "low", "high", "notes", "bass", "harmony", "bass line", "slow harmony")
# What speaks for a hypothesis as a whole, whichever of its half beats begins the bar.
GENERAL_FEATURES = (
    "three beats a bar",
    "octaves above LIKELY_BPM",
    "the same squared",
    "how well the period explains the music",
    "the tempo is the one found",
    "the place is the one found",
    "onsets fall between the beats alone",
)
# Deviations by which off-beat onsets may be stronger than those on beats, as off-beat chords are.
EMPTY = 0.8


class MetricalHypothesis(NamedTuple):
    """A way to count beats and bars, before it is said which half beat begins a bar."""

    ratio: float  # of its beat to the beat as found
    shift: float  # of its first half beat from the first beat as found, in its beats
    beats_per_bar: int
    period_seconds: float
    halves_seconds: np.ndarray  # its half beats, from the first on that the beats as found cover
    folded: np.ndarray  # [half beats of a bar, FEATURES]: means over the bars


class Bars(NamedTuple):
    beats_seconds: np.ndarray
    first_bar: int
    beats_per_bar: int
    confidence: float  # 0..1


class Onsets:
    """How much begins at any moment: onset strength by bands, and changes of the notes."""

    def __init__(
        self, band_strength: np.ndarray, pitch_activations: np.ndarray, seconds: float
    ) -> None:
        """`band_strength` of tempo.band_onset_strength, `pitch_activations` of find_pitches."""
        bands = (band_strength, band_strength[:, LOW_BANDS], band_strength[:, HIGH_BANDS])
        curves = [tempo.above_local_mean(band.mean(axis=1)) for band in bands]
        self._strength, self._curves = curves[0], [_spread_maximum(curve) for curve in curves]
        loud = np.sqrt(pitch_activations)
        self._sums = np.concatenate([np.zeros((1, loud.shape[1])), np.cumsum(loud, axis=0)])
        self._seconds = seconds

    def at(self, times: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
        """Features at each time [n, FEATURES], and whether it is inside the region [n].

        `period`: seconds of a beat.
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
        """The share of all onset strength that falls on these times, 0..1."""
        places = np.round((times + beats.ONSET_LAG_SECONDS) * tempo.FRAMES_PER_SECOND).astype(int)
        near = np.unique(places[:, None] + np.arange(-REACH_FRAMES, REACH_FRAMES + 1))
        near = near[(near >= 0) & (near < len(self._strength))]
        return float(self._strength[near].sum() / max(float(self._strength.sum()), 1e-9))

    def _mean(self, times: np.ndarray, span: float) -> np.ndarray:
        """Mean loudness of each note in the `span` after each time, less its attack.

        A negative span lies before the time.
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
        """How unlike the pitch classes before and after each time are, 0..1."""
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
    """The most likely way to count the beats as found, with beats and bars of its own."""
    if onsets.share_on(found.seconds) > PLAIN_SHARE:
        ratios = {ratio: ratios[ratio] for ratio in ratios if ratio in SIMPLE}
    tried = list(metrical_hypotheses(found.seconds, onsets, ratios))
    scores = [
        features(hypothesis, found.scores) @ _weights(hypothesis.beats_per_bar)
        for hypothesis in tried
    ]
    chances = np.exp(np.concatenate(scores) - max(float(part.max()) for part in scores))
    chosen = max(range(len(tried)), key=lambda index: scores[index].max())
    hypothesis, first = tried[chosen], int(scores[chosen].argmax())
    times = hypothesis.halves_seconds[first % 2 :: 2]
    covering = beats.covering(times, hypothesis.period_seconds, seconds)
    bar = hypothesis.halves_seconds[first] if first < len(hypothesis.halves_seconds) else times[0]
    place = int(np.abs(covering - bar).argmin()) % hypothesis.beats_per_bar
    return Bars(covering, place, hypothesis.beats_per_bar, float(chances.max() / chances.sum()))


def metrical_hypotheses(
    found: np.ndarray,
    onsets: Onsets,
    ratios: Mapping[float, tuple[tuple[float, float], ...]] = RATIOS,
) -> Iterator[MetricalHypothesis]:
    """Every way to count the beats as found: `found`, seconds [n + 1]."""
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
                yield MetricalHypothesis(
                    ratio, shift, metre, ratio * period, halves, _fold(values, inside, 2 * metre)
                )


def features(hypothesis: MetricalHypothesis, scores: np.ndarray) -> np.ndarray:
    """Features of each half beat as a bar's first: [half beats, half beats * FEATURES + GENERAL].

    `scores`: how well each of beats.PERIODS explains the music.
    """
    length = len(hypothesis.folded)
    turned = hypothesis.folded[(np.arange(length)[:, None] + np.arange(length)) % length]
    strength = turned[:, :, 0]
    empty = np.maximum(strength[:, 1::2].mean(axis=1) - strength[:, ::2].mean(axis=1) - EMPTY, 0)
    octaves = np.log2(60 / hypothesis.period_seconds / beats.LIKELY_BPM)
    explained = np.interp(hypothesis.period_seconds, beats.PERIODS, scores)
    general = (
        hypothesis.beats_per_bar == 3,
        octaves,
        octaves**2,
        explained,
        hypothesis.ratio == 1,
        hypothesis.shift == 0,
    )
    same = np.broadcast_to(np.array(general, float), (length, len(general)))
    return np.concatenate([turned.reshape(length, -1), same, empty[:, None]], axis=1)


def _fold(values: np.ndarray, inside: np.ndarray, length: int) -> np.ndarray:
    """Means over the rows that lie a multiple of `length` apart: [length, FEATURES]."""
    missing = -len(values) % length
    values, inside = np.pad(values, ((0, missing), (0, 0))), np.pad(inside, (0, missing))
    counts = inside.reshape(-1, length).sum(axis=0)
    return values.reshape(-1, length, values.shape[1]).sum(axis=0) / np.maximum(counts, 1)[:, None]


def _spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column; a column that does not vary gets a small deviation."""
    if not len(values):
        return np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    mean = values.mean(axis=0)
    return mean, np.maximum(values.std(axis=0), 1e-6 + 0.02 * np.abs(mean))


def _spread_maximum(curve: np.ndarray) -> np.ndarray:
    """At each frame the maximum within REACH_FRAMES either way."""
    if not len(curve):
        return np.zeros(1)
    padded = np.pad(curve, REACH_FRAMES)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH_FRAMES + 1).max(axis=1)


def _weights(metre: int) -> np.ndarray:
    tables = learned.tables()
    return np.concatenate([tables.bars[metre].ravel(), tables.bars_general])
