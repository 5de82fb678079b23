import numpy as np
import pytest

from engine.arranging.compose import compose
from engine.hearing.music import Key
from evaluation.exams.hearing import beat_f, figures, key_score


def test_the_truth_itself_gets_full_marks():
    truth = compose(1, 10.0).grid
    measured = figures(truth, truth)
    assert measured.pop("octave") == 0
    assert set(measured.values()) == {1.0}


@pytest.mark.parametrize(
    ("heard", "score"),
    [
        (Key(0, "mixolydian"), 1.0),
        (Key(7, "major"), 0.5),
        (Key(9, "minor"), 0.3),
        (Key(0, "dorian"), 0.2),
        (Key(6, "major"), 0.0),
    ],
)
def test_keys_near_the_true_one_count_in_part(heard, score):
    assert key_score(Key(0, "major"), heard) == score


def test_twice_too_many_beats_cost_precision():
    beats = np.arange(6.0, 12.0)
    assert beat_f(beats, np.arange(6.0, 12.0, 0.5), 0.05) == pytest.approx(2 / 3, abs=0.05)
