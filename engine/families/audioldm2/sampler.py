"""The sampling loop of AudioLDM2: a diffusers scheduler over windows that are denoised jointly.

    latent of the region   |-----------------------------------------|
    windows of 256 frames  |=============\\
                                    /=============\\
                                              /=============|

Windows overlap by 64 frames. At every step their predicted noise is averaged there with trapezoid
weights, then the scheduler takes one step with the whole (MultiDiffusion, Bar-Tal et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import Cancelled
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled

# latents of some windows [W, C, T, F], timestep, which windows -> noise [W, C, T, F]
WindowNoise = Callable[[np.ndarray, float, slice], np.ndarray]
BATCH_WINDOWS = 2  # in one call: bounds memory and the wait for a cancel


@dataclass(frozen=True)
class Scheduler:
    """A row of the table: diffusers' class, and its changes to the repository's configuration."""

    name: str
    kind: str
    changes: Mapping[str, Any]
    most_steps: int


SCHEDULERS = (  # the first row that takes the number of steps
    Scheduler(
        "DPM-Solver++ 2M",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "timestep_spacing": "trailing"},
        most_steps=30,
    ),
    # the reference: 50 steps, leading timesteps, eta 0
    Scheduler("DDIM", "DDIMScheduler", {}, most_steps=1000),
)


def scheduler_for(steps: int) -> Scheduler:
    """The scheduler for a number of steps: of second order for few, the paper's for many."""
    return next(row for row in SCHEDULERS if steps <= row.most_steps)


def build_scheduler(row: Scheduler, config: Mapping[str, Any]) -> Any:
    """The scheduler of a row, on the repository's betas."""
    import diffusers

    own = {name: value for name, value in config.items() if not name.startswith("_")}
    return getattr(diffusers, row.kind).from_config({**own, **row.changes})


@dataclass(frozen=True)
class Windows:
    """Windows of one length over a sequence of any length; axis -2 of all arrays is time."""

    frames: int
    overlap: int

    @property
    def stride(self) -> int:
        return self.frames - self.overlap

    def frames_for(self, count: int) -> int:
        """Frames that the windows cover for a region of `count`: 256, 448, 640, ..."""
        return self.frames + self.stride * max(0, -(-(count - self.frames) // self.stride))

    def starts(self, planned: int) -> range:
        return range(0, planned - self.frames + 1, self.stride)

    def cut(self, whole: np.ndarray) -> np.ndarray:
        """[W, ..., frames, F] of [..., planned, F]."""
        return np.stack(
            [whole[..., first : first + self.frames, :] for first in self.starts(whole.shape[-2])]
        )

    def merge(self, windows: np.ndarray) -> np.ndarray:
        """[..., planned, F] of [W, ..., frames, F], averaged with trapezoid weights."""
        if len(windows) == 1:
            return windows[0]
        planned = self.frames + self.stride * (len(windows) - 1)
        total = np.zeros((*windows.shape[1:-2], planned, windows.shape[-1]), np.float32)
        weights = np.zeros((planned, 1), np.float32)
        shape = self._trapezoid()
        for window, first in zip(windows, self.starts(planned), strict=True):
            total[..., first : first + self.frames, :] += shape * window
            weights[first : first + self.frames] += shape
        return total / weights

    def batches(self, planned: int) -> Iterator[slice]:
        """The windows, a few at a time."""
        count = len(self.starts(planned))
        for first in range(0, count, BATCH_WINDOWS):
            yield slice(first, min(count, first + BATCH_WINDOWS))

    def _trapezoid(self) -> np.ndarray:
        rise = (np.arange(self.frames) + 0.5) / self.overlap
        return np.minimum(1.0, np.minimum(rise, rise[::-1])).astype(np.float32)[:, None]


def sample(
    predict: WindowNoise,
    noise: np.ndarray,
    windows: Windows,
    scheduler: Any,
    steps: int,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
) -> np.ndarray:
    """The latent [C, planned, F] that a scheduler of diffusers finds from noise of that shape.

    `advance` gets the fraction done. `cancelled` is called before every prediction. Raises
    Cancelled.
    """
    import torch

    scheduler.set_timesteps(steps)
    timesteps, parts = scheduler.timesteps, list(windows.batches(noise.shape[-2]))
    latent = torch.from_numpy(noise)[None] * scheduler.init_noise_sigma
    for step, time in enumerate(timesteps):
        pieces = windows.cut(scheduler.scale_model_input(latent, time)[0].numpy())
        predicted = np.empty_like(pieces)
        for index, part in enumerate(parts):
            if cancelled():
                raise Cancelled
            predicted[part] = predict(pieces[part], float(time), part)
            advance((step + (index + 1) / len(parts)) / len(timesteps))
        latent = scheduler.step(
            torch.from_numpy(windows.merge(predicted))[None], time, latent
        ).prev_sample
    return latent[0].numpy()


def noise_for(seed: int, channels: int, frames: int, bands: int) -> np.ndarray:
    """The noise [channels, frames, bands] that sampling starts from.

    A longer region begins with the noise of a shorter one.
    """
    drawn = np.random.default_rng(seed).standard_normal((frames, channels, bands), dtype=np.float32)
    return np.ascontiguousarray(drawn.transpose(1, 0, 2))


def time_embedding(time: float, batch: int, width: int) -> np.ndarray:
    """Sinusoids [batch, width] of a timestep in 0..1000, cosines first, as in AudioLDM2's UNet."""
    rates = np.exp(np.arange(width // 2) * (-np.log(10_000) / (width // 2)))
    row = np.concatenate([np.cos(time * rates), np.sin(time * rates)]).astype(np.float32)
    return np.tile(row, (batch, 1))
