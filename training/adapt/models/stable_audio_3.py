"""Stable Audio 3 as a run wants it: text to audio, as its authors' train_lora.py learns.

    eight clips in ten   made from nothing          --------------
    one                  a hole in it is filled     xxxx------xxxx     as repaint asks
    one                  goes on to its end         xxxx----------     as continue asks

Of theirs are left out several holes in one clip, the coupling of noise within a batch, and the
shift of times by length, which stands in configurations that were not at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.audio.scene import Scene
from engine.families.shared.weights import check_packages
from engine.families.stable_audio_3 import components
from engine.families.stable_audio_3.editor import LEAST_SECONDS
from engine.families.stable_audio_3.family import DEFAULTS, SMALL_MAX_SECONDS, build_editor
from engine.families.stable_audio_3.tasks import TASKS
from engine.families.stable_audio_3.weights import LICENCE, StableAudio3Weights
from engine.knobs import Knobs
from training.adapt.families import Arrays
from training.adapt.models.flow import TrainableFlow

CUT = 0.075  # of the logit-normal's lower end
HOLES = 0.1  # share of clips with a hole, and share of those that go on


def load(models: Path | None) -> TrainableStableAudio3:
    """EngineError missing_weights, not_ready."""
    weights = StableAudio3Weights(models)
    check_packages(weights.family, weights.packages)
    return TrainableStableAudio3(weights.training_base())


class TrainableStableAudio3(TrainableFlow):
    """See families.TrainableModel."""

    licence = LICENCE
    least_seconds = LEAST_SECONDS
    sites = {
        "attention": r".*\.(?:self_attn\.(?:to_qkv|to_out)|cross_attn\.(?:to_q|to_kv|to_out))",
        "mlp": r".*\.ff\.proj_(?:in|out)",
        "time": r"to_timestep_embed\.[02]",
        "output": r"proj_out",
        "block": r".*\.ff",
    }

    def __init__(self, folder: Path) -> None:
        parts = components.load(folder)
        super().__init__(build_editor(parts, "cpu", None), parts.transformer, folder, DEFAULTS)

    def encode(self, samples: np.ndarray) -> np.ndarray:
        return self._editor.encode(samples)

    def text_features(self, text: str) -> Arrays:
        """Its last place is the length's, which `velocity` fills in."""
        told = self._editor.condition(text, self._duration(1))
        return {"context": told.context[0], "mask": told.context_mask[0]}

    def empty_text_features(self) -> Arrays:
        return self.text_features("")

    def draw_time(self) -> Tensor:
        """Of a logit-normal that is cut off below and stretched, 0 for 1."""
        normal = torch.distributions.Normal(0.0, 1.0)
        least = normal.cdf(torch.tensor(math.log(CUT / (1 - CUT))))
        drawn = torch.sigmoid(normal.icdf(least + (1 - least) * torch.rand(1)))
        return 1 - (drawn - CUT) / (1 - CUT)

    def velocity(
        self, latent: Tensor, time: Tensor, said: Mapping[str, Tensor], clip: Tensor
    ) -> Tensor:
        duration = torch.from_numpy(self._duration(latent.shape[2])).to(latent)
        context = torch.cat([said["context"][:, :-1], duration[:, None]], dim=1)
        stays = frames_that_stay(latent.shape[2]).to(latent)[None, None]
        kept = torch.cat([stays, clip * stays], dim=1)
        return self.module(latent, time, context, duration, said["mask"], kept, return_dict=False)[
            0
        ]

    def generate(self, scene: Scene, knobs: Knobs) -> np.ndarray:
        return self._editor.edit(scene, knobs, TASKS["repaint"], SMALL_MAX_SECONDS)

    def blocks(self) -> Iterable[nn.Module]:
        return self.module.transformer_blocks

    def _duration(self, frames: int) -> np.ndarray:
        seconds = frames * self._editor.sizes.frame_samples / self.rate_hz
        return self._editor.runners["duration_embedder"](seconds=np.full(1, seconds, np.float32))[0]


def frames_that_stay(frames: int) -> Tensor:
    """[frames] of one clip: 1 where its latent is heard, 0 where it is to be made."""
    stays, kind = torch.zeros(frames), float(torch.rand(()))
    first, last = sorted(torch.randint(frames, (2,)).tolist())
    if kind < 2 * HOLES:
        stays[:first] = 1
    if kind < HOLES:
        stays[last + 1 :] = 1
    return stays
