"""The drummer: a groove, now and then varied, a fill into each phrase, a crash after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.arranging.genres import DRUMS, Drums
from engine.arranging.notation import bars
from engine.arranging.playing import LEVELS, PHRASE_BARS, Player, Step
from engine.hearing.music import Note

RINGING = {"crash", "ride", "bell", "open", "triangle"}  # a struck drum is over soon, these ring
STRUCK_BEATS, RINGING_BEATS = 0.4, 1.0
SELDOM = 0.5  # how often a "?" sounds


def drums(player: Player) -> Iterator[Note]:
    kit = _kit(player)
    varied, after_fill = set(), False
    for number, first_beat in player.bars():
        place = number % PHRASE_BARS
        if place == 0:
            varied = {
                int(player.random.integers(PHRASE_BARS)),
                int(player.random.integers(PHRASE_BARS)),
            }
        fill = place == PHRASE_BARS - 1 and (
            number > 0 and number % 8 == 7 or player.random.random() < 0.6
        )
        lines = kit.variation if place in varied else kit.groove
        yield from _bar(player, lines, number, first_beat, kit.fill if fill else {})
        if after_fill:
            yield from _hit(player, kit.crash, Step(first_beat, 1, "x"))
        after_fill = fill


def _kit(player: Player) -> Drums:
    kits, beats = player.genre.drums, player.grid.beats_per_bar
    return next((kit for kit in kits if _beats(kit.groove) == beats), kits[0])


def _beats(lines: Mapping[str, str]) -> int:
    return len(bars(next(iter(lines.values())))[0])


def _bar(
    player: Player, lines: Mapping[str, str], number: int, first_beat: int, fill: Mapping[str, str]
) -> Iterator[Note]:
    """One bar, its last beats replaced by the fill."""
    groove_beats = player.grid.beats_per_bar - (_beats(fill) if fill else 0)
    for name, pattern in lines.items():
        for step in player.steps(pattern, number, first_beat):
            if step.beat - first_beat < groove_beats:
                yield from _hit(player, name, step)
    rest = ". " * max(0, groove_beats)
    for name, pattern in fill.items():
        for step in player.steps(rest + pattern, 0, first_beat):
            yield from _hit(player, name, step)


def _hit(player: Player, name: str, step: Step) -> Iterator[Note]:
    if step.sign != "?" or player.random.random() < SELDOM:
        beats = RINGING_BEATS if name in RINGING else STRUCK_BEATS
        yield from player.note(step.beat, beats, DRUMS[name], LEVELS[step.sign], struck=True)
