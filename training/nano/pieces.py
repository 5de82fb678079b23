"""What is played in training: music for one player, a drummer's, or one part of an arrangement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.arranging.compose import compose
from engine.arranging.wording import TUNE
from evaluation.corpus.scores import TRAINING_SEEDS, Score, make_score

SECONDS = 5.12
SEEDS: Mapping[str, range] = {  # by kind
    "solo": TRAINING_SEEDS[:40_000],
    "drums": TRAINING_SEEDS[40_000:60_000],
    "parts": TRAINING_SEEDS[60_000:],
}


@dataclass(frozen=True)
class Piece:
    score: Score
    role: str = ""  # in the arrangement that it comes from; empty: it comes from none

    @property
    def is_drums(self) -> bool:
        return self.role == "drums"

    @property
    def has_guide(self) -> bool:
        """Whether nano may hear it as the arranger's guide, which has no bends and no swells."""
        return bool(self.role)


def make_piece(kind: str, seed: int) -> Piece:
    """The same for the same seed. `kind`: a key of SEEDS."""
    if kind == "solo":
        return Piece(make_score(seed, SECONDS))
    arrangement = compose(seed, SECONDS)
    if kind == "drums":
        role, notes = (
            "drums",
            arrangement.parts["drums"] or compose(seed, SECONDS, "rock").parts["drums"],
        )
    else:
        written = {TUNE: arrangement.tune, **arrangement.parts}
        roles = [role for role in written if written[role] and role != "drums"]
        role = roles[np.random.default_rng([0x9A47, seed]).integers(len(roles))]
        notes = written[role]
    return Piece(Score.from_notes(notes, SECONDS, arrangement.grid.tempo_bpm), role)
