"""The audio prompt made coarser: AP-Adapter's pooling along time, (mean + max) / 2 over omega
frames.
"""

from __future__ import annotations

import numpy as np


def pool(tokens: np.ndarray, omega: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [B, T, C] -> [B, A, C] with A = ceil(T / omega), and the centre of each pool in frames
    [B, A].

    A last group that is not full is pooled over what it has, so that the end of a window is heard
    too.
    """
    batch, frames, _ = tokens.shape
    whole = frames // omega * omega
    groups = tokens[:, :whole].reshape(batch, whole // omega, omega, -1)
    pooled = [(groups.mean(axis=2) + groups.max(axis=2)) / 2]
    centres = np.arange(whole // omega, dtype=np.float32) * omega + (omega - 1) / 2
    if whole < frames:
        rest = tokens[:, whole:]
        pooled.append((rest.mean(axis=1, keepdims=True) + rest.max(axis=1, keepdims=True)) / 2)
        centres = np.append(centres, np.float32((whole + frames - 1) / 2))
    return np.concatenate(pooled, axis=1), np.tile(centres, (batch, 1)).astype(np.float32)
