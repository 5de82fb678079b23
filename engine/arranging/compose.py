"""Whole pieces by the arranger's tables: what nano learns from.

A piece is written from its first bar, and the region is cut out of it somewhere: regions begin
anywhere in a bar and hold beginnings, middles and ends of phrases alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.arranging.genres import GENRES, Genre
from engine.arranging.melody import tune
from engine.arranging.notation import bars, progression
from engine.arranging.parts import ROLES, write
from engine.arranging.playing import SHORTEST_SECONDS, Player, entry
from engine.hearing.music import Chord, Grid, Key, Note

SECTION_BARS = 8
FORM_BARS = 16  # a region may begin in any of them
# a genre with surer hands than this is played by a machine, and its tempo stands still
STEADY_SECONDS = 0.002
EIGHTHS_BPM = (126.0, 180.0)  # the beats of 6/8
DRIFT = 0.015  # how far the tempo of people strays, as a part of it


@dataclass(frozen=True)
class Arrangement:
    genre: str  # key of GENRES
    grid: Grid
    tune: tuple[Note, ...]
    parts: Mapping[str, tuple[Note, ...]]  # by role of parts.ROLES


def compose(seed: int, seconds: float, genre: str | None = None) -> Arrangement:
    """A region from a piece in a genre of GENRES, or in any; the same for the same arguments."""
    random = np.random.default_rng([0xC0305E, seed])
    drawn = str(random.choice(list(GENRES)))
    name = genre or drawn
    style = GENRES[name]
    whole = _piece(style, seconds, random)
    start = _start_seconds(whole, whole.seconds - seconds, random)
    whole = cut_grid(whole, 0.0, start + seconds)  # nobody hears what comes after the region
    melody = tuple(tune(Player(whole, style, random)))
    parts = {role: write(role, whole, style, random) for role in ROLES}
    return Arrangement(
        name,
        cut_grid(whole, start, seconds),
        cut_notes(melody, start, seconds),
        {
            role: cut_notes(notes, start, seconds, struck=role == "drums")
            for role, notes in parts.items()
        },
    )


def _piece(genre: Genre, seconds: float, random: np.random.Generator) -> Grid:
    """The grid of a piece that is one form longer than the region."""
    beats_per_bar = int(random.choice(list(genre.metres), p=list(genre.metres.values())))
    tempo_bpm = float(
        np.exp(random.uniform(*np.log(EIGHTHS_BPM if beats_per_bar == 6 else genre.tempo_bpm)))
    )
    song = genre.harmonies[
        random.choice(len(genre.harmonies), p=[h.weight for h in genre.harmonies])
    ]
    key = Key(int(random.integers(12)), song.mode)
    text = song.progressions[random.integers(len(song.progressions))]
    count = FORM_BARS * beats_per_bar + int(np.ceil(seconds * tempo_bpm / 60 * (1 + DRIFT))) + 1
    beats_seconds = np.concatenate([[0.0], np.cumsum(60 / _tempi(genre, tempo_bpm, count, random))])
    chords = _form(text, song.cadence, key, beats_per_bar)
    return Grid(
        float(beats_seconds[-1]),
        beats_seconds,
        0,
        beats_per_bar,
        tuple(chords[beat % len(chords)] for beat in range(count)),
        key,
    )


def _form(text: str, cadence: str, key: Key, beats_per_bar: int) -> tuple[Chord, ...]:
    """The progression until a section is full, ending in the cadence.

    One that is longer, as twelve bars are, stays as written.
    """
    length = len(bars(text))
    if length > SECTION_BARS:
        return progression(text, key, beats_per_bar)
    chords = progression(text, key, beats_per_bar) * (SECTION_BARS // length)
    end = progression(cadence, key, beats_per_bar)
    return chords + chords[: -len(end)] + end


def _tempi(genre: Genre, tempo_bpm: float, count: int, random: np.random.Generator) -> np.ndarray:
    """Of each beat; people's wanders slowly, a machine's does not."""
    if genre.human_seconds <= STEADY_SECONDS:
        return np.full(count, tempo_bpm)
    phase, period_beats = random.uniform(0, 2 * np.pi), random.uniform(16, 48)
    depth = random.uniform(0, DRIFT)
    return tempo_bpm * (1 + depth * np.sin(phase + 2 * np.pi * np.arange(count) / period_beats))


def _start_seconds(whole: Grid, latest: float, random: np.random.Generator) -> float:
    """Half of the regions begin with a bar, a fifth with a beat, the others anywhere."""
    stride = int(random.choice([whole.beats_per_bar, 1, 0], p=[0.5, 0.2, 0.3]))
    if not stride:
        return float(random.uniform(0, latest))
    starts = whole.beats_seconds[::stride]
    return float(random.choice(starts[starts <= latest]))


def cut_grid(whole: Grid, start_seconds: float, seconds: float) -> Grid:
    """The beats that cover the region, in its own time."""
    beats = whole.beats_seconds - start_seconds
    first = max(0, int(np.searchsorted(beats, 1e-9, side="right")) - 1)
    last = int(np.searchsorted(beats, seconds - 1e-9))
    return Grid(
        seconds,
        beats[first : last + 1],
        (whole.first_bar - first) % whole.beats_per_bar,
        whole.beats_per_bar,
        whole.chords[first:last],
        whole.key,
    )


def cut_notes(
    notes: Iterable[Note], start_seconds: float, seconds: float, struck: bool = False
) -> tuple[Note, ...]:
    """What is heard of the notes in the region, in its own time."""
    cut = []
    for note in notes:
        start = note.start_seconds - start_seconds
        end = min(start + note.duration_seconds, seconds)
        entered = entry(start, end, struck)
        if entered is not None and end - entered >= SHORTEST_SECONDS:
            cut.append(note._replace(start_seconds=entered, duration_seconds=end - entered))
    return tuple(sorted(cut))
