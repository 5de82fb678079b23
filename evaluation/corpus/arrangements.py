"""Pieces by the arranger, truly played: every part by a sampler, on sounds that its genre names.

Seeds are those of tests (or of the judge): no training has met these pieces, nor, with TimGM6mb,
these sounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.arranging.compose import Arrangement, compose
from engine.arranging.genres import GENRES
from engine.arranging.parts import write
from engine.arranging.wording import TUNE
from engine.families.nano.features import level_gain
from engine.hearing.music import Note

RATE_HZ = 32_000
GENRE_ROLES = ("bass", "chords", "drums")  # beside the tune: what nano's genre task gives
LEVELS_DB = {
    TUNE: 0.0,
    "bass": -3.0,
    "drums": -3.0,
    "counter": -4.0,
    "chords": -6.0,
    "arpeggio": -8.0,
    "pad": -9.0,
}


@dataclass(frozen=True)
class Performance:
    """A piece and its parts, each mono at 32 kHz at its level in the mix."""

    piece: Arrangement
    parts: Mapping[str, np.ndarray]  # TUNE and roles

    def mix(self, *roles: str) -> np.ndarray:
        """The sum of these parts."""
        return sum((self.parts[role] for role in roles), np.zeros_like(self.parts[TUNE]))


class Players:
    """One soundfont; notes in, sound out. One thread."""

    def __init__(self, soundfont: str) -> None:
        """FileNotFoundError naming the package of a missing soundfont."""
        from evaluation.corpus.render import Renderer, find_soundfont

        self._renderer = Renderer(find_soundfont(soundfont))
        self._programs = programs()

    def play(self, notes: Sequence[Note], words: str, seconds: float) -> np.ndarray:
        """The notes on the sound of those words, brought to -20 dBFS; silence stays silence."""
        from evaluation.corpus.scores import Score

        sound = self._renderer.render(Score.plain(notes, seconds), *self._programs[words])
        return sound * np.float32(level_gain(sound))

    def close(self) -> None:
        self._renderer.close()


def programs() -> dict[str, tuple[int, int]]:
    """Words -> General MIDI program and bank."""
    from evaluation.corpus.instruments import SOUNDS

    return {word: (sound.program, sound.bank) for sound in SOUNDS for word in sound.words}


def perform(
    players: Players, piece: Arrangement, roles: Sequence[str], random: np.random.Generator
) -> Performance:
    """The tune and these roles on sounds that the piece's genre names."""
    instruments = GENRES[piece.genre].instruments
    parts = {}
    for role, notes in {TUNE: piece.tune, **{role: piece.parts[role] for role in roles}}.items():
        words = instruments["lead" if role == TUNE else role]
        parts[role] = players.play(notes, str(random.choice(words)), piece.grid.seconds)
    return Performance(piece, at_levels(parts))


def rearranged(
    players: Players, piece: Arrangement, genre: str, random: np.random.Generator
) -> Performance:
    """The same tune over the same chords, its band written and played in another genre."""
    written = {role: write(role, piece.grid, GENRES[genre], random) for role in GENRE_ROLES}
    return perform(players, replace(piece, genre=genre, parts=written), GENRE_ROLES, random)


def at_levels(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each part brought to -20 dBFS and then to its LEVELS_DB; silence stays silence."""
    return {
        role: sound * np.float32(level_gain(sound) * 10 ** (LEVELS_DB[role] / 20))
        for role, sound in parts.items()
    }


def drum_loop(players: Players, seed: int, genre: str, seconds: float) -> np.ndarray:
    """The drummer of a piece in this genre, alone."""
    piece = compose(seed, seconds, genre)
    return players.play(piece.parts["drums"], GENRES[genre].instruments["drums"][0], seconds)
