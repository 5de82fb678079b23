"""The sampling loop of nano: a rectified flow in Euler steps, over windows denoised jointly.

    latents of the region   |--------------------------------------|
    windows of 128 frames   |=============\\
                                       /==============\\
                                                   /=============|  at least 32 frames of overlap

At every step the velocities of all windows are averaged where they overlap, so all windows walk to
one common result and there is no seam to hide (MultiDiffusion, Bar-Tal et al. 2023). Knows latents
and velocities, nothing of graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from engine.errors import Cancelled
from engine.families.nano.stages import TIME_WIDTH
from engine.progress import Advance, IsCancelled

WINDOW_FRAMES = 128  # as in training: 5.12 s
# at least; windows are spread evenly, so that the first and the last end where the region does
OVERLAP_FRAMES = 32
BATCH_WINDOWS = 4  # windows in one call of the graph: bounds memory and the wait for a cancel

# velocity(latents of some windows [W, 128, C], time, which windows) -> [W, 128, C]
WindowVelocity = Callable[[np.ndarray, float, slice], np.ndarray]


def plan_frames(frames: int) -> int:
    """Latent frames that the windows cover for a region of `frames`: one window at least."""
    return max(WINDOW_FRAMES, frames)


def window_count(frames: int) -> int:
    """Windows in planned frames."""
    return -(-(frames - WINDOW_FRAMES) // (WINDOW_FRAMES - OVERLAP_FRAMES)) + 1


def cut(sequence: np.ndarray, frames: int) -> np.ndarray:
    """Windows [W, 128, C] (a copy) of a sequence [planned frames, C]."""
    return np.stack([sequence[first : first + WINDOW_FRAMES] for first in _starts(frames)])


def blend(windows: np.ndarray, frames: int) -> np.ndarray:
    """[planned frames, C] from windows [W, 128, C], averaged with trapezoid weights."""
    if len(windows) == 1:
        return windows[0]
    total = np.zeros((frames, windows.shape[2]), np.float32)
    weights = np.zeros((frames, 1), np.float32)
    shape = _trapezoid()
    for window, first in zip(windows, _starts(frames), strict=True):
        total[first : first + WINDOW_FRAMES] += shape * window
        weights[first : first + WINDOW_FRAMES] += shape
    return total / weights


def flow(
    velocity: WindowVelocity,
    noise: np.ndarray,
    steps: int,
    advance: Advance,
    cancelled: IsCancelled,
) -> np.ndarray:
    """Latents [planned frames, C] from noise of that shape: Euler from time 0 to 1 in equal steps.

    `advance` gets the fraction done, `cancelled` is asked before every call of the graph. Raises
    Cancelled.
    """
    frames = len(noise)
    latent = noise
    parts = list(_batches(window_count(frames)))
    for step in range(steps):
        windows = cut(latent, frames)
        moved = np.empty_like(windows)
        for index, part in enumerate(parts):
            if cancelled():
                raise Cancelled
            moved[part] = velocity(windows[part], step / steps, part)
            advance((step + (index + 1) / len(parts)) / steps)
        latent = latent + blend(moved, frames) / np.float32(steps)
    return latent


def noise_for(seed: int, frames: int, channels: int) -> np.ndarray:
    """Start of the flow [frames, channels]; a longer region begins with a shorter one's noise."""
    return np.random.default_rng(seed).standard_normal((frames, channels), dtype=np.float32)


def time_embedding(time: float, batch: int) -> np.ndarray:
    """Sinusoids of a flow time in 0..1: [batch, 256]; `model.time_embedding` is training's twin."""
    rates = np.exp(np.arange(TIME_WIDTH // 2) * (-np.log(10_000) / (TIME_WIDTH // 2)))
    angles = 1000 * time * rates
    row = np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)
    return np.tile(row, (batch, 1))


def _starts(frames: int) -> np.ndarray:
    return np.linspace(0, frames - WINDOW_FRAMES, window_count(frames)).round().astype(int)


def _batches(count: int) -> Iterator[slice]:
    for first in range(0, count, BATCH_WINDOWS):
        yield slice(first, min(count, first + BATCH_WINDOWS))


def _trapezoid() -> np.ndarray:
    """[128, 1]: rises over 32 frames, flat, falls over 32."""
    rise = (np.arange(WINDOW_FRAMES) + 0.5) / OVERLAP_FRAMES
    return np.minimum(1.0, np.minimum(rise, rise[::-1])).astype(np.float32)[:, None]
