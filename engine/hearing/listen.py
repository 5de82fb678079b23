"""What a musician hears in a region before playing along: beats, bar lines, key and chords.

Every region has an answer. Where there is no beat, bar or harmony to hear, a plain grid takes their
place and the confidences are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.hearing import bars, beats, harmony, pitches, tempo
from engine.hearing.music import Grid, Key

SILENCE_PEAK = 1e-4  # -80 dBFS


@dataclass(frozen=True)
class HeardMusic:
    """A grid, how far it can be trusted from 0 (made up) to 1, and the notes that sound."""

    grid: Grid
    beat_confidence: float
    bar_confidence: float
    key_confidence: float
    pitch_activations: np.ndarray  # [frames, pitches.NOTES], see pitches.find_pitches


def hear(mono: np.ndarray, rate_hz: int, tempo_bpm: float = 0.0) -> HeardMusic:
    """Beats, bars, key and chords of float samples [N].

    `tempo_bpm`: if it is known; 0: not. Keeps no state; any thread may call it.
    """
    seconds = len(mono) / rate_hz
    if not len(mono) or np.abs(mono).max() < SILENCE_PEAK:
        return _plain_grid(seconds)
    strength = tempo.band_onset_strength(mono, rate_hz)
    overall = tempo.above_local_mean(strength.mean(axis=1))
    found = beats.find_beats(overall, seconds, tempo_bpm)
    pitch_activations = pitches.find_pitches(mono, rate_hz)
    onsets = bars.Onsets(strength, pitch_activations, seconds)
    known = tempo_bpm > 0 or not found.confidence
    metre = bars.find_bars(found, onsets, seconds, bars.SAME_TEMPO if known else bars.RATIOS)
    chroma = harmony.beat_chroma(pitch_activations, metre.beats_seconds)
    key, key_confidence = harmony.find_key(chroma)
    places = (np.arange(len(metre.beats_seconds) - 1) - metre.first_bar) % metre.beats_per_bar
    chords = harmony.find_chords(chroma, key, places, metre.beats_per_bar)
    grid = Grid(seconds, metre.beats_seconds, metre.first_bar, metre.beats_per_bar, chords, key)
    return HeardMusic(
        grid,
        found.confidence,
        metre.confidence if found.confidence else 0.0,
        key_confidence,
        pitch_activations,
    )


def _plain_grid(seconds: float) -> HeardMusic:
    times = beats.default_beats(seconds)
    plain = Grid(seconds, times, 0, 4, (None,) * (len(times) - 1), Key(0, "major"))
    return HeardMusic(plain, 0.0, 0.0, 0.0, np.zeros((1, len(pitches.NOTES)), np.float32))
