"""The sampler is right on known flows, seamless over windows, and stops between steps."""

from itertools import pairwise

import numpy as np
import pytest

from engine.errors import Cancelled
from engine.families.nano.sampler import (
    blend,
    cut,
    flow,
    noise_for,
    plan_frames,
    time_embedding,
    window_count,
)


def never():
    return False


def ignore(_):
    pass


@pytest.mark.parametrize(
    ("frames", "planned", "windows"),
    [(1, 128, 1), (128, 128, 1), (129, 129, 2), (224, 224, 2), (225, 225, 3)],
)
def test_windows_cover_the_region_exactly(frames, planned, windows):
    assert plan_frames(frames) == planned and window_count(planned) == windows
    places = cut(np.arange(planned, dtype=np.float32)[:, None], planned)[..., 0]
    assert len(places) == windows and places[0, 0] == 0 and places[-1, -1] == planned - 1
    assert all(later[0] <= earlier[-1] + 1 - 32 for earlier, later in pairwise(places))


@pytest.mark.parametrize("frames", (128, 224, 300, 512))
def test_cutting_and_blending_is_the_identity(frames):
    latent = noise_for(1, frames, 3)
    assert np.allclose(blend(cut(latent, frames), frames), latent, atol=1e-6)


@pytest.mark.parametrize("frames", (128, 416, 420))
@pytest.mark.parametrize("steps", (1, 4))
def test_a_straight_flow_arrives_in_any_number_of_steps(frames, steps):
    target = np.sin(np.arange(frames, dtype=np.float32))[:, None] * np.ones((1, 3), np.float32)
    noise = noise_for(0, frames, 3)
    windows = cut(target - noise, frames)
    latent = flow(lambda latent, time, part: windows[part], noise, steps, ignore, never)
    assert np.allclose(latent, target, atol=1e-5)


def test_windows_that_disagree_meet_without_a_step():
    frames = plan_frames(200)

    def disagree(latent, time, part):
        own = np.arange(part.start, part.stop, dtype=np.float32)
        return np.broadcast_to(own[:, None, None], latent.shape)

    latent = flow(disagree, np.zeros((frames, 1), np.float32), 1, ignore, never)
    assert np.abs(np.diff(latent[:, 0])).max() < 0.05


def test_a_cancel_is_seen_between_two_calls():
    calls = []

    def velocity(latent, time, part):
        calls.append(time)
        return latent

    with pytest.raises(Cancelled):
        flow(velocity, noise_for(0, 128, 2), 10, ignore, lambda: len(calls) == 3)
    assert calls == [0.0, 0.1, 0.2]


def test_progress_rises_to_one():
    told = []
    flow(lambda latent, time, part: latent, noise_for(0, 608, 2), 3, told.append, never)
    assert told == sorted(told) and told[-1] == 1.0


def test_equal_seeds_give_equal_noise():
    assert np.array_equal(noise_for(5, 224, 48)[:128], noise_for(5, 128, 48))


def test_the_time_embedding_is_the_one_of_the_training():
    torch = pytest.importorskip("torch")
    from engine.families.nano.model import time_embedding as trained

    assert np.allclose(time_embedding(0.37, 1), trained(torch.tensor([0.37])).numpy(), atol=1e-3)
