"""The shipped graphs of nano back as torch modules, so that they can learn.

    initializer `into.bias`                  -> that parameter
    constant side of /blocks.0/out/MatMul    -> `blocks.0.out.weight`, turned round
    first vector that scales its product     -> `blocks.0.query.gain`: the exporter renames gains

Rule: only names of parameters and of products are relied on; every parameter is found, or nothing
is restored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.families.nano.model import AudioEncoder, Denoiser, NanoConfig
from export.onnx_layers import constants, unfold

if TYPE_CHECKING:
    import onnx

FARTHEST = 16  # nodes between a product and its gain


class RestoreError(ValueError):
    """A graph that does not hold the parameters of the module."""


def load_denoiser(path: Path) -> Denoiser:
    """From `denoiser.onnx`, frozen. RestoreError."""
    graph = _load_graph(path)
    values = _values_by_name(graph)
    width, heads = (
        _length(values, "into.bias"),
        _length(values, "blocks.0.cross_attention.log_slope"),
    )
    return _fill(
        Denoiser(NanoConfig(width=width, heads=heads, layers=_blocks(values))), graph, values
    )


def load_audio_encoder(path: Path) -> AudioEncoder:
    """From `audio_encoder.onnx`, frozen. RestoreError."""
    graph = _load_graph(path)
    values = _values_by_name(graph)
    width, products = _length(values, "into.bias"), _products(graph)
    if (query := "blocks.0.attention.query.project") not in products:
        raise RestoreError(
            f"expected a product {query}, it is not in the graph; "
            "it was exported by another version"
        )
    gain = _gain(graph, values, products[query])
    config = NanoConfig(width=width, heads=width // len(gain), encoder_layers=_blocks(values))
    return _fill(AudioEncoder(config), graph, values)


def _load_graph(path: Path) -> onnx.GraphProto:
    import onnx

    graph = onnx.load(str(path)).graph
    unfold(graph)
    return graph


def _values_by_name(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        # of equal values the exporter keeps one
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    return values


def _length(values: Mapping[str, np.ndarray], name: str) -> int:
    if name not in values:
        raise RestoreError(
            f"expected a parameter {name}, it is not in the graph; "
            "it was exported by another version"
        )
    return len(values[name])


def _blocks(values: Mapping[str, np.ndarray]) -> int:
    return 1 + max(int(name.split(".")[1]) for name in values if name.startswith("blocks."))


def _fill(
    module: torch.nn.Module, graph: onnx.GraphProto, values: Mapping[str, np.ndarray]
) -> torch.nn.Module:
    products, found, missing = _products(graph), {}, []
    for name, parameter in module.named_parameters():
        value = _value(name, graph, values, products)
        if value is None or value.shape != tuple(parameter.shape):
            missing.append(f"{name} {tuple(parameter.shape)}")
        else:
            found[name] = torch.from_numpy(np.array(value, np.float32))
    if missing:
        raise RestoreError(
            f"expected the parameters of a {type(module).__name__}, {len(missing)} are not in the "
            f"graph, {missing[0]} for one; it was exported by another version"
        )
    module.load_state_dict(found)
    return module.requires_grad_(False).eval()


def _value(
    name: str, graph: onnx.GraphProto, values: Mapping[str, np.ndarray], products: Mapping
) -> np.ndarray | None:
    if name in values:
        return values[name]
    path, _, kind = name.rpartition(".")
    if kind == "weight" and path in products:
        return values[products[path].input[1]].T
    if kind == "gain" and f"{path}.project" in products:
        return _gain(graph, values, products[f"{path}.project"])
    return None


def _products(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Parameter path -> product with a constant right side."""
    fixed = constants(graph)
    return {
        _parameter_path(node.name): node
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in fixed
    }


def _parameter_path(node_name: str) -> str:
    """'/blocks.0/perceptron/perceptron.2/MatMul' -> 'blocks.0.perceptron.2'.

    The exporter names a sequence twice.
    """
    parts = node_name.strip("/").split("/")[:-1]
    return ".".join(
        part
        for part, after in zip(parts, [*parts[1:], ""], strict=True)
        if not after.startswith(f"{part}.")
    )


def _gain(
    graph: onnx.GraphProto, values: Mapping[str, np.ndarray], product: onnx.NodeProto
) -> np.ndarray:
    """The first vector that a product's result is multiplied by. RestoreError."""
    for node in _after(graph, product):
        for name in node.input if node.op_type == "Mul" else ():
            if name in values and values[name].ndim == 1 and len(values[name]) > 1:
                return values[name]
    raise RestoreError(
        f"expected a gain behind {product.name}, there is none; it was exported by another version"
    )


def _after(graph: onnx.GraphProto, product: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Nodes that read what a product gives, the nearest first."""
    names = set(product.output)
    for _ in range(FARTHEST):
        level = [
            node for node in graph.node if names & set(node.input) and not names & set(node.output)
        ]
        yield from level
        names |= {name for node in level for name in node.output}
