"""Short-time spectra of mono samples, block by block, and filters that change from frame to frame.

    samples  ....|----4096----|             the frame k ends with the sample 1024 (k + 1)
                      |----4096----|        1024 further; other windows have a quarter's hop, too

In every frame the filter is a mixture of a few shapes, so minutes of it are a small array. Numpy
alone, no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from engine.errors import Cancelled
from engine.progress import IsCancelled

PARTS = 4  # a window's length in hops: Hann windows squared add to 1.5 there
N_FFT = 4096  # if not told otherwise; at 32 kHz 128 ms, which tell semitones apart from 130 Hz up
HOP = N_FFT // PARTS
BLOCK_FRAMES = 640  # 20 s at 32 kHz: bounds memory and the wait for a cancel


def frame_count(samples: int, n_fft: int = N_FFT) -> int:
    """Frames that cover so many samples."""
    return -(-samples // (n_fft // PARTS)) + PARTS - 1


def middles(count: int) -> np.ndarray:
    """The sample in the middle of each of `count` frames; it may lie outside."""
    return HOP * (np.arange(count) + 1) - N_FFT // 2


def spectra(
    samples: np.ndarray, cancelled: IsCancelled, n_fft: int = N_FFT
) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, spectra [frames, 2049]) of samples [N] in Hann windows.

    Raises Cancelled between two blocks.
    """
    count, hop = frame_count(len(samples), n_fft), n_fft // PARTS
    padded = np.pad(np.asarray(samples, np.float32), (n_fft - hop, count * hop - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    for first in range(0, count, BLOCK_FRAMES):
        if cancelled():
            raise Cancelled
        yield first, np.fft.rfft(frames[first : first + BLOCK_FRAMES] * _hann(n_fft), axis=1)


def filter_frames(
    samples: np.ndarray,
    weights: np.ndarray,
    shapes: np.ndarray,
    cancelled: IsCancelled,
    n_fft: int = N_FFT,
) -> np.ndarray:
    """Samples [N] through the gains weights [frames, K] @ shapes [K, 2049], without delay: [N].

    Raises Cancelled.
    """
    weights = np.asarray(weights, np.float32)  # or every spectrum would become complex128
    hop, window = n_fft // PARTS, _hann(n_fft) / np.float32(1.5)
    out = np.zeros((len(weights) + PARTS - 1, hop), np.float32)
    for first, block in spectra(samples, cancelled, n_fft):
        last = first + len(block)
        frames = np.fft.irfft(block * (weights[first:last] @ shapes), n_fft, axis=1) * window
        for part in range(PARTS):
            out[first + part : last + part] += frames[:, part * hop : (part + 1) * hop]
    return out.reshape(-1)[n_fft - hop :][: len(samples)]


def means(rows: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The mean of rows[first[k] : last[k]] for every frame k: [frames, K]; no slice is empty."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    return (sums[last] - sums[first]) / (last - first)[:, None]


@lru_cache(maxsize=4)
def _hann(n_fft: int) -> np.ndarray:
    return np.hanning(n_fft + 1)[:-1].astype(np.float32)
