"""Levels before the log-mel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.mel import set_level

RATE_HZ = 32_000
MELODY = (60, 64, 67, 65, 62, 69)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4000), st.floats(1e-4, 1.0))
def test_levelling_brings_any_sound_to_the_same_loudness(length, gain):
    noise = np.random.default_rng(length).standard_normal(length) * gain
    assert np.sqrt(np.mean(np.square(set_level(noise)))) == pytest.approx(0.1, rel=1e-3)
