"""How does MusicGen play from its exported graphs?

An export belongs to one checkpoint. The other checkpoints play on torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.adapters.graphs import GraphAdapterManager
from engine.errors import Cancelled
from engine.families.musicgen.family import MusicGenFamily, PreparedGeneration
from engine.families.musicgen.weights import MusicGenWeights, files_of
from engine.knobs import Knobs
from engine.progress import IsCancelled, Progress
from engine.runtimes import providers
from engine.runtimes.exported import ExportedRunner, runners
from export.manifest import ExportManifest, find
from presets.style import ResolvedStyle, StyleTensor

if TYPE_CHECKING:
    from engine.families.musicgen.on_graphs import GraphParts

SAVED = ("rate_hz", "hop", "channels", "padding")  # of Components, in the manifest's settings


class Graphs:
    """The export of one checkpoint. `load` builds its sessions."""

    def __init__(self, base: Path, folder: Path, manifest: ExportManifest, threads: int) -> None:
        self.base, self.folder, self.manifest = base, folder, manifest
        self.runners: dict[str, ExportedRunner] = runners(folder, manifest, threads)
        self.adapters = GraphAdapterManager(
            [self.runners["prefill"], self.runners["step"]], self._base_weight
        )

    def load(self, cancelled: IsCancelled) -> GraphParts:
        """Build every session. Raises Cancelled between two of them; EngineError model_damaged."""
        for runner in self.runners.values():
            if cancelled():
                raise Cancelled
            runner.load()
        return build_parts(self.runners, self.base, self.manifest.settings)

    def _base_weight(self, path: str) -> np.ndarray | None:
        """The weight of a layer, which a DoRA's gains need."""
        from safetensors import safe_open

        for file in sorted(self.base.glob("*.safetensors")):
            with safe_open(str(file), framework="np") as tensors:
                names: list[str] = tensors.keys()
                if f"{path}.weight" in names:
                    return np.asarray(tensors.get_tensor(f"{path}.weight"))
        return None


class ExportedMusicGen(MusicGenFamily):
    """The same jobs on the same files: graphs for a checkpoint with an export, torch for others."""

    def __init__(self, weights: MusicGenWeights, threads: int) -> None:
        super().__init__(weights, threads)
        # of the checkpoint in memory, and of the one that the next job needs
        self._graphs: dict[Path, Graphs] = {}
        self._exports: dict[Path, tuple[Path, ExportManifest] | None] = {}

    @property
    def runtime(self) -> str:
        found = self.export_of(self._wanted)
        if not found:
            return super().runtime
        return f"{providers.current().title}, exported in {found[1].precision}"

    def export_of(self, checkpoint: Path) -> tuple[Path, ExportManifest] | None:
        """Folder and manifest of a checkpoint's latest export; searched once."""
        if checkpoint not in self._exports:
            self._exports[checkpoint] = next(
                find(self.weights.folder, "musicgen", files_of(checkpoint)), None
            )
        return self._exports[checkpoint]

    def files(self) -> dict[str, Path]:
        found = self.export_of(self._wanted)
        return {**super().files(), **({"export": found[0] / "manifest.json"} if found else {})}

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> PreparedGeneration:
        """As the family's, and the preset's LoRA files become inputs of the graphs."""
        job = super().prepare(style, knobs)
        graphs = self._graphs_of(job.folder)
        if graphs is None:
            return job
        active = graphs.adapters.set_adapters(style.adapters)
        return replace(job, notes=(*job.notes, *active.notes))

    def close(self) -> None:
        super().close()
        self._graphs = {}

    def _load_checkpoint(self, folder: Path, cancelled: IsCancelled, progress: Progress) -> None:
        graphs = self._graphs_of(folder)
        if graphs is None:
            super()._load_checkpoint(folder, cancelled, progress)
            return
        if folder == self._folder:
            return
        from engine.families.musicgen.editor import Editor

        progress("loading", -1.0)
        self.close()
        self._editor = Editor(graphs.load(cancelled))
        self._graphs, self._folder = {folder: graphs}, folder

    def _set_adapters(self, adapters: tuple[StyleTensor, ...]) -> None:
        if self._folder is None or not self.export_of(self._folder):
            super()._set_adapters(adapters)

    def _graphs_of(self, checkpoint: Path) -> Graphs | None:
        """The export of a checkpoint, if it has one."""
        found = self.export_of(checkpoint)
        if found and checkpoint not in self._graphs:
            self._graphs[checkpoint] = Graphs(checkpoint, *found, self.threads)
        return self._graphs.get(checkpoint)


def build_parts(
    runners: Mapping[str, Any], folder: Path, settings: Mapping[str, Any]
) -> GraphParts:
    """A checkpoint on any runners. Its folder has the tokenizer, `settings` the rest."""
    from transformers import AutoTokenizer

    from engine.families.musicgen.on_graphs import GraphParts

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return GraphParts(
        runners, tokenizer, settings["sizes"], **{name: settings[name] for name in SAVED}
    )
