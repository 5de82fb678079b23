"""Notes, chords, keys, and the grid of beats that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

QUALITIES: Mapping[str, tuple[int, ...]] = {  # semitones above the root
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
    "suspended": (0, 5, 7),
    "major 7": (0, 4, 7, 11),
    "minor 7": (0, 3, 7, 10),
    "dominant 7": (0, 4, 7, 10),
    "half-diminished": (0, 3, 6, 10),
    "diminished 7": (0, 3, 6, 9),
    "minor 6": (0, 3, 7, 9),
    "major 6": (0, 4, 7, 9),
}

MODES: Mapping[str, tuple[int, ...]] = {  # semitones above the tonic
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}


class Note(NamedTuple):
    start_seconds: float
    duration_seconds: float
    pitch_midi: int  # of drums: General MIDI percussion
    velocity: int  # 1..127


class Chord(NamedTuple):
    root: int  # 0 (C) .. 11
    quality: str  # key of QUALITIES

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """0..11, the root first."""
        return tuple((self.root + step) % 12 for step in QUALITIES[self.quality])

    def __str__(self) -> str:
        return f"{PITCH_NAMES[self.root]} {self.quality}"


class Key(NamedTuple):
    tonic: int  # 0 (C) .. 11
    mode: str  # key of MODES

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """0..11, the tonic first."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    def __str__(self) -> str:
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"


@dataclass(frozen=True)
class Grid:
    """When the beats of a region fall and what harmony each has.

    Times are seconds from the region's first sample.
    """

    seconds: float
    # [n + 1], ascending; the first at or before 0, the last at or after `seconds`
    beats_seconds: np.ndarray
    first_bar: int  # index of a beat that begins a bar
    beats_per_bar: int
    # [n], of the time from each beat to the next; None: no harmony heard
    chords: tuple[Chord | None, ...]
    key: Key

    def __post_init__(self) -> None:
        assert len(self.chords) == len(self.beats_seconds) - 1

    @property
    def tempo_bpm(self) -> float:
        return float(60 / np.median(np.diff(self.beats_seconds)))

    def place_in_bar(self, beat: int) -> int:
        """0 for a beat that begins a bar, up to beats_per_bar - 1."""
        return (beat - self.first_bar) % self.beats_per_bar

    def time(self, beat: float) -> float:
        """Seconds of a place between beats; beat 2.5 is half-way from the third to the fourth."""
        return float(np.interp(beat, np.arange(len(self.beats_seconds)), self.beats_seconds))
