"""What is a genre? The words in which jazz, waltzes or techno are written down.

The same tables compose the music that nano learns from and arrange the regions that users send.
Signs of the patterns (notation.py explains beats and bars):

    drums     X loud   x plain   o soft   ? soft, now and then   . nothing
    bass      1 3 5 7 8 the chord's tones   w walks on   a leads into the next root   x muted
              - held
    chords    X x o as for drums   - held
              in both, n is the next beat's chord, struck before its time
    tune, counter, pad    x a note   - held   . rest
    arpeggio  1 2 3 .. the chord's tones from below   - held
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

DRUMS: Mapping[str, int] = {  # name of a line in a pattern -> General MIDI percussion
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "low_tom": 45,
    "floor_tom": 41,
    "high_tom": 48,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "crash": 49,
    "cymbal": 57,
    "ride": 51,
    "bell": 53,
    "tambourine": 54,
    "cowbell": 56,
    "bongo": 60,
    "conga_mute": 62,
    "conga": 63,
    "low_conga": 64,
    "timbale": 65,
    "cabasa": 69,
    "maracas": 70,
    "claves": 75,
    "triangle": 81,
}

VOICINGS: Mapping[str, tuple[int, ...]] = {  # which of a chord's tones sound, counted from the root
    "triad": (0, 1, 2),
    "full": (0, 1, 2, 3),
    "rootless": (1, 2, 3),
    "shell": (0, 1, 3),
    "power": (0, 2),
}


class Harmony(NamedTuple):
    mode: str
    weight: float
    progressions: tuple[str, ...]
    cadence: str  # the two bars that end a section


class Drums(NamedTuple):
    """Lines of one metre: the groove, a light variation, and a fill for a bar's last beats."""

    groove: Mapping[str, str]
    variation: Mapping[str, str]
    fill: Mapping[str, str]
    crash: str = "crash"  # what follows a fill


@dataclass(frozen=True)
class Genre:
    words: tuple[str, ...]  # what people call it
    tempo_bpm: tuple[float, float]
    metres: Mapping[int, float]  # beats in a bar -> how often; 6 counts the eighths of 6/8
    harmonies: tuple[Harmony, ...]
    drums: tuple[Drums, ...]
    bass: tuple[str, ...]
    chords: tuple[str, ...]
    arpeggio: tuple[str, ...]
    tune: tuple[str, ...]
    instruments: Mapping[str, tuple[str, ...]]  # role, or "lead" -> words that nano knows
    counter: tuple[str, ...] = (". x - .", "x - - -", ". x x -", ". x -", "x - -", ". x - x -")
    voicing: str = "triad"
    swing: float = 0.5  # where the second of two eighths falls: 0.5 straight, 0.67 triplets
    swung_pairs_per_beat: int = 1  # 2: sixteenths swing
    strum_seconds: float = 0.0  # from string to string
    human_seconds: float = 0.005  # standard deviation of an onset
    loudness: float = 0.8
