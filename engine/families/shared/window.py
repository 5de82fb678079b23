"""Which samples and which latent frames does a latent model see of a scene?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.audio.region import reflect
from engine.audio.scene import Scene


@dataclass(frozen=True)
class LatentWindow:
    """A scene in whole latent frames.

    samples   bbbb|RRRRRRRRRRR|aaaarr    r: mirrored, only where the scene is too short
    mask      0  0|1  1  1  1  0  0  0   1: to be made

    The region begins with a frame. Its last frame is kept where audio that follows shares it.
    """

    samples: np.ndarray  # [n, channels]
    region: slice  # of the samples
    mask: np.ndarray  # [latent frames]


def window_of(
    scene: Scene, frame_samples: int, least: int, most: int, multiple: int = 1
) -> LatentWindow:
    """The window of a scene: at least `least` samples and about `most`.

    Its length is a multiple of `multiple` latent frames of `frame_samples` samples.
    """
    spare = max(0, most - len(scene.region))
    after = scene.after[: max(spare // 2, spare - len(scene.before))]
    before = scene.before[max(0, len(scene.before) - (spare - len(after))) :]
    before = before[len(before) % frame_samples :]
    whole = np.concatenate([before, scene.region, after])
    step = frame_samples * multiple
    planned = -(-max(least, len(whole)) // step) * step
    first, last = len(before), len(before) + len(scene.region)
    begin = first // frame_samples
    end = last // frame_samples if len(after) else -(-last // frame_samples)
    mask = np.zeros(planned // frame_samples, np.float32)
    mask[begin : max(begin + 1, end)] = 1.0
    return LatentWindow(reflect(whole, 0, planned), slice(first, last), mask)
