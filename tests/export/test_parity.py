"""A graph that differs over its bound is refused with every figure."""

import numpy as np
import pytest

from export import parity
from export.parity import ParityError, Recorder, compare, relative_error


def double(x):
    return (2 * x,)


def test_the_figure_is_the_difference_over_the_size_of_what_is_expected():
    expected = np.array([3.0, 4.0])
    assert relative_error(expected * 1.01, expected) == pytest.approx(0.01)
    assert relative_error(np.array([np.nan, 4.0]), expected) == np.inf
    assert relative_error(np.zeros(3), expected) == np.inf
    assert relative_error(np.array([1, 2]), np.array([1, 3])) == np.inf  # a mask


def test_over_its_bound_an_export_is_refused_with_a_report():
    feeds = [{"x": np.ones((2, length), np.float32)} for length in (3, 5)]
    rows = compare("denoiser", "random", double, lambda x: (2.1 * x,), feeds, 1e-4)
    with pytest.raises(ParityError) as caught:
        parity.check(rows)
    text = str(caught.value)
    assert "denoiser" in text and "x 2x3" in text and "x 2x5" in text and text.count("OVER") == 2
    parity.check(compare("denoiser", "random", double, double, feeds, 1e-4))


def test_a_recorder_keeps_the_first_real_inputs_and_passes_all_on():
    run = Recorder(double, most=2)
    values = np.zeros(2)
    for index in range(3):
        values[:] = index  # a caller may use its buffer again
        assert run(x=values)[0].max() == 2 * index
    assert [feed["x"][0] for feed in run.feeds] == [0, 1]
