"""How long is the way from the output to the input? A sweep is played and looked for."""

from __future__ import annotations

import numpy as np

# -12 dBFS: heard over music, kind to ears
SWEEP_SECONDS, SWEEP_HZ, SWEEP_PEAK = 0.15, (150.0, 9000.0), 0.25
LISTEN_SECONDS = 1.0  # the longest way that is found: Bluetooth needs 0.3 s
SURE = 12.0  # peak over RMS of the correlation; noise of this length reaches 5


def sweep(rate_hz: int) -> np.ndarray:
    """An exponential sweep [frames]: every pitch for as long, so that a room or a small speaker
    cannot hide it.
    """
    seconds = np.arange(round(SWEEP_SECONDS * rate_hz)) / rate_hz
    low, high = SWEEP_HZ[0], min(SWEEP_HZ[1], 0.45 * rate_hz)
    octaves = np.log(high / low)
    phase = 2 * np.pi * low * SWEEP_SECONDS / octaves * np.expm1(seconds / SWEEP_SECONDS * octaves)
    return (SWEEP_PEAK * np.sin(phase) * np.hanning(len(seconds)) ** 0.25).astype(np.float32)


def find(played: np.ndarray, heard: np.ndarray) -> int | None:
    """Where `played` [frames] begins in `heard` [frames, channels]; None when it is not surely
    there.
    """
    size = 1 << (len(played) + len(heard) - 1).bit_length()
    spectrum = np.conj(np.fft.rfft(played, size))
    found = sum(
        np.abs(np.fft.irfft(np.fft.rfft(channel, size) * spectrum, size)) for channel in heard.T
    )
    found = found[: max(1, len(heard) - len(played))]
    peak = int(np.argmax(found))
    loudness = float(np.sqrt(np.mean(found**2)))
    return peak if found[peak] > SURE * loudness and loudness > 0 else None
