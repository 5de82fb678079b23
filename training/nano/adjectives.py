"""Adjectives that a rendering follows: the words, and what they do to the notes and to the sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evaluation.corpus.scores import Score
from training.nano.augment import filtered, room_of


def _as_written(score: Score) -> Score:
    return score


def _as_heard(samples: np.ndarray) -> np.ndarray:
    return samples


class Colour(NamedTuple):
    words: tuple[str, ...]
    play: Callable[[Score], Score] = _as_written
    sound: Callable[[np.ndarray], np.ndarray] = _as_heard


def struck(factor: float) -> Callable[[Score], Score]:
    """Every note that much harder or softer: on most instruments a matter of brightness, too."""

    def play(score: Score) -> Score:
        notes = tuple(
            n._replace(velocity=int(np.clip(factor * n.velocity, 12, 127))) for n in score.notes
        )
        return replace(score, notes=notes)

    return play


def shortened(score: Score) -> Score:
    """Every note at most a tenth of a second."""
    return replace(
        score,
        notes=tuple(n._replace(duration_seconds=min(n.duration_seconds, 0.1)) for n in score.notes),
    )


def tilted(db_an_octave: float) -> Callable[[np.ndarray], np.ndarray]:
    """Brighter (above 0) or darker about 800 Hz, at most 18 dB."""
    return lambda samples: filtered(
        samples, lambda hz: np.clip(db_an_octave * np.log2(np.maximum(hz, 60) / 800), -18, 18)
    )


def muffled(samples: np.ndarray) -> np.ndarray:
    """Little above 900 Hz: 18 dB an octave."""
    return filtered(samples, lambda hz: -18 * np.log2(np.maximum(hz, 900) / 900))


def driven(samples: np.ndarray) -> np.ndarray:
    """tanh with 24 dB of drive, as an amplifier that is turned up."""
    peak = np.abs(samples).max() + 1e-9
    return np.tanh(16 * samples / peak) * peak


def in_a_hall(samples: np.ndarray) -> np.ndarray:
    """Two seconds of reverberation, 4 dB below what is heard directly."""
    return room_of(samples, 2.0, 0.02, -4.0, np.random.default_rng(2))


PLAIN = 0  # index of the colour that changes nothing
COLOURS: tuple[Colour, ...] = (
    Colour(("beautiful", "expressive", "old", "real")),
    Colour(("bright", "brilliant", "shiny"), sound=tilted(3.0)),
    Colour(("dark", "warm", "mellow"), sound=tilted(-3.0)),
    Colour(("soft", "gentle", "quiet"), play=struck(0.45)),
    Colour(("hard", "loud", "aggressive"), play=struck(1.6), sound=tilted(1.0)),
    Colour(("distorted", "overdriven", "crunchy"), sound=driven),
    Colour(("muted", "muffled"), sound=muffled),
    Colour(("staccato", "short"), play=shortened),
    Colour(("reverberant", "spacious", "distant"), sound=in_a_hall),
)
