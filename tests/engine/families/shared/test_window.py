"""A scene's window in whole latent frames."""

import numpy as np

from engine.audio.scene import Scene
from engine.families.shared.window import window_of


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
