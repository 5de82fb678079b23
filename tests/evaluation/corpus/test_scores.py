import numpy as np
import pytest

from evaluation.corpus.scores import BEND_RANGE_CENTS, TEST_SEEDS, TRAINING_SEEDS, make_score


def test_the_same_seed_gives_the_same_score():
    one, two = make_score(7), make_score(7)
    assert one.notes == two.notes
    np.testing.assert_array_equal(one.bend_cents, two.bend_cents)


def test_seeds_of_training_and_test_never_meet():
    assert not set(TRAINING_SEEDS) & set(TEST_SEEDS)


@pytest.mark.parametrize("seed", range(40))
def test_every_score_can_be_played(seed):
    score = make_score(seed, seconds=3.0)
    assert score.notes
    assert all(0 <= n.start_seconds < 3.0 and n.duration_seconds > 0 for n in score.notes)
    assert all(30 <= n.pitch_midi <= 96 and 1 <= n.velocity <= 127 for n in score.notes)
    assert score.bend_cents.shape == score.expression.shape == (300,)
    assert np.abs(score.bend_cents).max() <= BEND_RANGE_CENTS
    assert score.expression.min() > 0 and score.expression.max() <= 1
