"""Several stems of one job: the arranger writes further parts or another genre, and nano plays them.

    region -> hear -> grid -> write(role) -> notes -> guide -> nano, with the part's sound -> a stem
    region -> lead -> nano, with the sound of the genre's lead -> the tune (genre only)

Nothing of the region's sound is in the new stems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from engine.arranging import guide, parts
from engine.arranging.genres import GENRES
from engine.arranging.wording import MIX, TUNE, Intent, RequestedPart
from engine.audio.region import Voice
from engine.errors import EngineError
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing.lead import lead
from engine.hearing.listen import HeardMusic, hear
from engine.knobs import Knobs

HEARD = 0.05  # fraction of the job
LEVELS_DB = {  # beside the region, so that the stems together make a balance
    TUNE: 0.0,
    MIX: 0.0,
    "drums": -3.0,
    "bass": -3.0,
    "counter": -4.0,
    "chords": -6.0,
    "arpeggio": -7.0,
    "pad": -9.0,
}
GENRE_ROLES = ("drums", "bass", "chords")
DEFAULT_GENRES = {3: "waltz"}  # by beats in a bar, where the words name none
DEFAULT_GENRE = "rock"

Progress = Callable[[str, float], None]
# nano: the same notes with the sound that knobs ask for
Play = Callable[[np.ndarray, Knobs, Progress], np.ndarray]


@dataclass
class ArrangedEdit:
    """The stems of one job. EngineError bad_args where `only` or the intent names none of them."""

    intent: Intent
    only: str = ""  # names of stems, comma separated; empty: all
    tempo_bpm: float = 0.0  # 0: as heard
    notes: list[str] = field(default_factory=list)  # what was heard, once `run` has run

    def __post_init__(self) -> None:
        self._parts = self._choose(self._all_parts())

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The stems that `run` makes, in its order."""
        names = (MIX,) if self.intent.is_mix else tuple(part.role for part in self._parts)
        return tuple(Voice(name, name not in (TUNE, MIX), LEVELS_DB[name]) for name in names)

    def run(self, mono: np.ndarray, knobs: Knobs, play: Play, progress: Progress) -> np.ndarray:
        """[voices, N] at 32 kHz of a region [N]. EngineError, among them Cancelled, from `play`."""
        progress("hearing", 0.0)
        heard = hear(mono, SAMPLE_RATE_HZ, self.tempo_bpm)
        genre = self.intent.genre or DEFAULT_GENRES.get(heard.grid.beats_per_bar, DEFAULT_GENRE)
        self.notes[:] = describe(heard, genre)
        stems = [
            self._stem(index, part, mono, heard, genre, knobs, play, progress)
            for index, part in enumerate(self._parts)
        ]
        return np.stack([mix_down(stems, self._parts)] if self.intent.is_mix else stems)

    def _all_parts(self) -> tuple[RequestedPart, ...]:
        if self.intent.task != "genre":
            return self.intent.parts
        if not self.intent.genre:
            raise EngineError(
                "bad_args", f"text: expected a genre: {', '.join(GENRES)}; name one of them"
            )
        return (
            RequestedPart(TUNE),
            *(
                RequestedPart(role)
                for role in GENRE_ROLES
                if GENRES[self.intent.genre].instruments.get(role)
            ),
        )

    def _choose(self, every: tuple[RequestedPart, ...]) -> tuple[RequestedPart, ...]:
        names = [name.strip() for name in self.only.split(",") if name.strip()]
        there = [part.role for part in every]
        if unknown := [name for name in names if name not in there]:
            raise EngineError(
                "bad_args", f"stems: expected some of {', '.join(there)}, got {unknown[0]!r}"
            )
        return tuple(part for part in every if not names or part.role in names)

    def _stem(
        self,
        index: int,
        part: RequestedPart,
        mono: np.ndarray,
        heard: HeardMusic,
        genre: str,
        knobs: Knobs,
        play: Play,
        progress: Progress,
    ) -> np.ndarray:
        own = replace(
            knobs, prompts=((self._sound(part, genre, knobs), 1.0),), seed=knobs.seed + index
        )
        if part.role == "drums":  # have no notes to balance
            own = replace(own, fidelity=0.0)
        source = (
            self._tune(mono, heard)
            if part.role == TUNE
            else self._guide(part, heard, genre, own.seed)
        )
        if not source.any():
            return source
        share = (1 - HEARD) / len(self._parts)
        return play(
            source,
            own,
            lambda stage, done: progress(stage, HEARD + share * (index + max(done, 0.0))),
        )

    def _tune(self, mono: np.ndarray, heard: HeardMusic) -> np.ndarray:
        tune, share = lead(mono, SAMPLE_RATE_HZ, heard.pitch_activations)
        self.notes.append(f"tune: {share:.0%} of the region's energy")
        return tune

    def _guide(self, part: RequestedPart, heard: HeardMusic, genre: str, seed: int) -> np.ndarray:
        random = np.random.default_rng([0xBA2D, seed])
        style = GENRES[genre]
        if not self.intent.genre:  # nobody asked for its tempi either
            style = replace(style, tempo_bpm=(heard.grid.tempo_bpm, heard.grid.tempo_bpm))
        written = parts.write(part.role, heard.grid, style, random)
        return guide.sound(part.role, written, heard.grid.seconds)

    @staticmethod
    def _sound(part: RequestedPart, genre: str, knobs: Knobs) -> str:
        if part.sound:
            return part.sound
        choices = GENRES[genre].instruments["lead" if part.role == TUNE else part.role]
        return choices[np.random.default_rng([0x50, knobs.seed]).integers(len(choices))]


def describe(heard: HeardMusic, genre: str) -> list[str]:
    """What was heard and assumed, for the manifest."""
    grid = heard.grid
    trust = f"beats {heard.beat_confidence:.0%}, bars {heard.bar_confidence:.0%}, key {heard.key_confidence:.0%} sure"
    chords = [str(chord) if chord else "-" for chord in grid.chords]
    changes = [
        chord for index, chord in enumerate(chords) if not index or chord != chords[index - 1]
    ]
    return [
        f"heard: {grid.tempo_bpm:.1f} BPM, {grid.beats_per_bar} beats a bar, {grid.key} ({trust}); arranged as {genre}",
        f"chords: {' | '.join(changes[:32])}{' ...' if len(changes) > 32 else ''}",
    ]


def mix_down(stems: list[np.ndarray], parts_: tuple[RequestedPart, ...]) -> np.ndarray:
    """The sum [N] of stems that are brought to one loudness and then to LEVELS_DB."""
    powers = [float(np.mean(np.square(stem))) for stem in stems]
    gains = [
        10 ** (LEVELS_DB[part.role] / 20) / np.sqrt(power) if power > 1e-12 else 0.0
        for part, power in zip(parts_, powers, strict=True)
    ]
    return sum(np.float32(gain) * stem for gain, stem in zip(gains, stems, strict=True))
