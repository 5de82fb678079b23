"""The sampling loop is exact on a known model, in windows too."""

import numpy as np
import pytest
import torch

from engine.errors import Cancelled
from engine.families.audioldm2.sampler import (
    Windows,
    build_scheduler,
    noise_for,
    sample,
    scheduler_for,
    time_embedding,
)
from tests.engine.families.audioldm2.published import SCHEDULER

WINDOWS = Windows(16, 4)


def final_for(steps, count=16):
    """A model that knows the clean latent: its noise is exact, so every scheduler must find it."""
    clean = np.random.default_rng(1).standard_normal(
        (2, WINDOWS.frames_for(count), 4), dtype=np.float32
    )
    scheduler = build_scheduler(scheduler_for(steps), SCHEDULER)
    pieces = WINDOWS.cut(clean)

    def predict(latent, time, part):
        alpha = float(scheduler.alphas_cumprod[int(time)])
        return (latent - alpha**0.5 * pieces[part]) / (1 - alpha) ** 0.5

    found = sample(predict, noise_for(0, *clean.shape), WINDOWS, scheduler, steps)
    return found, clean


@pytest.mark.parametrize("steps", [8, 25, 50])
@pytest.mark.parametrize("count", [10, 16, 40])
def test_an_exact_model_leads_to_its_latent_on_both_schedulers(steps, count):
    found, clean = final_for(steps, count)
    # DDIM ends at the first training step (set_alpha_to_one is off), which still holds noise of
    # 0.039
    np.testing.assert_allclose(found, clean, atol=0.2 if steps == 50 else 0.01)


def test_few_steps_take_the_solver_and_the_papers_fifty_take_ddim():
    assert [scheduler_for(steps).name for steps in (8, 30, 31, 50)] == ["DPM-Solver++ 2M"] * 2 + [
        "DDIM"
    ] * 2


def test_ddim_walks_the_references_timesteps():
    scheduler = build_scheduler(scheduler_for(50), SCHEDULER)
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[[0, 1, -1]].tolist() == [981, 961, 1]


def test_windows_cut_and_joined_are_the_whole():
    whole = (
        np.random.default_rng(0).standard_normal((3, WINDOWS.frames_for(50), 2)).astype(np.float32)
    )
    np.testing.assert_allclose(WINDOWS.merge(WINDOWS.cut(whole)), whole, atol=1e-6)


@pytest.mark.parametrize(("count", "planned"), [(1, 16), (16, 16), (17, 28), (28, 28), (29, 40)])
def test_windows_are_planned_to_cover_a_region(count, planned):
    assert WINDOWS.frames_for(count) == planned


def test_a_longer_region_begins_with_the_noise_of_a_shorter_one():
    assert np.array_equal(noise_for(7, 8, 64, 16), noise_for(7, 8, 128, 16)[:, :64])


def test_the_time_embedding_is_the_unets_own():
    from diffusers.models.embeddings import Timesteps

    expected = Timesteps(128, True, 0)(torch.tensor([981.0, 981.0]))
    np.testing.assert_allclose(time_embedding(981.0, 2, 128), expected, atol=2e-4)


def test_a_cancel_is_heard_between_two_predictions():
    calls = []

    def predict(latent, time, part):
        calls.append(time)
        return latent

    with pytest.raises(Cancelled):
        noise = noise_for(0, 2, 16, 4)
        scheduler = build_scheduler(scheduler_for(8), SCHEDULER)
        sample(predict, noise, WINDOWS, scheduler, 8, cancelled=lambda: len(calls) == 3)
    assert len(calls) == 3
