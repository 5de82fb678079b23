"""What nano hears: log-mel and pitch features of 32 kHz mono audio.

Rule 1: this is the only description of the features. Training, evaluation and serving all call it.
Rule 2: numpy alone, float32 throughout; the graphs begin where this file ends.

    samples     |----1280----|----1280----| ...   32 000 Hz
    mel         |f0 f1 f2 f3 |f4 f5 f6 f7 | ...   4 frames of 128 bands a latent frame  -> 512
    pitch       |   p0  p1   |   p2  p3   | ...   2 frames of 216 bins a latent frame   -> 432
    latents     |     z0     |     z1     | ...   25 frames a second
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE_RATE_HZ = 32_000
FRAMES_PER_SECOND = 25
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FRAMES_PER_SECOND  # 1280
LATENT_CHANNELS = 48

HOP = 320  # 10 ms
MEL_PER_FRAME = SAMPLES_PER_FRAME // HOP  # 4
MEL_N_FFT = 1024
MEL_BANDS = 128
MEL_WIDTH = MEL_BANDS * MEL_PER_FRAME  # 512

# A window of 256 ms tells semitones apart from about 65 Hz up, which no mel band of 32 ms can:
# without it the model guesses the notes of low and dense regions.
PITCH_N_FFT = 8192
PITCH_HOP = 640
PITCH_PER_FRAME = SAMPLES_PER_FRAME // PITCH_HOP  # 2
PITCH_BINS_PER_SEMITONE = 3
PITCH_LOWEST_MIDI, PITCH_HIGHEST_MIDI = 28, 100  # 41 Hz to 2637 Hz
PITCH_BINS = (PITCH_HIGHEST_MIDI - PITCH_LOWEST_MIDI) * PITCH_BINS_PER_SEMITONE  # 216
PITCH_WIDTH = PITCH_BINS * PITCH_PER_FRAME  # 432

FEATURE_WIDTH = MEL_WIDTH + PITCH_WIDTH  # 944

LOG_FLOOR = 1e-5  # as AudioLDM2's mel: log(max(x, 1e-5))
LEVEL_TARGET_RMS = 0.1  # -20 dBFS over the active frames
LEVEL_GATE_DB = -40.0  # frames this far below the loudest one do not count

# Affine maps that bring both feature kinds to about zero mean and unit variance.
MEL_MEAN, MEL_STD = -2.5, 2.7
PITCH_MEAN, PITCH_STD = -0.7, 2.4


def frame_count(sample_count: int) -> int:
    """Latent frames that cover `sample_count` samples."""
    return -(-sample_count // SAMPLES_PER_FRAME)


def level_gain(samples: np.ndarray) -> float:
    """The gain that brings the active part of `samples` [N] to -20 dBFS; 1.0 for silence."""
    if not len(samples):
        return 1.0
    frames = np.resize(samples, (frame_count(len(samples)), SAMPLES_PER_FRAME))
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loudest = power.max()
    if loudest < 1e-12:
        return 1.0
    active = power[power >= loudest * 10 ** (LEVEL_GATE_DB / 10)]
    return float(LEVEL_TARGET_RMS / np.sqrt(active.mean()))


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel of `samples` [N], unnormalised: [4 * T, 128] with T = ceil(N / 1280)."""
    magnitude = _stft_magnitude(_whole_frames(samples), MEL_N_FFT, HOP)
    return np.log(np.maximum(magnitude @ mel_filters().T, LOG_FLOOR))


def mel(samples: np.ndarray) -> np.ndarray:
    """Normalised log-mel stacked to latent frames: [T, 512]; what the codec encodes."""
    return ((log_mel(samples) - MEL_MEAN) / MEL_STD).reshape(-1, MEL_WIDTH)


def pitch(samples: np.ndarray) -> np.ndarray:
    """Normalised log-frequency spectrum, three bins a semitone: [T, 432]."""
    magnitude = _stft_magnitude(_whole_frames(samples), PITCH_N_FFT, PITCH_HOP)
    level = np.log(np.maximum(magnitude @ pitch_filters().T, LOG_FLOOR))
    return ((level - PITCH_MEAN) / PITCH_STD).reshape(-1, PITCH_WIDTH)


def features(samples: np.ndarray) -> np.ndarray:
    """What the audio encoder reads: [T, 944], mel first, pitch after."""
    return np.concatenate([mel(samples), pitch(samples)], axis=1)


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """Triangular filters on the HTK mel scale, 0 to 16 kHz, unit peak area: [128, 513]."""
    edges = 700 * (
        10 ** (np.linspace(0, 2595 * np.log10(1 + 16_000 / 700), MEL_BANDS + 2) / 2595) - 1
    )
    return _triangles(edges, MEL_N_FFT)


@lru_cache(maxsize=2)
def pitch_filters(n_fft: int = PITCH_N_FFT) -> np.ndarray:
    """Triangular filters a third of a semitone apart: [216, n_fft // 2 + 1]."""
    steps = PITCH_LOWEST_MIDI + (np.arange(PITCH_BINS + 2) - 1) / PITCH_BINS_PER_SEMITONE
    return _triangles(440 * 2 ** ((steps - 69) / 12), n_fft)


def _triangles(edges_hz: np.ndarray, n_fft: int) -> np.ndarray:
    """One triangle per inner edge, each row summing to 1.

    A low triangle can be narrower than a bin; widening it to one bin turns it into
    linear interpolation between the two nearest, so that no row is empty.
    """
    bin_hz = SAMPLE_RATE_HZ / n_fft
    frequencies = np.arange(n_fft // 2 + 1) * bin_hz
    lower, centre, upper = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rise = (frequencies - centre) / np.maximum(centre - lower, bin_hz) + 1
    fall = (centre - frequencies) / np.maximum(upper - centre, bin_hz) + 1
    filters = np.maximum(np.minimum(rise, fall), 0)
    return (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)


def _whole_frames(samples: np.ndarray) -> np.ndarray:
    missing = frame_count(len(samples)) * SAMPLES_PER_FRAME - len(samples)
    return np.pad(np.asarray(samples, np.float32), (0, missing))


def _stft_magnitude(samples: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """[len // hop, n_fft // 2 + 1]; frame k is centred on hop * k + hop / 2."""
    pad = (n_fft - hop) // 2
    if len(samples) > pad:
        padded = np.pad(samples, pad, mode="reflect")
    else:
        padded = np.pad(samples, pad, mode="symmetric")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    return np.abs(np.fft.rfft(frames * hann(n_fft), axis=1)).astype(np.float32)


@lru_cache(maxsize=4)
def hann(n: int) -> np.ndarray:
    """The periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)
