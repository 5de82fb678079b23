"""Runs what `export` wrote: the graph of a step, what is held from step to step, and the style that
is on.

    held inputs (words, audio) -> first, once -> held --+
    style: packed LoRA factors (pointers) --------------+-> step -> outputs
    latent, time --------------------------------------+

Called like any runner. Styles and adapters are exchanged between two calls: between two jobs, or
two steps of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.adapters import packed
from engine.adapters.packed import PackedStyle
from engine.errors import EngineError
from engine.families.registry import Port, Stage
from engine.runtimes import tensorrt as tensorrt_runtime
from engine.runtimes.runner import OnnxRunner
from engine.runtimes.tensorrt import TensorRtRunner
from export import tensorrt_engine
from export.lora_inputs import RANK_AXIS, ports
from export.manifest import ExportManifest, Graph, StageRow
from presets.style import StyleTensor

MOST_STYLES = 16  # packed and kept, at rank 16 some 25 MB each for AudioLDM2's UNet, 3 for nano
HELD_BYTES = 1 << 29  # a region of two minutes has eight groups of windows, each hears its own


class ExportedRunner:
    """One exported stage. One thread at a time."""

    def __init__(
        self,
        folder: Path,
        row: StageRow,
        threads: int,
        sha256: Mapping[str, str] = {},
        lengths: Mapping[str, int] = {},
    ) -> None:
        open_graph = lambda graph: OnnxRunner(  # noqa: E731
            stage_of(graph),
            folder / graph.file,
            threads,
            sha256.get(graph.file, ""),
            keeps_optimised=bool(sha256),
        )
        self.row = row
        self.step, self.first = open_graph(row.step), open_graph(row.first) if row.first else None
        self.engine = _engine(folder, row, sha256, lengths, self.step) if row.first else None
        self._asked = (
            [name for name, *_ in row.first.inputs if name not in row.weights] if row.first else []
        )
        self._adapter: dict[str, np.ndarray] = {}
        # the last used at the end
        self._held: list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = []
        self._style = no_style(row)

    @property
    def path(self) -> Path:
        return self.step.path

    def load(self) -> None:
        """Build the sessions. EngineError not_ready, model_damaged."""
        for runner in filter(None, (self.first, self.step)):
            runner.load()

    def take_adapter(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Other weights for the layers that export left open, [fan_in, fan_out] each."""
        assert set(tensors) == set(self.row.weights), (
            "an adapter has exactly the tensors of the manifest"
        )
        self._adapter = {
            name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()
        }
        self._held.clear()

    def take_style(self, style: PackedStyle | None) -> None:
        """The style from the next call on; None: the base model. Copies nothing."""
        self._style = no_style(self.row) if style is None else style.arrays

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        held = self._held_for(inputs) if self.first else {}
        return (self.engine or self.step)(**inputs, **held, **self._style)

    def _held_for(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `first` makes of these inputs, from memory if they were here before."""
        asked = {name: inputs[name] for name in self._asked}
        for index in reversed(range(len(self._held))):
            if all(_is_equal(values, self._held[index][0][name]) for name, values in asked.items()):
                self._held.append(self._held.pop(index))
                return self._held[-1][1]
        found = self.first(**asked, **self._adapter)
        held = dict(zip(self.first.stage.output_names, found, strict=True))
        copies = {name: np.array(values) for name, values in asked.items()}
        self._held.append((copies, held))
        most = max(1, HELD_BYTES // max(1, sum(values.nbytes for values in held.values())))
        self._held = self._held[-most:]
        return held


class PackedWardrobe:
    """The LoRA styles of one model's graphs: packed once, then kept, so that a change is one of
    pointers.

    The first of the `runners` has every layer that any of them has.
    """

    def __init__(
        self, runners: Sequence[ExportedRunner], base_weight: packed.BaseWeight = lambda path: None
    ) -> None:
        self._runners, self._base_weight = runners, base_weight
        self._styles: dict[str, list[PackedStyle]] = {}
        self._worn: list[Path] = []

    def files(self) -> dict[str, Path]:
        return {f"style {path.name}": path for path in self._worn}

    def wear(self, adapters: Sequence[StyleTensor]) -> list[str]:
        """Exactly a style's adapters from now on; notes for the manifest. EngineError bad_preset."""
        self._worn = [Path(file.path) for file in adapters]
        if not adapters:
            self._put_on([None] * len(self._runners))
            return []
        key = json.dumps([(file.path, file.sha256, file.weight) for file in adapters])
        notes = [] if key in self._styles else self._pack(key, adapters)
        self._put_on(self._styles[key])
        return [*notes, f"style: LoRA of rank {self._styles[key][0].rank} in all"]

    def _put_on(self, styles: Sequence[PackedStyle | None]) -> None:
        for runner, style in zip(self._runners, styles, strict=True):
            runner.take_style(style)

    def _pack(self, key: str, adapters: Sequence[StyleTensor]) -> list[str]:
        layers = [runner.row.lora for runner in self._runners]
        try:
            files = [
                packed.read(Path(each.path), layers[0], self._base_weight) for each in adapters
            ]
            weighted = list(zip(files, [each.weight for each in adapters], strict=True))
            self._styles[key] = [packed.pack(open_layers, weighted) for open_layers in layers]
        except packed.LoraError as error:
            raise EngineError("bad_preset", str(error)) from error
        while len(self._styles) > MOST_STYLES:
            self._styles.pop(next(iter(self._styles)))
        return [note for file in files for note in file.notes]


def stage_of(graph: Graph) -> Stage:
    """A graph of a manifest as a row of a stage table."""
    return Stage(
        graph.file, *(tuple(Port(*port) for port in side) for side in (graph.inputs, graph.outputs))
    )


def runners(folder: Path, manifest: ExportManifest, threads: int) -> dict[str, ExportedRunner]:
    """Stage name -> runner, nothing loaded yet."""
    lengths = manifest.settings.get("lengths", {})
    return {
        row.stage: ExportedRunner(folder, row, threads, manifest.graphs, lengths)
        for row in manifest.stages
    }


def _engine(
    folder: Path,
    row: StageRow,
    sha256: Mapping[str, str],
    lengths: Mapping[str, int],
    otherwise: OnnxRunner,
) -> TensorRtRunner | None:
    """The TensorRT engine of a step, where one was built for this machine."""
    path = tensorrt_runtime.find(folder / row.step.file, sha256.get(row.step.file, ""), lengths)
    if path is None:
        return None
    return TensorRtRunner(
        stage_of(row.step), path, tensorrt_engine.profiles(row.step, lengths), otherwise
    )


def no_style(row: StageRow) -> dict[str, np.ndarray]:
    """Factors of rank 0: the base model, at no cost."""
    return {
        name: np.zeros([0 if axis == RANK_AXIS else axis for axis in axes], np.float32)
        for name, axes in ports(row.lora).items()
    }


def open_for_parity(threads: int) -> Any:
    """How export opens what it has just written: (folder, row, adapter) -> runner."""

    def _open(folder: Path, row: StageRow, adapter: Mapping[str, np.ndarray]) -> ExportedRunner:
        runner = ExportedRunner(folder, row, threads)
        if row.weights:
            runner.take_adapter({name: adapter[name] for name in row.weights})
        return runner

    return _open


def _is_equal(values: np.ndarray, other: np.ndarray) -> bool:
    return values.shape == other.shape and np.array_equal(values, other)
