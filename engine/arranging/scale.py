"""Which notes fit over a chord in a key, and the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from engine.hearing.music import Chord, Key


@cache
def scale_over(key: Key, chord: Chord) -> tuple[int, ...]:
    """The key's tones 0..11, without those that clash with a chord: F# for F over D7 in C."""
    foreign = [tone for tone in chord.pitch_classes if tone not in key.pitch_classes]
    kept = [
        tone
        for tone in key.pitch_classes
        if tone in chord.pitch_classes
        or all((tone - other) % 12 not in (1, 11) for other in foreign)
    ]
    return tuple(sorted({*kept, *foreign}))


def nearest(pitch_class: int, pitch: float, lowest: int, highest: int) -> int:
    """The MIDI pitch of this class nearest to a pitch, within bounds at least an octave apart."""
    return min(
        (p for p in range(lowest, highest + 1) if p % 12 == pitch_class),
        key=lambda p: abs(p - pitch),
    )


def snap(pitch: float, pitch_classes: Iterable[int]) -> int:
    """The nearest MIDI pitch that belongs to the classes; of two the lower."""
    around = range(int(pitch) - 7, int(pitch) + 8)
    classes = tuple(pitch_classes)
    return min((p for p in around if p % 12 in classes), key=lambda p: abs(p - pitch))


def move(pitch: int, steps: int, scale: tuple[int, ...]) -> int:
    """So many steps of the scale up or down."""
    direction = 1 if steps > 0 else -1
    for _ in range(abs(steps)):
        pitch += direction
        while pitch % 12 not in scale:
            pitch += direction
    return pitch
