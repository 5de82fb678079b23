"""The region contract for models that make new sound."""

import numpy as np
import pytest

from engine.audio.reading import read_region
from engine.audio.scene import Scene, ScenePort, run_scene
from engine.errors import EngineError
from tests.engine.signals import noise, sine

RATES_HZ = (8_000, 22_050, 32_000, 44_100, 44_099, 48_000, 96_000)


def stem_of(path, run, start=None, length=None, channels=1, context=0.5, level="none"):
    region = read_region(path, start, length, context)
    return region, run_scene(region, ScenePort(32_000, channels, run, context), level)[0]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("length", (0.05, 0.7))
def test_what_the_model_gives_back_lies_where_it_was(write, rate_hz, length):
    path = write(sine(2 * rate_hz, rate_hz, 441), rate_hz)
    region, stem = stem_of(path, lambda scene: scene.region, 0.61, length)
    assert stem.samples.shape == region.region.shape
    inner = slice(rate_hz // 100, -rate_hz // 100)
    assert np.abs(stem.samples - region.region)[inner].max() < 2e-3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_before_region_and_after_are_one_signal_cut_at_the_regions_ends(write, rate_hz):
    seen: list[Scene] = []
    path = write(sine(2 * rate_hz, rate_hz, 300), rate_hz)
    stem_of(path, lambda scene: seen.append(scene) or scene.region, 0.9, 0.4)
    (scene,) = seen
    # one second is its only whole step
    assert abs(len(scene.before) / 32_000 - 0.5) < 0.02 or rate_hz == 44_099
    whole = np.concatenate([scene.before, scene.region, scene.after])[:, 0]
    began = 0.9 - len(scene.before) / 32_000
    expected = 0.3 * np.sin(2 * np.pi * 300 * (began + np.arange(len(whole)) / 32_000))
    assert np.abs(whole - expected)[800:-800].max() < 5e-3


def test_a_silent_region_is_filled(write):
    _, stem = stem_of(
        write(np.zeros(44_100), 44_100), lambda scene: noise(len(scene.region)), level="match"
    )
    assert np.abs(stem.samples).max() > 0.1
    assert any("no loudness to match" in note for note in stem.notes)
    assert np.abs(stem.samples[[0, -1]]).max() < 1e-3  # and does not begin with a click


def test_a_file_without_more_audio_has_an_empty_before_and_after(write):
    seen = []
    stem_of(write(noise(8_000), 32_000), lambda scene: seen.append(scene) or scene.region)
    assert (len(seen[0].before), len(seen[0].region), len(seen[0].after)) == (0, 8_000, 0)


def test_a_stereo_model_keeps_left_and_right_apart(write):
    file = np.stack([sine(44_100, 44_100, 300), sine(44_100, 44_100, 500)], axis=1)
    region, stem = stem_of(write(file, 44_100), lambda scene: scene.region[:, ::-1], channels=2)
    assert np.abs(stem.samples - region.region[:, ::-1])[500:-500].max() < 2e-3


@pytest.mark.parametrize(("made", "asked"), [(1, 2), (1, 6), (2, 1), (2, 6)])
def test_other_channel_counts_are_served_and_told(write, made, asked):
    path = write(np.zeros((4_000, asked)), 32_000)
    _, stem = stem_of(path, lambda scene: noise(len(scene.region), made), channels=made)
    assert stem.samples.shape == (4_000, asked) and any(
        note.startswith("channels") for note in stem.notes
    )
    assert np.abs(stem.samples[:, 0]).max() > 0


def test_what_is_no_sound_is_refused(write):
    with pytest.raises(EngineError, match="NaN"):
        stem_of(write(noise(4_000), 32_000), lambda scene: scene.region * np.nan)


def test_a_stem_that_goes_on_in_its_file_joins_it_without_a_seam(write):
    region = read_region(write(sine(44_100, 44_100, 300), 44_100), 0.25, 0.5, 0.2)
    port = ScenePort(32_000, 1, lambda scene: noise(len(scene.region)), 0.2, joins=("start",))
    stem = run_scene(region, port, "match")[0].samples
    assert np.abs(stem[:10] - region.region[:10]).max() < 0.01
    assert np.abs(stem[-10:] - region.region[-10:]).max() > 0.02
