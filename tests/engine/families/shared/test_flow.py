"""The noise of a rectified flow, its progress and its end."""

import numpy as np
import pytest

from engine.errors import Cancelled
from engine.families.shared.flow import noise_for, sample_flow
from tests.engine.signals import noise


def test_a_longer_region_begins_with_the_noise_of_a_shorter_one():
    assert (noise_for(3, 4, 20)[:10] == noise_for(3, 4, 10)).all()
    assert not (noise_for(4, 4, 10) == noise_for(3, 4, 10)).any()


def test_a_flow_tells_every_step_and_stops_between_two():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1)
    scheduler.set_timesteps(sigmas=[1.0, 0.5, 0.25, 0.1])
    told, begin = [], noise(6, 2)[None]
    found = sample_flow(lambda latent, time: np.ones_like(latent), begin, scheduler, 0, told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(found, begin - 1, atol=1e-6)
    scheduler.set_timesteps(sigmas=[1.0, 0.5, 0.25, 0.1])
    told.clear()
    with pytest.raises(Cancelled):
        sample_flow(
            lambda latent, time: latent, begin, scheduler, 0, told.append, lambda: len(told) == 2
        )
    assert told == [0.25, 0.5]
