"""Work that is the same at every step, cut out of the graph of a step and done once.

    step(latent, time, text, audio)   becomes   first(text, audio) -> held     keys and values of words and of audio
                                                step(latent, time, text, audio, held)

The cut goes through the products of linear layers that depend on nothing but held inputs: the same
nodes run on the same numbers, so the result is the same to the bit. What a step still reads of the
held inputs (shapes, positions, LoRA branches) stays where it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.onnx_layers import constants, linears, needed

if TYPE_CHECKING:
    import onnx

# as their first input
SAME_SHAPE = ("Add", "Mul", "Div", "Cast", "Identity", "Tanh", "Sigmoid", "LayerNormalization")


@dataclass(frozen=True)
class Split:
    """A graph in two. `held`: names of what goes from the first to the step, with their axes."""

    first: onnx.ModelProto
    step: onnx.ModelProto
    held: dict[str, tuple[int | str, ...]]


def weights_as_inputs(model: onnx.ModelProto, pattern: str) -> dict[str, tuple[int, int]]:
    """Let the weights of the layers whose path ends as `pattern` says be inputs `<path>.weight`
    [fan_in, fan_out].

    Changes `model`. So an adapter is exchanged by handing in another one's tensors.
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


def split(model: onnx.ModelProto, same: Collection[str]) -> Split | None:
    """Cut at the linear layers that depend on the inputs named `same` alone; None where there is
    none.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    cuts = _cuts(graph, set(same))
    step_nodes, reads = needed(graph, [output.name for output in graph.output], cuts)
    kept = [name for name in cuts if name in reads]
    if not kept:
        return None
    axes = {name: cuts[name] for name in kept}
    held = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes[name]) for name in kept]
    first_nodes, first_reads = needed(graph, kept)
    step = _model(model, step_nodes, reads, graph.output, held)
    return Split(_model(model, first_nodes, first_reads, held), step, axes)


def _cuts(graph: onnx.GraphProto, same: set[str]) -> dict[str, tuple[int | str, ...]]:
    """Products of linear layers (with their bias) that depend on `same` alone, and their axes."""
    fixed, shapes = constants(graph), _axes(graph)
    steady, cuts = fixed | same, {}
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


def _axes(graph: onnx.GraphProto) -> dict[str, tuple[int | str, ...]]:
    shapes: dict[str, tuple[int | str, ...]] = {
        tensor.name: tuple(tensor.dims) for tensor in graph.initializer
    }
    for port in graph.input:
        dims = port.type.tensor_type.shape.dim
        shapes[port.name] = tuple(dim.dim_param or dim.dim_value for dim in dims)
    return shapes


def _model(model: onnx.ModelProto, nodes, reads, outputs, more_inputs=()) -> onnx.ModelProto:
    """A model of some nodes of another, with the inputs and weights that they read."""
    from onnx import helper

    graph = model.graph
    made = helper.make_graph(
        nodes,
        graph.name,
        [*(port for port in graph.input if port.name in reads), *more_inputs],
        list(outputs),
        [tensor for tensor in graph.initializer if tensor.name in reads],
    )
    return helper.make_model(
        made, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )


def _prune(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Drop nodes and weights that nothing reads any more."""
    nodes, reads = needed(graph, outputs)
    weights = [tensor for tensor in graph.initializer if tensor.name in reads]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
