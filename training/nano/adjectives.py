"""Adjectives that a rendering follows: their words, and what they do to notes and sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evaluation.corpus.scores import Score
from training.nano.augment import apply_filter, room_of


def _same_score(score: Score) -> Score:
    return score


def _same_sound(samples: np.ndarray) -> np.ndarray:
    return samples


class Adjective(NamedTuple):
    """Words that mean the same, and how a score is played and sounds under them."""

    words: tuple[str, ...]
    play: Callable[[Score], Score] = _same_score
    sound: Callable[[np.ndarray], np.ndarray] = _same_sound


def scale_velocity(factor: float) -> Callable[[Score], Score]:
    """Every note that much harder or softer: on most instruments a matter of brightness, too."""

    def play(score: Score) -> Score:
        notes = tuple(
            n._replace(velocity=int(np.clip(factor * n.velocity, 12, 127))) for n in score.notes
        )
        return replace(score, notes=notes)

    return play


def shorten_notes(score: Score) -> Score:
    """Every note at most a tenth of a second."""
    return replace(
        score,
        notes=tuple(n._replace(duration_seconds=min(n.duration_seconds, 0.1)) for n in score.notes),
    )


def tilt(db_an_octave: float) -> Callable[[np.ndarray], np.ndarray]:
    """Brighter (above 0) or darker about 800 Hz, at most 18 dB."""
    return lambda samples: apply_filter(
        samples, lambda hz: np.clip(db_an_octave * np.log2(np.maximum(hz, 60) / 800), -18, 18)
    )


def muffle(samples: np.ndarray) -> np.ndarray:
    """Little above 900 Hz: 18 dB an octave."""
    return apply_filter(samples, lambda hz: -18 * np.log2(np.maximum(hz, 900) / 900))


def overdrive(samples: np.ndarray) -> np.ndarray:
    """tanh with 24 dB of drive, as an amplifier that is turned up."""
    peak = np.abs(samples).max() + 1e-9
    return np.tanh(16 * samples / peak) * peak


def add_hall(samples: np.ndarray) -> np.ndarray:
    """Two seconds of reverberation, 4 dB below what is heard directly."""
    return room_of(samples, 2.0, 0.02, -4.0, np.random.default_rng(2))


PLAIN = 0  # index of the adjectives that change nothing
ADJECTIVES: tuple[Adjective, ...] = (
    Adjective(("beautiful", "expressive", "old", "real")),
    Adjective(("bright", "brilliant", "shiny"), sound=tilt(3.0)),
    Adjective(("dark", "warm", "mellow"), sound=tilt(-3.0)),
    Adjective(("soft", "gentle", "quiet"), play=scale_velocity(0.45)),
    Adjective(("hard", "loud", "aggressive"), play=scale_velocity(1.6), sound=tilt(1.0)),
    Adjective(("distorted", "overdriven", "crunchy"), sound=overdrive),
    Adjective(("muted", "muffled"), sound=muffle),
    Adjective(("staccato", "short"), play=shorten_notes),
    Adjective(("reverberant", "spacious", "distant"), sound=add_hall),
)
