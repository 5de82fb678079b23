"""MusicGen as a model family: which checkpoint and which style does a job use?

An accompaniment needs a checkpoint of the melody kind; words and continuations do better with a
plain one. One checkpoint is in memory at a time, and a job that needs another reads it with
progress. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.audio.scene import ScenePort
from engine.errors import EngineError
from engine.families.musicgen.weights import MELODY, TEXT, MusicGenWeights, files_of, kind_of
from engine.families.registry import PreparedJob
from engine.families.shared.torch_runner import free_memory, pick_device
from engine.knobs import Knobs
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from presets.style import ResolvedStyle, StyleTensor

if TYPE_CHECKING:
    from torch import nn

    from engine.adapters.modules import ModuleAdapterManager
    from engine.adapters.soft_prompts import SoftPrompt
    from engine.families.musicgen.editor import Editor

MAX_SECONDS = 300.0
CONTEXT_SECONDS = 10.5  # of what lies before the region, to continue it
DEFAULTS: Mapping[str, Any] = {  # the reference's; transformers' own top_k would be 50
    "guidance": 3.0,
    "negative": "",
    "seed": -1,
    "temperature": 1.0,
    "top_k": 250,
}
# the kinds of checkpoint that can do a task, best first
KINDS = {"generate": (TEXT, MELODY), "continue": (TEXT, MELODY), "accompaniment": (MELODY,)}


def missing(models: Path | None = None) -> str:
    """Why musicgen cannot serve, with the command that mends it; empty when it can."""
    return MusicGenWeights(models).unavailable_reason()


def defaults() -> Mapping[str, Any]:
    """Knob values where neither the client nor the preset says anything."""
    return DEFAULTS


def load(threads: int, models: Path | None = None) -> MusicGenFamily:
    """The family on the checkpoints that are there. EngineError not_ready, missing_weights."""
    MusicGenWeights(models).check()
    return MusicGenFamily(MusicGenWeights(models), threads)


@dataclass(frozen=True)
class PreparedGeneration(PreparedJob):
    """A job with its checkpoint, its task and the style to put on it."""

    folder: Path
    task: str
    style: ResolvedStyle


class MusicGenFamily:
    """One checkpoint, and the styles that are on it."""

    def __init__(self, weights: MusicGenWeights, threads: int) -> None:
        self.weights, self.threads = weights, threads
        self.device = pick_device()
        self._folder: Path | None = None  # of what is in memory
        self._editor: Editor | None = None
        self._adapters: ModuleAdapterManager | None = None
        self._model: nn.Module | None = None  # what the adapters change; None on exported graphs
        self._wanted = weights.base()
        self._style = ResolvedStyle()

    @property
    def runtime(self) -> str:
        """What computes the wanted checkpoint, for the manifest."""
        return "torch"

    @property
    def editor(self) -> Editor:
        """The checkpoint in memory. Call `warm_up` before."""
        assert self._editor is not None, "warm_up comes first"
        return self._editor

    def files(self) -> dict[str, Path]:
        """The files that determine the stem."""
        paths = [Path(file.path) for file in (*self._style.adapters, *self._style.soft_prompts)]
        # peft gives every file the same name
        named = {f"{path.parent.name}/{path.name}": path for path in paths}
        return {**files_of(self._wanted), **named}

    def warm_up(
        self, cancelled: IsCancelled = never_cancelled, progress: Progress = ignore_progress
    ) -> None:
        """Read a checkpoint unless one is loaded. Raises Cancelled, EngineError missing_weights."""
        if self._editor is None:
            self._load_checkpoint(self.weights.base(), cancelled, progress)

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> PreparedGeneration:
        """Choose the checkpoint for the preset's task and styles.

        EngineError missing_weights, bad_preset.
        """
        task, self._style = style.task or "generate", style
        bases = self._bases(style.adapters)
        folder = self._wanted = self._choose(KINDS[task], bases)
        own = folder.parent == self.weights.folder
        notes = [f"model: {folder.name if own else folder}"]
        notes += [
            f"adapters: trained on {base}, played on {folder.name}"
            for base in bases
            if self.weights.find_named(base) != folder
        ]
        notes += [
            f"text: only the beginning of {words!r:.60} was read" for words in self._cut(knobs)
        ]
        return PreparedGeneration(knobs, tuple(notes), folder, task, style)

    def port(
        self, job: PreparedGeneration, progress: Progress, cancelled: IsCancelled
    ) -> ScenePort:
        """The model for the region contract: 32 kHz, mono or stereo like the checkpoint."""
        self._load_checkpoint(job.folder, cancelled, progress)
        editor = self.editor
        self._set_adapters(job.style.adapters)
        prompts = self._soft_prompts(job.style.soft_prompts, editor.parts.text_width)
        return ScenePort(
            editor.parts.rate_hz,
            editor.parts.channels,
            run=lambda scene: editor.edit(
                scene, job.task, job.knobs, prompts, progress=progress, cancelled=cancelled
            ),
            context_seconds=CONTEXT_SECONDS if job.task == "continue" else 0.0,
            max_seconds=MAX_SECONDS,
        )

    def close(self) -> None:
        """Free the memory, the graphics card's too."""
        self._editor = self._adapters = self._folder = self._model = None
        free_memory(self.device)

    def _bases(self, adapters: tuple[StyleTensor, ...]) -> list[str]:
        """The checkpoints that the preset's LoRAs name as their base."""
        if not adapters:
            return []
        from engine.adapters.lora_settings import base_of

        return list(dict.fromkeys(filter(None, (base_of(Path(file.path)) for file in adapters))))

    def _choose(self, kinds: tuple[str, ...], bases: list[str]) -> Path:
        """The first of these bases that is there, otherwise the best checkpoint."""
        found = (
            path for path in map(self.weights.find_named, bases) if path and kind_of(path) in kinds
        )
        return next(found, None) or self.weights.best(kinds)

    def _cut(self, knobs: Knobs) -> list[str]:
        """Texts that are longer than T5 reads."""
        from engine.families.musicgen.conditions import is_cut

        texts = [words for words, _ in knobs.prompts] + [knobs.negative]
        return [words for words in texts if is_cut(self.editor.parts.tokenizer, words)]

    def _load_checkpoint(self, folder: Path, cancelled: IsCancelled, progress: Progress) -> None:
        """Read a checkpoint in place of another that is in memory."""
        if folder == self._folder:
            return
        import torch

        from engine.adapters.modules import ModuleAdapterManager
        from engine.families.musicgen import components
        from engine.families.musicgen.editor import Editor

        progress("loading", -1.0)
        self.close()
        torch.set_num_threads(self.threads)
        parts = components.load(folder, self.device, cancelled)
        self._adapters = ModuleAdapterManager(parts.model, methods=("lora",))
        self._editor, self._folder, self._model = Editor(parts), folder, parts.model

    def _set_adapters(self, adapters: tuple[StyleTensor, ...]) -> None:
        """Play exactly the style's LoRAs, with their weights. EngineError bad_preset."""
        assert self._adapters is not None and self._model is not None, "warm_up comes first"
        self._adapters.set_adapters(adapters)
        self._model.requires_grad_(False)  # an added layer has gradients on

    def _soft_prompts(
        self, files: tuple[StyleTensor, ...], width: int
    ) -> list[tuple[SoftPrompt, float]]:
        from engine.adapters.soft_prompts import read_soft_prompt

        found = []
        for file in files:
            prompt = read_soft_prompt(Path(file.path), width)
            if prompt.placeholder:
                message = (
                    f"{file.path} stands for {prompt.placeholder!r} in the words; musicgen takes "
                    "soft prompts before them only"
                )
                raise EngineError("bad_preset", message)
            found.append((prompt.to(self.device), file.weight))
        return found
