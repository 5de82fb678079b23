"""Each figure on sounds whose answer is known: the same, later, higher, silent."""

import mir_eval
import numpy as np
import pytest

from evaluation.metrics.similarity import (
    beat_f,
    chroma_similarity,
    feature_distance,
    key_distance,
    log_mel_distance,
    mean_chroma_similarity,
    onset_f,
    raw_chroma_accuracy,
    spectral_distance,
    tempo_delta_bpm,
)
from evaluation.metrics.sound import Sound
from tests.evaluation.sounds import C_MAJOR, RATE_HZ, make_chords, make_tune


@pytest.fixture(scope="module")
def melody():
    return make_tune()


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        (chroma_similarity, 1),
        (onset_f, 1),
        (log_mel_distance, 0),
        (raw_chroma_accuracy, 1),
        (tempo_delta_bpm, 0),
    ],
)
def test_a_sound_is_identical_to_itself(melody, metric, best):
    assert metric(melody, melody) == pytest.approx(best, abs=1e-6)


def test_another_timbre_keeps_chroma_onsets_and_melody_but_not_the_mel(melody):
    brighter = make_tune(harmonics=16)
    assert chroma_similarity(brighter, melody) > 0.9
    assert onset_f(brighter, melody) > 0.9
    assert raw_chroma_accuracy(brighter, melody) > 0.9
    assert log_mel_distance(brighter, melody) > 0.3


def test_an_octave_up_keeps_the_pitch_classes(melody):
    octave = make_tune(transpose=12)
    assert raw_chroma_accuracy(octave, melody) > 0.9
    assert chroma_similarity(octave, melody) > 0.85


def test_a_semitone_up_loses_them(melody):
    semitone = make_tune(transpose=1)
    assert raw_chroma_accuracy(semitone, melody) < 0.1
    assert chroma_similarity(semitone, melody) < 0.75


def test_forty_cents_are_forgiven_and_seventy_are_not(melody):
    assert raw_chroma_accuracy(make_tune(transpose=0.4), melody) > 0.9
    assert raw_chroma_accuracy(make_tune(transpose=0.7), melody) < 0.1


def test_thirty_milliseconds_are_in_time_and_two_tenths_of_a_second_are_late(melody):
    assert onset_f(make_tune(delay_seconds=0.03), melody) > 0.9
    assert onset_f(make_tune(delay_seconds=0.2), melody) < 0.5
    assert chroma_similarity(make_tune(delay_seconds=0.2), melody) < chroma_similarity(
        make_tune(delay_seconds=0.03), melody
    )


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
    # 120 BPM
    click = Sound(np.tile(np.r_[np.ones(100), np.zeros(15_900)], 12).astype(np.float32), RATE_HZ)
    twice = Sound(np.tile(np.r_[np.ones(100), np.zeros(7_900)], 24).astype(np.float32), RATE_HZ)
    assert tempo_delta_bpm(twice, click) < 3


def test_silence_has_defined_figures(melody):
    silence = Sound(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert chroma_similarity(silence, silence) == onset_f(silence, silence) == 1
    assert chroma_similarity(silence, melody) == onset_f(silence, melody) == 0
    assert log_mel_distance(silence, silence) == 0
    assert np.isnan(raw_chroma_accuracy(melody, silence)) and np.isnan(
        tempo_delta_bpm(silence, melody)
    )


def test_our_raw_chroma_accuracy_is_that_of_mir_eval(melody):
    other = make_tune((60, 64, 68, 65, 74, 69), transpose=0.2)
    (hz, _), (expected_hz, voiced) = other.pitch, melody.pitch
    cents = mir_eval.melody.hz2cents
    theirs = mir_eval.melody.raw_chroma_accuracy(
        voiced, cents(expected_hz), np.ones(len(hz)), cents(hz)
    )
    assert raw_chroma_accuracy(other, melody) == pytest.approx(theirs)
    assert 0.4 < theirs < 0.95


def beat(bpm, seconds=12.0, late_seconds=0.0) -> Sound:
    """Clicks at a tempo."""
    samples = np.zeros(int(seconds * RATE_HZ), np.float32)
    for start in np.arange(0.2 + late_seconds, seconds - 0.1, 60 / bpm):
        samples[int(start * RATE_HZ) : int(start * RATE_HZ) + 200] = np.hanning(200)
    return Sound(samples, RATE_HZ)


def test_mean_chroma_forgives_order_and_frames_do_not(melody):
    backwards = Sound(melody.samples[::-1].copy(), RATE_HZ)
    assert mean_chroma_similarity(backwards, melody) > 0.97
    assert chroma_similarity(backwards, melody) < mean_chroma_similarity(backwards, melody) - 0.1
    assert mean_chroma_similarity(make_tune(transpose=12), melody) > 0.95
    assert mean_chroma_similarity(make_tune(transpose=6), melody) < 0.8


def test_a_stretched_sound_is_as_much_slower_as_it_is_longer():
    import librosa

    click = beat(120)
    slower = Sound(librosa.effects.time_stretch(click.samples, rate=0.8), RATE_HZ)  # 96 BPM
    # estimates come in steps of 4 to 6
    assert tempo_delta_bpm(slower, click) == pytest.approx(24, abs=6)
    assert beat_f(slower, click) < 0.6


def test_beats_forgive_seventy_milliseconds():
    click = beat(100)
    assert beat_f(beat(100, late_seconds=0.04), click) > 0.9
    assert beat_f(beat(100, late_seconds=0.2), click) < 0.2


@pytest.mark.parametrize(("semitones", "fifths"), [(7, 1), (2, 2), (1, 5), (6, 6), (12, 0), (5, 1)])
def test_key_distance_goes_round_the_circle_of_fifths(semitones, fifths):
    other = make_chords(*(root + semitones for root in (60, 65, 67, 60)))
    assert key_distance(other, C_MAJOR) == key_distance(C_MAJOR, other) == fifths


def test_relative_keys_are_no_distance_apart_and_parallel_ones_three():
    c_minor, a_minor = (
        make_chords(root, root + 5, root + 7, root, minor=True) for root in (60, 69)
    )
    assert key_distance(a_minor, C_MAJOR) == 0
    assert key_distance(c_minor, C_MAJOR) == 3


def test_feature_and_spectral_distance_grow_with_the_change(melody):
    noise = np.random.default_rng(0).standard_normal(len(melody.samples)).astype(np.float32) * 0.1
    brighter, other = make_tune(harmonics=16), Sound(noise, RATE_HZ)
    for distance in (feature_distance, spectral_distance):
        assert pytest.approx(distance(melody, melody), abs=1e-6) == 0
        assert 0 < distance(brighter, melody) < distance(other, melody)
        assert distance(other, melody) == pytest.approx(distance(melody, other), rel=1e-5)
    assert feature_distance(Sound(melody.samples * 0.1, RATE_HZ), melody) < 0.01
    assert np.isnan(feature_distance(Sound(np.zeros(RATE_HZ, np.float32), RATE_HZ), melody))


def test_silence_has_no_key_no_beats_and_no_chroma(melody):
    silence = Sound(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert silence.key_name == "no key" and np.isnan(key_distance(silence, melody))
    assert beat_f(silence, silence) == mean_chroma_similarity(silence, silence) == 1
    assert beat_f(silence, melody) == mean_chroma_similarity(silence, melody) == 0
