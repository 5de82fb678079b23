"""What do families have in common that edit scenes by a flow over latents?

Loading takes two steps: the constructor finds the files, `warm_up` reads them, which takes minutes
from a slow disk and can be cancelled. One thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from engine.audio.scene import ScenePort
from engine.families.registry import PreparedJob
from engine.families.shared.notes import cut_text_notes
from engine.families.shared.tasks import SceneTask
from engine.families.shared.torch_runner import free_memory, pick_device
from engine.families.shared.weights import FamilyWeights, files_of
from engine.knobs import Knobs
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from presets.style import ResolvedStyle

if TYPE_CHECKING:
    from engine.adapters.manager import AdapterManager
    from engine.families.shared.latent_editor import LatentEditor

TaskT = TypeVar("TaskT", bound=SceneTask)
EditorT = TypeVar("EditorT", bound="LatentEditor[Any]")


@dataclass(frozen=True)
class LoadedCheckpoint(Generic[EditorT]):
    """A checkpoint in memory: its editor, and the LoRA files on its transformer."""

    editor: EditorT
    adapters: AdapterManager
    max_seconds: float


@dataclass(frozen=True)
class PreparedTask(PreparedJob, Generic[TaskT]):
    """A job with its task."""

    task: TaskT


class LatentFamily(ABC, Generic[EditorT, TaskT]):
    """One checkpoint, and the LoRA files of the preset that plays."""

    runtime = "torch"

    def __init__(self, weights: FamilyWeights, threads: int) -> None:
        self.weights, self.threads, self.device = weights, threads, pick_device()
        self.base = weights.base()
        self._loaded: LoadedCheckpoint[EditorT] | None = None

    @property
    def loaded(self) -> LoadedCheckpoint[EditorT]:
        """What `warm_up` has read."""
        assert self._loaded is not None, "warm_up comes first"
        return self._loaded

    def files(self) -> dict[str, Path]:
        """The files that determine the stem."""
        adapters = self._loaded.adapters.active.files() if self._loaded else {}
        return {**files_of(self.base), **adapters}

    def warm_up(
        self, cancelled: IsCancelled = never_cancelled, progress: Progress = ignore_progress
    ) -> None:
        """Read every part, once.

        Raises Cancelled between two parts; EngineError missing_weights.
        """
        if self._loaded is not None:
            return
        import torch

        progress("loading", -1.0)
        torch.set_num_threads(self.threads)
        self._loaded = self.read(cancelled)

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> PreparedTask[TaskT]:
        """Take the style's task and LoRA files.

        EngineError bad_preset, bad_args, missing_weights.
        """
        task = self.task_named(style.task)
        note = f"{task.name}: {self.describe(task, knobs)}, {knobs.steps} steps"
        active = self.loaded.adapters.set_adapters(style.adapters)
        notes = [note, *active.notes, *self.describe_unused_knobs(task, knobs)]
        notes += cut_text_notes(knobs, self.loaded.editor.is_cut)
        return PreparedTask(knobs, tuple(notes), task)

    def port(
        self, job: PreparedTask[TaskT], progress: Progress, cancelled: IsCancelled
    ) -> ScenePort:
        """The model for the scene contract."""
        task, loaded = job.task, self.loaded
        sizes, most = loaded.editor.sizes, loaded.max_seconds
        return ScenePort(
            sizes.rate_hz,
            sizes.channels,
            run=lambda scene: loaded.editor.edit(
                task.hear(scene), job.knobs, task, most, progress, cancelled
            ),
            context_seconds=task.context_seconds,
            max_seconds=most,
            joins=task.joins,
        )

    def close(self) -> None:
        """Free the memory, the graphics card's too."""
        self._loaded = None
        free_memory(self.device)

    @abstractmethod
    def task_named(self, name: str) -> TaskT:
        """A row of the family's tasks; the first where a preset names none."""

    @abstractmethod
    def read(self, cancelled: IsCancelled) -> LoadedCheckpoint[EditorT]:
        """Every part of the checkpoint. Raises Cancelled; EngineError missing_weights."""

    @abstractmethod
    def describe(self, task: TaskT, knobs: Knobs) -> str:
        """The checkpoint, for the manifest. EngineError where it cannot do this task."""

    @abstractmethod
    def describe_unused_knobs(self, task: TaskT, knobs: Knobs) -> list[str]:
        """Notes about knobs that have no effect here, or another one than usual."""
