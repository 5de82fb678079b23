"""Sources are changed at every visit, as features: no two visits sound alike.

`augment` does the like to sound, once for each row of a shard. Here energies are added, smeared and
filtered: phases are unknown, and on average the energies of two players, a room and noise add up.

    features [B, T, 944] --energies--> mel [B, 4 T, 128], pitch [B, 2 T, 216] --links--> features
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.families.nano import features as F

DOUBLED_PROBABILITY = 0.25  # another player of the same score, 0 to 12 dB softer
ENERGY_FLOOR = F.LOG_FLOOR**2


class FeatureKind(NamedTuple):
    """One of the two kinds of features: where it stands, how it is scaled, what its bins are."""

    columns: slice
    bins: int
    mean: float
    std: float
    frames_per_second: float
    centres_hz: np.ndarray


def feature_kinds() -> tuple[FeatureKind, FeatureKind]:
    mel_hz = 700 * (
        10 ** (np.linspace(0, 2595 * np.log10(1 + 16_000 / 700), F.MEL_BANDS + 2)[1:-1] / 2595) - 1
    )
    midi = F.PITCH_LOWEST_MIDI + np.arange(F.PITCH_BINS) / F.PITCH_BINS_PER_SEMITONE
    rate = F.FRAMES_PER_SECOND
    return (
        FeatureKind(
            slice(0, F.MEL_WIDTH),
            F.MEL_BANDS,
            F.MEL_MEAN,
            F.MEL_STD,
            rate * F.MEL_PER_FRAME,
            mel_hz,
        ),
        FeatureKind(
            slice(F.MEL_WIDTH, F.FEATURE_WIDTH),
            F.PITCH_BINS,
            F.PITCH_MEAN,
            F.PITCH_STD,
            rate * F.PITCH_PER_FRAME,
            440 * 2 ** ((midi - 69) / 12),
        ),
    )


FEATURE_KINDS = feature_kinds()
Energies = list[np.ndarray]  # of one source, for each of BANDS: [frames, bins]


def augment_features(
    features: np.ndarray, mates: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """float32 [B, T, 944], each row by a random chain.

    `mates` [B, T, 944] are other players of each row's score.
    """
    return np.stack(
        [_augment_row(row, mate, random) for row, mate in zip(features, mates, strict=True)]
    )


def _augment_row(row: np.ndarray, mate: np.ndarray, random: np.random.Generator) -> np.ndarray:
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
    for kind, energy in zip(FEATURE_KINDS, energies, strict=True):
        level = (0.5 * np.log(np.maximum(energy, ENERGY_FLOOR)) - kind.mean) / kind.std
        parts.append(level.reshape(len(row), -1))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _energies(row: np.ndarray) -> Energies:
    return [
        np.exp(2 * (row[:, kind.columns].reshape(-1, kind.bins) * kind.std + kind.mean))
        for kind in FEATURE_KINDS
    ]


def reverberate(energies: Energies, random: np.random.Generator) -> Energies:
    """A room or a pedal: 60 dB of decay within 0.3 to 3 s, up to 18 dB below its source."""
    seconds, wet = (
        float(np.exp(random.uniform(np.log(0.3), np.log(3.0)))),
        10 ** (random.uniform(-18, 0) / 10),
    )
    reverberant = []
    for kind, energy in zip(FEATURE_KINDS, energies, strict=True):
        kept = 10 ** (-6 / (seconds * kind.frames_per_second))
        tail, tails = np.zeros(kind.bins, energy.dtype), np.empty_like(energy)
        for index, now in enumerate(energy):
            tails[index] = tail
            tail = kept * (tail + (1 - kept) * now)
        reverberant.append(energy + wet * tails)
    return reverberant


def equalise(energies: Energies, random: np.random.Generator) -> Energies:
    """A smooth random curve of up to 12 dB over the octaves, the same for both kinds."""
    knots_db = random.uniform(-12, 12, 8)
    return [
        energy
        * 10 ** (np.interp(np.log2(kind.centres_hz / 30), np.linspace(0, 9.1, 8), knots_db) / 10)
        for kind, energy in zip(FEATURE_KINDS, energies, strict=True)
    ]


def noise(energies: Energies, random: np.random.Generator) -> Energies:
    """Steady noise 12 to 45 dB below the mean of each kind, tilted by -9 to 0 dB an octave."""
    level, tilt_db = 10 ** (random.uniform(-45, -12) / 10), random.uniform(-9, 0)
    return [
        energy
        + level
        * energy.mean()
        * 10 ** (tilt_db * np.log2(np.maximum(kind.centres_hz, 60) / 1000) / 10)
        * random.exponential(size=energy.shape)
        for kind, energy in zip(FEATURE_KINDS, energies, strict=True)
    ]


Link = Callable[[Energies, np.random.Generator], Energies]
CHAIN: tuple[tuple[float, Link], ...] = ((0.3, reverberate), (0.35, equalise), (0.2, noise))
