"""LoRA on exported graphs: several files become one set of inputs. Needs no torch.

    W + sum of w_i s_i A_i B_i  =  W + [A_1 | A_2 | ...] [w_1 s_1 B_1; w_2 s_2 B_2; ...]

This is exact; ranks add. A DoRA plays alone. Its gains m / |W + w s A B| are inputs, too, made of
the weights that it belongs to. For graphs without such inputs it becomes the nearest LoRA.
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
from engine.adapters.lycoris import Reductions, dora_change, dora_gain
from engine.adapters.manager import ActiveAdapters, blend_error, key_of, notes_on
from engine.adapters.names import ModelLayers
from export.lora_inputs import RANK_AXIS, LoraLayer, ports
from presets.style import StyleTensor

MOST_PACKED = 16  # blends that are kept
CURE = (
    "It was made for another model, or these graphs keep the layer closed: export again, or train "
    "without that layer"
)
OLD_GRAPHS = "these graphs were exported without inputs for DoRA; export again to play it exactly"

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
                self._packed[key] = self._pack(files, adapters)
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
        self, files: Sequence[LoraFile], adapters: Sequence[StyleTensor]
    ) -> tuple[list[PackedLora], tuple[str, ...]]:
        weighted = [(file, each.weight) for file, each in zip(files, adapters, strict=True)]
        gains: Mapping[str, np.ndarray] = {}
        if dora := next((file for file, weight in weighted if weight and file.is_dora), None):
            if len({key_of(each) for each in adapters if each.weight}) > 1:
                raise blend_error("DoRA")
            weight = sum(each.weight for each in adapters)
            weighted, gains = [(dora, weight)], self._gains(dora, weight)
        packed = [pack(runner.lora_layers, weighted, gains=gains) for runner in self._runners]
        return packed, tuple(remark for file in files for remark in file.remarks)

    def _gains(self, file: LoraFile, weight: float) -> dict[str, np.ndarray]:
        """A DoRA's gains by layer; the lengths are those of the weights as changed by `weight`."""
        return {
            path: dora_gain(
                np.float32(weight) * file.change(path),
                factors.magnitude,
                _weight_of(path, self._base_weight),
            )
            for path, factors in file.layers.items()
            if weight and factors.magnitude is not None
        }


def read_for_graph(
    path: Path, layers: Sequence[LoraLayer], base_weight: BaseWeight = lambda path: None
) -> LoraFile:
    """A LoRA file for the open layers of a graph. Raises AdapterFileError.

    DoRA stays DoRA where a layer has inputs for it, and becomes the nearest LoRA elsewhere.
    """
    shapes = {layer.path: (layer.fan_out, layer.fan_in) for layer in layers}
    found = read_lora(path, ModelLayers(shapes, cure=CURE))
    have_gain = {layer.path for layer in layers if layer.has_gain}
    reductions, plain, remarks = Reductions(), dict(found.layers), list(found.remarks)
    for name, factors in found.layers.items():
        if factors.magnitude is None or name in have_gain:
            continue
        change = dora_change(found.change(name), factors.magnitude, _weight_of(name, base_weight))
        down, up = reductions.reduce("DoRA", name, change, OLD_GRAPHS)
        plain[name] = Factors(down, up, len(down) ** (0.5 if found.is_stabilised else 1.0))
    if reduced := reductions.remarks():
        remarks += [*reduced, f"adapter: {OLD_GRAPHS}"]
    return replace(found, layers=plain, remarks=tuple(remarks))


def pack(
    layers: Sequence[LoraLayer],
    files: Iterable[tuple[LoraFile, float]],
    rank: int = 0,
    gains: Mapping[str, np.ndarray] = {},
) -> PackedLora:
    """Files with their weights as one: ranks in a row.

    `rank`: pad to this one with zeros, for graphs of fixed shape; `gains`: of a DoRA, by layer,
    [fan_out] each. Layers of a file that are not
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
    arrays = neutral_inputs(layers, rank)
    by_path, first = {layer.path: layer for layer in layers}, 0
    for (file, weight), own in zip(kept, ranks, strict=True):
        for path in file.layers.keys() & by_path.keys():
            layer, factors = by_path[path], file.layers[path]
            last = first + factors.rank
            scale = np.float32(weight) * np.float32(factors.scale(file.is_stabilised))
            arrays[layer.a][layer.a_index, :, first:last] = as_matrix(factors.down).T
            arrays[layer.b][layer.b_index, first:last] = scale * as_matrix(factors.up).T
        first += own
    for path in gains.keys() & by_path.keys():
        layer = by_path[path]
        arrays[layer.gain][layer.b_index] = gains[path]
    return PackedLora(arrays, rank)


def neutral_inputs(layers: Sequence[LoraLayer], rank: int = 0) -> dict[str, np.ndarray]:
    """Inputs that leave the base model as it is: factors of zeros, gains of ones."""
    return {
        name: np.zeros([rank if axis == RANK_AXIS else int(axis) for axis in axes], np.float32)
        if RANK_AXIS in axes
        else np.ones([int(axis) for axis in axes], np.float32)
        for name, axes in ports(tuple(layers)).items()
    }


def _weight_of(name: str, base_weight: BaseWeight) -> np.ndarray:
    """The weight [fan_out, fan_in] that a DoRA changes. Raises AdapterFileError without one."""
    weight = base_weight(name)
    if weight is None:
        message = (
            f"{name} is a DoRA: its change depends on the weights that it was trained on, which "
            "are not at hand here; train a LoRA, or merge it into the model and extract one"
        )
        raise AdapterFileError("bad_file", message)
    return as_matrix(weight)
