"""What training does to a source at every visit, in features: no two visits sound alike, and few
like a sampler.

`augment` does the like to sound, once for each row of a shard. Here energies are added, smeared and
filtered: their phases are unknown, and on the average two players, a room's tail and noise add so.

    features [B, T, 944] --energies--> mel [B, 4 T, 128], pitch [B, 2 T, 216] --links--> features
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.families.nano import features as F

DOUBLED_PROBABILITY = 0.25  # another player of the same score, 0 to 12 dB softer
ENERGY_FLOOR = F.LOG_FLOOR**2


class Band(NamedTuple):
    """One of the two kinds of features: where it stands, how it is scaled, what its bins are."""

    columns: slice
    bins: int
    mean: float
    std: float
    frames_per_second: float
    centres_hz: np.ndarray


def bands() -> tuple[Band, Band]:
    mel_hz = 700 * (
        10 ** (np.linspace(0, 2595 * np.log10(1 + 16_000 / 700), F.MEL_BANDS + 2)[1:-1] / 2595) - 1
    )
    midi = F.PITCH_LOWEST_MIDI + np.arange(F.PITCH_BINS) / F.PITCH_BINS_PER_SEMITONE
    rate = F.FRAMES_PER_SECOND
    return (
        Band(
            slice(0, F.MEL_WIDTH),
            F.MEL_BANDS,
            F.MEL_MEAN,
            F.MEL_STD,
            rate * F.MEL_PER_FRAME,
            mel_hz,
        ),
        Band(
            slice(F.MEL_WIDTH, F.FEATURE_WIDTH),
            F.PITCH_BINS,
            F.PITCH_MEAN,
            F.PITCH_STD,
            rate * F.PITCH_PER_FRAME,
            440 * 2 ** ((midi - 69) / 12),
        ),
    )


BANDS = bands()
Energies = list[np.ndarray]  # of one source, for each of BANDS: [frames, bins]


def disguised(features: np.ndarray, mates: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """float32 [B, T, 944], each row by a random chain; `mates` [B, T, 944]: another player of each
    row's score.
    """
    return np.stack(
        [_disguised(row, mate, random) for row, mate in zip(features, mates, strict=True)]
    )


def _disguised(row: np.ndarray, mate: np.ndarray, random: np.random.Generator) -> np.ndarray:
    chosen = [link for probability, link in CHAIN if random.random() < probability]
    doubled = random.random() < DOUBLED_PROBABILITY
    if not chosen and not doubled:
        return row
    energies = _energies(row)
    if doubled:
        gain = 10 ** (random.uniform(-12, 0) / 10)
        energies = [one + gain * two for one, two in zip(energies, _energies(mate), strict=True)]
    for link in chosen:
        energies = link(energies, random)
    parts = []
    for band, energy in zip(BANDS, energies, strict=True):
        level = (0.5 * np.log(np.maximum(energy, ENERGY_FLOOR)) - band.mean) / band.std
        parts.append(level.reshape(len(row), -1))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _energies(row: np.ndarray) -> Energies:
    return [
        np.exp(2 * (row[:, band.columns].reshape(-1, band.bins) * band.std + band.mean))
        for band in BANDS
    ]


def ringing(energies: Energies, random: np.random.Generator) -> Energies:
    """A room or a pedal: what was heard dies away by 60 dB within 0.3 to 3 s; its mean lies up to
    18 dB below.
    """
    seconds, wet = (
        float(np.exp(random.uniform(np.log(0.3), np.log(3.0)))),
        10 ** (random.uniform(-18, 0) / 10),
    )
    rung = []
    for band, energy in zip(BANDS, energies, strict=True):
        kept = 10 ** (-6 / (seconds * band.frames_per_second))
        tail, tails = np.zeros(band.bins, energy.dtype), np.empty_like(energy)
        for index, now in enumerate(energy):
            tails[index] = tail
            tail = kept * (tail + (1 - kept) * now)
        rung.append(energy + wet * tails)
    return rung


def filtering(energies: Energies, random: np.random.Generator) -> Energies:
    """A smooth random curve of up to 12 dB over the octaves, the same for both kinds."""
    knots_db = random.uniform(-12, 12, 8)
    return [
        energy
        * 10 ** (np.interp(np.log2(band.centres_hz / 30), np.linspace(0, 9.1, 8), knots_db) / 10)
        for band, energy in zip(BANDS, energies, strict=True)
    ]


def noise(energies: Energies, random: np.random.Generator) -> Energies:
    """Steady noise 12 to 45 dB below the mean of each kind, tilted by -9 to 0 dB an octave."""
    level, tilt_db = 10 ** (random.uniform(-45, -12) / 10), random.uniform(-9, 0)
    return [
        energy
        + level
        * energy.mean()
        * 10 ** (tilt_db * np.log2(np.maximum(band.centres_hz, 60) / 1000) / 10)
        * random.exponential(size=energy.shape)
        for band, energy in zip(BANDS, energies, strict=True)
    ]


Link = Callable[[Energies, np.random.Generator], Energies]
CHAIN: tuple[tuple[float, Link], ...] = ((0.3, ringing), (0.35, filtering), (0.2, noise))
