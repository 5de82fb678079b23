"""The region that `retimbre demo` sends: eight bars of a minuet (C. Petzold, about 1725).

FluidSynth plays it.

    python -m training.pages.demo_region --out server/demo_region.flac
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.audio.reading import resample
from engine.families.nano.features import SAMPLE_RATE_HZ, level_gain
from evaluation.corpus.render import Renderer, find_soundfont
from evaluation.corpus.scores import Note, Score

BEAT_SECONDS = 60 / 132
RATE_HZ = 48_000
# (pitch, beats); the left hand has one chord of pitches a bar
# fmt: off
RIGHT = (  # a bar a row
    (74, 1), (67, 0.5), (69, 0.5), (71, 0.5), (72, 0.5),
    (74, 1), (67, 1), (67, 1),
    (76, 1), (72, 0.5), (74, 0.5), (76, 0.5), (78, 0.5),
    (79, 1), (67, 1), (67, 1),
    (72, 1), (74, 0.5), (72, 0.5), (71, 0.5), (69, 0.5),
    (71, 1), (72, 0.5), (71, 0.5), (69, 0.5), (67, 0.5),
    (66, 1), (67, 0.5), (69, 0.5), (71, 0.5), (67, 0.5),
    (69, 3),
)
# fmt: on
LEFT = ((55, 59), (59,), (60,), (59,), (57,), (55,), (62, 57), (50, 54))
BEATS_PER_BAR = 3
PAN = 0.62  # share of the right hand's power on the right side, so that the region is stereo


def hand(
    notes: Sequence[tuple[int | tuple[int, ...], float]], velocity: int, accent: int = 10
) -> tuple[Note, ...]:
    """Notes of (pitches, beats), the first beat of each bar accented."""
    played, beat = [], 0.0
    for pitches, beats in notes:
        loud = velocity + accent * (beat % BEATS_PER_BAR == 0)
        for pitch in pitches if isinstance(pitches, tuple) else (pitches,):
            played.append(Note(beat * BEAT_SECONDS, 0.94 * beats * BEAT_SECONDS, pitch, loud))
        beat += beats
    return tuple(played)


def render(renderer: Renderer, notes: tuple[Note, ...], program: int) -> np.ndarray:
    seconds = round(len(LEFT) * BEATS_PER_BAR * BEAT_SECONDS + 1.0, 2)
    score = Score.from_notes(notes, seconds, 60 / BEAT_SECONDS)
    return resample(renderer.render(score, program)[:, None], SAMPLE_RATE_HZ, RATE_HZ)[:, 0]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    import soundfile

    renderer = Renderer(find_soundfont("fluid"))
    right = render(renderer, hand(RIGHT, 88), program=0)
    left = render(renderer, hand(tuple((chord, BEATS_PER_BAR) for chord in LEFT), 66), program=0)
    sides = [np.sqrt(share) * right + np.sqrt(1 - share) * left for share in (1 - PAN, PAN)]
    stereo = np.stack(sides, axis=1)
    stereo *= level_gain(stereo.mean(axis=1))
    soundfile.write(
        options.out, stereo / max(1.0, np.abs(stereo).max() / 0.9), RATE_HZ, subtype="PCM_16"
    )


if __name__ == "__main__":
    main()
