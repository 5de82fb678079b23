"""How does one job get several stems? The arranger writes further parts, and nano plays them.

    region -> hear -> grid -> write(role) -> notes -> guide -> nano, with the part's sound -> a stem
    region -> lead -> nano, with the sound of the genre's lead -> the tune (genre only)

Nothing of the region's sound is in the new stems.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from engine.arranging import guide, parts
from engine.arranging.genres import GENRES
from engine.arranging.wording import MIX, TUNE, Intent, RequestedPart
from engine.audio.region import ModelOutput, Voice
from engine.errors import EngineError
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing.lead import lead
from engine.hearing.listen import HeardMusic, hear
from engine.knobs import Knobs
from engine.progress import Progress

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

# nano itself: the same notes with the sound that the knobs ask for
Play = Callable[[np.ndarray, Knobs, Progress], np.ndarray]


class ArrangedEdit:
    """The stems of one job.

    `only`: names of stems, comma separated; empty: all. `tempo_bpm`: 0 as heard. EngineError
    bad_args where the intent names no genre, or `only` a stem that there is not.
    """

    def __init__(self, intent: Intent, only: str = "", tempo_bpm: float = 0.0) -> None:
        self._intent, self._tempo_bpm = intent, tempo_bpm
        self._parts = _choose(_all_parts(intent), only)
        self._roles = tuple(part.role for part in self._parts)

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The stems that `run` makes, in its order."""
        names = (MIX,) if self._intent.is_mix else self._roles
        return tuple(Voice(name, name not in (TUNE, MIX), LEVELS_DB[name]) for name in names)

    def run(self, mono: np.ndarray, knobs: Knobs, play: Play, progress: Progress) -> ModelOutput:
        """Stems [voices, N] at 32 kHz of a region [N], with what was heard and assumed as notes.

        EngineError, among them Cancelled, from `play`.
        """
        progress("hearing", 0.0)
        heard = hear(mono, SAMPLE_RATE_HZ, self._tempo_bpm)
        genre = self._intent.genre or DEFAULT_GENRES.get(heard.grid.beats_per_bar, DEFAULT_GENRE)
        notes = describe(heard, genre)
        stems = []
        for index, part in enumerate(self._parts):
            own = self._knobs_of(part, genre, knobs, index)
            if part.role == TUNE:
                source, share = lead(mono, SAMPLE_RATE_HZ, heard.pitch_activations)
                notes.append(f"tune: {share:.0%} of the region's energy")
            else:
                source = self._guide(part, heard, genre, own.seed)
            if source.any():
                source = play(source, own, self._share_of(progress, index))
            stems.append(source)
        made = np.stack([mix_down(stems, self._roles)] if self._intent.is_mix else stems)
        return ModelOutput(made, tuple(notes))

    def _knobs_of(self, part: RequestedPart, genre: str, knobs: Knobs, index: int) -> Knobs:
        sound = ((_sound(part, genre, knobs.seed), 1.0),)
        own = replace(knobs, prompts=sound, seed=knobs.seed + index)
        # drums have no notes to balance
        return replace(own, fidelity=0.0) if part.role == "drums" else own

    def _share_of(self, progress: Progress, index: int) -> Progress:
        """The progress of one part, as its share of the whole job."""
        share = (1 - HEARD) / len(self._parts)
        return lambda stage, done: progress(stage, HEARD + share * (index + max(done, 0.0)))

    def _guide(self, part: RequestedPart, heard: HeardMusic, genre: str, seed: int) -> np.ndarray:
        random = np.random.default_rng([0xBA2D, seed])
        style = GENRES[genre]
        if not self._intent.genre:  # nobody asked for its tempi either
            style = replace(style, tempo_bpm=(heard.grid.tempo_bpm, heard.grid.tempo_bpm))
        written = parts.write(part.role, heard.grid, style, random)
        return guide.sound(part.role, written, heard.grid.seconds)


def _all_parts(intent: Intent) -> tuple[RequestedPart, ...]:
    if intent.task != "genre":
        return intent.parts
    if not intent.genre:
        raise EngineError(
            "bad_args", f"text: expected a genre: {', '.join(GENRES)}; name one of them"
        )
    instruments = GENRES[intent.genre].instruments
    roles = (role for role in GENRE_ROLES if instruments.get(role))
    return (RequestedPart(TUNE), *(RequestedPart(role) for role in roles))


def _choose(every: tuple[RequestedPart, ...], only: str) -> tuple[RequestedPart, ...]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    there = [part.role for part in every]
    if unknown := [name for name in names if name not in there]:
        raise EngineError(
            "bad_args", f"stems: expected some of {', '.join(there)}, got {unknown[0]!r}"
        )
    return tuple(part for part in every if not names or part.role in names)


def _sound(part: RequestedPart, genre: str, seed: int) -> str:
    """The words for a part's sound: its own, or some of the genre's."""
    if part.sound:
        return part.sound
    choices = GENRES[genre].instruments["lead" if part.role == TUNE else part.role]
    return choices[np.random.default_rng([0x50, seed]).integers(len(choices))]


def describe(heard: HeardMusic, genre: str) -> list[str]:
    """What was heard and assumed, for the manifest."""
    grid = heard.grid
    trust = (
        f"beats {heard.beat_confidence:.0%}, bars {heard.bar_confidence:.0%}, "
        f"key {heard.key_confidence:.0%} sure"
    )
    metre = f"{grid.tempo_bpm:.1f} BPM, {grid.beats_per_bar} beats a bar, {grid.key}"
    chords = [str(chord) if chord else "-" for chord in grid.chords]
    changes = [
        chord for index, chord in enumerate(chords) if not index or chord != chords[index - 1]
    ]
    return [
        f"heard: {metre} ({trust}); arranged as {genre}",
        f"chords: {' | '.join(changes[:32])}{' ...' if len(changes) > 32 else ''}",
    ]


def mix_down(stems: Sequence[np.ndarray], roles: Sequence[str]) -> np.ndarray:
    """The sum [N] of the stems, each brought to the same loudness and then to its LEVELS_DB."""
    mix = np.zeros_like(stems[0])
    for stem, role in zip(stems, roles, strict=True):
        power = float(np.mean(np.square(stem)))
        gain = 10 ** (LEVELS_DB[role] / 20) / np.sqrt(power) if power > 1e-12 else 0.0
        mix += np.float32(gain) * stem
    return mix
