"""Which key, which chords? From the notes that sound in each beat.

Chords are a path through QUALITIES on twelve roots (Viterbi): each beat's notes speak for some, the key for its own
degrees, and a change is cheap on a bar line and dear within a bar. So a tune alone gets the chords that its notes and
its key allow, and one passing note changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.arranging import beats
from engine.arranging.music import Chord, Key
from engine.arranging.pitches import FRAMES_PER_SECOND, NOTES

# How often each degree sounds in major and in minor music (Temperley 2007, "Music and Probability").
PROFILES = {
    "major": (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
    "minor": (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
}
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
DEGREE_BONUS = {0: 0.15, 7: 0.08, 5: 0.08}


class Harmony(NamedTuple):
    treble: np.ndarray  # [beats, 12]
    bass: np.ndarray  # [beats, 12]


def beat_chroma(strength: np.ndarray, beats_seconds: np.ndarray) -> Harmony:
    """What sounds between each beat and the next, by pitch class; beats outside the region are silent."""
    root = np.sqrt(strength)
    edges = np.round(beats_seconds * FRAMES_PER_SECOND)
    rows = np.zeros((len(edges) - 1, len(NOTES)))
    for beat, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = slice(int(np.clip(first, 0, len(root))), int(np.clip(max(last, first + 1), 0, len(root))))
        if inside.stop > inside.start:
            rows[beat] = root[inside].mean(axis=0)
    fold = np.eye(12)[NOTES % 12]
    low = np.clip((BASS_BELOW + 5 - NOTES) / 10, 0, 1)
    high = np.clip((NOTES - TREBLE_ABOVE + 5) / 10, 0, 1) * np.clip((100 - NOTES) / 24, 0, 1)
    return Harmony(rows @ (fold * high[:, None]), rows @ (fold * low[:, None]))


def find_key(harmony: Harmony) -> tuple[Key, float]:
    """(key, 0..1 how much better it fits than the next best of another tonic)."""
    chroma = harmony.treble.sum(axis=0) + harmony.bass.sum(axis=0)
    if not chroma.any():
        return Key(0, "major"), 0.0
    fits = {
        Key(tonic, mode): float(np.corrcoef(chroma, np.roll(profile, tonic))[0, 1])
        for mode, profile in PROFILES.items()
        for tonic in range(12)
    }
    best = max(fits, key=fits.get)
    second = max(fit for key, fit in fits.items() if key.tonic != best.tonic)
    return best, float(np.clip(fits[best] - second, 0, 1))


def find_chords(harmony: Harmony, key: Key, places: np.ndarray, beats_per_bar: int) -> tuple[list[Chord], float]:
    """(one chord a beat, score of that path). `places` [beats]: each beat's place in its bar."""
    emission = chord_fit(harmony, key)
    costs = np.array([_change_cost(int(place), beats_per_bar) for place in places])
    moves = -costs[:, None, None] * (1 - np.eye(len(CHORDS)))
    path = beats.viterbi(emission, np.zeros(len(CHORDS)), moves)
    score = emission[np.arange(len(path)), path].sum() - costs[1:][np.diff(path) != 0].sum()
    return [CHORDS[state] for state in path], float(score)


def chord_fit(harmony: Harmony, key: Key) -> np.ndarray:
    """[beats, chords]: how well each chord suits each beat's notes and the key."""
    treble, bass = _levelled(harmony.treble), _levelled(harmony.bass)
    templates = np.array([[float(tone in chord.pitch_classes) for tone in range(12)] for chord in CHORDS])
    centred = templates - templates.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    roots = np.eye(12)[[chord.root for chord in CHORDS]]
    fit = treble @ centred.T + BASS_WEIGHT * (bass @ (roots + 0.3 * (templates - roots) - templates.mean()).T)
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


def _levelled(chroma: np.ndarray) -> np.ndarray:
    """Each beat to unit length, quiet beats to less."""
    length = np.linalg.norm(chroma, axis=1, keepdims=True)
    return chroma / np.maximum(length, max(QUIETEST * float(length.max()), 1e-9))
