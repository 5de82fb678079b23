"""Where are the linear layers of an exported graph, and which nodes depend on which?

The tracing exporter names a node after the module that made it: /unet/attn2/processor/to_q/MatMul.
So a layer is found in any graph by the name that it has in its checkpoint, without the module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# protobuf ends at 2 GB; above, the weights lie in a file of their own
MOST_BYTES_INSIDE = 1_500_000_000


@dataclass(frozen=True)
class Linear:
    """One matrix product with a constant right side: y = x W, W [fan_in, fan_out]."""

    path: str  # of the module, as in its checkpoint
    node: onnx.NodeProto
    fan_in: int
    fan_out: int


def module_path(node_name: str) -> str:
    """'/unet/attn2/processor/to_q/MatMul' -> 'unet.attn2.to_q', without the processor."""
    return ".".join(part for part in node_name.strip("/").split("/")[:-1] if part != "processor")


def constants(graph: onnx.GraphProto) -> set[str]:
    """Tensors that depend on no input."""
    found = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if all(name in found or not name for name in node.input):
            found |= set(node.output)
    return found


def linears(graph: onnx.GraphProto, pattern: str) -> Iterator[Linear]:
    """The linear layers whose path ends as a regular expression says, in the order of the graph."""
    fixed, shapes = constants(graph), _weight_shapes(graph)
    wanted = re.compile(rf"(?:.*\.)?(?:{pattern})")
    for node in graph.node:
        if (
            node.op_type == "MatMul"
            and node.input[1] in fixed
            and wanted.fullmatch(module_path(node.name))
        ):
            yield Linear(module_path(node.name), node, *shapes[node.input[1]])


def list_needed_nodes(
    graph: onnx.GraphProto, outputs: Iterable[str], given: Iterable[str] = ()
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that compute `outputs` from `given` tensors, in order, and all that they read."""
    wanted, nodes = set(outputs), []
    given = set(given)
    for node in reversed(graph.node):
        if wanted.intersection(node.output) - given:
            nodes.append(node)
            wanted |= set(node.input)
    return nodes[::-1], wanted


def unfold(graph: onnx.GraphProto) -> None:
    """Restore the float32 values of weights that `onnx_graph.shrink` stored as int8, in `graph`."""
    from onnx import numpy_helper

    known = {tensor.name: tensor for tensor in graph.initializer}
    values, kept, used = {}, [], set()
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0].endswith(".int8") and node.input[0] in known:
            values[node.output[0]] = numpy_helper.to_array(known[node.input[0]]).astype("float32")
        elif node.op_type == "Mul" and node.input[0] in values:
            whole = values[node.input[0]] * numpy_helper.to_array(known[node.input[1]])
            known[node.output[0]] = numpy_helper.from_array(whole, node.output[0])
        else:
            kept.append(node)
            used |= set(node.input)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensor for name, tensor in known.items() if name in used)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a graph; one of more than 1.5 GB keeps its weights in `<name>.data` beside it."""
    import onnx

    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    is_large = size > MOST_BYTES_INSIDE
    beside = {"save_as_external_data": True, "location": f"{path.name}.data"} if is_large else {}
    onnx.save(model, str(path), **beside)


def _weight_shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Shapes of initializers, also of those that are stored as int8 or transposed before use."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        source = shapes.get(node.input[0]) if node.input else None
        if source is None:
            continue
        if node.op_type in ("Cast", "Mul", "Identity"):
            shapes[node.output[0]] = source
        elif node.op_type == "Transpose":
            shapes[node.output[0]] = source[::-1]
    return shapes
