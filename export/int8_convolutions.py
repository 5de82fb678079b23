"""How do convolutions run in int8 with a range that follows the sound?

    x -> DynamicQuantizeLinear -> QLinearConv -> DequantizeLinear -> + bias -> y
                  | scale of x        ^ scale of y
                  +----- x gain ------+

ONNX Runtime computes int8 convolutions much faster than float32 ones where the processor has VNNI,
but needs the range of the result beforehand. It is the range of the input, measured at every call,
times the layer's gain, measured once at export. A range that is fixed at export would fit only
inputs like those on which it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.onnx_graph import quantise
from export.onnx_layers import save

if TYPE_CHECKING:
    import onnx

LEAST_CHANNELS = 16  # on either side; below, moving the numbers costs more than multiplying them
# for other sound, whose gains may be greater: values above are cut off, but all get coarser by it
MARGIN = 1.05
CODES = 255
MIDDLE = "int8_middle"  # the code of zero in a result


def convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Those that pay: one group, constant weights, enough channels."""
    weights = _constants(graph)
    return [node for node in graph.node if node.op_type == "Conv" and _pays(node, weights)]


def gains(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, np.ndarray]], scratch: Path
) -> dict[str, float]:
    """By name of a convolution: its largest result without bias, over the range of its input.

    Runs the graph, which is written to the folder `scratch` with the ranges of every layer as its
    outputs.
    """
    import onnx
    import onnxruntime

    watched, found = onnx.ModelProto(), dict[str, float]()
    watched.CopyFrom(model)
    names = _watch(watched.graph)
    save(watched, scratch / "watched.onnx")
    del watched
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(scratch / "watched.onnx"), options, providers=["CPUExecutionProvider"]
    )
    for feed in feeds:
        values = np.array(session.run(None, dict(feed)), np.float64).reshape(len(names), 4)
        span = np.maximum(values[:, 1], 0) - np.minimum(values[:, 0], 0)
        reached = np.abs(values[:, 2:]).max(axis=1) / np.maximum(span, 1e-30)
        found = {
            name: max(found.get(name, 0.0), float(gain))
            for name, gain in zip(names, reached, strict=True)
        }
    return found


def quantise_convolutions(model: onnx.ModelProto, gain_of: Mapping[str, float]) -> None:
    """Turn every convolution that has a gain into int8, in `model`."""
    from onnx import numpy_helper

    graph, weights = model.graph, _constants(model.graph)
    nodes: list[onnx.NodeProto] = []
    seen: set[str] = set()
    for node in graph.node:
        if node.op_type == "Conv" and node.name in gain_of:
            nodes += _in_int8(node, weights, gain_of[node.name], graph, seen)
        else:
            nodes.append(node)
    if seen:
        graph.initializer.append(numpy_helper.from_array(np.uint8(CODES // 2 + 1), MIDDLE))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _in_int8(
    node: onnx.NodeProto,
    weights: Mapping[str, np.ndarray],
    gain: float,
    graph: onnx.GraphProto,
    seen: set[str],
) -> list[onnx.NodeProto]:
    from onnx import helper, numpy_helper

    x, y = node.input[0], node.output[0]
    codes, scale = quantise(weights[node.input[1]], axis=0)
    # scales are of a code: the whole range has 255, half 127
    step = np.float32(gain * MARGIN * CODES / (CODES // 2))
    given = {
        "weight": codes,
        "scale": scale.reshape(-1),
        "zero": np.zeros(len(codes), np.int8),
        "gain": step,
    }
    if is_biased := len(node.input) > 2:
        given["bias"] = weights[node.input[2]].reshape(1, -1, *[1] * (codes.ndim - 2))
    graph.initializer.extend(
        numpy_helper.from_array(values, f"{y}.{name}") for name, values in given.items()
    )
    heard = [f"{x}.heard", f"{x}.heard_step", f"{x}.heard_zero"]
    made = [] if x in seen else [helper.make_node("DynamicQuantizeLinear", [x], heard)]
    seen.add(x)
    product = helper.make_node(
        "QLinearConv",
        [*heard, f"{y}.weight", f"{y}.scale", f"{y}.zero", f"{y}.step", MIDDLE],
        [f"{y}.codes"],
        node.name,
    )
    product.attribute.extend(node.attribute)
    plain = f"{y}.plain" if is_biased else y
    made += [
        helper.make_node("Mul", [heard[1], f"{y}.gain"], [f"{y}.step"]),
        product,
        helper.make_node("DequantizeLinear", [f"{y}.codes", f"{y}.step", MIDDLE], [plain]),
    ]
    return [*made, helper.make_node("Add", [plain, f"{y}.bias"], [y])] if is_biased else made


def _watch(graph: onnx.GraphProto) -> list[str]:
    """Make the ranges of every convolution the graph's only outputs: of its input, of its result.

    Returns the names of the results, which count without bias.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights, names, outputs = _constants(graph), list[str](), list[str]()
    for node in convolutions(graph):
        x, y = node.input[0], node.output[0]
        names.append(node.name)
        plain = y
        if len(node.input) > 2:
            plain, bias = f"{y}.plain", weights[node.input[2]]
            rank = weights[node.input[1]].ndim
            graph.initializer.append(
                numpy_helper.from_array(bias.reshape(1, -1, *[1] * (rank - 2)), f"{y}.bias")
            )
            graph.node.append(helper.make_node("Sub", [y, f"{y}.bias"], [plain]))
        for source, kind in (
            (x, "ReduceMin"),
            (x, "ReduceMax"),
            (plain, "ReduceMin"),
            (plain, "ReduceMax"),
        ):
            outputs.append(f"{y}.{len(outputs)}")
            graph.node.append(helper.make_node(kind, [source], [outputs[-1]], keepdims=0))
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ()) for name in outputs
    )
    return names


def _pays(node: onnx.NodeProto, weights: Mapping[str, np.ndarray]) -> bool:
    group = next((each.i for each in node.attribute if each.name == "group"), 1)
    is_constant = all(name in weights for name in node.input[1:])
    return group == 1 and is_constant and min(weights[node.input[1]].shape[:2]) >= LEAST_CHANNELS


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Weights by name; of equal ones the exporter keeps one, the others are its copies."""
    from onnx import numpy_helper

    read = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
    copies = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    source = {name: copies.get(name, name) for name in read}
    known = {tensor.name: tensor for tensor in graph.initializer}
    return {
        name: numpy_helper.to_array(known[origin])
        for name, origin in source.items()
        if origin in known
    }
