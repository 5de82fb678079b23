"""Pieces rendered part by part, each at its level."""

import numpy as np
import pytest

from evaluation.corpus.arrangements import (
    GENRE_ROLES,
    PROGRAMS,
    TUNE,
    render_parts,
    render_rearrangement,
    set_levels,
)

SECONDS = 4.0


@pytest.fixture(scope="module")
def piece():
    from engine.arranging.compose import compose

    return compose(300_000, SECONDS, "rock")


def test_every_sound_that_a_genre_names_can_be_played():
    from engine.arranging.genres import GENRES

    named = {
        word for genre in GENRES.values() for words in genre.instruments.values() for word in words
    }
    assert named <= set(PROGRAMS)


def test_a_rendered_piece_has_its_parts_at_their_levels(renderer, piece):
    played = render_parts(renderer, piece, ("bass", "drums"), np.random.default_rng(0))
    assert set(played.parts) == {TUNE, "bass", "drums"}
    assert all(part.shape == (round(SECONDS * 32_000),) for part in played.parts.values())
    assert np.array_equal(played.mix("bass", "drums"), played.parts["bass"] + played.parts["drums"])


def test_a_piece_is_rearranged_over_its_own_chords(renderer, piece):
    played = render_rearrangement(renderer, piece, "waltz", np.random.default_rng(0))
    assert played.piece.grid is piece.grid and played.piece.tune == piece.tune
    assert (
        set(played.parts) == {TUNE, *GENRE_ROLES}
        and played.piece.parts["bass"] != piece.parts["bass"]
    )


def test_silence_stays_silent():
    assert not set_levels({"bass": np.zeros(32_000, np.float32)})["bass"].any()
