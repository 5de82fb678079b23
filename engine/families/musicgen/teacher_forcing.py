"""Compares two decoders prediction by prediction along the same tokens (teacher forcing).

Stems are no measure: where a number falls just between two tokens, the last digit decides which one
is drawn, and everything after it is another take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.audio.scene import Scene
from engine.families.musicgen.conditions import Condition
from engine.families.musicgen.editor import Editor
from engine.families.musicgen.family import DEFAULTS
from engine.families.musicgen.on_graphs import GraphParts
from engine.families.musicgen.sampler import CachedDecoder
from engine.knobs import Knobs

CHECK_SEED = 7


def predict(parts: GraphParts, region: np.ndarray, teacher: list[np.ndarray]) -> np.ndarray:
    """Predictions [steps, K, V] of what follows the region's first third.

    The tokens are drawn from the predictions in `teacher`. An empty `teacher` is filled with the
    predictions of this call.
    """
    knobs = Knobs(0.0, 1, DEFAULTS["guidance"], "", 1, CHECK_SEED, (("a violin", 1.0),))
    columns = np.repeat(region[:, None], parts.channels, axis=1)
    found: list[np.ndarray] = []
    forced = _ForcedParts(
        **vars(parts), force=lambda decoder: _ForcedDecoder(decoder, teacher, found)
    )
    Editor(forced).edit(Scene(columns[:0], columns, columns[:0]), "continue", knobs)
    teacher[:] = teacher or found
    return np.stack(found)


@dataclass(frozen=True)
class _ForcedParts(GraphParts):
    """Parts whose decoder follows a teacher."""

    force: Callable[[CachedDecoder], CachedDecoder]

    def decoder(
        self, factors: np.ndarray, condition_at: Callable[[int], Condition]
    ) -> CachedDecoder:
        return self.force(super().decoder(factors, condition_at))


class _ForcedDecoder:
    """A decoder that notes its predictions in `found` and returns the teacher's instead."""

    def __init__(
        self, decoder: CachedDecoder, teacher: list[np.ndarray], found: list[np.ndarray]
    ) -> None:
        self._decoder, self._teacher, self._found = decoder, teacher, found

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        return self._note(self._decoder.prefill(first_frame, steps))

    def decode_step(self, step: np.ndarray) -> np.ndarray:
        return self._note(self._decoder.decode_step(step))

    def _note(self, predicted: np.ndarray) -> np.ndarray:
        self._found.append(predicted)
        return self._teacher[len(self._found) - 1] if self._teacher else predicted
