"""How does a torch module become one ONNX file, and how is that file made small?

Weights are stored as int8 with one scale a channel, followed by Cast and Mul. A runtime folds the
two into a float constant when it loads the graph. So the file is a quarter of the size and the
arithmetic stays float32.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx
    import torch

SMALLEST_QUANTISED = 4096  # values; below this the scales would not pay
# Axis of the output channels, for the operators whose second input is a weight.
CHANNEL_AXIS = {"MatMul": 1, "Gather": 0, "Conv": 0}


def export_stage(
    module: torch.nn.Module,
    arguments: tuple[torch.Tensor, ...],
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Trace `module` with `arguments` and write float32 ONNX to `path`.

    It is the tracing exporter on purpose: with every axis dynamic the newer one is much slower and
    its graphs are no faster.
    """
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            arguments,
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic_axes.items()},
            do_constant_folding=True,
        )


def shrink(path: Path) -> None:
    """Rewrite the large float weights of the graph at `path` as int8 with a scale a channel."""
    import onnx

    model = onnx.load(str(path))
    graph = model.graph
    axes, kept, nodes = _channel_axes(graph), [], []
    for tensor in graph.initializer:
        if (axis := axes.get(tensor.name)) is None or not _is_large(tensor):
            kept.append(tensor)
            continue
        stored, unfolding = _as_int8(tensor, axis)
        kept += stored
        nodes += unfolding
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in reversed(nodes):
        graph.node.insert(0, node)
    shorten_names(graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _is_large(tensor: onnx.TensorProto) -> bool:
    from onnx import TensorProto

    is_float = tensor.data_type == TensorProto.FLOAT
    return is_float and len(tensor.dims) > 1 and math.prod(tensor.dims) >= SMALLEST_QUANTISED


def _as_int8(
    tensor: onnx.TensorProto, axis: int
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """Codes and scale of a weight, and the nodes that make the weight of them."""
    from onnx import TensorProto, helper, numpy_helper

    name = tensor.name
    codes, scale = quantise(numpy_helper.to_array(tensor), axis)
    stored = [
        numpy_helper.from_array(codes, f"{name}.int8"),
        numpy_helper.from_array(scale, f"{name}.scale"),
    ]
    nodes = [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]),
    ]
    return stored, nodes


def shorten_names(graph: onnx.GraphProto) -> None:
    """Number the tensors between the layers, since paths of modules make a graph large.

    Parameters and products keep their names, by which layers are found again (onnx_layers).
    """
    kept = {port.name for port in (*graph.input, *graph.output)}
    parameters = {tensor.name.removesuffix(".int8") for tensor in graph.initializer}
    # Of equal parameters the exporter keeps one, the others are its copies.
    copies = {
        node.output[0]
        for node in graph.node
        if node.op_type == "Identity" and node.input[0] in parameters
    }
    kept |= parameters | copies
    inner = {name for node in graph.node for name in node.output} - kept
    short = {name: f"{index:x}" for index, name in enumerate(sorted(inner))}
    for node in graph.node:
        node.ClearField("doc_string")
        if node.op_type != "MatMul":
            node.ClearField("name")
        for names in (node.input, node.output):
            names[:] = [short.get(name, name) for name in names]
    del graph.value_info[:]


def quantise(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 codes and the float32 scale, of `values`' rank with size 1 off `axis`."""
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / 127
    return np.round(values / scale).astype(np.int8), scale.astype(np.float32)


def _channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Initializer -> axis of its output channels, for those that are weights."""
    axes = {}
    for node in graph.node:
        if node.op_type == "Gemm":
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            axes[node.input[1]] = 0 if transposed else 1
        elif node.op_type in CHANNEL_AXIS:
            axes[node.input[0 if node.op_type == "Gather" else 1]] = CHANNEL_AXIS[node.op_type]
    return axes
