"""Means of what is there."""

import numpy as np
import pytest

from evaluation.metrics.means import mean_and_error


def test_a_figure_that_a_sound_does_not_have_does_not_count():
    assert mean_and_error([1.0, float("nan"), 3.0]) == {
        "mean": 2.0,
        "error": pytest.approx(1 / np.sqrt(2)),
    }
    assert np.isnan(mean_and_error([float("nan")])["mean"])
