"""The delay pattern: codebook k comes k steps later, so that it can depend on the ones before it.

    frames  a0 a1 a2      steps    start  0  1  2  3
            b0 b1 b2      a          S   a0 a1 a2  S
                          b          S   S  b0 b1 b2

S is the start token, which is the padding, too. T frames of K codebooks take T + D steps, D the
largest delay. In stereo, codebooks come in pairs of left and right with the same delay. Training
and playing use the same pattern.
"""

from __future__ import annotations

import numpy as np


def delays_of(codebooks: int, channels: int) -> np.ndarray:
    """The delay of each codebook in steps [K]: 0 1 2 3, in stereo 0 0 1 1 2 2 3 3."""
    return np.arange(codebooks) // channels


def apply_delays(codes: np.ndarray, delays: np.ndarray, padding: int) -> np.ndarray:
    """Steps [K, T + D] of frames [K, T], without the start token."""
    frames = codes.shape[1]
    steps = np.full((len(delays), frames + int(delays.max())), padding, codes.dtype)
    for row, (delay, codebook) in enumerate(zip(delays, codes, strict=True)):
        steps[row, delay : delay + frames] = codebook
    return steps


def remove_delays(steps: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """Frames [K, T] of steps [K, T + D]."""
    frames = steps.shape[1] - int(delays.max())
    return np.stack([row[delay : delay + frames] for row, delay in zip(steps, delays, strict=True)])
