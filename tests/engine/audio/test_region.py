"""The region contract, proven with a model that changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.loudness import loudness, peak
from engine.audio.reading import read_region
from engine.audio.region import ModelOutput, ModelPort, Voice, context_seconds, reflect, run_region
from engine.errors import EngineError
from tests.engine.signals import noise, sine, whole_windows

RATES_HZ = (
    8_000,
    11_025,
    16_000,
    22_050,
    32_000,
    44_100,
    44_099,
    48_000,
    88_200,
    96_000,
    176_400,
    192_000,
)


def stem_of(path, model, start=None, length=None, level="match"):
    frames = read_region(path, start, length).frames
    rate_hz = soundfile.info(path).samplerate
    region = read_region(path, start, length, context_seconds(frames, rate_hz, model))
    return region, run_region(region, model, level)[0]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_clicks_come_back_at_the_same_frame(write, identity, rate_hz):
    clicks = np.array([0, 1, rate_hz // 3, rate_hz // 2 + 7, rate_hz - 1])
    file = np.zeros(3 * rate_hz)
    file[rate_hz + clicks[[0, 2, 3, 4]]] = 0.5
    _, stem = stem_of(write(file, rate_hz), identity, 1.0, 1.0)
    out = np.abs(stem.samples[:, 0])
    assert len(out) == rate_hz
    for click in clicks[[0, 2, 3, 4]]:
        first = max(0, click - 30)
        assert first + np.argmax(out[first : click + 30]) == click


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("length", (0.05, 0.4, 6.1))
def test_a_sine_keeps_pitch_phase_and_level(write, identity, rate_hz, length):
    region, stem = stem_of(
        write(sine(round(6.9 * rate_hz), rate_hz, 441), rate_hz), identity, 0.3, length
    )
    assert stem.samples.shape == region.region.shape
    assert np.abs(stem.samples - region.region).max() < 1e-4


def test_a_whole_file_without_any_context_keeps_its_edges(write, identity):
    region, stem = stem_of(write(sine(44_100 // 5, 44_100, 300), 44_100), identity)
    inner = slice(200, -200)
    assert np.abs(stem.samples[inner] - region.region[inner]).max() < 1e-4
    assert np.abs(stem.samples - region.region).max() < 0.05


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_that_are_copies_come_back_exactly(write, identity, channels):
    levels = np.linspace(-1, 1, channels) if channels > 1 else np.ones(1)
    file = sine(48_000, 48_000, 500)[:, None] * levels
    region, stem = stem_of(write(file, 48_000), identity)
    assert stem.samples.shape == region.region.shape
    assert np.abs(stem.samples - region.region)[200:-200].max() < 1e-4


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.aiff", "PCM_24"),
        ("a.flac", "PCM_16"),
    ],
)
def test_every_format_gives_a_region(write, identity, name, subtype):
    region, stem = stem_of(write(noise(22_050, 2), 22_050, name, subtype), identity, 0.25, 0.5)
    assert stem.samples.shape == region.region.shape == (11_025, 2)


def test_ten_minutes_have_no_seams_and_no_drift(write, identity):
    rate_hz, seconds = 8_000, 600
    file = sine(rate_hz * seconds, rate_hz, 440)
    region, stem = stem_of(write(file, rate_hz), identity)
    assert stem.samples.shape == (rate_hz * seconds, 1)
    assert np.abs(stem.samples - region.region)[100:-100].max() < 1e-4


@pytest.mark.parametrize("delay", (1, 37, 1280))
def test_the_delay_of_a_model_is_taken_out(write, identity, delay):
    zeros = np.zeros(delay, np.float32)
    late = replace(
        identity,
        run=lambda mono: ModelOutput(np.concatenate([zeros, mono[:-delay]])),
        delay_samples=delay,
    )
    region, stem = stem_of(write(sine(48_000, 48_000, 441), 48_000), late, 0.2, 0.5)
    assert np.abs(stem.samples - region.region).max() < 1e-3


def test_the_model_hears_real_context_before_reflection(write):
    heard = {}

    def listen(mono):
        heard["window"] = mono
        return ModelOutput(mono)

    ramp = np.linspace(0.1, 0.9, 20 * 32_000)
    stem_of(write(ramp, 32_000), ModelPort(32_000, listen, whole_windows), 10.0, 1.0)
    assert len(heard["window"]) == 128 * 1280
    assert np.all(np.diff(heard["window"]) > 0)


def test_a_region_at_the_start_of_a_file_takes_its_context_from_behind(write):
    heard = {}

    def listen(mono):
        heard["window"] = mono
        return ModelOutput(mono)

    ramp = np.linspace(0.1, 0.9, 20 * 32_000)
    stem_of(write(ramp, 32_000), ModelPort(32_000, listen, whole_windows), 0.0, 1.0)
    assert np.all(np.diff(heard["window"]) > 0)


def test_a_region_shorter_than_its_own_context_is_reflected_not_padded_with_zeros(write):
    heard = {}

    def listen(mono):
        heard["window"] = mono
        return ModelOutput(mono)

    stem_of(write(noise(1600), 32_000), ModelPort(32_000, listen, whole_windows))
    blocks = heard["window"][: 100 * 1600].reshape(100, 1600)
    assert blocks.std(axis=1).min() > 0.05


@pytest.mark.parametrize("gain", (0.02, 5.0))
def test_the_stem_is_as_loud_as_the_region(write, identity, gain):
    louder = replace(identity, run=lambda mono: ModelOutput(mono * np.float32(gain)))
    region, stem = stem_of(write(noise(96_000, 2), 48_000), louder)
    assert abs(loudness(stem.samples, 48_000) - loudness(region.region, 48_000)) < 1.0


def test_level_none_leaves_the_models_level(write, identity):
    louder = replace(identity, run=lambda mono: ModelOutput(mono * np.float32(0.5)))
    region, stem = stem_of(write(sine(48_000, 48_000, 440), 48_000), louder, level="none")
    assert peak(stem.samples) == pytest.approx(0.5 * peak(region.region), rel=0.01)


def test_a_model_with_sharper_peaks_is_limited_not_clipped(write, identity):
    pulses = np.zeros(48_000 * 3, np.float32)
    pulses[::480] = 1.0
    model = replace(identity, run=lambda mono: ModelOutput(np.resize(pulses, len(mono))))
    region, stem = stem_of(write(sine(96_000, 48_000, 440, 0.4), 48_000), model)
    assert peak(stem.samples) <= 1.0
    assert any("limited" in note for note in stem.notes)


def test_silence_gives_silence_and_the_model_is_not_asked(write):
    model = ModelPort(32_000, run=lambda mono: pytest.fail("asked"))
    _, stem = stem_of(write(np.zeros((4800, 2)), 48_000), model)
    assert stem.samples.shape == (4800, 2) and not stem.samples.any()
    assert any("silent" in note for note in stem.notes)


@pytest.mark.parametrize("frames", (4_800, 48_000))
def test_a_constant_is_silence_with_an_offset(write, frames):
    model = ModelPort(32_000, run=lambda mono: pytest.fail("asked"))
    _, stem = stem_of(write(np.full(frames, 0.5), 48_000), model)
    assert not stem.samples.any()
    assert any("offset" in note for note in stem.notes)


def test_full_scale_noise_stays_within_full_scale(write, identity):
    file = np.random.default_rng(0).uniform(-1, 1, (48_000, 2))
    region, stem = stem_of(write(file, 48_000), identity)
    assert stem.samples.shape == region.region.shape and peak(stem.samples) <= 1.0
    # peaks win over loudness, and it is said
    assert any("more would clip" in note for note in stem.notes)


def test_samples_that_are_not_numbers_become_zero_and_are_counted(write, identity):
    file = noise(48_000)
    file[[100, 200]], file[300] = np.nan, np.inf
    _, stem = stem_of(write(file, 48_000), identity)
    assert np.isfinite(stem.samples).all()
    assert any("3 samples" in note for note in stem.notes)


def test_a_file_of_nothing_but_nan_is_silence(write):
    model = ModelPort(32_000, run=lambda mono: pytest.fail("asked"))
    _, stem = stem_of(write(np.full(4800, np.nan), 48_000), model)
    assert not stem.samples.any()


def test_float_samples_above_full_scale_are_brought_down(write, identity):
    _, stem = stem_of(write(sine(48_000, 48_000, 440, 4.0), 48_000), identity)
    assert peak(stem.samples) <= 1.0


def test_a_model_that_answers_nan_is_our_error(write, identity):
    broken = replace(identity, run=lambda mono: ModelOutput(mono * np.float32(np.nan)))
    with pytest.raises(EngineError, match="internal"):
        stem_of(write(noise(48_000), 48_000), broken)


def test_a_click_that_the_input_has_not_is_faded(write, identity):
    file = noise(96_000)
    file[:4800] = file[-4800:] = 0
    model = replace(identity, run=lambda mono: ModelOutput(sine(len(mono), 32_000, 3_000)))
    _, stem = stem_of(write(file, 48_000), model)
    assert np.abs(stem.samples[[0, -1]]).max() < 1e-3
    assert sum("fades" in note for note in stem.notes) == 2


@pytest.mark.parametrize(("seconds", "code"), [(0.04, "too_short"), (601.0, "too_long")])
def test_lengths_out_of_range_are_refused(write, identity, seconds, code):
    with pytest.raises(EngineError) as caught:
        stem_of(write(np.zeros(round(seconds * 8_000)), 8_000), identity)
    assert caught.value.code == code


def test_reflection_repeats_for_signals_shorter_than_the_padding():
    assert reflect(np.array([1, 2, 3]), -4, 11).tolist() == [1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]
    assert reflect(np.array([7]), -2, 5).tolist() == [7] * 5


@settings(max_examples=25, deadline=None)
@given(
    rate_hz=st.integers(8_000, 192_000),
    channels=st.integers(1, 8),
    start=st.floats(0, 0.3),
    length=st.floats(0.05, 0.25),
    place=st.floats(0, 0.999),
)
def test_any_rate_any_channels_any_place(tmp_path_factory, rate_hz, channels, start, length, place):
    model = ModelPort(32_000, run=ModelOutput, window_samples=whole_windows)
    frames = max(round(length * rate_hz), round(0.05 * rate_hz))
    click = int(place * frames)
    file = np.zeros((round(0.6 * rate_hz), channels), np.float32)
    file[round(start * rate_hz) + click] = 0.5
    path = tmp_path_factory.mktemp("any") / "in.wav"
    soundfile.write(path, file, rate_hz, subtype="FLOAT")
    _, stem = stem_of(path, model, start, frames / rate_hz)
    assert stem.samples.shape == (frames, channels)
    assert np.all(np.argmax(np.abs(stem.samples), axis=0) == click)


def test_each_voice_is_a_stem_of_its_own_level_and_place(write, identity):
    left = noise(32_000, 2) * [1, 0]
    voices = (Voice("tune"), Voice("bass", is_new=True, level_db=-6.0))
    both = lambda mono: ModelOutput(np.stack([mono, mono[::-1]]), ("heard",))  # noqa: E731
    model = replace(identity, run=both, voices=voices)
    path = write(left, 32_000)
    tune, bass = run_region(read_region(path, None, None), model)
    assert [tune.name, bass.name] == ["tune", "bass"] and "heard" in tune.notes
    assert np.abs(tune.samples[:, 1]).max() < 1e-3, "a re-drawn region stays on its side"
    assert np.array_equal(bass.samples[:, 0], bass.samples[:, 1]), "new sound stands in the middle"
    assert loudness(tune.samples, 32_000) - loudness(bass.samples, 32_000) == pytest.approx(
        6.0, abs=0.2
    )
