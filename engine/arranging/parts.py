"""What does one musician of a genre play over a grid of beats and chords?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from engine.arranging.bass import bass
from engine.arranging.chords import arpeggio, chords, pad
from engine.arranging.counter import counter
from engine.arranging.drums import drums
from engine.arranging.genres import Genre
from engine.arranging.playing import Player
from engine.hearing.music import Grid, Note

_WRITERS: Mapping[str, Callable[[Player], Iterator[Note]]] = {
    "bass": bass,
    "chords": chords,
    "pad": pad,
    "drums": drums,
    "counter": counter,
    "arpeggio": arpeggio,
}
ROLES = tuple(_WRITERS)


def write(role: str, grid: Grid, genre: Genre, random: np.random.Generator) -> tuple[Note, ...]:
    """The notes of one role of ROLES in time order, all inside the region.

    Drums are General MIDI percussion. The same random gives the same notes. A region of less than a
    beat may have none.
    """
    return tuple(sorted(_WRITERS[role](Player(grid, genre, random))))
