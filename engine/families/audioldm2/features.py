"""Computes the two log-mel spectrograms of 16 kHz mono that AudioMAE and the VAE read.

fbank    AudioMAE's: Kaldi's filter bank as in torchaudio.compliance.kaldi, 128 bands, 25 ms Hann
log_mel  the VAE's: AudioLDM's spectrogram, 64 Slaney bands, 64 ms Hann, log of magnitudes

Both have 100 frames a second. Only numpy is needed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160  # 10 ms
FBANK_WIDTH = 400  # 25 ms
FBANK_N_FFT = 512
FBANK_BANDS = 128
FBANK_LOW_HZ = 20.0
FBANK_FLOOR = 1.1920929e-07  # float32 epsilon
PREEMPHASIS = 0.97
AUDIOSET_MEAN, AUDIOSET_STD = -4.2677393, 4.5689974  # of log filter bank energies, from AudioMAE
MEL_N_FFT = 1024
MEL_BANDS = 64
MEL_FLOOR = 1e-5


def fbank(samples: np.ndarray) -> np.ndarray:
    """Log filter bank energies [frames, 128] of samples [N] in -1..1.

    Frame i covers samples 160 i to 160 i + 400. AudioMAE was trained without Kaldi's 16-bit
    scaling.
    """
    samples = np.asarray(samples, np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(samples - samples.mean(), FBANK_WIDTH)[
        ::HOP_SAMPLES
    ]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = np.hanning(FBANK_WIDTH)
    power = np.abs(np.fft.rfft((frames - PREEMPHASIS * before) * window, FBANK_N_FFT)) ** 2
    return np.log(np.maximum(power @ _kaldi_filters(), FBANK_FLOOR)).astype(np.float32)


def fbank_samples(frames: int) -> int:
    """Samples that give exactly `frames` frames of `fbank`."""
    return (frames - 1) * HOP_SAMPLES + FBANK_WIDTH


def normalise(energies: np.ndarray, frames: int = 1024) -> np.ndarray:
    """AudioMAE's input [frames, 128]: cut, or padded with zeros *before* the normalisation.

    It was trained so. The padding becomes +0.467, louder than most music: give it real samples
    (`fbank_samples`) wherever there are any.
    """
    fitted = np.zeros((frames, energies.shape[1]), np.float32)
    fitted[: len(energies)] = energies[:frames]
    return (fitted - np.float32(AUDIOSET_MEAN)) / np.float32(2 * AUDIOSET_STD)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel [N // 160 + 1, 64] of samples [N].

    Frame i is centred on sample 160 i; the edges are mirrored.
    """
    padded = np.pad(np.asarray(samples, np.float64), MEL_N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, MEL_N_FFT)[::HOP_SAMPLES]
    periodic_hann = np.hanning(MEL_N_FFT + 1)[:-1]
    magnitudes = np.abs(np.fft.rfft(frames * periodic_hann))
    return np.log(np.maximum(magnitudes @ _slaney_filters(), MEL_FLOOR)).astype(np.float32)


@lru_cache(maxsize=1)
def _kaldi_filters() -> np.ndarray:
    """[257, 128]: triangles that are straight in mel = 1127 ln(1 + f / 700)."""
    mel = lambda hz: 1127.0 * np.log1p(np.asarray(hz) / 700.0)  # noqa: E731
    edges = np.linspace(mel(FBANK_LOW_HZ), mel(SAMPLE_RATE_HZ / 2), FBANK_BANDS + 2)
    return _triangles(mel(np.fft.rfftfreq(FBANK_N_FFT, 1 / SAMPLE_RATE_HZ)), edges)


@lru_cache(maxsize=1)
def _slaney_filters() -> np.ndarray:
    """[513, 64]: librosa's default bands of equal area, 0 to 8000 Hz."""
    edges = _slaney_hz(
        np.linspace(_slaney_mel(0.0), _slaney_mel(SAMPLE_RATE_HZ / 2), MEL_BANDS + 2)
    )
    triangles = _triangles(np.fft.rfftfreq(MEL_N_FFT, 1 / SAMPLE_RATE_HZ), edges)
    return triangles * (2.0 / (edges[2:] - edges[:-2]))


def _triangles(positions: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """[bins, bands]: band b rises from edge b to edge b + 1 and falls to edge b + 2."""
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (positions[:, None] - low) / (peak - low)
    falling = (high - positions[:, None]) / (high - peak)
    return np.maximum(0.0, np.minimum(rising, falling))


# Slaney's scale: 3 mel per 200 Hz up to 1 kHz, then 27 mel per factor of 6.4.
_KNEE_HZ, _KNEE_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27.0


def _slaney_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < _KNEE_HZ else _KNEE_MEL + float(np.log(hz / _KNEE_HZ)) / _LOG_STEP


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(
        mel < _KNEE_MEL, mel * 200 / 3, _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    )
