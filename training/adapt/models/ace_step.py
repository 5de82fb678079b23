"""ACE-Step 1.5 as a run wants it: text to music, as its authors train LoRA on it.

The transformer hears a source of silence that is to be filled from end to end. Times are
Side-Step's for base and sft, a logit-normal of -0.4 and 1; turbo knows eight. A LoRA of the base
plays on sft and turbo too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.audio.scene import Scene
from engine.families.ace_step import components
from engine.families.ace_step.editor import LEAST_SECONDS
from engine.families.ace_step.family import DEFAULTS, MAX_SECONDS, build_editor
from engine.families.ace_step.tasks import TASKS, WORDS_ALONE
from engine.families.ace_step.weights import LICENCE, TURBO, AceStepWeights, kind_of
from engine.knobs import Knobs
from training.adapt.families import Arrays
from training.adapt.models.flow import TrainableFlow

TOLD_SECONDS = 30  # what the authors' prompt says where nobody knows
TIME_MEAN, TIME_DEVIATION = -0.4, 1.0
TURBO_TIMES = (1.0, 0.9545, 0.9, 0.8333, 0.75, 0.6429, 0.5, 0.3)
FILL = replace(TASKS["repaint"], name="words", instruction=WORDS_ALONE)


def load(models: Path | None) -> TrainableAceStep:
    """The checkpoint that plays, base first. EngineError missing_weights, not_ready."""
    weights = AceStepWeights(models)
    weights.check()
    return TrainableAceStep(weights.base())


class TrainableAceStep(TrainableFlow):
    """See families.TrainableModel."""

    licence = f"{LICENCE} (ACE-Step 1.5)"
    least_seconds = LEAST_SECONDS
    sites = {
        "attention": r".*_attn\.(?:to_q|to_k|to_v|to_out\.0)",
        "mlp": r".*\.mlp\.(?:gate|up|down)_proj",
        "time": r"time_embed(?:_r)?\.(?:linear_[12]|time_proj)",
        "block": r"layers\.\d+\.mlp",
    }

    def __init__(self, folder: Path) -> None:
        parts = components.load(folder)
        self.kind, self.frames_at_once = kind_of(folder), parts.sizes.frames_at_once
        editor = build_editor(parts, "cpu", None, can_guide=self.kind != TURBO)
        super().__init__(editor, parts.transformer, folder, DEFAULTS)

    def encode(self, samples: np.ndarray) -> np.ndarray:
        return self._editor.runners["vae_encoder"](samples=samples[None])[0][0]

    def text_features(self, text: str) -> Arrays:
        return {"context": self._editor.context(WORDS_ALONE, text, TOLD_SECONDS)[0]}

    def empty_text_features(self) -> Arrays:
        return {"context": self._editor.no_words[0]}

    def draw_time(self) -> Tensor:
        if self.kind == TURBO:
            return torch.tensor(TURBO_TIMES)[torch.randint(len(TURBO_TIMES), (1,))]
        return torch.sigmoid(TIME_MEAN + TIME_DEVIATION * torch.randn(1))

    def velocity(
        self, latent: Tensor, time: Tensor, said: Mapping[str, Tensor], clip: Tensor
    ) -> Tensor:
        silence = torch.from_numpy(self._editor.silence(latent.shape[1]))[None].to(latent)
        source = torch.cat([silence, torch.ones_like(silence)], dim=-1)
        return self.module(latent, time, time, said["context"], source, return_dict=False)[0]

    def generate(self, scene: Scene, knobs: Knobs) -> np.ndarray:
        return self._editor.edit(scene, knobs, FILL, MAX_SECONDS)

    def blocks(self) -> Iterable[nn.Module]:
        return self.module.layers
