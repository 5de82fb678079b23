"""Styles without re-export: LoRA factors become inputs of a graph that is otherwise finished.

    y = x W      becomes      y = x W + (x A[i]) B[j]          A: lora_a_<fan_in>   [layers of that width, fan_in, R]
                                                               B: lora_b_<fan_out>  [layers of that width, R, fan_out]

Some fifteen inputs instead of one for each of 384 layers' factors: switching is a matter of
pointers. R is a dynamic axis; factors that are zero are the base model. One style's weight is
folded into its B, a blend stacks ranks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from export.onnx_layers import linears

if TYPE_CHECKING:
    import onnx

RANK_AXIS = "R"


@dataclass(frozen=True)
class LoraLayer:
    """Where the factors of one layer lie: row `a_index` of input `a`, row `b_index` of input `b`."""

    path: str
    fan_in: int
    fan_out: int
    a_index: int
    b_index: int

    @property
    def a(self) -> str:
        return f"lora_a_{self.fan_in}"

    @property
    def b(self) -> str:
        return f"lora_b_{self.fan_out}"

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def ports(layers: tuple[LoraLayer, ...]) -> dict[str, tuple[int | str, ...]]:
    """Input name -> axes, of the factors that these layers read."""
    found: dict[str, tuple[int | str, ...]] = {}
    for layer in layers:
        found[layer.a] = (max(layer.a_index + 1, _rows(found, layer.a)), layer.fan_in, RANK_AXIS)
        found[layer.b] = (max(layer.b_index + 1, _rows(found, layer.b)), RANK_AXIS, layer.fan_out)
    return found


def add_lora_inputs(model: onnx.ModelProto, pattern: str) -> tuple[LoraLayer, ...]:
    """Give the linear layers whose path ends as `pattern` says their factors as inputs.

    Changes `model`.

    Raises ValueError where no layer is called so.
    """
    from onnx import TensorProto, helper

    graph, layers, extra = model.graph, [], {}
    rows: dict[str, int] = {}
    for found in linears(graph, pattern):
        a, b = f"lora_a_{found.fan_in}", f"lora_b_{found.fan_out}"
        layer = LoraLayer(found.path, found.fan_in, found.fan_out, rows.get(a, 0), rows.get(b, 0))
        rows[a], rows[b] = layer.a_index + 1, layer.b_index + 1
        layers.append(layer)
        extra[found.node.name] = _branch(found.node, layer)
    if not layers:
        raise ValueError(
            f"expected linear layers whose names end as {pattern!r} says, this graph has none"
        )
    nodes = [each for node in graph.node for each in (node, *extra.get(node.name, ()))]
    used = {index for layer in layers for index in (layer.a_index, layer.b_index)}
    indices = [
        helper.make_tensor(f"lora_row_{index}", TensorProto.INT64, (), [index])
        for index in sorted(used)
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(indices)
    for name, axes in ports(tuple(layers)).items():
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, axes))
    return tuple(layers)


def _branch(node: onnx.NodeProto, layer: LoraLayer) -> list[onnx.NodeProto]:
    """The nodes beside one product; the product itself gives its name to their sum."""
    from onnx import helper

    result, name = node.output[0], f"{node.name}/lora"
    node.output[0] = f"{name}/base"
    rows = (("a", layer.a, layer.a_index), ("b", layer.b, layer.b_index))
    gathers = [
        helper.make_node(
            "Gather", [source, f"lora_row_{index}"], [f"{name}/{side}"], f"{name}/{side}", axis=0
        )
        for side, source, index in rows
    ]
    return [
        *gathers,
        helper.make_node("MatMul", [node.input[0], f"{name}/a"], [f"{name}/down"], f"{name}/down"),
        helper.make_node("MatMul", [f"{name}/down", f"{name}/b"], [f"{name}/up"], f"{name}/up"),
        helper.make_node("Add", [node.output[0], f"{name}/up"], [result], f"{name}/sum"),
    ]


def _rows(found: dict[str, tuple[int | str, ...]], name: str) -> int:
    return int(found[name][0]) if name in found else 0
