"""One torch module to one ONNX file, and that file made small without asking anything of the
runtime.

Weights are stored as int8 with one scale a channel, followed by Cast and Mul; a runtime folds the
two into a float constant when it loads the graph. So the file is a quarter of the size and the
arithmetic stays float32.
"""

from __future__ import annotations

import warnings
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
    arguments: tuple,
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic_axes: dict,
) -> None:
    """Trace `module` with `arguments` and write float32 ONNX to `path`.

    The tracing exporter is used on purpose: with every axis dynamic the newer one needs minutes and
    gains no speed.
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
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=dynamic_axes,
            do_constant_folding=True,
        )


def shrink(path: Path) -> None:
    """Rewrite the large float weights of the graph at `path` as int8 with a scale a channel."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    axes = _channel_axes(graph)
    kept, dequantise = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        axis = axes.get(tensor.name)
        if (
            axis is None
            or values.dtype != np.float32
            or values.size < SMALLEST_QUANTISED
            or values.ndim < 2
        ):
            kept.append(tensor)
            continue
        codes, scale = quantise(values, axis)
        name = tensor.name
        kept += [
            numpy_helper.from_array(codes, name + ".int8"),
            numpy_helper.from_array(scale, name + ".scale"),
        ]
        dequantise.append(
            helper.make_node("Cast", [name + ".int8"], [name + ".float"], to=onnx.TensorProto.FLOAT)
        )
        dequantise.append(helper.make_node("Mul", [name + ".float", name + ".scale"], [name]))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in reversed(dequantise):
        graph.node.insert(0, node)
    shorten_names(graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def shorten_names(graph: onnx.GraphProto) -> None:
    """Number what lies between the layers: paths of modules take half a megabyte in a graph of 3
    000 nodes.

    Parameters and products keep theirs: by these, layers are found again (onnx_layers).
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
