"""How do the arranger's pieces sound? Each part rendered on a sound that its genre names.

Seeds are those of tests (or of the judge): training never met these pieces, nor, with TimGM6mb,
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
from evaluation.corpus.instruments import SOUNDS
from evaluation.corpus.render import Renderer, find_soundfont
from evaluation.corpus.scores import Score

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
# Words -> General MIDI program and bank.
PROGRAMS = {word: (sound.program, sound.bank) for sound in SOUNDS for word in sound.words}


@dataclass(frozen=True)
class RenderedPiece:
    """A piece and its parts, each mono at 32 kHz at its level in the mix."""

    piece: Arrangement
    parts: Mapping[str, np.ndarray]  # TUNE and roles

    def mix(self, *roles: str) -> np.ndarray:
        """The sum of these parts."""
        return sum((self.parts[role] for role in roles), np.zeros_like(self.parts[TUNE]))


class PartRenderer:
    """One soundfont; notes in, sound out. One thread."""

    def __init__(self, soundfont: str) -> None:
        """Raises FileNotFoundError naming the package of a missing soundfont."""
        self._renderer = Renderer(find_soundfont(soundfont))

    def render(self, notes: Sequence[Note], words: str, seconds: float) -> np.ndarray:
        """The notes on the sound with that name, at -20 dBFS; silence stays silence."""
        sound = self._renderer.render(Score.from_notes(notes, seconds), *PROGRAMS[words])
        return sound * np.float32(level_gain(sound))

    def close(self) -> None:
        self._renderer.close()


def render_parts(
    renderer: PartRenderer, piece: Arrangement, roles: Sequence[str], random: np.random.Generator
) -> RenderedPiece:
    """The tune and these roles on sounds that the piece's genre names."""
    instruments = GENRES[piece.genre].instruments
    parts = {}
    for role, notes in {TUNE: piece.tune, **{role: piece.parts[role] for role in roles}}.items():
        words = instruments["lead" if role == TUNE else role]
        parts[role] = renderer.render(notes, str(random.choice(words)), piece.grid.seconds)
    return RenderedPiece(piece, set_levels(parts))


def render_rearrangement(
    renderer: PartRenderer, piece: Arrangement, genre: str, random: np.random.Generator
) -> RenderedPiece:
    """The same tune over the same chords, its band written and rendered in another genre."""
    parts = {role: write(role, piece.grid, GENRES[genre], random) for role in GENRE_ROLES}
    return render_parts(renderer, replace(piece, genre=genre, parts=parts), GENRE_ROLES, random)


def set_levels(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each part at -20 dBFS plus its LEVELS_DB; silence stays silence."""
    return {
        role: sound * np.float32(level_gain(sound) * 10 ** (LEVELS_DB[role] / 20))
        for role, sound in parts.items()
    }


def render_drum_loop(renderer: PartRenderer, seed: int, genre: str, seconds: float) -> np.ndarray:
    """The drums of a piece in this genre, alone."""
    piece = compose(seed, seconds, genre)
    return renderer.render(piece.parts["drums"], GENRES[genre].instruments["drums"][0], seconds)
