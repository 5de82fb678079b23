"""The melody as MusicGen hears it: the strongest of twelve pitch classes, eight times a second.

transformers' MusicgenMelodyFeatureExtractor in numpy, because the original needs torchaudio: the
power of 16384 samples every 4096, transformers' filter bank, the strongest class of each frame.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FFT_SAMPLES, HOP_SAMPLES = 16_384, 4_096
CLASSES = 12


def chroma(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """One-hot float32 [frames, 12] of samples [n], with a frame every 4096 samples."""
    missing = max(0, FFT_SAMPLES - len(mono))
    mono = np.pad(np.asarray(mono, np.float32), (missing // 2, missing - missing // 2))
    padded = np.pad(mono, FFT_SAMPLES // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    strongest = [int(np.argmax(_filters(rate_hz) @ _power(window))) for window in windows]
    return np.eye(CLASSES, dtype=np.float32)[strongest]


def no_melody() -> np.ndarray:
    """The chroma [1, 12] that the model was trained to read as no melody: the first class."""
    return np.eye(CLASSES, dtype=np.float32)[:1]


def fit_length(melody: np.ndarray, frames: int) -> np.ndarray:
    """A melody [any, 12] repeated or cut to the model's frames (235: 30 s)."""
    return np.tile(melody, (-(-frames // len(melody)), 1))[:frames]


def _power(window: np.ndarray) -> np.ndarray:
    return np.square(np.abs(np.fft.rfft(window * _hann())))


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)).astype(np.float32)


@lru_cache(maxsize=2)
def _filters(rate_hz: int) -> np.ndarray:
    from transformers.audio_utils import chroma_filter_bank

    return chroma_filter_bank(FFT_SAMPLES, CLASSES, rate_hz, tuning=0).astype(np.float32)
