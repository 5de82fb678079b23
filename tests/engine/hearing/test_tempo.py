"""Tempo and timing of signals whose tempo and timing are known."""

import numpy as np
import pytest

from engine.hearing.tempo import compare, onset_deviation_ms, onset_strength, onsets, tempo_bpm
from tests.engine.signals import noise, sine

RATE_HZ = 32_000


def plucks(bpm: float, seconds: float = 8.0, shift_seconds: float = 0.0) -> np.ndarray:
    """A decaying tone on every beat."""
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    tone = sine(8_000, RATE_HZ, 440) * np.exp(-np.arange(8_000) / 700).astype(np.float32)
    for beat in np.arange(0.1, seconds - 0.5, 60 / bpm):
        start = round((beat + shift_seconds) * RATE_HZ)
        out[start : start + 8_000] += tone
    return out


@pytest.mark.parametrize("bpm", (72, 90, 120, 133, 160))
def test_the_tempo_of_a_steady_beat_is_found(bpm):
    found = tempo_bpm(onset_strength(plucks(bpm), RATE_HZ))
    assert min(abs(found / bpm - ratio) for ratio in (0.5, 1, 2)) < 0.02


def test_noise_silence_and_short_regions_have_no_tempo():
    assert tempo_bpm(onset_strength(plucks(120, 2.0), RATE_HZ)) is None
    assert tempo_bpm(onset_strength(np.zeros(10 * RATE_HZ), RATE_HZ)) is None
    assert tempo_bpm(np.zeros(0)) is None


def test_onsets_lie_where_the_notes_begin():
    times = onsets(onset_strength(plucks(120), RATE_HZ))
    assert np.abs(times[:5] - (0.1 + 0.5 * np.arange(5))).max() < 0.03


@pytest.mark.parametrize("shift_ms", (0, 10, 30))
def test_a_late_stem_deviates_by_its_lateness(shift_ms):
    late = compare(plucks(120), plucks(120, shift_seconds=shift_ms / 1000), RATE_HZ)
    assert late["onset_deviation_ms"] == pytest.approx(shift_ms, abs=4)


def test_too_few_onsets_have_no_deviation():
    assert onset_deviation_ms(np.array([0.1, 0.5]), np.array([0.1, 0.5])) is None
    assert onset_deviation_ms(np.zeros(0), np.zeros(0)) is None


@pytest.mark.parametrize("count", (0, 1, 100, 1_600))
def test_the_shortest_regions_can_be_compared(count):
    assert compare(noise(count)[:, 0], noise(count)[:, 0], RATE_HZ)["tempo_bpm"] is None
