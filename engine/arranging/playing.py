"""How do written bars become notes in time? Swing, the hand's small errors, loudness, edges.

Rule: places are counted in beats from the grid's first beat; only `Player` turns them into seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np

from engine.arranging.genres import Genre
from engine.arranging.notation import bars, fit_bar, fitting, swung
from engine.hearing.music import MODES, Chord, Grid, Key, Note

LEVELS = {"X": 1.0, "x": 0.8, "o": 0.52, "?": 0.4}
SHORTEST_SECONDS = 0.06
EARLY_SECONDS = 0.03  # a note so little before the region still belongs to its first beat
PHRASE_BARS = 4
FEELS = (1.0, 2.0, 0.5)  # of the tempo that is felt to the one that is heard, the preferred first
TOLERANCE = 1.1  # so far outside of its tempi a genre is still at home


class Step(NamedTuple):
    """A sign of a pattern where it falls in the region."""

    beat: float  # from the grid's first beat
    beats: float  # its own length and what is held after it
    sign: str


class Player:
    """One musician in one region: the grid as the genre feels it, and one source of chance."""

    def __init__(self, grid: Grid, genre: Genre, random: np.random.Generator) -> None:
        self.grid, self.genre, self.random = felt(grid, genre), genre, random
        self.harmony = harmony(self.grid)
        self.touch = random.uniform(0.85, 1.08)  # how loud this musician is today
        self.legato = random.uniform(0.75, 0.98)  # how much of its written length a note sounds
        self._beats_seconds = self.grid.beats_seconds.tolist()

    def bars(self) -> Iterator[tuple[int, int]]:
        """(number, first beat) of each bar that the region touches; bar 0 begins at `first_bar`."""
        first, length = self.grid.first_bar, self.grid.beats_per_bar
        for number in range(-first // length, -(-(len(self.harmony) - first) // length)):
            yield number, first + number * length

    def choose(self, patterns: tuple[str, ...]) -> str:
        """One of the patterns that suit the metre."""
        fit = fitting(patterns, self.grid.beats_per_bar)
        return fit[self.random.integers(len(fit))]

    def steps(self, pattern: str, number: int, first_beat: int) -> Iterator[Step]:
        """What sounds of a pattern in the bar of this number, inside the grid.

        What is held over the grid's beginning for a beat or more begins there.
        """
        written = bars(pattern)
        bar = fit_bar(written[number % len(written)], self.grid.beats_per_bar)
        signs = [
            (beat + i / len(group), sign)
            for beat, group in enumerate(bar)
            for i, sign in enumerate(group)
        ]
        for index, (place, sign) in enumerate(signs):
            begin = first_beat + place
            if sign in ".-" or begin >= len(self.harmony):
                continue
            end = first_beat + next(
                (later for later, held in signs[index + 1 :] if held != "-"), float(len(bar))
            )
            if begin >= 0 or end >= 1:
                yield Step(max(0.0, begin), end - max(0.0, begin), sign)

    def changes(self, beat: float) -> bool:
        """Does another chord begin exactly here?"""
        index = int(beat)
        return (
            beat == index
            and 0 < index < len(self.harmony)
            and self.harmony[index] != self.harmony[index - 1]
        )

    def chord(self, beat: float) -> Chord:
        return self.harmony[min(max(int(beat), 0), len(self.harmony) - 1)]

    def under_one_chord(self, step: Step) -> Iterator[Step]:
        """The step, cut where the chord changes while it is held."""
        end = step.beat + step.beats
        cuts = [
            step.beat,
            *(b for b in range(int(step.beat) + 1, ceil(end - 1e-6)) if self.changes(b)),
            end,
        ]
        for start, stop in zip(cuts, cuts[1:], strict=False):
            yield Step(start, stop - start, step.sign)

    def seconds(self, beat: float) -> float:
        """When a place sounds: swung, unless it divides its beat by three."""
        whole, place = divmod(beat, 1)
        thirds = place * 3
        if abs(thirds - round(thirds)) > 1e-6:
            place = swung(place, self.genre.swing, self.genre.swung_pairs_per_beat)
        index = int(whole)
        if index >= len(self.harmony):
            return self._beats_seconds[-1]
        start, end = self._beats_seconds[index : index + 2]
        return start + place * (end - start)

    def note(
        self,
        beat: float,
        beats: float,
        pitch: int,
        level: float,
        late_seconds: float = 0.0,
        struck: bool = False,
    ) -> Iterator[Note]:
        """The note, if the region holds it."""
        start, end = self.seconds(beat), min(self.seconds(beat + beats), self.grid.seconds)
        entered = entry(start, end, struck)
        if entered is None:
            return
        hand = min(2.5, max(-2.5, self.random.normal())) * self.genre.human_seconds
        start = max(0.0, entered + late_seconds + hand)
        if end - start >= SHORTEST_SECONDS:
            yield Note(start, end - start, int(pitch), self._velocity(beat, level))

    def _velocity(self, beat: float, level: float) -> int:
        """A little louder from bar to bar of a phrase, and never twice the same."""
        phrase = (beat - self.grid.first_bar) / (PHRASE_BARS * self.grid.beats_per_bar) % 1
        loud = (
            level
            * self.genre.loudness
            * self.touch
            * (0.93 + 0.09 * phrase)
            * (1 + 0.04 * self.random.normal())
        )
        return min(127, max(1, round(127 * loud)))


def entry(start_seconds: float, end_seconds: float, struck: bool) -> float | None:
    """When a note is first heard in a region that begins at 0; None: not at all.

    A held note that goes on for longer than it has lasted starts with the region. What was struck
    before is over.
    """
    if start_seconds >= -EARLY_SECONDS:
        return max(0.0, start_seconds)
    return 0.0 if not struck and end_seconds > 0.25 - start_seconds else None


def harmony(grid: Grid) -> tuple[Chord, ...]:
    """The chord of each beat; the key's own triad where none was heard."""
    return tuple(chord or tonic(grid.key) for chord in grid.chords)


def tonic(key: Key) -> Chord:
    return Chord(key.tonic, "minor" if MODES[key.mode][2] == 3 else "major")


def _octaves_away(tempo_bpm: float, genre: Genre) -> float:
    slowest, fastest = genre.tempo_bpm
    return max(0.0, float(np.log2(max(slowest / tempo_bpm, tempo_bpm / fastest) / TOLERANCE)))


def felt(grid: Grid, genre: Genre) -> Grid:
    """The grid counted in the tempo that is nearest to the genre's, where beats can be paired.

    A house track over a slow ballad counts twice as fast, reggae at 150 BPM half as fast.
    """
    ratio = min(FEELS, key=lambda ratio: _octaves_away(ratio * grid.tempo_bpm, genre))
    if grid.beats_per_bar not in (2, 4) or ratio == 1:
        return grid
    count = len(grid.chords)
    if ratio > 1:
        return replace(
            grid,
            beats_seconds=np.interp(
                np.arange(2 * count + 1) / 2, np.arange(count + 1), grid.beats_seconds
            ),
            first_bar=2 * grid.first_bar,
            beats_per_bar=4,
            chords=tuple(chord for chord in grid.chords for _ in range(2)),
        )
    # a pair begins with the bar; what is before the first pair is half of one
    start = grid.first_bar % 2
    edges = [*range(-start, count, 2)]
    edges.append(edges[-1] + 2)
    beats = np.interp(edges, np.arange(count + 1), grid.beats_seconds)
    beats[0] -= start * np.diff(grid.beats_seconds[:2])[0]
    beats[-1] += (edges[-1] - count) * np.diff(grid.beats_seconds[-2:])[0]
    return replace(
        grid,
        beats_seconds=beats,
        first_bar=(grid.first_bar + start) // 2,
        chords=tuple(grid.chords[max(0, edge)] for edge in edges[:-1]),
    )
