"""The second voice: long notes on the colours of each chord, moving by the smallest steps."""

from __future__ import annotations

from collections.abc import Iterator

from engine.arranging.playing import PHRASE_BARS, Player, Step
from engine.arranging.scale import move, scale_over
from engine.hearing.music import Note

LOWEST, HIGHEST, CENTRE = 57, 77, 66
TURN_PROBABILITY = 0.4


def counter(player: Player) -> Iterator[Note]:
    usual, other = player.choose(player.genre.counter), player.choose(player.genre.counter)
    last = CENTRE
    for number, first_beat in player.bars():
        pattern = other if number % 2 else usual
        level = 0.66 + 0.08 * (number % PHRASE_BARS)  # towards the end of the phrase
        for whole in player.steps(pattern, number, first_beat):
            for step in player.under_one_chord(whole):
                last = _guide(player, step, last)
                turns = step.beats >= 2 and player.random.random() < TURN_PROBABILITY
                sounding = step.beats - 1 if turns else step.beats
                yield from player.note(step.beat, 0.98 * sounding, last, level)
                if turns:
                    scale = scale_over(player.grid.key, player.chord(step.beat))
                    last = move(last, 1 if last < CENTRE else -1, scale)
                    yield from player.note(step.beat + sounding, 0.95, last, level)


def _guide(player: Player, step: Step, last: int) -> int:
    """The chord's third or seventh, or another tone if much nearer; a step before the same note."""
    root, *colours = player.chord(step.beat).pitch_classes
    fifth = colours[1]

    def cost(pitch: int) -> float:
        plain = 2.5 * (pitch % 12 == root) + 1.5 * (pitch % 12 == fifth)
        return abs(pitch - last) + plain + 2.5 * (pitch == last) + 0.15 * abs(pitch - CENTRE)

    tones = {root, *colours}
    return min((p for p in range(LOWEST, HIGHEST + 1) if p % 12 in tones), key=cost)
