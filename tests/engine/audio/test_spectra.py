"""Frames where they should be, and a filter that changes nothing, something, and only when it
should.
"""

import numpy as np
import pytest

from engine.audio import spectra
from engine.errors import Cancelled

ALL = np.ones((1, spectra.N_FFT // 2 + 1), np.float32)


def never():
    return False


def noise(count):
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


@pytest.mark.parametrize("count", [1, 1024, 4096, 50_001])
def test_a_gain_of_one_gives_back_every_sample(count):
    weights = np.ones((spectra.frame_count(count), 1), np.float32)
    assert np.allclose(
        spectra.filter_frames(noise(count), weights, ALL, never), noise(count), atol=1e-5
    )


def test_a_gain_that_changes_changes_the_sound_there():
    sound = noise(60_000)
    middles = spectra.middles(spectra.frame_count(len(sound)))
    weights = (middles > 30_000).astype(np.float32)[:, None]
    heard = spectra.filter_frames(sound, weights, ALL, never)
    assert np.abs(heard[:27_000]).max() < 1e-5 and np.allclose(
        heard[33_000:], sound[33_000:], atol=1e-5
    )


def test_a_frame_hears_what_lies_around_its_middle():
    sound = np.zeros(40_000, np.float32)
    sound[20_000] = 1
    power = np.concatenate(
        [np.square(np.abs(block)).sum(axis=1) for _, block in spectra.spectra(sound, never)]
    )
    assert abs(spectra.middles(len(power))[power.argmax()] - 20_000) <= spectra.HOP // 2


def test_shapes_are_mixed():
    low, high = ALL * 1.0, ALL * 1.0
    low[:, 1000:], high[:, :1000] = 0, 0
    weights = np.ones((spectra.frame_count(30_000), 2), np.float32)
    both = spectra.filter_frames(noise(30_000), weights, np.concatenate([low, high]), never)
    assert np.allclose(both, noise(30_000), atol=1e-5)


def test_it_can_be_cancelled():
    with pytest.raises(Cancelled):
        next(spectra.spectra(noise(5_000), lambda: True))
