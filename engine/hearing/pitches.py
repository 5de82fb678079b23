"""Which notes sound? A rough transcription of any audio, good enough to tell chords and keys.

    spectrum (280 ms windows) -> three bins a semitone, in the region's own tuning
    -> less its background (drums, air)
    -> nonnegative least squares over notes with decaying harmonics

After Mauch and Dixon 2010, "Approximate Note Transcription for the Improved Identification of
Difficult Chords": a fifth or third that nobody plays goes away, because it is explained as a
harmonic of the note below.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

ENOUGH_HZ = 10_500  # twice what the highest bin needs, and room for the filter
WINDOW_SECONDS = 0.28  # tells semitones apart from about 120 Hz; below, harmonics do
FRAMES_PER_SECOND = 20
BLOCK_FRAMES = 256
LOWEST_NOTE, HIGHEST_NOTE = 28, 96  # 41 Hz to 2093 Hz
BINS_PER_SEMITONE = 3
# up to an octave above the highest note
BINS = (HIGHEST_NOTE + 13 - LOWEST_NOTE) * BINS_PER_SEMITONE
BACKGROUND_BINS = 9 * BINS_PER_SEMITONE  # either way
HARMONICS, HARMONIC_DECAY = 12, 0.75
ROUNDS = 40  # of the multiplicative updates
NOTES = np.arange(LOWEST_NOTE, HIGHEST_NOTE + 1)


def find_pitches(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """How loud each of NOTES sounds in [samples]: [frames, NOTES], FRAMES_PER_SECOND of them."""
    slow, slow_hz = _slow_down(np.asarray(mono, np.float32), rate_hz)
    size = 256 * max(1, round(WINDOW_SECONDS * slow_hz / 256))
    level = _log_frequency(slow, slow_hz, size)
    level = _shift(level, _tuning(level) * BINS_PER_SEMITONE)
    level = np.maximum(level - _background(level), 0)
    return _explain(level, _notes(size, slow_hz))


def _slow_down(mono: np.ndarray, rate_hz: int) -> tuple[np.ndarray, float]:
    """The samples at an n-th of their rate, at least ENOUGH_HZ: their spectra cost less."""
    factor = max(1, int(rate_hz // ENOUGH_HZ))
    if factor == 1:
        return mono, rate_hz
    reach = 4 * factor
    kernel = (
        np.sinc(np.arange(-reach, reach + 1) / factor) * np.hanning(2 * reach + 3)[1:-1] / factor
    )
    padded, count = np.pad(mono, reach), -(-len(mono) // factor)
    padded = np.pad(padded, (0, count * factor + 2 * reach - len(padded) + 1))
    slow = np.zeros(count, np.float32)
    for tap, weight in enumerate(kernel.astype(np.float32)):
        slow += weight * padded[tap : tap + count * factor : factor]
    return slow, rate_hz / factor


def _log_frequency(mono: np.ndarray, rate_hz: float, size: int) -> np.ndarray:
    """Magnitude [frames, BINS], bin b at note LOWEST_NOTE + b / BINS_PER_SEMITONE."""
    filters = _filters(size, rate_hz)
    padded = np.pad(mono, size // 2)
    starts = np.arange(0, max(1, len(mono)), rate_hz / FRAMES_PER_SECOND).astype(int)
    views = np.lib.stride_tricks.sliding_window_view(padded, size)
    starts = np.minimum(starts, len(views) - 1)
    window = np.hanning(size).astype(np.float32)
    level = np.empty((len(starts), BINS), np.float32)
    for first in range(0, len(starts), BLOCK_FRAMES):
        block = views[starts[first : first + BLOCK_FRAMES]] * window
        level[first : first + BLOCK_FRAMES] = (
            np.abs(np.fft.rfft(block, axis=1)[:, : filters.shape[1]]) @ filters.T
        )
    return level


@lru_cache(maxsize=4)
def _filters(size: int, rate_hz: float) -> np.ndarray:
    """Triangles a third of a semitone apart, no narrower than a bin: [BINS, spectrum bins]."""
    bin_hz = rate_hz / size
    centres = _bin_hz(np.arange(-1, BINS + 1))
    count = min(size // 2 + 1, int(centres[-1] / bin_hz) + 2)
    frequencies = np.arange(count) * bin_hz
    lower, centre, upper = centres[:-2, None], centres[1:-1, None], centres[2:, None]
    rise = (frequencies - centre) / np.maximum(centre - lower, bin_hz) + 1
    fall = (centre - frequencies) / np.maximum(upper - centre, bin_hz) + 1
    triangles = np.maximum(np.minimum(rise, fall), 0)
    return (triangles / np.maximum(triangles.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _bin_hz(bins: np.ndarray) -> np.ndarray:
    return 440 * 2 ** ((LOWEST_NOTE + bins / BINS_PER_SEMITONE - 69) / 12)


def _tuning(level: np.ndarray) -> float:
    """How far the region is from 440 Hz, in semitones (Mauch and Dixon)."""
    profile = level.sum(axis=0)[12 * BINS_PER_SEMITONE :]
    profile = np.maximum(profile - np.convolve(profile, np.ones(7) / 7, "same"), 0)
    wave = np.exp(2j * np.pi * np.arange(len(profile)) / BINS_PER_SEMITONE)
    return float(np.angle(profile @ wave) / (2 * np.pi)) if profile.any() else 0.0


def _shift(level: np.ndarray, bins: float) -> np.ndarray:
    """The spectrum moved down by so many bins, with linear interpolation."""
    whole = int(np.floor(bins))
    part = np.float32(bins - whole)
    padded = np.pad(level, ((0, 0), (2, 3)), mode="edge")
    start = 2 + whole
    return (1 - part) * padded[:, start : start + BINS] + part * padded[
        :, start + 1 : start + 1 + BINS
    ]


def _background(level: np.ndarray) -> np.ndarray:
    """The mean over BACKGROUND_BINS either way: noise is even there, and notes stand out."""
    reach = BACKGROUND_BINS
    sums = np.cumsum(
        np.pad(level, ((0, 0), (reach + 1, reach)), mode="edge"), axis=1, dtype=np.float64
    )
    return ((sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1]) / (2 * reach + 1)).astype(
        np.float32
    )


@lru_cache(maxsize=4)
def _notes(size: int, rate_hz: float) -> np.ndarray:
    """What a note of each pitch looks like in our spectrum, at unit length: [notes, BINS]."""
    filters = _filters(size, rate_hz)
    bins = np.arange(filters.shape[1])
    shapes = np.zeros((len(NOTES), filters.shape[1]))
    for row, note in enumerate(NOTES):
        for harmonic in range(1, HARMONICS + 1):
            place = 440 * 2 ** ((note - 69) / 12) * harmonic * size / rate_hz
            away = np.clip(np.abs(bins - place), 0, 2)
            # about Hann's main lobe
            shapes[row] += HARMONIC_DECAY ** (harmonic - 1) * np.cos(np.pi * away / 4) ** 4
    pictures = shapes @ filters.T
    return (pictures / np.linalg.norm(pictures, axis=1, keepdims=True)).astype(np.float32)


def _explain(level: np.ndarray, notes: np.ndarray) -> np.ndarray:
    """Nonnegative weights [frames, notes] whose notes add up to the spectrum (Lee and Seung)."""
    level = level / max(float(np.linalg.norm(level, axis=1).max()), 1e-9)
    target, mixing = level @ notes.T, notes @ notes.T
    weights = target.copy()
    for _ in range(ROUNDS):
        weights *= target / (weights @ mixing + 1e-6)
    return weights
