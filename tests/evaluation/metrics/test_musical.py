"""Figures of made-up sounds whose key, beat and source are known."""

import numpy as np
import pytest

from evaluation.metrics.musical import (
    beat_onset_f,
    harmony_share,
    key_share,
    source_db,
    tempo_error_bpm,
)
from evaluation.metrics.sound import Sound

RATE_HZ = 32_000
C_MAJOR = (0, 2, 4, 5, 7, 9, 11)


def notes(pitches, seconds=0.5, decay=4.0):
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    hz = [440 * 2 ** ((pitch - 69) / 12) for pitch in pitches]
    parts = [
        sum(np.sin(2 * np.pi * f * n * time) / n for n in (1, 2, 3)) * np.exp(-decay * time)
        for f in hz
    ]
    return Sound((0.2 * np.concatenate(parts)).astype(np.float32), RATE_HZ)


def test_notes_of_a_key_are_in_it_and_others_are_not():
    inside, half = notes([60, 64, 67, 71]), notes([60, 61, 64, 66])
    assert key_share(inside, C_MAJOR) > 0.95
    assert 0.3 < key_share(half, C_MAJOR) < 0.7
    assert np.isnan(key_share(Sound(np.zeros(RATE_HZ, np.float32), RATE_HZ), C_MAJOR))


def test_a_chord_may_leave_the_key_while_it_sounds():
    sound = notes([60, 61, 60, 61])
    moments = [(0.0, C_MAJOR), (0.5, (*C_MAJOR, 1)), (1.0, C_MAJOR), (1.5, (*C_MAJOR, 1))]
    assert harmony_share(sound, moments) > key_share(sound, C_MAJOR) + 0.3


def test_onsets_on_the_beat_are_found_there():
    sound, beats = notes([60] * 8), np.arange(8) * 0.5
    assert beat_onset_f(sound, beats) > 0.9 > 0.2 > beat_onset_f(sound, beats + 0.2)


@pytest.mark.parametrize(("played", "written", "off"), [(0.5, 120, 0), (60 / 123, 120, 3)])
def test_the_tempo_is_told_to_a_fraction_of_a_beat(played, written, off):
    assert tempo_error_bpm(notes([60, 62] * 12, played), written) == pytest.approx(off, abs=0.5)


def test_the_source_is_measured_where_it_was_mixed_in():
    source, stem = notes([72, 74, 76, 77] * 2, 1.0, 1.0), notes([48, 50, 53, 55] * 4, decay=1.0)
    assert source_db(stem, source) < -25
    leaking = Sound(stem.samples + np.float32(0.3) * source.samples, RATE_HZ)
    expected = 10 * np.log10(0.09 * np.sum(source.samples**2) / np.sum(leaking.samples**2))
    assert source_db(leaking, source) == pytest.approx(expected, abs=1.0)
    assert source_db(source, source) == pytest.approx(0.0, abs=1e-3)
