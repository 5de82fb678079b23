"""What is played? Random scores for one player, which any instrument can play.

A score is notes plus continuous controllers: notes between the semitones, vibrato, slides and
swells are what real players add and what a sampler never does by itself. Source and target follow
the same curves, so the model learns to carry them over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.hearing.music import Note

CONTROL_RATE_HZ = 100
# Disjoint ranges: no score of one purpose is ever met in another.
TRAINING_SEEDS = range(100_000)
JUDGE_SEEDS = range(200_000, 300_000)
TEST_SEEDS = range(300_000, 400_000)
BEND_RANGE_CENTS = 200.0  # General MIDI's default: two semitones either way
Rhythms = tuple[tuple[float, ...], ...]  # lengths in beats, played one after another

SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 7, 9),
    (0, 3, 5, 6, 7, 10),
    (0, 2, 4, 5, 7, 9, 10),
)
RHYTHMS: Rhythms = (
    (1.0,),
    (0.5, 0.5),
    (0.25, 0.25, 0.5),
    (0.75, 0.25),
    (2.0,),
    (1 / 3, 1 / 3, 1 / 3),
    (0.25,) * 4,
    (1.5, 0.5),
    (3.0,),
    (0.5, 0.25, 0.25),
)

CHORD_RHYTHMS: Rhythms = ((1.0,), (2.0,), (4.0,), (0.5, 0.5), (1.5, 0.5))


@dataclass(frozen=True)
class Score:
    """What is played in `seconds`: notes, and two curves at 100 Hz."""

    seconds: float
    tempo_bpm: float
    notes: tuple[Note, ...]
    bend_cents: np.ndarray  # [100 * seconds], -200..200
    expression: np.ndarray  # [100 * seconds], 0..1 (MIDI controller 11)

    @classmethod
    def from_notes(cls, notes: Iterable[Note], seconds: float, tempo_bpm: float = 120.0) -> Score:
        """The notes as they are written: no bend, full expression."""
        still = np.zeros(round(seconds * CONTROL_RATE_HZ), np.float32)
        return cls(seconds, tempo_bpm, tuple(notes), still, still + 1)


def make_score(seed: int, seconds: float = 5.12) -> Score:
    """One score, the same for the same seed. Any thread."""
    random = np.random.default_rng([0x5C03E, seed])
    tempo_bpm = float(random.uniform(55, 180))
    texture = TEXTURES[random.choice(len(TEXTURES), p=TEXTURE_WEIGHTS)]
    key = int(random.integers(12))
    scale = SCALES[random.integers(len(SCALES))]
    centre = float(np.clip(random.normal(64, 10), 40, 88))
    player = _Player(random, tempo_bpm, seconds, key, scale, centre)
    notes = sorted(texture(player)) or [
        player.note(0.0, seconds / 2, player.degree(player.nearest_step(centre)))
    ]
    curve_length = int(round(seconds * CONTROL_RATE_HZ))
    return Score(
        seconds,
        tempo_bpm,
        tuple(notes),
        _bend(random, notes, curve_length),
        _expression(random, curve_length),
    )


class _Player:
    """The choices that stay the same through one score."""

    def __init__(
        self,
        random: np.random.Generator,
        tempo_bpm: float,
        seconds: float,
        key: int,
        scale: tuple[int, ...],
        centre: float,
    ) -> None:
        self.random, self.seconds = random, seconds
        self.key, self.scale, self.centre = key, scale, centre
        self.beat = 60 / tempo_bpm
        self.legato = random.choice([0.35, 0.7, 0.9, 1.0, 1.08], p=[0.12, 0.2, 0.3, 0.25, 0.13])
        self.loudness = random.uniform(55, 110)
        self.human_seconds = random.choice([0.0, 0.006, 0.015])
        self.rest_probability = random.choice([0.0, 0.08, 0.2])
        self.origin = random.uniform(-self.beat, 0.3 * self.beat)

    def degree(self, step: int) -> int:
        octave, index = divmod(step, len(self.scale))
        return self.key + 12 * octave + self.scale[index]

    def nearest_step(self, pitch: float) -> int:
        steps = np.arange(-7, 80)
        return int(steps[np.argmin([abs(self.degree(int(s)) - pitch) for s in steps])])

    def onsets(self, rhythms: Rhythms = RHYTHMS) -> Iterator[tuple[float, float]]:
        """(start, duration) in seconds, bar after bar, repeating a motif as music does."""
        motif = [
            rhythms[self.random.integers(len(rhythms))] for _ in range(self.random.integers(1, 4))
        ]
        time = self.origin
        while time < self.seconds - 0.05:
            for cell in motif:
                for length in cell:
                    if (
                        time >= 0
                        and self.random.random() >= self.rest_probability
                        and time < self.seconds - 0.05
                    ):
                        yield (
                            max(0.0, time + self.random.normal(0, 1) * self.human_seconds),
                            length * self.beat,
                        )
                    time += length * self.beat

    def note(self, start: float, duration: float, pitch: int, accent: float = 0.0) -> Note:
        velocity = int(np.clip(self.loudness + accent + self.random.normal(0, 7), 25, 124))
        while pitch > 96:
            pitch -= 12
        while pitch < 30:
            pitch += 12
        return Note(float(start), float(max(0.06, duration * self.legato)), int(pitch), velocity)


def _melody(player: _Player, rhythms: Rhythms = RHYTHMS) -> list[Note]:
    step = player.nearest_step(player.centre)
    home, notes = step, []
    for start, duration in player.onsets(rhythms):
        notes.append(player.note(start, duration, player.degree(step)))
        leap = player.random.choice(
            [0, 1, -1, 2, -2, 3, -3, 4, -5, 7],
            p=[0.1, 0.22, 0.22, 0.12, 0.12, 0.06, 0.06, 0.04, 0.03, 0.03],
        )
        step = step + int(leap) if abs(step + leap - home) < 9 else home
    return notes


def _parallel(player: _Player) -> list[Note]:
    interval = int(player.random.choice([2, 4, 5, 7, -3]))
    lead = _melody(player)
    second = [
        player.note(
            n.start_seconds,
            n.duration_seconds,
            player.degree(player.nearest_step(n.pitch_midi) + interval),
            -8,
        )
        for n in lead
    ]
    return lead + second


def _chords(player: _Player) -> list[Note]:
    shape = (0, 2, 4) if player.random.random() < 0.6 else (0, 2, 4, 6)
    root, notes = player.nearest_step(player.centre - 5), []
    for start, duration in player.onsets(CHORD_RHYTHMS):
        strum = player.random.choice([0.0, 0.0, 0.02])
        notes += [
            player.note(start + strum * i, duration, player.degree(root + s), -5)
            for i, s in enumerate(shape)
        ]
        if player.random.random() < 0.5:
            root = player.nearest_step(player.centre - 5) + int(
                player.random.choice([0, 3, 4, 5, 1, -2])
            )
    return notes


def _arpeggio(player: _Player) -> list[Note]:
    root = player.nearest_step(player.centre - 6)
    pattern = ((0, 2, 4, 7), (0, 4, 7, 4), (0, 2, 4, 2), (0, 2, 4, 6, 7, 6, 4, 2))[
        player.random.integers(4)
    ]
    cell = ((0.25,) * 4, (0.5, 0.5), (1 / 3,) * 3)[player.random.integers(3)]
    notes = []
    for index, (start, duration) in enumerate(player.onsets((cell,))):
        if index % len(pattern) == 0 and player.random.random() < 0.5:
            root = player.nearest_step(player.centre - 6) + int(
                player.random.choice([0, 3, 4, 5, -2])
            )
        notes.append(
            player.note(start, duration, player.degree(root + pattern[index % len(pattern)]))
        )
    return notes


def _two_hands(player: _Player) -> list[Note]:
    lead = _melody(player)
    player.centre -= 15
    return lead + (_chords(player) if player.random.random() < 0.5 else _bass(player))


def _bass(player: _Player) -> list[Note]:
    player.centre = min(player.centre, float(player.random.uniform(34, 52)))
    return _melody(player, ((1.0,), (0.5, 0.5), (2.0,), (0.75, 0.25)))


def _drone(player: _Player) -> list[Note]:
    low = player.note(
        0.0,
        player.seconds / player.legato,
        player.degree(player.nearest_step(player.centre - 12)),
        -10,
    )
    return [low, *_melody(player)]


TEXTURES = (_melody, _parallel, _chords, _arpeggio, _two_hands, _bass, _drone)
TEXTURE_WEIGHTS = (0.36, 0.1, 0.16, 0.13, 0.12, 0.08, 0.05)


def _bend(random: np.random.Generator, notes: Sequence[Note], length: int) -> np.ndarray:
    """Tuning, vibrato and slides in cents. A third of the scores stay exactly on pitch."""
    time = np.arange(length) / CONTROL_RATE_HZ
    curve = np.zeros(length, np.float32)
    if random.random() < 0.35:
        return curve
    curve += random.uniform(-50, 50) if random.random() < 0.6 else 0.0
    vibrato_cents = random.choice([0, 12, 25, 50], p=[0.35, 0.25, 0.25, 0.15])
    vibrato_hz, delay = random.uniform(4.2, 6.8), random.uniform(0.05, 0.35)
    slide_probability = random.choice([0.0, 0.3, 0.8], p=[0.6, 0.25, 0.15])
    for note in notes:
        since = time - note.start_seconds
        inside = (since >= 0) & (since < note.duration_seconds)
        depth = vibrato_cents * np.clip((since - delay) / 0.25, 0, 1)
        curve += np.where(inside, depth * np.sin(2 * np.pi * vibrato_hz * since), 0) / max(
            1, _voices(notes, note)
        )
        if random.random() < slide_probability:
            reach, glide = random.uniform(-180, 100), random.uniform(0.04, 0.16)
            curve += np.where(inside, reach * np.clip(1 - since / glide, 0, 1), 0) / max(
                1, _voices(notes, note)
            )
    return np.clip(curve, -BEND_RANGE_CENTS, BEND_RANGE_CENTS).astype(np.float32)


def _voices(notes: Sequence[Note], note: Note) -> int:
    """How many notes start together with `note`: a chord shares one bend."""
    return sum(abs(other.start_seconds - note.start_seconds) < 0.03 for other in notes)


def _expression(random: np.random.Generator, length: int) -> np.ndarray:
    """Swells. Half of the scores keep one level."""
    if random.random() < 0.5:
        return np.ones(length, np.float32)
    points = random.uniform(0.35, 1.0, random.integers(2, 7))
    return np.interp(
        np.linspace(0, len(points) - 1, length), np.arange(len(points)), points
    ).astype(np.float32)
