"""The bass player: roots where the chord changes, steps between them, never far from the last."""

from __future__ import annotations

from collections.abc import Iterator

from engine.arranging.playing import PHRASE_BARS, Player, Step
from engine.arranging.scale import nearest, scale_over
from engine.hearing.music import Chord, Note

# a double bass's open E, the E two octaves above, where it feels at home
LOWEST, HIGHEST, CENTRE = 28, 52, 37
HIGHEST_ROOT = 40  # so that its octave can be played
TONES = {"1": 0, "3": 1, "5": 2}


def bass(player: Player) -> Iterator[Note]:
    line = _BassLine(player)
    usual, other = player.choose(player.genre.bass), player.choose(player.genre.bass)
    for number, first_beat in player.bars():
        pattern = other if number % PHRASE_BARS == PHRASE_BARS - 1 else usual
        for step in player.steps(pattern, number, first_beat):
            for index, part in enumerate(player.under_one_chord(step)):
                yield from line.play(part, new_chord=index > 0 or player.changes(part.beat))


class _BassLine:
    """Where the hand is."""

    def __init__(self, player: Player) -> None:
        self.player, self.last = (
            player,
            nearest(player.harmony[0].root, CENTRE, LOWEST, HIGHEST_ROOT),
        )
        self.before = self.last

    def play(self, step: Step, new_chord: bool) -> Iterator[Note]:
        sign = "1" if new_chord and step.sign not in "xn" else step.sign
        if sign == "x":
            yield from self.player.note(step.beat, 0.2, self.last, 0.42)
            return
        self.before, self.last = self.last, self._pitch(sign, step)
        level = 0.95 if step.beat == int(step.beat) else 0.8
        yield from self.player.note(step.beat, self.player.legato * step.beats, self.last, level)

    def _pitch(self, sign: str, step: Step) -> int:
        chord, following = self.player.chord(step.beat), self.player.chord(int(step.beat) + 1)
        if sign == "n":
            return self._root(following)
        if sign == "8":
            return self._root(chord) + 12
        if sign == "1":
            return self._root(chord)
        if sign == "a":
            return self._approach(self._root(following))
        if sign == "w":
            return self._walk(chord, self._root(following))
        tone = self._seventh(chord) if sign == "7" else chord.pitch_classes[TONES[sign]]
        return nearest(tone, self.last + 1, LOWEST, HIGHEST)

    def _root(self, chord: Chord) -> int:
        return nearest(chord.root, (2 * self.last + CENTRE) / 3, LOWEST, HIGHEST_ROOT)

    def _seventh(self, chord: Chord) -> int:
        """The chord's own, or the one that the key has above its root."""
        if len(chord.pitch_classes) > 3:
            return chord.pitch_classes[3]
        return (
            chord.root
            + (11 if (chord.root + 11) % 12 in self.player.grid.key.pitch_classes else 10)
        ) % 12

    def _approach(self, root: int) -> int:
        """A half tone below or above, or the key's neighbour on the side where the hand is."""
        side = 1 if self.last > root else -1
        scale = self.player.grid.key.pitch_classes
        step = next(distance for distance in (1, 2, 3) if (root + side * distance) % 12 in scale)
        choices = (root - 1, root + 1, root + side * step)
        pitch = int(self.player.random.choice(choices, p=(0.35, 0.15, 0.5)))
        return pitch if LOWEST <= pitch <= HIGHEST else root + 1

    def _walk(self, chord: Chord, root: int) -> int:
        """A near tone of the chord or the scale, preferably on the way to the next root."""
        scale = scale_over(self.player.grid.key, chord)
        near = [
            p
            for p in range(self.last - 5, self.last + 6)
            if LOWEST <= p <= HIGHEST and p != self.last
        ]
        likings = [
            1.8 * (p % 12 in chord.pitch_classes[1:])
            + 1.0 * (p % 12 in scale)
            - 1.5 * (p == self.before)
            - 0.1 * abs(p - root)
            - 0.1 * abs(p - CENTRE)
            for p in near
        ]
        chances = self.player.random.gumbel(scale=0.6, size=len(near))
        return max(zip(likings + chances, near, strict=True))[1]
