"""How is a rectified flow sampled, from noise to a latent?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.errors import Cancelled
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled

# latent [1, ...] and time (1: noise, 0: sound) -> velocity of the latent's shape
Velocity = Callable[[np.ndarray, float], np.ndarray]


def noise_for(seed: int, channels: int, frames: int) -> np.ndarray:
    """Noise [frames, channels]; that of a longer region begins with that of a shorter one."""
    return np.random.default_rng(seed).standard_normal((frames, channels), dtype=np.float32)


def build_scheduler(config: Mapping[str, Any], sigmas: Sequence[float]) -> Any:
    """diffusers' FlowMatchEulerDiscreteScheduler of a repository, at these noise levels."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    own = {name: value for name, value in config.items() if not name.startswith("_")}
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(own)
    scheduler.set_timesteps(sigmas=sigmas)
    return scheduler


def sample_flow(
    predict: Velocity,
    latent: np.ndarray,
    scheduler: Any,
    seed: int,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
) -> np.ndarray:
    """The latent at the end of a scheduler's timesteps.

    The seed is for schedulers that add noise on their way. `cancelled` is asked before every step.
    Raises Cancelled.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    current = torch.from_numpy(latent)
    for step, time in enumerate(scheduler.timesteps):
        if cancelled():
            raise Cancelled
        velocity = torch.from_numpy(predict(current.numpy(), float(time)))
        current = scheduler.step(velocity, time, current, generator=generator).prev_sample
        advance((step + 1) / len(scheduler.timesteps))
    return current.numpy()
