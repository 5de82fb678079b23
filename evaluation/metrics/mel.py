"""What is AudioLDM2's log-mel spectrogram? That of its training code's TacotronSTFT."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MEL_RATE_HZ, MEL_N_FFT, MEL_HOP, MEL_BANDS = 16_000, 1024, 160, 64
MEL_FLOOR = 1e-5
MEL_LEVEL_RMS = 0.1  # both sounds are brought to -20 dBFS first: loudness is not timbre


def log_mel(samples_16k: np.ndarray) -> np.ndarray:
    """AudioLDM2's log-mel, [64, 1 + N // 160]: log(max(mel @ |STFT|, 1e-5)), natural log.

    16 kHz, n_fft 1024, hop 160, Hann, centred with reflection; 64 Slaney bands, 0 to 8 kHz, area
    norm; magnitude, not power.
    """
    half = MEL_N_FFT // 2
    padded = np.pad(samples_16k, half, mode="reflect" if len(samples_16k) > half else "symmetric")
    frames = np.lib.stride_tricks.sliding_window_view(padded, MEL_N_FFT)[::MEL_HOP]
    magnitude = np.abs(np.fft.rfft(frames * _hann(), axis=1)).astype(np.float32)
    return np.log(np.maximum(_mel_filters() @ magnitude.T, MEL_FLOOR))


def set_level(samples: np.ndarray) -> np.ndarray:
    """The samples at -20 dBFS RMS; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    return (
        (samples * (MEL_LEVEL_RMS / rms)).astype(np.float32)
        if rms > 1e-7
        else np.asarray(samples, np.float32)
    )


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    from librosa.filters import mel

    return mel(sr=MEL_RATE_HZ, n_fft=MEL_N_FFT, n_mels=MEL_BANDS, fmin=0, fmax=8000)


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(MEL_N_FFT) / MEL_N_FFT)).astype(np.float32)
