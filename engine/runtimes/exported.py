"""Runs what `export` wrote: the graph of a step, the step-invariant cache, and LoRA.

    invariant inputs (words, audio) -> prefill -> cache +
    packed LoRA factors (pointers) ---------------------+-> step -> outputs
    latent, time --------------------------------------+

Called like any runner. LoRA and an AP-Adapter are exchanged between two calls: between two jobs, or
two steps of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.adapters.graphs import PackedLora, neutral_inputs
from engine.runtimes import tensorrt as tensorrt_runtime
from engine.runtimes.runner import OnnxRunner
from engine.runtimes.tensorrt import TensorRtRunner
from engine.stages import Port, Stage
from export import tensorrt_engine
from export.lora_inputs import LoraLayer
from export.manifest import ExportManifest, Graph, StageRow

CACHE_BYTES = 1 << 29  # a region of two minutes has eight groups of windows, each hears its own


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
        def open_graph(graph: Graph) -> OnnxRunner:
            released = sha256.get(graph.file, "")
            path = folder / graph.file
            return OnnxRunner(stage_of(graph), path, threads, released, bool(sha256))

        self.row, self.step = row, open_graph(row.step)
        self.prefill = open_graph(row.prefill) if row.prefill else None
        self.engine = _engine(folder, row, sha256, lengths, self.step) if row.prefill else None
        inputs = row.prefill.inputs if row.prefill else ()
        self._asked = [name for name, *_ in inputs if name not in row.weights]
        self._adapter: dict[str, np.ndarray] = {}
        # the last used at the end
        self._cache: list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = []
        self._lora: Mapping[str, np.ndarray] = neutral_inputs(row.lora)

    @property
    def path(self) -> Path:
        return self.step.path

    def load(self) -> None:
        """Build the sessions. EngineError not_ready, model_damaged."""
        for runner in filter(None, (self.prefill, self.step)):
            runner.load()

    def take_adapter(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Other weights for the layers that export left open, [fan_in, fan_out] each."""
        assert set(tensors) == set(self.row.weights), (
            "an adapter has exactly the tensors of the manifest"
        )
        self._adapter = {
            name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()
        }
        self._cache.clear()

    @property
    def lora_layers(self) -> tuple[LoraLayer, ...]:
        return self.row.lora

    def set_lora(self, lora: PackedLora | None) -> None:
        """The LoRA from the next call on; None: the base model. Copies nothing."""
        self._lora = neutral_inputs(self.row.lora) if lora is None else lora.arrays

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        cached = self._prefill_for(self.prefill, inputs) if self.prefill else {}
        return (self.engine or self.step)(**inputs, **cached, **self._lora)

    def _prefill_for(
        self, prefill: OnnxRunner, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The outputs of the prefill, from the cache if these inputs were here before."""
        asked = {name: inputs[name] for name in self._asked}
        for index in reversed(range(len(self._cache))):
            if all(
                _is_equal(values, self._cache[index][0][name]) for name, values in asked.items()
            ):
                self._cache.append(self._cache.pop(index))
                return self._cache[-1][1]
        found = prefill(**asked, **self._adapter)
        cached = dict(zip(prefill.stage.output_names, found, strict=True))
        copies = {name: np.array(values) for name, values in asked.items()}
        self._cache.append((copies, cached))
        most = max(1, CACHE_BYTES // max(1, sum(values.nbytes for values in cached.values())))
        self._cache = self._cache[-most:]
        return cached


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
