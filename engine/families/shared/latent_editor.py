"""How does a flow over latents turn a scene and words into the region's stem?

    scene -> window -> latent (as the task hears it) -+
    words -> conditions ------------------------------+-> flow x steps -> decoder -> the region

The editor knows runners only. One thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.shared.flow import Velocity, build_scheduler, sample_flow
from engine.families.shared.tasks import SceneTask
from engine.families.shared.window import LatentWindow, window_of
from engine.knobs import Knobs
from engine.progress import (
    Advance,
    IsCancelled,
    Progress,
    ignore_advance,
    ignore_progress,
    never_cancelled,
    stage_progress,
)
from engine.runtimes.runner import Runner

TaskT = TypeVar("TaskT", bound=SceneTask)
ENCODED, DECODED = 0.05, 0.95  # fractions of the job at which encoding and decoding end


@dataclass(frozen=True)
class LatentSizes:
    """Sizes that the configurations of a checkpoint state."""

    rate_hz: int
    frame_samples: int  # of one latent frame
    channels: int
    latent_channels: int
    frames_at_once: int = 1  # latent frames come in multiples of it
    vae_reach: int = 0  # latent frames on either side that one frame of the autoencoder hears


@dataclass(frozen=True)
class FlowStart:
    """Where a flow begins: its first latent [1, ...], its velocity, its noise levels."""

    latent: np.ndarray
    predict: Velocity
    sigmas: Sequence[float]


class LatentEditor(ABC, Generic[TaskT]):
    """Edits scenes with the loaded stages."""

    least_seconds: ClassVar[float]  # shorter scenes are mirrored
    generated: ClassVar[float]  # fraction of the job at which the flow ends

    def __init__(
        self,
        runners: Mapping[str, Runner],
        tokenizer: Any,
        scheduler_config: Mapping[str, Any],
        sizes: LatentSizes,
    ) -> None:
        self.runners, self.sizes = dict(runners), sizes
        self._tokenizer, self._scheduler_config = tokenizer, scheduler_config

    def edit(
        self,
        scene: Scene,
        knobs: Knobs,
        task: TaskT,
        max_seconds: float,
        progress: Progress = ignore_progress,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """The region's samples [n, channels]. Raises Cancelled, EngineError out_of_memory."""
        progress("encoding", 0.0)
        sizes = self.sizes
        window = window_of(
            scene,
            sizes.frame_samples,
            round(self.least_seconds * sizes.rate_hz),
            round(max_seconds * sizes.rate_hz),
            sizes.frames_at_once,
        )
        start = self.begin(window, knobs, task, cancelled)
        if cancelled():
            raise Cancelled
        scheduler = build_scheduler(self._scheduler_config, start.sigmas)
        advance = stage_progress(progress, "generating", ENCODED, self.generated)
        latent = sample_flow(start.predict, start.latent, scheduler, knobs.seed, advance, cancelled)
        advance = stage_progress(progress, "decoding", self.generated, DECODED)
        samples = self.decode(latent[0], advance, cancelled)
        return np.ascontiguousarray(samples.T[window.region])

    @abstractmethod
    def begin(
        self, window: LatentWindow, knobs: Knobs, task: TaskT, cancelled: IsCancelled
    ) -> FlowStart:
        """Encode what the task hears of a window, and the words."""

    @abstractmethod
    def decode(
        self,
        latent: np.ndarray,
        advance: Advance = ignore_advance,
        cancelled: IsCancelled = never_cancelled,
    ) -> np.ndarray:
        """Samples [channels, n] of a latent without its batch axis. Raises Cancelled."""

    @abstractmethod
    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the encoder reads."""
