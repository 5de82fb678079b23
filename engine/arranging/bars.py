"""Where do bars begin, and have they three beats or four? The reading whose chords and accents agree best.

Every metre and every first beat is tried: chords are found under each (a change within a bar costs more than one on
its line), and beats that begin a bar should be deep and strong.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.arranging.harmony import Harmony, find_chords
from engine.arranging.music import Chord, Key

METRES = (4, 3)
PRIOR = {4: 0.0, 3: -0.05}  # a beat
ACCENT_WEIGHT = 0.3
ACCENT_SECONDS = 0.06
LOW_HZ = 160.0


class Bars(NamedTuple):
    first_bar: int
    beats_per_bar: int
    chords: tuple[Chord | None, ...]
    confidence: float  # 0..1


def accents(mono: np.ndarray, rate_hz: int, beats_seconds: np.ndarray) -> np.ndarray:
    """[beats, 2]: how much low and how much other sound begins on each beat, each over the region's spread."""
    size = round(ACCENT_SECONDS * rate_hz)
    low = max(1, round(LOW_HZ * size / rate_hz))
    window = np.hanning(size)
    padded = np.pad(np.asarray(mono, np.float64), size)
    rows = []
    for time in beats_seconds[:-1]:
        centre = size + round(float(time) * rate_hz)
        pair = [padded[max(0, start) : max(0, start) + size] for start in (centre - size, centre)]
        if any(len(part) < size for part in pair):
            rows.append((0.0, 0.0))
            continue
        before, after = (np.log1p(30 * np.abs(np.fft.rfft(part * window))) for part in pair)
        rise = np.maximum(after - before, 0)
        rows.append((rise[1 : low + 1].mean(), rise[low + 1 :].mean()))
    values = np.array(rows)
    spread = values.std(axis=0)
    return np.where(spread > 1e-9, (values - values.mean(axis=0)) / np.maximum(spread, 1e-9), 0.0)


def find_bars(harmony: Harmony, key: Key, accent: np.ndarray) -> Bars:
    """The best reading of the bars, with its chords."""
    count = len(accent)
    readings = []
    for metre in METRES:
        for first in range(min(metre, count)):
            places = (np.arange(count) - first) % metre
            chords, score = find_chords(harmony, key, places, metre)
            begins = places == 0
            value = score / count + PRIOR[metre]
            if begins.any() and not begins.all():
                value += ACCENT_WEIGHT * (accent[begins].mean(axis=0) @ (1.0, 0.3))
            readings.append((value, first, metre, tuple(chords)))
    readings.sort(key=lambda reading: -reading[0])
    best = readings[0]
    rival = next((reading for reading in readings[1:] if reading[1:3] != best[1:3]), best)
    return Bars(best[1], best[2], best[3], float(np.clip(best[0] - rival[0], 0, 1)))
