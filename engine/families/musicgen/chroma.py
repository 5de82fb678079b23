"""The melody as MusicGen hears it: which of twelve pitch classes is the strongest, eight times a
second.

MusicGenMelodyFeatureExtractor in numpy (its own needs torchaudio): 16384 samples every 4096, power,
the filter bank of transformers, then the one strongest class of each frame. Not normalised: only
the strongest is asked.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FFT_SAMPLES, HOP_SAMPLES = 16_384, 4_096
CLASSES = 12


def chroma(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """One-hot float32 [frames, 12] of samples [n]; a frame at sample 0, and then every 4096."""
    missing = max(0, FFT_SAMPLES - len(mono))
    mono = np.pad(np.asarray(mono, np.float32), (missing // 2, missing - missing // 2))
    padded = np.pad(mono, FFT_SAMPLES // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    strongest = [int(np.argmax(_filters(rate_hz) @ _power(window))) for window in windows]
    return np.eye(CLASSES, dtype=np.float32)[strongest]


def no_melody() -> np.ndarray:
    """What the model was taught to take for no melody at all [1, 12]: the first class."""
    return np.eye(CLASSES, dtype=np.float32)[:1]


def fit_length(heard: np.ndarray, frames: int) -> np.ndarray:
    """A melody [any, 12] repeated or cut to the model's frames (235: 30 s)."""
    return np.tile(heard, (-(-frames // len(heard)), 1))[:frames]


def _power(window: np.ndarray) -> np.ndarray:
    return np.square(np.abs(np.fft.rfft(window * _hann())))


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)).astype(np.float32)


@lru_cache(maxsize=2)
def _filters(rate_hz: int) -> np.ndarray:
    from transformers.audio_utils import chroma_filter_bank

    return chroma_filter_bank(FFT_SAMPLES, CLASSES, rate_hz, tuning=0).astype(np.float32)
