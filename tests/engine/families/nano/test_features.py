import numpy as np
import pytest

from engine.families.nano import features as F


def sine(hz: float, seconds: float = 2.0) -> np.ndarray:
    return np.sin(
        2 * np.pi * hz * np.arange(int(seconds * F.SAMPLE_RATE_HZ)) / F.SAMPLE_RATE_HZ
    ).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 400, 1279, 1280, 1281, 50_000])
def test_there_is_one_row_for_every_begun_latent_frame(samples):
    rows = F.features(np.random.default_rng(0).standard_normal(samples).astype(np.float32))
    assert rows.shape == (F.frame_count(samples), F.FEATURE_WIDTH)
    assert rows.dtype == np.float32 and np.isfinite(rows).all()


def test_no_filter_is_empty_and_each_is_an_average():
    for filters in (F.mel_filters(), F.pitch_filters()):
        np.testing.assert_allclose(filters.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("midi", [45, 57, 69, 81, 93])
def test_the_pitch_rows_peak_at_the_note(midi):
    rows = F.pitch(sine(440 * 2 ** ((midi - 69) / 12)))[25].reshape(F.PITCH_PER_FRAME, F.PITCH_BINS)
    found = F.PITCH_LOWEST_MIDI + rows[0].argmax() / F.PITCH_BINS_PER_SEMITONE
    assert abs(found - midi) <= 1 / F.PITCH_BINS_PER_SEMITONE


def test_semitones_are_told_apart_where_mel_bands_are_not():
    low, next_one = (440 * 2 ** ((midi - 69) / 12) for midi in (50, 51))
    assert F.pitch(sine(low))[20].argmax() != F.pitch(sine(next_one))[20].argmax()
    assert F.mel(sine(low))[20].argmax() == F.mel(sine(next_one))[20].argmax()


def test_a_click_lights_the_frame_it_lies_in():
    samples = np.zeros(F.SAMPLE_RATE_HZ, np.float32)
    samples[25 * F.HOP + F.HOP // 2] = 1.0
    assert F.log_mel(samples).mean(axis=1).argmax() == 25


def test_level_gain_brings_the_loud_part_to_minus_20_dbfs_whatever_the_rests():
    tone = 0.3 * sine(440)
    with_rest = np.concatenate([tone, np.zeros_like(tone)])
    assert F.level_gain(tone) == pytest.approx(0.1 / (0.3 / np.sqrt(2)), rel=1e-3)
    assert F.level_gain(with_rest) == pytest.approx(F.level_gain(tone), rel=0.03)
    assert F.level_gain(np.zeros(5000, np.float32)) == 1.0
