"""Pan, level and width of the input on a stem that a mono model made."""

import numpy as np

from engine.audio.spatial import downmix, polarities, upmix
from tests.engine.signals import noise, sine

RATE_HZ = 48_000


def through(region, stem=None):
    signs = polarities(region)
    mono = downmix(region, signs)
    return upmix(mono if stem is None else stem, region, signs, RATE_HZ)[0]


def rms_db(samples):
    return 10 * np.log10(np.mean(np.square(samples), axis=0))


def likeness(samples):
    return float(np.corrcoef(samples.T)[0, 1])


def test_opposite_phase_does_not_vanish_in_the_mix():
    wave = sine(RATE_HZ, RATE_HZ, 300)
    region = np.stack([wave, -wave], axis=1)
    assert np.abs(through(region) - region).max() < 1e-5


def test_a_silent_channel_stays_silent():
    region = noise(RATE_HZ, 3)
    region[:, 1] = 0
    assert not through(region)[:, 1].any()


def test_independent_channels_keep_their_levels_and_their_width():
    region = noise(2 * RATE_HZ, 2) * np.array([1.0, 0.25], np.float32)
    stem = noise(2 * RATE_HZ, 1, seed=5)[:, 0]
    out = through(region, stem)
    difference_db = rms_db(out)[0] - rms_db(out)[1]
    assert abs(difference_db - 12) < 1.5
    assert abs(likeness(out)) < 0.35


def test_two_instruments_keep_their_sides():
    left, right = sine(2 * RATE_HZ, RATE_HZ, 300), sine(2 * RATE_HZ, RATE_HZ, 2500)
    out = through(np.stack([left, right], axis=1).astype(np.float32))
    spectrum = np.abs(np.fft.rfft(out, axis=0))
    assert spectrum[600, 0] > 10 * spectrum[600, 1]
    assert spectrum[5000, 1] > 10 * spectrum[5000, 0]


def test_the_mono_sum_of_a_stereo_stem_is_the_models_own_signal():
    region = noise(RATE_HZ, 2)
    stem = sine(RATE_HZ, RATE_HZ, 1000)
    mono = through(region, stem).mean(axis=1)
    assert np.abs(mono - stem)[2000:-2000].max() < 0.002


def test_eight_channels_of_noise_keep_their_levels():
    gains = np.linspace(0.2, 1, 8, dtype=np.float32)
    region = noise(RATE_HZ, 8) * gains
    out = through(region, noise(RATE_HZ, 1, seed=3)[:, 0])
    assert np.abs(np.diff(rms_db(out) - rms_db(region))).max() < 2
