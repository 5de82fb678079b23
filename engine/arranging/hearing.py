"""What a musician hears in a region before playing along: beats, bar lines, key and chords.

Every region has an answer: where there is no beat, bar or harmony to hear, a plain grid stands in and the
confidences say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine import tempo
from engine.arranging import bars, beats, harmony, pitches
from engine.arranging.music import Grid, Key

SILENCE_PEAK = 1e-4  # -80 dBFS


@dataclass(frozen=True)
class Heard:
    """A grid, and how far it can be trusted, 0 (made up) to 1, for the manifest's notes."""

    grid: Grid
    beat_confidence: float
    bar_confidence: float
    key_confidence: float


def hear(mono: np.ndarray, rate_hz: int, tempo_bpm: float = 0.0) -> Heard:
    """Beats, bars, key and chords of float samples [N]; `tempo_bpm`: if it is known. Any thread; no state."""
    seconds = len(mono) / rate_hz
    if not len(mono) or np.abs(mono).max() < SILENCE_PEAK:
        return _unheard(seconds)
    found = beats.find_beats(tempo.flux(mono, rate_hz), seconds, tempo_bpm)
    sounding = pitches.find_pitches(mono, rate_hz)
    chroma = harmony.beat_chroma(sounding.strength, found.seconds)
    key, key_confidence = harmony.find_key(chroma)
    metre = bars.find_bars(chroma, key, bars.accents(mono, rate_hz, found.seconds))
    grid = Grid(seconds, found.seconds, metre.first_bar, metre.beats_per_bar, metre.chords, key)
    return Heard(grid, found.confidence, metre.confidence, key_confidence)


def _unheard(seconds: float) -> Heard:
    times = beats.default_beats(seconds)
    return Heard(Grid(seconds, times, 0, 4, (None,) * (len(times) - 1), Key(0, "major")), 0.0, 0.0, 0.0)
