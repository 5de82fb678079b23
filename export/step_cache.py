"""Which work of a step is the same at every step, and how is it cut out and done once?

    step(latent, time, text, audio)   becomes   prefill(text, audio) -> cached
                                                step(latent, time, text, audio, cached)

`cached` are keys and values of words and of audio. The cut goes through the products of linear
layers that depend on invariant inputs alone. The same nodes run on the same numbers, so the result
is the same to the bit. What a step still reads of the invariant inputs (shapes, positions, LoRA
branches) stays where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.manifest import Axes
from export.onnx_layers import constants, linears, list_needed_nodes

if TYPE_CHECKING:
    import onnx

# of the shape of their first input
SAME_SHAPE = ("Add", "Mul", "Div", "Cast", "Identity", "Tanh", "Sigmoid", "LayerNormalization")


@dataclass(frozen=True)
class Split:
    """A graph in two. `cached`: what goes from the prefill to the step, names with their axes."""

    prefill: onnx.ModelProto
    step: onnx.ModelProto
    cached: dict[str, Axes]


def weights_as_inputs(model: onnx.ModelProto, pattern: str) -> dict[str, tuple[int, int]]:
    """Make the weights of some layers inputs, `<path>.weight` [fan_in, fan_out].

    The layers are those whose path ends as `pattern` says. So an adapter is exchanged by handing in
    other tensors. Changes `model`.
    """
    from onnx import TensorProto, helper

    found = {}
    for layer in linears(model.graph, pattern):
        name = f"{layer.path}.weight"
        found[name] = (layer.fan_in, layer.fan_out)
        layer.node.input[1] = name
    graph = model.graph
    for name, shape in found.items():
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    _prune(graph, {output.name for output in graph.output})
    return found


def split(model: onnx.ModelProto, invariant: Collection[str]) -> Split | None:
    """Cut at the linear layers that depend on the `invariant` inputs alone; None without any."""
    from onnx import TensorProto, helper

    graph = model.graph
    cuts = _cuts(graph, set(invariant))
    step_nodes, reads = list_needed_nodes(graph, [output.name for output in graph.output], cuts)
    axes = {name: axes for name, axes in cuts.items() if name in reads}
    if not axes:
        return None
    cached = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, each) for name, each in axes.items()
    ]
    prefill_nodes, prefill_reads = list_needed_nodes(graph, axes)
    step = _model_of(model, step_nodes, reads, graph.output, cached)
    return Split(_model_of(model, prefill_nodes, prefill_reads, cached), step, axes)


def _cuts(graph: onnx.GraphProto, invariant: set[str]) -> dict[str, Axes]:
    """Axes of the products of linear layers (with their bias) that depend on `invariant` alone."""
    fixed, shapes = constants(graph), _axes(graph)
    steady, cuts = fixed | invariant, dict[str, Axes]()
    for node in graph.node:
        if not all(name in steady or not name for name in node.input):
            continue
        steady |= set(node.output)
        source = node.input[0] if node.input else ""
        if (
            node.op_type == "MatMul"
            and source in shapes.keys() - fixed
            and len(shapes.get(node.input[1], ())) == 2
        ):
            shapes[node.output[0]] = (*shapes[source][:-1], shapes[node.input[1]][-1])
            cuts[node.output[0]] = shapes[node.output[0]]
        elif node.op_type == "Add" and (before := cuts.keys() & set(node.input)):  # its bias
            shapes[node.output[0]] = shapes[next(iter(before))]
            cuts[node.output[0]] = shapes[node.output[0]]
        elif node.op_type in SAME_SHAPE and source in shapes:
            shapes[node.output[0]] = shapes[source]
        elif node.op_type == "Transpose" and source in shapes:
            shapes[node.output[0]] = shapes[source][::-1]
    return cuts


def _axes(graph: onnx.GraphProto) -> dict[str, Axes]:
    shapes: dict[str, Axes] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for port in graph.input:
        dims = port.type.tensor_type.shape.dim
        shapes[port.name] = tuple(dim.dim_param or dim.dim_value for dim in dims)
    return shapes


def _model_of(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    reads: set[str],
    outputs: Iterable[onnx.ValueInfoProto],
    more_inputs: Iterable[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """A model of some nodes of another, with the inputs and weights that they read."""
    from onnx import helper

    graph = helper.make_graph(
        nodes,
        model.graph.name,
        [*(port for port in model.graph.input if port.name in reads), *more_inputs],
        list(outputs),
        [tensor for tensor in model.graph.initializer if tensor.name in reads],
    )
    opsets = list(model.opset_import)
    return helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)


def _prune(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Drop nodes and weights that nothing reads any more."""
    nodes, reads = list_needed_nodes(graph, outputs)
    weights = [tensor for tensor in graph.initializer if tensor.name in reads]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
