"""The tune: phrases of four bars, made of two ideas that are repeated and changed.

phrase    A  A  B  A    bars of each: an idea, another, the first in another place, a long note
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.arranging.playing import PHRASE_BARS, Player, Step
from engine.arranging.scale import move, scale_over, snap
from engine.hearing.music import Note

FORM = "AABA"
MOVES, MOVE_WEIGHTS = (
    (0, 1, -1, 2, -2, 3, -3, 4, -4),
    (0.08, 0.27, 0.27, 0.12, 0.12, 0.05, 0.05, 0.02, 0.02),
)
REACH = 10  # semitones to either side of home
ANOTHER_WAY = 0.2  # how often a repeated bar turns its idea round
SETTLED_BEATS = 1.0  # a note as long as this belongs to the chord


class _Idea:
    """What stays the same when a phrase comes again: rhythm, turns and arch."""

    def __init__(self, player: Player) -> None:
        random = player.random
        first, other = player.choose(player.genre.tune), player.choose(player.genre.tune)
        turns = [random.choice(MOVES, 16, p=MOVE_WEIGHTS) for _ in range(3)]
        self.rhythms = (first, other, first, _rest(player.grid.beats_per_bar))
        self.turns = (turns[0], turns[1], turns[0], turns[2])
        # semitones from home
        self.arch = (0, int(random.integers(0, 5)), int(random.integers(-3, 6)), 0)


def tune(player: Player) -> Iterator[Note]:
    """A melody over the player's chords, one note at a time."""
    random = player.random
    home = last = int(random.integers(64, 76))
    ideas = {"A": _Idea(player), "B": _Idea(player)}
    for number, first_beat in player.bars():
        idea = ideas[FORM[number // PHRASE_BARS % len(FORM)]]
        place = number % PHRASE_BARS
        turns = -idea.turns[place] if random.random() < ANOTHER_WAY else idea.turns[place]
        swell = 0.76 + 0.12 * np.sin(np.pi * (place + 0.5) / PHRASE_BARS)
        for index, step in enumerate(player.steps(idea.rhythms[place], number, first_beat)):
            aim = (
                home + idea.arch[place]
                if index == 0
                else _continue(player, step, last, int(turns[index % 16]), home)
            )
            last = _settle(player, step, aim, ends=place == PHRASE_BARS - 1)
            accent = 0.06 if step.beat == int(step.beat) else 0.0
            yield from player.note(step.beat, player.legato * step.beats, last, swell + accent)


def _rest(beats: int) -> str:
    """The last bar of a phrase: a long note, and breath."""
    held = max(1, beats - 1)
    return "x " + "- " * (held - 1) + ". " * (beats - held)


def _continue(player: Player, step: Step, last: int, turn: int, home: int) -> int:
    if abs(last + 2 * turn - home) > REACH:
        turn = -turn
    return move(last, turn, scale_over(player.grid.key, player.chord(step.beat)))


def _settle(player: Player, step: Step, aim: int, ends: bool) -> int:
    """A chord tone on strong beats and long notes, root or third at the end, else a scale tone."""
    chord = player.chord(step.beat)
    strong = step.beat == int(step.beat) and player.grid.place_in_bar(int(step.beat)) % 2 == 0
    if ends and step.beats >= SETTLED_BEATS:
        return snap(aim, chord.pitch_classes[:2])
    if strong or step.beats >= SETTLED_BEATS:
        return snap(aim, chord.pitch_classes)
    return snap(aim, scale_over(player.grid.key, chord))
