"""What can this ACE-Step checkpoint be asked for, and what does the manifest say of it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.families.ace_step.tasks import TASKS, Task, instruction_for
from engine.families.ace_step.weights import BASE, TURBO, AceStepWeights, kind_of
from engine.families.shared.latent_family import LatentFamily, LoadedCheckpoint
from engine.families.shared.torch_runner import build_runners
from engine.knobs import Knobs
from engine.progress import IsCancelled

if TYPE_CHECKING:
    from engine.families.ace_step.components import Components
    from engine.families.ace_step.editor import Editor

MAX_SECONDS = 600.0
TURBO_STEPS = 8
DEFAULTS: Mapping[str, Any] = {  # the authors' for the base checkpoint
    "strength": 1.0,
    "pooling": 1,
    "guidance": 7.0,
    "guidance_from": 0.0,
    "guidance_to": 1.0,
    "negative": "",
    "steps": 50,
    "seed": -1,
}
# names of layers in the authors' own LoRA files -> diffusers' names
RENAMES = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "o_proj": "to_out.0"}


def missing(models: Path | None = None) -> str:
    """Why ace_step cannot serve, with the command that mends it; empty when it can."""
    return AceStepWeights(models).unavailable_reason()


def defaults() -> Mapping[str, Any]:
    """Knob values where neither the client nor the preset says anything."""
    return DEFAULTS


def load(threads: int, models: Path | None = None) -> AceStepFamily:
    """The family on its files, which `warm_up` reads. EngineError not_ready, missing_weights."""
    weights = AceStepWeights(models)
    weights.check()
    return AceStepFamily(weights, threads)


class AceStepFamily(LatentFamily["Editor", Task]):
    """One ACE-Step 1.5 checkpoint, stereo at 48 kHz."""

    def __init__(self, weights: AceStepWeights, threads: int) -> None:
        super().__init__(weights, threads)
        self.kind = kind_of(self.base)

    def task_named(self, name: str) -> Task:
        return TASKS[name or next(iter(TASKS))]

    def read(self, cancelled: IsCancelled) -> LoadedCheckpoint[Editor]:
        import torch

        from engine.adapters.modules import ModuleAdapterManager
        from engine.families.ace_step import components

        half = torch.bfloat16 if self.device.startswith("cuda") else None
        parts = components.load(self.base, cancelled=cancelled, half=half)
        editor = build_editor(parts, self.device, half, can_guide=self.kind != TURBO)
        return LoadedCheckpoint(
            editor, ModuleAdapterManager(parts.transformer, RENAMES), MAX_SECONDS
        )

    def describe(self, task: Task, knobs: Knobs) -> str:
        """Refuses a task that the checkpoint was not trained for, and words that it cannot use."""
        self._check_kind(task)
        for text, _ in knobs.prompts:
            instruction_for(task, text)
        return f"ACE-Step 1.5 {self.kind or 'of unknown kind'}"

    def describe_unused_knobs(self, task: Task, knobs: Knobs) -> list[str]:
        notes = []
        if self.kind == TURBO:
            notes.append(
                "guidance: turbo has its guidance within; `guidance` and `negative` were not used"
            )
            if knobs.steps != TURBO_STEPS:
                notes.append(f"steps: turbo was made for {TURBO_STEPS}")
        if knobs.pooling != DEFAULTS["pooling"]:
            notes.append("pooling: this model hears no audio tokens; not used")
        if knobs.strength != DEFAULTS["strength"] and not task.hears_codes:
            notes.append(f"strength: {task.name} has none; not used")
        if knobs.strength > 1 and task.hears_codes:
            notes.append("strength: 1 is a whole cover; more was taken for 1")
        return notes

    def _check_kind(self, task: Task) -> None:
        if not task.is_base_only or self.kind == BASE:
            return
        kind = f"is {self.kind}" if self.kind else "does not say its kind"
        raise EngineError(
            "missing_weights",
            f"{task.name} is done by the base checkpoint alone, {self.base.name} {kind}: turbo and "
            "sft were never taught it and answer with noise or a copy; "
            f"{AceStepWeights.download.describe(self.weights.folder)}",
        )


def build_editor(parts: Components, device: str, half: Any, can_guide: bool) -> Editor:
    """The editor on torch runners. `half`: dtype of the stages that run in half precision."""
    from engine.families.ace_step import components
    from engine.families.ace_step.editor import Editor
    from engine.families.ace_step.stages import STAGES

    dtypes = dict.fromkeys(components.HALF_STAGES, half)
    runners = build_runners(STAGES, components.modules(parts), device, dtypes)
    constants = parts.silence, parts.no_words
    return Editor(
        runners, parts.tokenizer, parts.scheduler_config, parts.sizes, *constants, can_guide
    )
