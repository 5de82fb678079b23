"""What the torch families share."""

import json

import numpy as np
import pytest

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.repository import flow, noise_for, repository, window_of
from tests.engine.signals import noise


def scene(before, region, after):
    """Every sample says where it is: 1, 2, 3 ..."""
    whole = np.arange(1.0, before + region + after + 1, dtype=np.float32)[:, None]
    return Scene(whole[:before], whole[before : before + region], whole[before + region :])


def test_a_region_begins_with_a_latent_frame_and_its_last_part_of_one_is_kept():
    window = window_of(scene(25, 37, 50), frame_samples=10, least=0, most=1000)
    assert window.samples[window.region][[0, -1], 0].tolist() == [26, 62]
    assert window.region.start % 10 == 0 and len(window.samples) % 10 == 0
    assert np.flatnonzero(window.mask).tolist() == [2, 3, 4]  # 20 to 50 of 20 to 57


def test_where_nothing_follows_the_last_part_of_a_frame_is_made_too():
    window = window_of(scene(20, 37, 0), frame_samples=10, least=0, most=1000)
    assert np.flatnonzero(window.mask).tolist() == [2, 3, 4, 5]


def test_a_region_shorter_than_a_frame_has_one():
    assert window_of(scene(20, 3, 40), 10, 0, 1000).mask.tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_short_scenes_are_mirrored_and_long_ones_lose_context_from_the_far_ends():
    short = window_of(scene(0, 12, 0), 10, 40, 1000, multiple=2)
    assert len(short.samples) == 40 and short.samples[12, 0] == 11
    long = window_of(scene(100, 30, 100), 10, 0, 70)
    assert 60 <= len(long.samples) <= 70 and long.samples[long.region][0, 0] == 101
    lopsided = window_of(scene(0, 30, 100), 10, 0, 70)
    assert len(lopsided.samples) == 70


def test_the_models_folder_comes_before_the_cache_and_its_order_counts(tmp_path):
    for name in ("second", "first"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text(json.dumps({}))
    assert repository(tmp_path, "owner-of-nothing", ("first", "second")) == tmp_path / "first"
    assert repository(tmp_path, "owner-of-nothing", ("third",)) is None
    assert repository(None, "owner-of-nothing", ("first",)) is None


def test_a_longer_region_begins_with_the_noise_of_a_shorter_one():
    assert (noise_for(3, 4, 20)[:10] == noise_for(3, 4, 10)).all()
    assert not (noise_for(4, 4, 10) == noise_for(3, 4, 10)).any()


def test_a_flow_tells_every_step_and_stops_between_two():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1)
    scheduler.set_timesteps(sigmas=[1.0, 0.5, 0.25, 0.1])
    told, begin = [], noise(6, 2)[None]
    found = flow(lambda latent, time: np.ones_like(latent), begin, scheduler, 0, told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(found, begin - 1, atol=1e-6)
    scheduler.set_timesteps(sigmas=[1.0, 0.5, 0.25, 0.1])
    told.clear()
    with pytest.raises(Cancelled):
        flow(lambda latent, time: latent, begin, scheduler, 0, told.append, lambda: len(told) == 2)
    assert told == [0.25, 0.5]
