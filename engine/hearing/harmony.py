"""Which key, which chords? From the notes that sound in each beat.

The key is the one whose learned profile suits the shares of the pitch classes best (Krumhansl).
Chords are a path through QUALITIES on twelve roots (Viterbi). The notes of each beat speak for some
chords, the key for its own degrees, and a change costs little on a bar line and much within a bar.
So a tune alone gets chords that its notes and its key allow, and a passing note changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.hearing import beats, learned
from engine.hearing.music import Chord, Key
from engine.hearing.pitches import FRAMES_PER_SECOND, NOTES

HEARD_QUALITIES = {  # quality -> what it costs to claim it
    "major": 0.0,
    "minor": 0.0,
    "dominant 7": 0.12,
    "major 7": 0.12,
    "minor 7": 0.10,
    "diminished": 0.15,
    "half-diminished": 0.2,
    "suspended": 0.25,
}
CHORDS = tuple(Chord(root, quality) for quality in HEARD_QUALITIES for root in range(12))
COST = np.array([HEARD_QUALITIES[chord.quality] for chord in CHORDS])
BASS_BELOW, TREBLE_ABOVE = 53, 45  # MIDI notes; between them they cross over
CHANGE_COST = {"bar": 0.25, "half": 0.5, "beat": 0.9}
OUTSIDE_COST = 0.35  # of each chord tone outside the key
BASS_WEIGHT, QUIETEST = 0.5, 0.2
# Tunes and chords lie above these, most drums at them, noise below.
CLEAR_CONTRAST, CLEAR_KEY = 0.7, 0.12
DEGREE_BONUS = {0: 0.15, 7: 0.08, 5: 0.08}


class Harmony(NamedTuple):
    treble: np.ndarray  # [beats, 12]
    bass: np.ndarray  # [beats, 12]


def beat_chroma(strength: np.ndarray, beats_seconds: np.ndarray) -> Harmony:
    """What sounds between each beat and the next, by pitch class.

    Beats outside the region are silent.
    """
    root = np.sqrt(strength)
    edges = np.round(beats_seconds * FRAMES_PER_SECOND)
    rows = np.zeros((len(edges) - 1, len(NOTES)))
    for beat, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = slice(
            int(np.clip(first, 0, len(root))), int(np.clip(max(last, first + 1), 0, len(root)))
        )
        if inside.stop > inside.start:
            rows[beat] = root[inside].mean(axis=0)
    fold = np.eye(12)[NOTES % 12]
    low = np.clip((BASS_BELOW + 5 - NOTES) / 10, 0, 1)
    high = np.clip((NOTES - TREBLE_ABOVE + 5) / 10, 0, 1) * np.clip((100 - NOTES) / 24, 0, 1)
    return Harmony(rows @ (fold * high[:, None]), rows @ (fold * low[:, None]))


def find_key(harmony: Harmony) -> tuple[Key, float]:
    """The likeliest key, and its probability among all keys, 0..1."""
    shares = key_features(harmony)
    if not shares.any():
        return Key(0, "major"), 0.0
    profiles = learned.tables().keys
    keys = [Key(tonic, mode) for mode in profiles for tonic in range(12)]
    turned = np.array([np.roll(shares, -key.tonic, axis=1).ravel() for key in keys])
    scores = (turned * np.array([profiles[key.mode].ravel() for key in keys])).sum(axis=1)
    chances = np.exp(scores - scores.max())
    return keys[int(scores.argmax())], float(1 / chances.sum())


def key_features(harmony: Harmony) -> np.ndarray:
    """Each pitch class's share of all notes, and of the bass: [2, 12]."""
    sums = np.stack([harmony.treble.sum(axis=0), harmony.bass.sum(axis=0)])
    return sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-9)


def is_pitched(harmony: Harmony) -> bool:
    """Whether some pitch classes stand out.

    In noise none does. In drums one may by chance, but they make no key.
    """
    chroma = harmony.treble + harmony.bass
    mean = chroma.mean(axis=1)
    if not mean.any():
        return False
    contrast = np.median(chroma[mean > 0].std(axis=1) / mean[mean > 0])
    return bool(contrast > CLEAR_CONTRAST or find_key(harmony)[1] > CLEAR_KEY)


def find_chords(
    harmony: Harmony, key: Key, places: np.ndarray, beats_per_bar: int
) -> tuple[Chord | None, ...]:
    """One chord a beat; None for all where no notes are heard.

    `places` [beats]: each beat's place in its bar.
    """
    if not is_pitched(harmony):
        return (None,) * len(places)
    costs = np.array([_change_cost(int(place), beats_per_bar) for place in places])
    moves = -costs[:, None, None] * (1 - np.eye(len(CHORDS)))
    path = beats.viterbi(chord_fit(harmony, key), np.zeros(len(CHORDS)), moves)
    return tuple(CHORDS[state] for state in path)


def chord_fit(harmony: Harmony, key: Key) -> np.ndarray:
    """How well each chord suits each beat's notes and the key: [beats, chords]."""
    treble, bass = _scale_to_unit(harmony.treble), _scale_to_unit(harmony.bass)
    templates = np.array(
        [[float(tone in chord.pitch_classes) for tone in range(12)] for chord in CHORDS]
    )
    centred = templates - templates.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    roots = np.eye(12)[[chord.root for chord in CHORDS]]
    fit = treble @ centred.T + BASS_WEIGHT * (
        bass @ (roots + 0.3 * (templates - roots) - templates.mean()).T
    )
    return fit + _place_in_key(key) - COST


def _place_in_key(key: Key) -> np.ndarray:
    scale = set(key.pitch_classes)
    outside = np.array([sum(tone not in scale for tone in chord.pitch_classes) for chord in CHORDS])
    bonus = np.array([DEGREE_BONUS.get((chord.root - key.tonic) % 12, 0.0) for chord in CHORDS])
    return bonus - OUTSIDE_COST * outside


def _change_cost(place: int, beats_per_bar: int) -> float:
    if place == 0:
        return CHANGE_COST["bar"]
    return CHANGE_COST["half" if 2 * place == beats_per_bar else "beat"]


def _scale_to_unit(chroma: np.ndarray) -> np.ndarray:
    """Each beat scaled to unit length, quiet beats to less."""
    length = np.linalg.norm(chroma, axis=1, keepdims=True)
    return chroma / np.maximum(length, max(QUIETEST * float(length.max()), 1e-9))
