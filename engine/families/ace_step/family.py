"""ace_step as the engine wants a family: which checkpoint, which task, which LoRA; what the
manifest has to say.

Loading is two steps: `load` finds the files, `warm_up` reads them (minutes from a slow disk, so it
can be cancelled). One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.audio.scene import Scene, ScenePort
from engine.errors import EngineError
from engine.families.ace_step.tasks import TASKS, Task, instruction_for
from engine.families.ace_step.weights import BASE, TURBO, AceStepWeights, kind_of
from engine.families.shared.torch_runner import build_runners, free_memory, pick_device
from engine.families.shared.weights import files_of
from engine.knobs import Knobs
from presets.style import ResolvedStyle

if TYPE_CHECKING:
    from engine.adapters.lora import Wardrobe
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
# the authors' own LoRA files
RENAMES = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "o_proj": "to_out.0"}


def missing(models: Path | None = None) -> str:
    """Why ace_step cannot serve, in words with the command that mends it; empty when it can."""
    return AceStepWeights(models).unavailable_reason()


def defaults() -> Mapping[str, Any]:
    """Knob values where neither the client nor the preset says anything."""
    return DEFAULTS


def load(threads: int, models: Path | None = None) -> AceStepFamily:
    """The family on its files, which `warm_up` reads. EngineError not_ready, missing_weights."""
    AceStepWeights(models).check()
    return AceStepFamily(AceStepWeights(models), threads)


class AceStepFamily:
    """One ACE-Step 1.5 checkpoint, and the LoRA files of the preset that plays."""

    runtime = "torch"

    def __init__(self, weights: AceStepWeights, threads: int) -> None:
        self.weights, self.threads = weights, threads
        self.device = pick_device()
        self._base = weights.base()
        self.kind = kind_of(self._base)
        self._editor: Editor | None = None
        self._worn: Wardrobe | None = None
        self._task = next(iter(TASKS.values()))

    def files(self) -> dict[str, Path]:
        """The files that decide what the stem sounds like."""
        return {**files_of(self._base), **(self._worn.files() if self._worn else {})}

    def warm_up(
        self,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Callable[[str, float], None] = lambda stage, fraction: None,
    ) -> None:
        """Read every part, once. Raises Cancelled between two of them; EngineError missing_weights."""
        if self._editor is not None:
            return
        import torch

        from engine.adapters.lora import Wardrobe
        from engine.families.ace_step import components

        progress("loading", -1.0)
        torch.set_num_threads(self.threads)
        half = torch.bfloat16 if self.device.startswith("cuda") else None
        found = components.load(self._base, cancelled=cancelled, half=half)
        self._editor = editor_of(found, self.device, half, can_guide=self.kind != TURBO)
        self._worn = Wardrobe(found.transformer, RENAMES)

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> list[str]:
        """Take the preset's task and LoRA files; notes for the manifest. EngineError bad_preset,
        missing_weights.
        """
        self._task = TASKS[style.task or next(iter(TASKS))]
        self._check_kind(self._task)
        for text, _ in knobs.prompts:
            instruction_for(self._task, text)
        notes = [
            f"{self._task.name}: ACE-Step 1.5 {self.kind or 'of unknown kind'}, {knobs.steps} steps"
        ]
        return notes + self._worn.wear(style.adapters) + self._unused(knobs)

    def port(
        self, knobs: Knobs, progress: Callable[[str, float], None], cancelled: Callable[[], bool]
    ) -> ScenePort:
        """ace_step as the scene contract wants a model: stereo at 48 kHz."""
        editor, task = self._editor, self._task
        return ScenePort(
            editor.sizes.rate_hz,
            editor.sizes.channels,
            run=lambda scene: editor.made(
                _heard(scene, task), knobs, task, MAX_SECONDS, progress, cancelled
            ),
            context_seconds=task.context_seconds,
            max_seconds=MAX_SECONDS,
            joins=("start", "end") if task.refills else (),
        )

    def close(self) -> None:
        """Give the memory back, the graphics card's too."""
        self._editor = self._worn = None
        free_memory(self.device)

    def _check_kind(self, task: Task) -> None:
        if not task.is_base_only or self.kind == BASE:
            return
        found = (
            f"{self._base.name} is {self.kind}"
            if self.kind
            else f"{self._base.name} does not say its kind"
        )
        raise EngineError(
            "missing_weights",
            f"{task.name} is done by the base checkpoint alone, {found}: turbo and sft were never taught it and answer "
            f"with noise or a copy; {AceStepWeights.download.describe(self.weights.folder)}",
        )

    def _unused(self, knobs: Knobs) -> list[str]:
        """What was asked for and has no effect here."""
        notes = []
        if self.kind == TURBO:
            notes.append(
                "guidance: turbo has its guidance within; `guidance` and `negative` were not used"
            )
            if knobs.steps != TURBO_STEPS:
                notes.append(f"steps: turbo was made for {TURBO_STEPS}")
        if knobs.pooling != DEFAULTS["pooling"]:
            notes.append("pooling: this model hears no audio tokens; not used")
        if knobs.strength != DEFAULTS["strength"] and not self._task.hears_codes:
            notes.append(f"strength: {self._task.name} has none; not used")
        if knobs.strength > 1 and self._task.hears_codes:
            notes.append("strength: 1 is a whole cover; more was taken for 1")
        texts = [
            text for text, _ in (*knobs.prompts, (knobs.negative, 1.0)) if self._editor.is_cut(text)
        ]
        return notes + [f"text: only the beginning of {text!r:.60} was read" for text in texts]


def _heard(scene: Scene, task: Task) -> Scene:
    """The scene, if the task has something to hear. EngineError bad_args."""
    if task.refills and not (len(scene.before) or len(scene.after)):
        raise EngineError(
            "bad_args",
            "repaint hears what lies about the region, and the file has nothing there; "
            "send the whole track and select a part of it",
        )
    return scene


def editor_of(found: Any, device: str, half: Any, can_guide: bool) -> Editor:
    from engine.families.ace_step import components
    from engine.families.ace_step.editor import Editor, Sizes
    from engine.families.ace_step.stages import STAGES

    config = found.vae.config
    sizes = Sizes(
        rate_hz=int(config.sampling_rate),
        frame_samples=found.frame_samples,
        frames_at_once=found.frames_at_once,
        channels=int(config.audio_channels),
        latent_channels=int(found.transformer.config.audio_acoustic_hidden_dim),
    )
    constants = found.silence, found.no_words
    runners = build_runners(
        STAGES, components.modules(found), device, dict.fromkeys(components.IN_HALF, half)
    )
    return Editor(runners, found.tokenizer, found.scheduler_config, sizes, *constants, can_guide)
