"""stable_audio_3 as the engine wants a family: which checkpoint, which task, which LoRA; what the
manifest has to say.

Loading is two steps: `load` finds the files, `warm_up` reads them. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.audio.scene import Scene, ScenePort
from engine.errors import EngineError
from engine.families.shared.torch_runner import build_runners, free_memory, pick_device
from engine.families.shared.weights import files_of
from engine.families.stable_audio_3.tasks import TASKS, Task
from engine.families.stable_audio_3.weights import StableAudio3Weights
from engine.knobs import Knobs
from presets.style import ResolvedStyle

if TYPE_CHECKING:
    from engine.adapters.lora import Wardrobe
    from engine.families.stable_audio_3.editor import Editor

MAX_SECONDS, SMALL_MAX_SECONDS = 380.0, 120.0  # what medium and small were trained on
MEDIUM_WIDTH = 1536  # of the transformer; small ones are narrower
DISTILLED_STEPS, BASE_STEPS = 8, 50
# steps for the distilled checkpoints; guidance for the others: these have it inside
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
    """Why stable_audio_3 cannot serve, in words with the commands that mend it; empty when it can."""
    return StableAudio3Weights(models).unavailable_reason()


def defaults() -> Mapping[str, Any]:
    """Knob values where neither the client nor the preset says anything."""
    return DEFAULTS


def load(threads: int, models: Path | None = None) -> StableAudio3Family:
    """The family on its files, which `warm_up` reads. EngineError not_ready, missing_weights."""
    StableAudio3Weights(models).check()
    return StableAudio3Family(StableAudio3Weights(models), threads)


class StableAudio3Family:
    """One Stable Audio 3 checkpoint, and the LoRA files of the preset that plays."""

    runtime = "torch"

    def __init__(self, weights: StableAudio3Weights, threads: int) -> None:
        self.weights, self.threads = weights, threads
        self.device = pick_device()
        self._base = weights.base()
        self._editor: Editor | None = None
        self._worn: Wardrobe | None = None
        self._max_seconds = MAX_SECONDS
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
        from engine.families.stable_audio_3 import components

        progress("loading", -1.0)
        torch.set_num_threads(self.threads)
        half = torch.float16 if self.device.startswith("cuda") else None
        found = components.load(self._base, cancelled=cancelled, half=half)
        self._max_seconds = (
            MAX_SECONDS if found.transformer.config.embed_dim >= MEDIUM_WIDTH else SMALL_MAX_SECONDS
        )
        self._editor = editor_of(found, self.device, half)
        self._worn = Wardrobe(found.transformer)

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> list[str]:
        """Take the preset's task and LoRA files; notes for the manifest. EngineError bad_preset."""
        self._task = TASKS[style.task or next(iter(TASKS))]
        kind = "distilled" if self._editor.is_distilled else "base"
        notes = [f"{self._task.name}: {self._base.name}, {kind}, {knobs.steps} steps"]
        return notes + self._worn.wear(style.adapters) + self._unused(knobs)

    def port(
        self, knobs: Knobs, progress: Callable[[str, float], None], cancelled: Callable[[], bool]
    ) -> ScenePort:
        """stable_audio_3 as the scene contract wants a model: stereo at 44.1 kHz."""
        editor, task, most = self._editor, self._task, self._max_seconds
        return ScenePort(
            editor.sizes.rate_hz,
            editor.sizes.channels,
            run=lambda scene: editor.made(
                _heard(scene, task), knobs, task, most, progress, cancelled
            ),
            context_seconds=task.context_seconds,
            max_seconds=most,
            joins=task.joins,
        )

    def close(self) -> None:
        """Give the memory back, the graphics card's too."""
        self._editor = self._worn = None
        free_memory(self.device)

    def _unused(self, knobs: Knobs) -> list[str]:
        """What was asked for and has no effect here, or not the one that is hoped for."""
        notes = []
        if self._editor.is_distilled:
            notes.append(
                "guidance: this checkpoint has its guidance within; `guidance` and `negative` were not used"
            )
        elif knobs.steps < BASE_STEPS // 2:
            notes.append(f"steps: base checkpoints want about {BASE_STEPS}")
        if knobs.pooling != DEFAULTS["pooling"]:
            notes.append("pooling: this model hears no audio tokens; not used")
        if self._task.refills and knobs.strength != DEFAULTS["strength"]:
            notes.append(f"strength: {self._task.name} hears nothing of the region; not used")
        texts = [
            text for text, _ in (*knobs.prompts, (knobs.negative, 1.0)) if self._editor.is_cut(text)
        ]
        return notes + [f"text: only the beginning of {text!r:.60} was read" for text in texts]


def _heard(scene: Scene, task: Task) -> Scene:
    """What of the scene the task hears. EngineError bad_args where that is nothing."""
    after = scene.after if task.hears_after else scene.after[:0]
    if task.refills and not (len(scene.before) or len(after)):
        where = "about" if task.hears_after else "before"
        raise EngineError(
            "bad_args",
            f"{task.name} hears what lies {where} the region, and the file has nothing "
            "there; send the whole track and select the place to be filled",
        )
    return Scene(scene.before, scene.region, after)


def editor_of(found: Any, device: str, half: Any) -> Editor:
    from engine.families.stable_audio_3 import components
    from engine.families.stable_audio_3.editor import Editor, Sizes
    from engine.families.stable_audio_3.stages import STAGES

    sizes = Sizes(
        rate_hz=int(found.vae.config.sampling_rate),
        frame_samples=int(found.vae.downsampling_ratio),
        channels=int(found.vae.config.audio_channels),
        latent_channels=int(found.vae.config.latent_dim),
        vae_reach=found.vae_reach,
    )
    runners = build_runners(
        STAGES, components.modules(found), device, dict.fromkeys(components.IN_HALF, half)
    )
    return Editor(runners, found.tokenizer, found.scheduler_config, sizes)
