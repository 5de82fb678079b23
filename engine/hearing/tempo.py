"""How fast is it, and is the stem in time with its source?

Onset strength is the log spectral flux at 100 frames a second. The tempo is the lag at which it
resembles itself most, with a gentle preference for 120. These are cheap measurements for the
manifest and no promises: rubato has no tempo. Numpy alone.
"""

from __future__ import annotations

import numpy as np

FRAMES_PER_SECOND = 100
WINDOW_SECONDS = 0.016
SLOWEST_BPM, FASTEST_BPM, LIKELY_BPM = 40.0, 240.0, 120.0
LIKELY_OCTAVES = 1.0
MIN_TEMPO_SECONDS = 3.0
MIN_PERIODICITY = 0.1  # of the onset strength's own power; below, there is no beat to speak of
MATCH_SECONDS = 0.07
MIN_MATCHES = 3
BANDS = 24
BLOCK_FRAMES = 2048


def onset_strength(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """Onset strength of [samples], 100 values a second, above its mean of the moment."""
    return above_local_mean(band_onset_strength(mono, rate_hz).mean(axis=1))


def above_local_mean(rise: np.ndarray) -> np.ndarray:
    """The part of a curve at 100 a second above its mean over half a second either way."""
    return np.maximum(rise - _local_mean(rise, FRAMES_PER_SECOND // 2), 0)


def band_onset_strength(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """How much each band's log level grows within 20 ms: [100 a second, BANDS], low bands first."""
    size = 2 ** round(np.log2(WINDOW_SECONDS * rate_hz))
    count = len(mono) * FRAMES_PER_SECOND // rate_hz
    if count < 3:
        return np.zeros((count, BANDS), np.float32)
    window, bands = np.hanning(size).astype(np.float32), _bands(size, rate_hz)
    padded = np.pad(np.asarray(mono, np.float32), size // 2)
    starts = np.arange(count) * rate_hz // FRAMES_PER_SECOND
    views = np.lib.stride_tricks.sliding_window_view(padded, size)
    level = np.empty((count, len(bands)), np.float32)
    for first in range(0, count, BLOCK_FRAMES):
        spectrum = np.fft.rfft(views[starts[first : first + BLOCK_FRAMES]] * window, axis=1)
        level[first : first + BLOCK_FRAMES] = np.abs(spectrum).astype(np.float32) @ bands.T
    loudest = max(float(level.max()), 1e-9)
    level = np.log1p(1000 * level / loudest)
    rise = np.zeros_like(level)
    rise[2:] = np.maximum(level[2:] - level[:-2], 0)  # over 20 ms: slow attacks count too
    return rise


def tempo_bpm(strength: np.ndarray) -> float | None:
    """Beats a minute of an onset strength; None where it is too short or has no beat."""
    if len(strength) < MIN_TEMPO_SECONDS * FRAMES_PER_SECOND or not strength.any():
        return None
    centred = strength - strength.mean()
    size = 2 * len(centred)
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    likeness = np.fft.irfft(power, size)[: len(centred)]
    likeness /= likeness[0]
    lags = np.arange(
        round(60 * FRAMES_PER_SECOND / FASTEST_BPM), round(60 * FRAMES_PER_SECOND / SLOWEST_BPM) + 1
    )
    lags = lags[lags < len(likeness) - 1]
    octaves = np.log2(60 * FRAMES_PER_SECOND / lags / LIKELY_BPM)
    best = int(lags[np.argmax(likeness[lags] * np.exp(-0.5 * (octaves / LIKELY_OCTAVES) ** 2))])
    if likeness[best] < MIN_PERIODICITY:
        return None
    return 60 * FRAMES_PER_SECOND / _summit(likeness, best)


def onsets(strength: np.ndarray) -> np.ndarray:
    """Times in seconds of the peaks that stand out."""
    if len(strength) < 3 or not strength.any():
        return np.zeros(0)
    inner = strength[1:-1]
    threshold = max(0.1 * float(strength.max()), float(strength.mean()))
    peaks = (
        np.flatnonzero((inner > strength[:-2]) & (inner >= strength[2:]) & (inner > threshold)) + 1
    )
    return np.array([_summit(strength, int(peak)) for peak in peaks]) / FRAMES_PER_SECOND


def onset_deviation_ms(source: np.ndarray, stem: np.ndarray) -> float | None:
    """Mean distance of the source's onsets to the stem's nearest, of those within 70 ms.

    None: there are too few.
    """
    if not len(source) or not len(stem):
        return None
    after = np.searchsorted(stem, source).clip(1, max(1, len(stem) - 1))  # both are sorted
    distance = np.minimum(
        np.abs(source - stem[after - 1]), np.abs(source - stem[np.minimum(after, len(stem) - 1)])
    )
    matched = distance[distance < MATCH_SECONDS]
    return float(1000 * matched.mean()) if len(matched) >= MIN_MATCHES else None


def compare(
    source_mono: np.ndarray, stem_mono: np.ndarray, rate_hz: int
) -> dict[str, float | None]:
    """The manifest's row about time: both tempi and the deviation, rounded."""
    source, stem = onset_strength(source_mono, rate_hz), onset_strength(stem_mono, rate_hz)
    values = {
        "tempo_bpm": tempo_bpm(stem),
        "tempo_bpm_source": tempo_bpm(source),
        "onset_deviation_ms": onset_deviation_ms(onsets(source), onsets(stem)),
    }
    return {name: None if value is None else round(value, 2) for name, value in values.items()}


def _summit(values: np.ndarray, index: int) -> float:
    """Position of the maximum of the parabola through three neighbouring values."""
    before, here, after = values[index - 1 : index + 2]
    curve = before - 2 * here + after
    return index + (0.5 * float((before - after) / curve) if curve < 0 else 0.0)


def _local_mean(values: np.ndarray, reach: int) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    index = np.arange(len(values))
    first, last = np.maximum(0, index - reach), np.minimum(len(values), index + reach + 1)
    return ((sums[last] - sums[first]) / (last - first)).astype(np.float32)


def _bands(size: int, rate_hz: int) -> np.ndarray:
    """Triangles on a logarithmic axis from 60 Hz up: [bands, size // 2 + 1]."""
    frequencies = np.fft.rfftfreq(size, 1 / rate_hz)
    centres = np.geomspace(60, 0.45 * rate_hz, BANDS)
    position = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(centres), np.arange(BANDS))
    return np.maximum(0, 1 - np.abs(position[None, :] - np.arange(BANDS)[:, None])).astype(
        np.float32
    )
