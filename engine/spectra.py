"""Short-time spectra of mono samples, block by block, and filters that change from frame to frame.

    samples  ....|----4096----|             the frame k ends with the sample 1024 (k + 1)
                      |----4096----|        1024 further

In every frame the filter is a mixture of a few shapes, so minutes of it are a small array. Numpy alone, no state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from engine.errors import Cancelled

N_FFT, HOP = 4096, 1024  # at 32 kHz 128 ms, which tell semitones apart from 130 Hz up, every 32 ms
BLOCK_FRAMES = 640  # 20 s at 32 kHz: bounds memory and the wait for a cancel


def frame_count(samples: int) -> int:
    """Frames that cover so many samples."""
    return -(-samples // HOP) + N_FFT // HOP - 1


def middles(count: int) -> np.ndarray:
    """The sample in the middle of each of `count` frames; it may lie outside."""
    return HOP * (np.arange(count) + 1) - N_FFT // 2


def spectra(samples: np.ndarray, cancelled: Callable[[], bool]) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, spectra [frames, 2049]) of samples [N] in Hann windows. Raises Cancelled between two blocks."""
    count = frame_count(len(samples))
    padded = np.pad(np.asarray(samples, np.float32), (N_FFT - HOP, count * HOP - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    for first in range(0, count, BLOCK_FRAMES):
        if cancelled():
            raise Cancelled
        yield first, np.fft.rfft(frames[first : first + BLOCK_FRAMES] * _hann(), axis=1)


def filtered(
    samples: np.ndarray, weights: np.ndarray, shapes: np.ndarray, cancelled: Callable[[], bool]
) -> np.ndarray:
    """Samples [N] through the gains weights [frames, K] @ shapes [K, 2049], without delay: [N]. Raises Cancelled."""
    parts, window = N_FFT // HOP, _hann() / np.float32(1.5)  # Hann windows squared add to 1.5 at a quarter's hop
    out = np.zeros((len(weights) + parts - 1, HOP), np.float32)
    for first, block in spectra(samples, cancelled):
        last = first + len(block)
        frames = np.fft.irfft(block * (weights[first:last] @ shapes), N_FFT, axis=1) * window
        for part in range(parts):
            out[first + part : last + part] += frames[:, part * HOP : (part + 1) * HOP]
    return out.reshape(-1)[N_FFT - HOP :][: len(samples)]


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)
