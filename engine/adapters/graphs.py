"""LoRA on exported graphs: several files become one set of inputs. Needs no torch.

    W + sum of w_i s_i A_i B_i  =  W + [A_1 | A_2 | ...] [w_1 s_1 B_1; w_2 s_2 B_2; ...]

This is exact; ranks add. A DoRA becomes the nearest LoRA, where the weights that it belongs to are
at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from engine.adapters.files import AdapterFileError
from engine.adapters.lora import Factors, LoraFile, as_matrix, read_lora
from engine.adapters.lycoris import Reductions, dora_change
from engine.adapters.manager import ActiveAdapters, key_of, notes_on
from engine.adapters.names import ModelLayers
from export.lora_inputs import RANK_AXIS, LoraLayer, ports
from presets.style import StyleTensor

MOST_PACKED = 16  # blends that are kept
CURE = (
    "It was made for another model, or these graphs keep the layer closed: export again, or train "
    "without that layer"
)

# layer path -> weight [fan_out, fan_in], more axes for a convolution; None: not at hand
BaseWeight = Callable[[str], "np.ndarray | None"]


@dataclass(frozen=True)
class PackedLora:
    """Inputs of an exported graph, ready to be handed in; `rank` of all adapters together."""

    arrays: Mapping[str, np.ndarray]
    rank: int


@runtime_checkable
class LoraRunner(Protocol):
    """A graph with inputs for LoRA."""

    @property
    def lora_layers(self) -> tuple[LoraLayer, ...]: ...

    def set_lora(self, lora: PackedLora | None) -> None: ...


class GraphAdapterManager:
    """The LoRA of one model's graphs. Packed ones are kept: a change is one of pointers.

    The first of the `runners` has every layer that any of them has.
    """

    def __init__(
        self, runners: Sequence[LoraRunner], base_weight: BaseWeight = lambda path: None
    ) -> None:
        self._runners, self._base_weight = runners, base_weight
        self._packed: dict[str, tuple[list[PackedLora], tuple[str, ...]]] = {}
        self.active = ActiveAdapters()

    def set_adapters(self, adapters: Sequence[StyleTensor]) -> ActiveAdapters:
        """See AdapterManager."""
        packed: Sequence[PackedLora | None] = [None] * len(self._runners)
        notes: tuple[str, ...] = ()
        if adapters:
            key = json.dumps([(key_of(each), each.weight) for each in adapters])
            if key not in self._packed:
                files = [self._read(Path(each.path)) for each in adapters]
                self._packed[key] = self._pack(files, [each.weight for each in adapters])
            packed, remarks = self._packed[key]
            notes = (*notes_on(adapters, remarks), f"adapters: rank {packed[0].rank} in all")
        for runner, inputs in zip(self._runners, packed, strict=True):
            runner.set_lora(inputs)
        self.active = ActiveAdapters(tuple(adapters), notes)
        while len(self._packed) > MOST_PACKED:
            self._packed.pop(next(iter(self._packed)))
        return self.active

    def _read(self, path: Path) -> LoraFile:
        return read_for_graph(path, self._runners[0].lora_layers, self._base_weight)

    def _pack(
        self, files: Sequence[LoraFile], weights: Sequence[float]
    ) -> tuple[list[PackedLora], tuple[str, ...]]:
        weighted = list(zip(files, weights, strict=True))
        packed = [pack(runner.lora_layers, weighted) for runner in self._runners]
        return packed, tuple(remark for file in files for remark in file.remarks)


def read_for_graph(
    path: Path, layers: Sequence[LoraLayer], base_weight: BaseWeight = lambda path: None
) -> LoraFile:
    """A LoRA file for the open layers of a graph, without DoRA. Raises AdapterFileError."""
    shapes = {layer.path: (layer.fan_out, layer.fan_in) for layer in layers}
    found = read_lora(path, ModelLayers(shapes, cure=CURE))
    if not found.is_dora:
        return found
    reductions, plain = Reductions(), {}
    for name, factors in found.layers.items():
        plain[name] = factors
        if factors.magnitude is not None:
            change = _dora(name, found, base_weight(name))
            down, up = reductions.reduce("DoRA", name, change)
            plain[name] = Factors(down, up, len(down) ** (0.5 if found.is_stabilised else 1.0))
    return replace(found, layers=plain, remarks=(*found.remarks, *reductions.remarks()))


def pack(
    layers: Sequence[LoraLayer], files: Iterable[tuple[LoraFile, float]], rank: int = 0
) -> PackedLora:
    """Files with their weights as one: ranks in a row.

    `rank`: pad to this one with zeros, for graphs of fixed shape. Layers of a file that are not
    among `layers` lie in another graph of the same model. Raises AdapterFileError where the ranks
    do not fit.
    """
    kept = [(file, weight) for file, weight in files if weight]
    ranks = [max((each.rank for each in file.layers.values()), default=0) for file, _ in kept]
    if rank and sum(ranks) > rank:
        message = (
            f"the adapters' ranks add to {sum(ranks)}, this graph takes {rank}; blend fewer, or "
            "export with more"
        )
        raise AdapterFileError("bad_file", message)
    rank = rank or sum(ranks)
    arrays = {
        name: np.zeros([rank if axis == RANK_AXIS else int(axis) for axis in axes], np.float32)
        for name, axes in ports(tuple(layers)).items()
    }
    by_path, first = {layer.path: layer for layer in layers}, 0
    for (file, weight), own in zip(kept, ranks, strict=True):
        for path in file.layers.keys() & by_path.keys():
            layer, factors = by_path[path], file.layers[path]
            last = first + factors.rank
            scale = np.float32(weight) * np.float32(factors.scale(file.is_stabilised))
            arrays[layer.a][layer.a_index, :, first:last] = as_matrix(factors.down).T
            arrays[layer.b][layer.b_index, first:last] = scale * as_matrix(factors.up).T
        first += own
    return PackedLora(arrays, rank)


def _dora(name: str, file: LoraFile, weight: np.ndarray | None) -> np.ndarray:
    if weight is None:
        message = (
            f"{name} is a DoRA: its change depends on the weights that it was trained on, which "
            "are not at hand here; train a LoRA, or merge it into the model and extract one"
        )
        raise AdapterFileError("bad_file", message)
    magnitude = file.layers[name].magnitude
    assert magnitude is not None, "asked for layers that have one"
    return dora_change(file.change(name), magnitude, as_matrix(weight))
