"""How are patterns and harmony written down, so that a musician can read and change the genres?

A pattern is text: a group of signs for each beat, `|` between bars. As many signs as a group has,
so many equal parts has its beat: "x.x. x... x.x. x..." is a bar of four beats in sixteenths, "x.x
x.x x.x x.x" the same bar in triplets. Harmony is Roman numerals, the scale degree counted in the
major scale: "ii7 V7 | IM7" is two chords in the first bar.
"""

from __future__ import annotations

import re
from functools import cache

from engine.hearing.music import Chord, Key

Bar = tuple[str, ...]  # the signs of each beat

# semitones above the tonic
_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
_QUALITIES = {  # (written large, suffix): quality
    (True, ""): "major",
    (True, "7"): "dominant 7",
    (True, "M7"): "major 7",
    (True, "6"): "major 6",
    (True, "+"): "augmented",
    (True, "sus"): "suspended",
    (False, ""): "minor",
    (False, "7"): "minor 7",
    (False, "6"): "minor 6",
    (False, "o"): "diminished",
    (False, "o7"): "diminished 7",
    (False, "ø7"): "half-diminished",
}


@cache
def bars(pattern: str) -> tuple[Bar, ...]:
    return tuple(tuple(bar.split()) for bar in pattern.split("|"))


def fit_bar(bar: Bar, beats: int) -> Bar:
    """The bar in another metre: cut, repeated, or made longer by its beats after the first.

    4 -> 3: 0 1 2    3 -> 6: 0 1 2 0 1 2    4 -> 7: 0 1 2 3 1 2 3    3 -> 4: 0 1 2 1
    """
    if beats % len(bar) == 0:
        return bar * (beats // len(bar))
    rest = bar[1:] or bar
    return (bar + rest * beats)[:beats]


def fitting(patterns: tuple[str, ...], beats: int) -> tuple[str, ...]:
    """The patterns written for bars of so many beats; all of them where none is."""
    return tuple(pattern for pattern in patterns if len(bars(pattern)[0]) == beats) or patterns


def swung(place: float, ratio: float, pairs_per_beat: int) -> float:
    """Where in its beat (0..1) a straight place is played.

    The second of each pair waits until `ratio` of the pair.
    """
    pair, within = divmod(place * pairs_per_beat, 1)
    late = within * 2 * ratio if within < 0.5 else ratio + (within - 0.5) * 2 * (1 - ratio)
    return (pair + late) / pairs_per_beat


@cache
def chord(numeral: str, tonic: int) -> Chord:
    """ "bVII", "iiø7", "V7" in the key of a tonic 0..11."""
    found = re.fullmatch(r"(b?)([IViv]+)(.*)", numeral)
    assert found, f"{numeral} is no Roman numeral"
    flat, degree, suffix = found.groups()
    root = (tonic + _DEGREES[degree.upper()] - len(flat)) % 12
    return Chord(root, _QUALITIES[degree.isupper(), suffix])


def progression(text: str, key: Key, beats_per_bar: int) -> tuple[Chord, ...]:
    """A chord for each beat; the chords of a bar share it, the earlier ones get the longer part."""
    chords = []
    for numerals in bars(text):
        length = -(-beats_per_bar // len(numerals))
        beats = [chord(numerals[beat // length], key.tonic) for beat in range(beats_per_bar)]
        chords += beats
    return tuple(chords)
