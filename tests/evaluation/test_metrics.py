"""Each figure on sounds whose answer is known: the same, later, higher, silent."""

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import (
    Sound,
    at_level,
    chroma_similarity,
    log_mel_distance,
    onset_f,
    raw_chroma_accuracy,
    tempo_delta_bpm,
)

RATE_HZ = 32_000
MELODY = (60, 64, 67, 65, 62, 69)


def tune(pitches=MELODY, seconds=0.4, delay_seconds=0.0, harmonics=6, transpose=0.0) -> Sound:
    """Plucked notes, one after the other."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    notes = []
    for pitch in pitches:
        hz = 440 * 2 ** ((pitch + transpose - 69) / 12)
        partials = [np.sin(2 * np.pi * hz * n * time) / n for n in range(1, harmonics + 1) if hz * n < RATE_HZ / 2]
        notes.append(sum(partials) * np.exp(-3 * time) * np.minimum(1, time / 0.005))
    samples = np.concatenate([np.zeros(int((0.1 + delay_seconds) * RATE_HZ)), *notes])
    return Sound((0.2 * samples).astype(np.float32), RATE_HZ)


@pytest.fixture(scope="module")
def melody():
    return tune()


@pytest.mark.parametrize(
    ("metric", "best"),
    [(chroma_similarity, 1), (onset_f, 1), (log_mel_distance, 0), (raw_chroma_accuracy, 1), (tempo_delta_bpm, 0)],
)
def test_a_sound_is_identical_to_itself(melody, metric, best):
    assert metric(melody, melody) == pytest.approx(best, abs=1e-6)


def test_another_timbre_keeps_chroma_onsets_and_melody_but_not_the_mel(melody):
    brighter = tune(harmonics=16)
    assert chroma_similarity(brighter, melody) > 0.9
    assert onset_f(brighter, melody) > 0.9
    assert raw_chroma_accuracy(brighter, melody) > 0.9
    assert log_mel_distance(brighter, melody) > 0.3


def test_an_octave_up_keeps_the_pitch_classes(melody):
    octave = tune(transpose=12)
    assert raw_chroma_accuracy(octave, melody) > 0.9
    assert chroma_similarity(octave, melody) > 0.85


def test_a_semitone_up_loses_them(melody):
    semitone = tune(transpose=1)
    assert raw_chroma_accuracy(semitone, melody) < 0.1
    assert chroma_similarity(semitone, melody) < 0.75


def test_forty_cents_are_forgiven_and_seventy_are_not(melody):
    assert raw_chroma_accuracy(tune(transpose=0.4), melody) > 0.9
    assert raw_chroma_accuracy(tune(transpose=0.7), melody) < 0.1


def test_thirty_milliseconds_are_in_time_and_two_tenths_of_a_second_are_late(melody):
    assert onset_f(tune(delay_seconds=0.03), melody) > 0.9
    assert onset_f(tune(delay_seconds=0.2), melody) < 0.5
    assert chroma_similarity(tune(delay_seconds=0.2), melody) < chroma_similarity(tune(delay_seconds=0.03), melody)


def test_loudness_does_not_count(melody):
    quieter = Sound(melody.samples * 0.1, RATE_HZ)
    assert log_mel_distance(quieter, melody) == pytest.approx(0, abs=1e-4)
    assert chroma_similarity(quieter, melody) == pytest.approx(1, abs=1e-4)


def test_the_sample_rate_hardly_counts(melody):
    import soxr

    resampled = Sound(soxr.resample(melody.samples, RATE_HZ, 48_000), 48_000)
    assert chroma_similarity(resampled, melody) > 0.99
    assert log_mel_distance(resampled, melody) < 0.1


def test_half_and_double_tempo_are_the_same_tempo():
    click = Sound(np.tile(np.r_[np.ones(100), np.zeros(15_900)], 12).astype(np.float32), RATE_HZ)  # 120 BPM
    twice = Sound(np.tile(np.r_[np.ones(100), np.zeros(7_900)], 24).astype(np.float32), RATE_HZ)
    assert tempo_delta_bpm(twice, click) < 3


def test_silence_has_defined_figures(melody):
    silence = Sound(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert chroma_similarity(silence, silence) == onset_f(silence, silence) == 1
    assert chroma_similarity(silence, melody) == onset_f(silence, melody) == 0
    assert log_mel_distance(silence, silence) == 0
    assert np.isnan(raw_chroma_accuracy(melody, silence)) and np.isnan(tempo_delta_bpm(silence, melody))


def test_our_raw_chroma_accuracy_is_that_of_mir_eval(melody):
    other = tune((60, 64, 68, 65, 74, 69), transpose=0.2)
    (hz, _), (expected_hz, voiced) = other.pitch, melody.pitch
    cents = mir_eval.melody.hz2cents
    theirs = mir_eval.melody.raw_chroma_accuracy(voiced, cents(expected_hz), np.ones(len(hz)), cents(hz))
    assert raw_chroma_accuracy(other, melody) == pytest.approx(theirs)
    assert 0.4 < theirs < 0.95


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4000), st.floats(1e-4, 1.0))
def test_levelling_brings_any_sound_to_the_same_loudness(length, gain):
    noise = np.random.default_rng(length).standard_normal(length) * gain
    assert np.sqrt(np.mean(np.square(at_level(noise)))) == pytest.approx(0.1, rel=1e-3)
