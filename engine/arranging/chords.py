"""The players of chords: comping, pads and arpeggios, with the nearest voices each time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from engine.arranging.genres import VOICINGS
from engine.arranging.playing import LEVELS, PHRASE_BARS, Player, Step
from engine.hearing.music import Chord, Note

# MIDI pitch around which the hand stays
CENTRES = {"chords": 61, "power": 50, "pad": 60, "arpeggio": 66}

Voices = tuple[int, ...]


def chords(player: Player) -> Iterator[Note]:
    usual, other = player.choose(player.genre.chords), player.choose(player.genre.chords)
    hand = Hand(
        player.genre.voicing, CENTRES["power" if player.genre.voicing == "power" else "chords"]
    )
    for number, first_beat in player.bars():
        pattern = other if number % PHRASE_BARS == PHRASE_BARS - 1 else usual
        for step in player.steps(pattern, number, first_beat):
            if step.sign == "n":
                voices = hand.take(player.chord(int(step.beat) + 1))
                yield from _strike(player, step, voices)
                continue
            for part in player.under_one_chord(step):
                yield from _strike(player, part, hand.take(player.chord(part.beat)))


def _strike(player: Player, step: Step, voices: Voices) -> Iterator[Note]:
    """A stroke down from the lowest string on the beat, up from the highest between beats."""
    down = step.beat == int(step.beat)
    level = LEVELS.get(step.sign, LEVELS["x"])
    for index, pitch in enumerate(voices if down else voices[::-1]):
        late = index * player.genre.strum_seconds
        loud = level * (0.86 if pitch == voices[-1] else 0.76)  # the top voice is heard as the line
        yield from player.note(step.beat, player.legato * step.beats, pitch, loud, late)


def pad(player: Player) -> Iterator[Note]:
    """Held chords: a tone that two chords share sounds on; all breathe at the end of a phrase."""
    hand = Hand("full", CENTRES["pad"])
    lying: dict[int, int] = {}  # pitch -> the beat from which it lies
    count = len(player.harmony)
    phrase_beats = PHRASE_BARS * player.grid.beats_per_bar
    for beat in range(count + 1):
        breath = beat == count or (beat - player.grid.first_bar) % phrase_beats == 0
        if beat and not breath and not player.changes(beat):
            continue
        voices = () if beat == count else hand.take(player.chord(beat))
        for pitch in [pitch for pitch in lying if breath or pitch not in voices]:
            start = lying.pop(pitch)
            yield from player.note(start, beat - start - 0.03, pitch, 0.62)
        lying.update((pitch, beat) for pitch in voices if pitch not in lying)


def arpeggio(player: Player) -> Iterator[Note]:
    usual, other = player.choose(player.genre.arpeggio), player.choose(player.genre.arpeggio)
    hand = Hand("full", CENTRES["arpeggio"])
    for number, first_beat in player.bars():
        pattern = other if number % PHRASE_BARS == PHRASE_BARS - 1 else usual
        for step in player.steps(pattern, number, first_beat):
            voices = hand.take(player.chord(step.beat))
            octave, index = divmod(int(step.sign) - 1, len(voices))
            level = 0.82 if step.beat == int(step.beat) else 0.7
            yield from player.note(
                step.beat, player.legato * step.beats, voices[index] + 12 * octave, level
            )


class Hand:
    """Takes each chord in the inversion nearest to the last one and to the hand's own place."""

    def __init__(self, voicing: str, centre: int) -> None:
        self.voicing, self.centre = voicing, centre
        self.voices: Voices = ()
        self._chord: Chord | None = None

    def take(self, chord: Chord) -> Voices:
        if chord != self._chord:
            self.voices, self._chord = min(self._inversions(chord), key=self._way), chord
        return self.voices

    def _inversions(self, chord: Chord) -> list[Voices]:
        tones = chord.pitch_classes
        chosen = [tones[i] for i in VOICINGS[self.voicing] if i < len(tones)]
        if self.voicing == "power":
            roots = (
                root for root in range(self.centre - 10, self.centre + 3) if root % 12 == chord.root
            )
            return [(root, root + (chosen[1] - root) % 12, root + 12) for root in roots]
        if len(chosen) < 3:
            chosen = list(tones)
        ordered = sorted(chosen)
        return [
            tuple(
                accumulate(
                    ordered[turn + 1 :] + ordered[:turn], lambda p, t: p + (t - p) % 12, initial=low
                )
            )
            for turn, tone in enumerate(ordered)
            for low in range(self.centre - 12, self.centre + 5)
            if low % 12 == tone
        ]

    def _way(self, voices: Voices) -> float:
        from_home = abs(sum(voices) / len(voices) - self.centre)
        if not self.voices:
            return from_home
        return 0.4 * from_home + sum(
            min(abs(new - old) for old in self.voices) for new in voices
        ) / len(voices)
