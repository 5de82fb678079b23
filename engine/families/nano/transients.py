"""How do a stem's attacks become as sharp as the region's?

    region -> levels of bands [T, 5] -> how far each moment is above what came before -+
    stem   -> the same ----------------------------------------------------------------+-> gains

A part of what is missing is added, for some tens of milliseconds; how a note goes on is left to the
instrument. weights/README.md has the figures. Numpy alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.audio import spectra
from engine.families.nano import features as F
from engine.progress import IsCancelled

N_FFT = 1024  # 32 ms, every 8 ms
BANDS_HZ = (200, 500, 1250, 3100, 8000)  # their centres; a bin between two of them belongs to both
BEFORE_FRAMES = 15  # an attack is what stands out from the 0.12 s before it
QUIETEST = 3e-3  # of the loudest band's loudest moment: below, nothing begins
SHARE = 0.35  # of the difference to the region's attacks
HIGHEST_DB = 6.0
# A gain of 1 at one frame is spread over five, and half of it is taken away 40 ms before.
SPREAD = np.convolve([-0.5, 0, 0, 0, 0, 1], np.array([1, 4, 6, 4, 1]) / 16)
AHEAD_FRAMES = 5 + 2


def match_transients(
    stem: np.ndarray, region: np.ndarray, fidelity: float, cancelled: IsCancelled
) -> np.ndarray:
    """The stem [N] with attacks nearer to the region's [N], both mono at 32 kHz.

    `fidelity`: how near; 0: not at all. Raises Cancelled.
    """
    if not fidelity:
        return stem
    wanted, played = (_attacks(samples, cancelled) for samples in (region, stem))
    lacking = np.clip(SHARE * fidelity * (wanted - played), 0, HIGHEST_DB / 20 * np.log(10))
    spread = [np.convolve(band, SPREAD)[AHEAD_FRAMES:][: len(band)] for band in lacking.T]
    # a bin between two bands gets a mixture of their gains: the shapes add up to 1
    return spectra.filter_frames(
        stem, np.exp(np.stack(spread, axis=1)), _shapes(), cancelled, N_FFT
    )


def _attacks(samples: np.ndarray, cancelled: IsCancelled) -> np.ndarray:
    """How far each band's log level is above its mean of the frames before: [T, 5], at least 0."""
    power = np.concatenate(
        [np.square(np.abs(b)) @ _shapes().T for _, b in spectra.spectra(samples, cancelled, N_FFT)]
    )
    level = np.sqrt(power)
    level = np.log(level + QUIETEST * level.max() + 1e-9)
    here = np.arange(len(level))
    # nothing is before frame 0
    before = spectra.means(level, np.maximum(here - BEFORE_FRAMES, 0), np.maximum(here, 1))
    return np.maximum(level - before, 0)


@lru_cache(maxsize=1)
def _shapes() -> np.ndarray:
    """How much of each bin belongs to each band: [5, 513]."""
    octave = np.log2(np.maximum(np.arange(N_FFT // 2 + 1) * (F.SAMPLE_RATE_HZ / N_FFT), 1))
    middles = np.log2(BANDS_HZ)
    return np.stack([np.interp(octave, middles, row) for row in np.eye(len(middles))]).astype(
        np.float32
    )
