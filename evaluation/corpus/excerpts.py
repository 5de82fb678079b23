"""What tests the arranger's ear? Rendered pieces whose beats, bars, key and chords are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from engine.arranging.compose import Arrangement, compose, cut_grid
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing.music import Grid
from evaluation.corpus.instruments import PERCUSSION
from evaluation.corpus.render import Renderer, find_soundfont
from evaluation.corpus.scores import Score

SECONDS = 30.0
CUTS = ((5.0, 0.0), (10.0, 6.0), (30.0, 0.0))  # length, start
KINDS = ("mix", "chords", "tune")
PROGRAMS = {  # General MIDI: what may play a role
    "tune": (0, 4, 11, 24, 40, 56, 65, 66, 68, 71, 73, 75),
    "bass": (32, 33, 34, 35, 38, 39, 43),
    "chords": (0, 2, 4, 5, 16, 24, 25, 26, 27),
    "pad": (48, 50, 52, 89, 90),
    "counter": (40, 42, 60, 71),
    "arpeggio": (0, 8, 11, 24, 46),
    "drums": (0,),
}
LEVELS = {"tune": 0.08, "bass": 0.07, "chords": 0.05, "drums": 0.06}  # RMS in the mix
OTHER_LEVEL = 0.03
OPTIONAL_ROLES = ("pad", "counter", "arpeggio")
OPTIONAL_CHANCE = 0.3
QUIETEST_PEAK = 1e-3


class Excerpt(NamedTuple):
    arrangement: Arrangement
    kind: str  # of KINDS
    seconds: float
    truth: Grid
    mono: np.ndarray


def render_excerpts(seeds: Iterable[int], soundfont: str) -> Iterator[Excerpt]:
    """Each seed's piece as mix, chords alone and tune alone, in each of CUTS; no silent ones."""
    renderer = Renderer(find_soundfont(soundfont))
    for seed in seeds:
        arrangement = compose(seed, SECONDS)
        stems = _render_stems(arrangement, renderer, np.random.default_rng([0x4EA2, seed]))
        silence = np.zeros(1, np.float32)
        for kind in KINDS:
            whole = sum(stems.values(), silence) if kind == "mix" else stems.get(kind, silence)
            for seconds, start in CUTS:
                first, last = (round(time * SAMPLE_RATE_HZ) for time in (start, start + seconds))
                mono = whole[first:last]
                if len(mono) and np.abs(mono).max() > QUIETEST_PEAK:
                    truth = cut_grid(arrangement.grid, start, seconds)
                    yield Excerpt(arrangement, kind, seconds, truth, mono)
    renderer.close()


def _render_stems(
    arrangement: Arrangement, renderer: Renderer, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """role -> float32 [samples] at its level in the mix."""
    optional = [role for role in OPTIONAL_ROLES if random.random() < OPTIONAL_CHANCE]
    stems = {}
    for role in ("tune", "bass", "chords", "drums", *optional):
        notes = arrangement.tune if role == "tune" else arrangement.parts.get(role, ())
        program, level_db = int(random.choice(PROGRAMS[role])), random.uniform(-3, 3)
        if not notes:
            continue
        score = Score.from_notes(notes, SECONDS, arrangement.grid.tempo_bpm)
        sound = renderer.render(score, program, PERCUSSION if role == "drums" else 0)
        level = LEVELS.get(role, OTHER_LEVEL) * 10 ** (level_db / 20)
        stems[role] = sound * np.float32(level / max(float(np.sqrt(np.mean(sound**2))), 1e-6))
    return stems
