"""The same music twice: copies at another level, rate, coding or place in the recording.

    log-mel, 10 frames a second -> each band without its mean -> each frame of length 1
    -> correlated at every lag

Removing each band's mean removes the instrument and the room, so that two pieces on one organ do
not count as copies; what never changes (a steady tone) has nothing left and is like nothing. Copies
by byte are found by hash, elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.metrics.mel import MEL_HOP, MEL_RATE_HZ
from evaluation.metrics.sound import Sound

FRAMES_A_SECOND = 10
# between copies at another level or coding and other music of the same instrument
SAME = 0.75
LEAST_OVERLAP = 0.5  # of the shorter one
# less music is alike by chance; a shorter sound is compared whole
LEAST_FRAMES = 3 * FRAMES_A_SECOND
FLOOR = 1e-3  # a frame whose bands all stand still says nothing


class Print(NamedTuple):
    """[bands, frames], each frame of length 1 or 0."""

    frames: np.ndarray


class Twins(NamedTuple):
    first: int
    second: int
    likeness: float  # 0 to 1


def print_of(samples: np.ndarray, rate_hz: int) -> Print:
    """Of mono samples [N]."""
    mel = Sound(samples, rate_hz).log_mel
    step = MEL_RATE_HZ // MEL_HOP // FRAMES_A_SECOND  # mel frames, of 10 ms, in one of ours
    if not (count := mel.shape[1] // step):
        return Print(np.zeros((len(mel), 0), np.float32))
    coarse = mel[:, : count * step].reshape(len(mel), count, step).mean(axis=2)
    moving = coarse - coarse.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(moving, axis=0)
    return Print(
        np.where(lengths > FLOOR * len(mel), moving / np.maximum(lengths, 1e-9), 0.0).astype(
            np.float32
        )
    )


def likeness(a: Print, b: Print) -> float:
    """The mean cosine of the frames, at the lag where it is greatest.

    The shorter one overlaps by half of it, and by 3 s at least.
    """
    length_a, length_b = a.frames.shape[1], b.frames.shape[1]
    shorter = min(length_a, length_b)
    if not shorter:
        return 0.0
    size = 1 << (length_a + length_b - 1).bit_length()
    spectra = [np.fft.rfft(each.frames, size, axis=1) for each in (a, b)]
    products = np.fft.irfft((spectra[0] * spectra[1].conj()).sum(axis=0), size)
    lags = np.arange(-(length_b - 1), length_a)
    overlaps = np.minimum(length_a, length_b + lags) - np.maximum(0, lags)
    allowed = overlaps >= max(LEAST_OVERLAP * shorter, min(shorter, LEAST_FRAMES))
    return float(max(0.0, (products[lags[allowed]] / overlaps[allowed]).max()))


def twins(prints: Sequence[Print], least: float = SAME) -> list[Twins]:
    """Every pair that is alike."""
    pairs = ((i, j) for i in range(len(prints)) for j in range(i + 1, len(prints)))
    scored = (Twins(i, j, likeness(prints[i], prints[j])) for i, j in pairs)
    return [pair for pair in scored if pair.likeness >= least]
