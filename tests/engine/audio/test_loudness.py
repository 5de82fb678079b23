"""Loudness against the numbers of BS.1770, and the limiter's promise."""

import numpy as np
import pytest

from engine.audio.loudness import block_powers, limit, loudness, match_loudness, peak
from tests.engine.signals import noise, sine


@pytest.mark.parametrize("rate_hz", (8_000, 32_000, 44_100, 48_000, 192_000))
def test_a_full_scale_sine_at_997_hz_reads_minus_three(rate_hz):
    assert loudness(sine(3 * rate_hz, rate_hz, 997, 1.0), rate_hz) == pytest.approx(-3.01, abs=0.05)


def test_two_channels_are_three_decibels_louder_than_one():
    wave = sine(96_000, 48_000, 997)
    assert loudness(np.stack([wave, wave], 1), 48_000) - loudness(wave, 48_000) == pytest.approx(
        3.01, abs=0.01
    )


def test_bass_counts_less_and_treble_more():
    at = {hz: loudness(sine(96_000, 48_000, hz), 48_000) for hz in (30, 1000, 8000)}
    assert at[30] < at[1000] - 4 and at[8000] > at[1000] + 2.5


def test_pauses_do_not_count():
    wave = sine(96_000, 48_000, 997)
    assert loudness(np.concatenate([wave, 0 * wave]), 48_000) == pytest.approx(
        loudness(wave, 48_000), abs=0.5
    )


@pytest.mark.parametrize("frames", (1, 10, 2_400, 19_199))
def test_a_region_below_400_ms_has_a_loudness(frames):
    assert np.isfinite(loudness(noise(frames), 48_000))


def test_silence_is_minus_infinity_and_a_constant_is_its_rms():
    assert loudness(np.zeros(48_000), 48_000) == -np.inf
    assert loudness(np.zeros(0), 48_000) == -np.inf
    assert np.isfinite(loudness(np.full(4_800, 1e-5), 48_000))


@pytest.mark.parametrize("excess", (1.01, 2.0, 30.0))
def test_the_limiter_keeps_every_peak_within_full_scale(excess):
    samples = noise(48_000, 2, level=0.3) * np.float32(excess)
    samples[1000] = excess
    assert peak(limit(samples, 48_000)) <= 1.0


def test_the_limiter_leaves_what_fits_untouched():
    samples = noise(4_800, 2)
    assert limit(samples, 48_000) is samples


def test_the_limiter_acts_near_the_peak_only():
    samples = np.full((48_000, 1), 0.5, np.float32)
    samples[24_000] = 2.0
    assert np.array_equal(limit(samples, 48_000)[:23_000], samples[:23_000])


@pytest.mark.parametrize("level", (1e-4, 1e-2, 1.0))
def test_a_stem_at_any_level_is_brought_to_the_target(level):
    target = noise(96_000, 2, level=0.05)
    matched, _ = match_loudness(
        noise(96_000, 2, level=level, seed=1), 48_000, block_powers(target, 48_000)
    )
    assert abs(loudness(matched, 48_000) - loudness(target, 48_000)) < 0.2


def test_a_stem_of_silence_stays_silent_with_a_note():
    matched, notes = match_loudness(
        np.zeros((4_800, 1), np.float32), 48_000, block_powers(noise(4_800), 48_000)
    )
    assert not matched.any() and "silence" in notes[0]
