"""Test signals, float32, and the window plan of the identity model."""

from __future__ import annotations

import numpy as np


def whole_windows(count: int) -> int:
    """128 latent frames of 1280 samples, then 96 more at a time."""
    frames = -(-count // 1280)
    return 1280 * (128 + 96 * max(0, -(-(frames - 128) // 96)))


def noise(count: int, channels: int = 1, level: float = 0.1, seed: int = 0) -> np.ndarray:
    """White noise [count, channels]."""
    return (level * np.random.default_rng(seed).standard_normal((count, channels))).astype(
        np.float32
    )


def sine(count: int, rate_hz: int, frequency_hz: float, level: float = 0.3) -> np.ndarray:
    """[count]"""
    return (level * np.sin(2 * np.pi * frequency_hz * np.arange(count) / rate_hz)).astype(
        np.float32
    )
