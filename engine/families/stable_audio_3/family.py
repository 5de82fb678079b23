"""What can this Stable Audio 3 checkpoint be asked for, and what does the manifest say of it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.families.shared.latent_family import LatentFamily, LoadedCheckpoint
from engine.families.shared.tasks import SceneTask
from engine.families.shared.torch_runner import build_runners
from engine.families.stable_audio_3.tasks import TASKS
from engine.families.stable_audio_3.weights import StableAudio3Weights
from engine.knobs import Knobs
from engine.progress import IsCancelled

if TYPE_CHECKING:
    from engine.families.stable_audio_3.components import Components
    from engine.families.stable_audio_3.editor import Editor

MAX_SECONDS, SMALL_MAX_SECONDS = 380.0, 120.0  # what medium and small were trained on
MEDIUM_WIDTH = 1536  # of the transformer; small ones are narrower
DISTILLED_STEPS, BASE_STEPS = 8, 50
# steps for distilled checkpoints; guidance for base ones, since distilled ones have it built in
DEFAULTS: Mapping[str, Any] = {
    "strength": 0.4,
    "pooling": 1,
    "guidance": 7.0,
    "guidance_from": 0.0,
    "guidance_to": 1.0,
    "negative": "",
    "steps": DISTILLED_STEPS,
    "seed": -1,
}


def missing(models: Path | None = None) -> str:
    """Why stable_audio_3 cannot serve, with the commands that mend it; empty when it can."""
    return StableAudio3Weights(models).unavailable_reason()


def defaults() -> Mapping[str, Any]:
    """Knob values where neither the client nor the preset says anything."""
    return DEFAULTS


def load(threads: int, models: Path | None = None) -> StableAudio3Family:
    """The family on its files, which `warm_up` reads. EngineError not_ready, missing_weights."""
    weights = StableAudio3Weights(models)
    weights.check()
    return StableAudio3Family(weights, threads)


class StableAudio3Family(LatentFamily["Editor", SceneTask]):
    """One Stable Audio 3 checkpoint, stereo at 44.1 kHz."""

    def task_named(self, name: str) -> SceneTask:
        return TASKS[name or next(iter(TASKS))]

    def read(self, cancelled: IsCancelled) -> LoadedCheckpoint[Editor]:
        import torch

        from engine.adapters.modules import ModuleAdapterManager
        from engine.families.stable_audio_3 import components

        half = torch.float16 if self.device.startswith("cuda") else None
        parts = components.load(self.base, cancelled=cancelled, half=half)
        is_medium = parts.transformer.config.embed_dim >= MEDIUM_WIDTH
        most = MAX_SECONDS if is_medium else SMALL_MAX_SECONDS
        editor = build_editor(parts, self.device, half)
        return LoadedCheckpoint(editor, ModuleAdapterManager(parts.transformer), most)

    def describe(self, task: SceneTask, knobs: Knobs) -> str:
        return f"{self.base.name}, {'distilled' if self.loaded.editor.is_distilled else 'base'}"

    def describe_unused_knobs(self, task: SceneTask, knobs: Knobs) -> list[str]:
        notes = []
        if self.loaded.editor.is_distilled:
            notes.append(
                "guidance: this checkpoint has its guidance within; "
                "`guidance` and `negative` were not used"
            )
        elif knobs.steps < BASE_STEPS // 2:
            notes.append(f"steps: base checkpoints want about {BASE_STEPS}")
        if knobs.pooling != DEFAULTS["pooling"]:
            notes.append("pooling: this model hears no audio tokens; not used")
        if task.refills and knobs.strength != DEFAULTS["strength"]:
            notes.append(f"strength: {task.name} hears nothing of the region; not used")
        return notes


def build_editor(parts: Components, device: str, half: Any) -> Editor:
    """The editor on torch runners. `half`: dtype of the stages that run in half precision."""
    from engine.families.stable_audio_3 import components
    from engine.families.stable_audio_3.editor import Editor
    from engine.families.stable_audio_3.stages import STAGES

    dtypes = dict.fromkeys(components.HALF_STAGES, half)
    runners = build_runners(STAGES, components.modules(parts), device, dtypes)
    return Editor(runners, parts.tokenizer, parts.scheduler_config, parts.sizes)
