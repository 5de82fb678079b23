"""Copies whose figures are known."""

import numpy as np
import pytest

from evaluation.metrics.sound import Sound
from evaluation.metrics.spectra import between_partials_db, rise_ms, stft_distance

RATE_HZ = 32_000


def clicks(rise_seconds: float) -> Sound:
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    since = time % 0.5
    level = np.minimum(since / rise_seconds, 1) * np.exp(-8 * since)
    noise = np.random.default_rng(0).standard_normal(len(time))
    return Sound((0.3 * level * noise).astype(np.float32), RATE_HZ)


def test_a_copy_is_no_distance_away_and_silence_is_far(tune):
    assert stft_distance(tune, tune) == {"convergence": 0.0, "log_magnitude": 0.0}
    assert stft_distance(Sound(np.zeros_like(tune.samples), RATE_HZ), tune)[
        "convergence"
    ] == pytest.approx(1.0)


def test_a_slow_attack_takes_longer():
    places = np.array([0.5, 1.0, 1.5])
    assert rise_ms(clicks(0.001), places) < 8
    assert 20 < rise_ms(clicks(0.05), places) < 50
    assert np.isnan(rise_ms(clicks(0.001), np.array([])))


def test_noise_between_partials_is_told_from_partials():
    time, noise = (
        np.arange(4 * RATE_HZ) / RATE_HZ,
        np.random.default_rng(0).standard_normal(4 * RATE_HZ),
    )
    held = sum(np.sin(2 * np.pi * 196 * n * time) / n for n in range(1, 20))
    clean, hoarse = (
        Sound((0.1 * (held + level * noise)).astype(np.float32), RATE_HZ) for level in (0, 0.1)
    )
    assert between_partials_db(clean, 196.0, 1.0, 3.0) < -70
    # noise of 0.01 has half of its energy below 8 kHz, half of that between partials; partials have
    # 0.8
    assert between_partials_db(hoarse, 196.0, 1.0, 3.0) == pytest.approx(
        10 * np.log10(0.0025 / 0.8), abs=1
    )
