"""How does a stem get the balance of the region's notes?

    region -> levels [T, 36] of each third of a semitone, octaves folded -+
    stem   -> the same ---------------------------------------------------+-> gains [T, 36] -> stem

The model may play a note of a chord too loudly or neglect another. Both are there, and their levels
decide which of them a listener takes for the tune. So each pitch class is brought to the level that
it has in the region. Octaves are folded because instruments differ in which partials they sound.
Gains count at the frequencies of notes and their first partials only. Higher up, partials fall on
every pitch class, and gains would give the sound the comb of whatever is played. weights/README.md
has the figures. Numpy alone.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from engine.audio import spectra
from engine.families.nano import features as F
from engine.progress import IsCancelled

CLASSES = 12 * F.PITCH_BINS_PER_SEMITONE  # 36
SMOOTHED_FRAMES = 3  # about 0.1 s; times the pooling, with which the region is heard more coarsely
UNHEARD = 0.05  # of a frame's strongest class: classes below it in both are left alone
SILENT = 0.01  # of the strongest frame: where the region is softer, the stem is left alone
LOWEST_DB, HIGHEST_DB = -18.0, 9.0
NEPERS_PER_DB = math.log(10) / 20
LOWEST_HZ = 60.0
PITCHED_BINS = spectra.N_FFT // 8  # up to 4 kHz; above, pitch classes cannot be told apart
# gains count where notes and their first partials are
WHOLE_BELOW_HZ, NONE_ABOVE_HZ = 1000.0, 2000.0


def match_note_balance(
    stem: np.ndarray, region: np.ndarray, fidelity: float, pooling: int, cancelled: IsCancelled
) -> np.ndarray:
    """The stem [N] with the note balance of the region [N], both mono at 32 kHz.

    `fidelity`: exponent of the gains; 0: none. Raises Cancelled.
    """
    if not fidelity:
        return stem
    wanted, played = (
        _levels(samples, SMOOTHED_FRAMES * pooling, cancelled) for samples in (region, stem)
    )
    loudest = wanted.max(axis=1, keepdims=True)
    presence = loudest / (loudest + SILENT * loudest.max() + 1e-9)
    wanted, played = _relative(wanted), _relative(played)
    lacking = fidelity * np.log((wanted + UNHEARD) / (played + UNHEARD))
    lacking *= np.where(lacking > 0, wanted, 1)  # what is soft in the region need not come forward
    gains = np.exp(
        np.clip(lacking, LOWEST_DB * NEPERS_PER_DB, HIGHEST_DB * NEPERS_PER_DB) * presence
    )
    unpitched = np.ones((len(gains), 1), np.float32)
    return spectra.filter_frames(
        stem, np.concatenate([gains, unpitched], axis=1), _shapes(), cancelled
    )


def _levels(samples: np.ndarray, smoothed_frames: int, cancelled: IsCancelled) -> np.ndarray:
    """Magnitudes of the pitch classes [T, 36], smoothed over time: the maximum with neighbours."""
    filters = F.pitch_filters(spectra.N_FFT)[:, :PITCHED_BINS].T
    blocks = [
        np.sqrt(np.square(np.abs(block[:, :PITCHED_BINS])) @ filters)
        .reshape(len(block), -1, CLASSES)
        .sum(axis=1)
        for _, block in spectra.spectra(samples, cancelled)
    ]
    levels = _mean_over(np.concatenate(blocks), smoothed_frames)
    return np.maximum(levels, np.maximum(np.roll(levels, 1, axis=1), np.roll(levels, -1, axis=1)))


def _relative(levels: np.ndarray) -> np.ndarray:
    return levels / (levels.max(axis=1, keepdims=True) + 1e-9)


def _mean_over(rows: np.ndarray, width: int) -> np.ndarray:
    """The moving mean of `width` rows, centred; fewer at both ends."""
    index = np.arange(len(rows))
    first, last = np.maximum(index - width // 2, 0), np.minimum(index + (width + 1) // 2, len(rows))
    return spectra.means(rows, first, last).astype(np.float32)


@lru_cache(maxsize=1)
def _shapes() -> np.ndarray:
    """How much of each class's gain a bin gets, by its pitch: [37, 2049]; the last row has none."""
    hz = np.arange(spectra.N_FFT // 2 + 1) * (F.SAMPLE_RATE_HZ / spectra.N_FFT)
    place = (
        69 - F.PITCH_LOWEST_MIDI + 12 * np.log2(np.maximum(hz, 1) / 440)
    ) * F.PITCH_BINS_PER_SEMITONE
    share = np.interp(
        np.log(np.maximum(hz, 1)), np.log([WHOLE_BELOW_HZ, NONE_ABOVE_HZ]), [1, 0]
    ) * (hz >= LOWEST_HZ)
    below = np.floor(place).astype(int)
    shapes = np.zeros((CLASSES + 1, len(hz)), np.float32)
    shapes[below % CLASSES, np.arange(len(hz))] = (1 - (place - below)) * share
    shapes[(below + 1) % CLASSES, np.arange(len(hz))] += (place - below) * share
    shapes[-1] = 1 - share
    return shapes
