"""How long is the way from the output to the input? A sweep is played, and found again."""

from __future__ import annotations

import numpy as np

# -12 dBFS: heard over music, kind to ears
SWEEP_SECONDS, SWEEP_HZ, SWEEP_PEAK = 0.15, (150.0, 9000.0), 0.25
LISTEN_SECONDS = 1.0  # the longest way that is found: Bluetooth needs 0.3 s
CERTAIN_PEAK = 12.0  # peak over RMS of the correlation; noise of this length reaches 5


def sweep(rate_hz: int) -> np.ndarray:
    """An exponential sweep [frames].

    Every octave lasts as long, so that neither a room nor a small speaker can hide it.
    """
    seconds = np.arange(round(SWEEP_SECONDS * rate_hz)) / rate_hz
    low, high = SWEEP_HZ[0], min(SWEEP_HZ[1], 0.45 * rate_hz)
    octaves = np.log(high / low)
    phase = 2 * np.pi * low * SWEEP_SECONDS / octaves * np.expm1(seconds / SWEEP_SECONDS * octaves)
    return (SWEEP_PEAK * np.sin(phase) * np.hanning(len(seconds)) ** 0.25).astype(np.float32)


def find(played: np.ndarray, recorded: np.ndarray) -> int | None:
    """The frame of `recorded` [frames, channels] at which `played` [frames] begins.

    None where it is not certainly there.
    """
    size = 1 << (len(played) + len(recorded) - 1).bit_length()
    spectrum = np.conj(np.fft.rfft(played, size))
    correlation = np.zeros(size)
    for channel in recorded.T:
        correlation += np.abs(np.fft.irfft(np.fft.rfft(channel, size) * spectrum, size))
    correlation = correlation[: max(1, len(recorded) - len(played))]
    peak = int(np.argmax(correlation))
    loudness = float(np.sqrt(np.mean(correlation**2)))
    return peak if correlation[peak] > CERTAIN_PEAK * loudness and loudness > 0 else None
