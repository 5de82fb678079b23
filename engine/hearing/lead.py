"""The tune of a region, as far as it can be taken out of a mix.

    region -> pitches -> the likeliest line -> a mask around its partials -> the region behind it

The line is a path of notes and rests that is loud, high rather than low, and seldom leaps (Viterbi;
the idea of Salamon and Gomez 2012, "Melody Extraction"). docs/accompaniment.md says how often it is
right.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.audio import spectra
from engine.hearing import pitches
from engine.hearing.beats import viterbi
from engine.hearing.pitches import NOTES

ALONE = 0.85  # of the energy: a line that holds so much is all there is
REST = 0.3  # how loud a note must be, where 1 is the loudest of most moments
# costs of another note, of each semitone on the way to it, and of beginning or ending one
CHANGE, LEAP, ENTRY = 0.3, 0.015, 0.18
# what each semitone up earns, and what each below a low G costs
HIGHER, LOWEST_LEAD, LOWER = 0.003, 55, 0.06
PARTIALS, HALF_WIDTH_SEMITONES, NARROWEST_BINS = 16, 0.6, 1.5
BESIDE_DB = -20.0


def lead(mono: np.ndarray, rate_hz: int, pitch_activations: np.ndarray) -> tuple[np.ndarray, float]:
    """The tune [N] of float samples [N], and its share of the energy.

    `pitch_activations`: what `pitches.find_pitches` found in it. A region of one voice, or of none,
    comes back as it is.
    """
    path = line(pitch_activations)
    frames = spectra.middles(spectra.frame_count(len(mono))) * (pitches.FRAMES_PER_SECOND / rate_hz)
    chosen = path[np.clip(np.round(frames).astype(int), 0, len(path) - 1)]
    weights = np.eye(len(NOTES) + 1, dtype=np.float32)[chosen]
    # no click where a note begins
    weights[1:-1] = (weights[:-2] + 2 * weights[1:-1] + weights[2:]) / 4
    tune = spectra.filter_frames(mono, weights, _masks(rate_hz), lambda: False)
    share = float(np.sum(np.square(tune)) / max(np.sum(np.square(mono)), 1e-12))
    return (tune if 0 < share < ALONE and (path < len(NOTES)).any() else mono), share


def line(pitch_activations: np.ndarray) -> np.ndarray:
    """Index into NOTES for each row of [frames, NOTES], or len(NOTES) for a rest."""
    loudest = np.percentile(pitch_activations.max(axis=1), 90)
    if loudest <= 0:
        return np.full(len(pitch_activations), len(NOTES))
    merit = np.sqrt(np.minimum(pitch_activations / loudest, 1.4))
    merit = merit + HIGHER * (NOTES - 64) - LOWER * np.maximum(LOWEST_LEAD - NOTES, 0)
    merit = np.pad(merit, ((0, 0), (0, 1)), constant_values=REST)
    return viterbi(merit, np.zeros(merit.shape[1]), -_costs())


@lru_cache(maxsize=1)
def _costs() -> np.ndarray:
    """From one state to another: [NOTES + rest, NOTES + rest]."""
    apart = np.abs(NOTES[:, None] - NOTES[None, :])
    cost = np.pad(np.where(apart == 0, 0.0, CHANGE + LEAP * apart), (0, 1), constant_values=ENTRY)
    cost[-1, -1] = 0.0
    return cost


@lru_cache(maxsize=2)
def _masks(rate_hz: int) -> np.ndarray:
    """Gains that let a note's partials pass: [NOTES + rest, 2049]."""
    bin_hz = rate_hz / spectra.N_FFT
    hz = np.arange(spectra.N_FFT // 2 + 1) * bin_hz
    masks = np.full((len(NOTES) + 1, len(hz)), 10 ** (BESIDE_DB / 20), np.float32)
    for mask, note in zip(masks, NOTES, strict=False):
        for partial_hz in 440 * 2 ** ((note - 69) / 12) * np.arange(1, PARTIALS + 1):
            width = max(
                NARROWEST_BINS * bin_hz, partial_hz * (2 ** (HALF_WIDTH_SEMITONES / 12) - 1)
            )
            np.maximum(mask, np.clip(1.5 - np.abs(hz - partial_hz) / width, 0, 1), out=mask)
    return masks
