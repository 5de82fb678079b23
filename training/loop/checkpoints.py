"""What a run needs to go on, on disk: whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from training.loop.loop import Loop, Progress
from training.loop.optimisation import Optimisation


class Part(NamedTuple):
    """One entry of a checkpoint: how its value is read from the run, and put back."""

    get: Callable[[], Any]
    put: Callable[[Any], object]


def part_of(stateful: Any) -> Part:
    """A module, an optimiser or a scheduler."""
    return Part(stateful.state_dict, stateful.load_state_dict)


class StateFile:
    """The newest state in one file, written every few steps and after the last."""

    def __init__(self, path: Path, parts: Mapping[str, Part], every: int) -> None:
        self.path, self.parts, self.every = path, parts, every

    def __call__(self, loop: Loop) -> None:
        if loop.progress.step % self.every == 0 or loop.is_last:
            self.save(loop.progress.step)

    def save(self, step: int) -> None:
        state = {"step": step, **{name: part.get() for name, part in self.parts.items()}}
        partial = self.path.with_name(self.path.name + ".partial")
        torch.save(state, partial)
        os.replace(partial, self.path)

    def load(self) -> int:
        """The step to go on from; 0 where nothing was saved."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True)
        for name, part in self.parts.items():
            part.put(state[name])
        return state["step"]


class StateFolders:
    """A folder for each saved step, of which the newest few stay.

    The files have the names and contents that Hugging Face's accelerate gives them.
    """

    WEIGHTS, OPTIMISER, PROGRESS = ("model.safetensors", "optimizer.bin", "custom_checkpoint_1.pkl")

    def __init__(
        self, folder: Path, module: nn.Module, optimisation: Optimisation, every: int, keep: int
    ) -> None:
        self.folder, self.every, self.keep = folder, every, keep
        self._module, self._optimisation = module, optimisation

    def __call__(self, loop: Loop) -> None:
        progress = loop.progress
        if progress.step % self.every == 0 or progress.outcome or loop.is_pausing:
            self.save(progress)

    def save(self, progress: Progress) -> None:
        from safetensors.torch import save_file

        final = self.folder / f"step_{progress.step:06d}"
        partial = final.with_name(f".{final.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        weights = {name: value.contiguous() for name, value in self._module.state_dict().items()}
        save_file(weights, partial / self.WEIGHTS, {"format": "pt"})
        (optimiser,) = self._optimisation.state_dicts()
        torch.save(optimiser, partial / self.OPTIMISER)
        torch.save(progress.state_dict(), partial / self.PROGRESS)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
        for old in list_checkpoints(self.folder)[: -self.keep]:
            shutil.rmtree(old)

    def load(self, progress: Progress) -> bool:
        """Whether there was a saved step, which is put back."""
        from safetensors.torch import load_file

        saved = list_checkpoints(self.folder)
        if not saved:
            return False
        newest = saved[-1]
        self._module.load_state_dict(load_file(newest / self.WEIGHTS))
        self._optimisation.load_state_dicts(
            [torch.load(newest / self.OPTIMISER, map_location="cpu", weights_only=True)]
        )
        progress.load_state_dict(torch.load(newest / self.PROGRESS, weights_only=True))
        return True


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, the newest last."""
    return sorted(folder.glob("step_*"))
