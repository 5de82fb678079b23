"""LoRA without re-export: its factors become inputs of a graph that is otherwise finished.

    y = x W      becomes      y = x W + (x A[i]) B[j]
    A  lora_a_<fan_in>   [layers of that width, fan_in, R]
    B  lora_b_<fan_out>  [layers of that width, R, fan_out]

For DoRA (Liu et al. 2024, equation 5) the sum is multiplied by a gain for every output, before the
bias is added. A gain of one is exact, so the base model keeps its bits.

    g  lora_gain_<fan_out>  [layers of that width, fan_out]

A 1x1 convolution is a linear layer over channels and gets the same inputs. Some fifteen inputs
serve hundreds of layers: a change of LoRA is one of pointers. R is a dynamic axis; factors that are
zero are the base model. Weights are folded into B, a blend puts ranks in a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from export.onnx_layers import Linear, constants, linears, module_path

if TYPE_CHECKING:
    import onnx

RANK_AXIS = "R"
ROWS = "lora_rows"  # a shape: batch and channels as they are, all else in one axis
ONE = "lora_one"


@dataclass(frozen=True)
class LoraLayer:
    """Where the factors of one layer lie: row `a_index` of input `a`, `b_index` of input `b`.

    With `has_gain`, row `b_index` of input `gain` multiplies the layer's outputs.
    """

    path: str
    fan_in: int
    fan_out: int
    a_index: int
    b_index: int
    has_gain: bool = False

    @property
    def a(self) -> str:
        return f"lora_a_{self.fan_in}"

    @property
    def b(self) -> str:
        return f"lora_b_{self.fan_out}"

    @property
    def gain(self) -> str:
        return f"lora_gain_{self.fan_out}"

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def ports(layers: tuple[LoraLayer, ...]) -> dict[str, tuple[int | str, ...]]:
    """Input name -> axes, of the factors and gains that these layers read."""
    found: dict[str, tuple[int | str, ...]] = {}
    for layer in layers:
        found[layer.a] = (max(layer.a_index + 1, _rows(found, layer.a)), layer.fan_in, RANK_AXIS)
        found[layer.b] = (max(layer.b_index + 1, _rows(found, layer.b)), RANK_AXIS, layer.fan_out)
        if layer.has_gain:
            rows = max(layer.b_index + 1, _rows(found, layer.gain))
            found[layer.gain] = (rows, layer.fan_out)
    return found


def add_lora_inputs(
    model: onnx.ModelProto, pattern: str, has_gain: bool = False
) -> tuple[LoraLayer, ...]:
    """Give the layers whose path ends as `pattern` says their factors as inputs.

    `has_gain`: and a gain for every output, so that they play DoRA. Changes `model`. Raises
    ValueError where no layer is called so.
    """
    from onnx import TensorProto, helper

    graph, layers, extra = model.graph, [], {}
    rows: dict[str, int] = {}
    for found in _open_layers(graph, pattern):
        a, b = f"lora_a_{found.fan_in}", f"lora_b_{found.fan_out}"
        places = rows.get(a, 0), rows.get(b, 0)
        layer = LoraLayer(found.path, found.fan_in, found.fan_out, *places, has_gain)
        rows[a], rows[b] = layer.a_index + 1, layer.b_index + 1
        layers.append(layer)
        extra[found.node.name] = _branch(found.node, layer)
    if not layers:
        raise ValueError(
            f"expected linear layers whose names end as {pattern!r} says, this graph has none"
        )
    nodes = [each for node in graph.node for each in (node, *extra.get(node.name, ()))]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constant_tensors(nodes, layers))
    for name, axes in ports(tuple(layers)).items():
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, axes))
    return tuple(layers)


def _constant_tensors(
    nodes: list[onnx.NodeProto], layers: list[LoraLayer]
) -> list[onnx.TensorProto]:
    """What the branches read beside the inputs: numbers of rows, shapes, and one."""
    from onnx import TensorProto, helper

    read = {name for node in nodes for name in node.input}
    indices = {index for layer in layers for index in (layer.a_index, layer.b_index)}
    shapes = {ROWS: [0, 0, -1]}
    shapes |= {_channels(count): [-1, *[1] * count] for count in (1, 2, 3)}
    return [
        *(
            helper.make_tensor(f"lora_row_{index}", TensorProto.INT64, (), [index])
            for index in sorted(indices)
        ),
        *(
            helper.make_tensor(name, TensorProto.INT64, (len(shape),), shape)
            for name, shape in shapes.items()
            if name in read
        ),
        *(helper.make_tensor(ONE, TensorProto.FLOAT, (), [1.0]) for _ in range(ONE in read)),
    ]


def _open_layers(graph: onnx.GraphProto, pattern: str) -> Iterator[Linear]:
    """Linear layers however they were written: MatMul, Gemm, or a 1x1 convolution; as they run."""
    products = {found.node.name: found for found in linears(graph, pattern)}
    fixed, shapes = constants(graph), {each.name: tuple(each.dims) for each in graph.initializer}
    copies = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    wanted = re.compile(rf"(?:.*\.)?(?:{pattern})")
    for node in graph.node:
        if node.name in products:
            yield products[node.name]
        elif node.op_type in ("Gemm", "Conv") and wanted.fullmatch(path := module_path(node.name)):
            weight = node.input[1]
            shape = shapes.get(copies.get(weight, weight), ())
            if weight in fixed and len(shape) > 1 and _is_linear(node, shape):
                yield Linear(path, node, shape[1], shape[0])


def _is_linear(node: onnx.NodeProto, shape: tuple[int, ...]) -> bool:
    """Whether a Gemm or Conv is x W^T + b with W [fan_out, fan_in] on each position alone."""
    from onnx import helper

    said = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Gemm":
        return bool(said.get("transB") and not said.get("transA") and said.get("alpha", 1.0) == 1.0)
    is_plain = set(said.get("strides", [1])) == {1} and not any(said.get("pads", [0]))
    return set(shape[2:]) == {1} and said.get("group", 1) == 1 and is_plain


def _branch(node: onnx.NodeProto, layer: LoraLayer) -> list[onnx.NodeProto]:
    """The nodes beside one product; the product itself gives its name to their sum."""
    from onnx import helper

    result, name = node.output[0], f"{node.name}/lora"
    node.output[0] = f"{name}/base"
    rows = [("a", layer.a, layer.a_index), ("b", layer.b, layer.b_index)]
    if layer.has_gain:
        rows.append(("gain", layer.gain, layer.b_index))
    gathers = [
        helper.make_node(
            "Gather", [source, f"lora_row_{index}"], [f"{name}/{side}"], f"{name}/{side}", axis=0
        )
        for side, source, index in rows
    ]
    products = _over_channels if node.op_type == "Conv" else _over_last
    total = f"{name}/total" if layer.has_gain else result
    return [
        *gathers,
        *products(node.input[0], node.output[0], name),
        helper.make_node("Add", [node.output[0], f"{name}/up"], [total], f"{name}/sum"),
        *(_scale_outputs(node, name, result) if layer.has_gain else ()),
    ]


def _scale_outputs(node: onnx.NodeProto, name: str, result: str) -> list[onnx.NodeProto]:
    """g y, or g y + (1 - g) b where the product has added its bias b already."""
    from onnx import helper

    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: list[str], output: str) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], f"{name}/gain_{len(nodes)}"))
        return output

    def spread(values: str) -> str:
        """Along the axis of a convolution's channels."""
        if node.op_type != "Conv":
            return values
        kernel = next(each.ints for each in node.attribute if each.name == "kernel_shape")
        return add("Reshape", [values, _channels(len(kernel))], f"{values}_of_channels")

    gain, total = f"{name}/gain", f"{name}/total"
    if len(node.input) < 3:
        add("Mul", [total, spread(gain)], result)
        return nodes
    rest = add("Sub", [ONE, gain], f"{name}/rest")
    shift = add("Mul", [rest, node.input[2]], f"{name}/shift")
    scaled = add("Mul", [total, spread(gain)], f"{name}/scaled")
    add("Add", [scaled, spread(shift)], result)
    return nodes


def _channels(count: int) -> str:
    """A shape: channels, then axes of one for the places that a convolution runs over."""
    return f"lora_channels_{count}d"


def _over_last(source: str, base: str, name: str) -> list[onnx.NodeProto]:
    """x [..., fan_in] A B."""
    from onnx import helper

    return [
        helper.make_node("MatMul", [source, f"{name}/a"], [f"{name}/down"], f"{name}/down"),
        helper.make_node("MatMul", [f"{name}/down", f"{name}/b"], [f"{name}/up"], f"{name}/up"),
    ]


def _over_channels(source: str, base: str, name: str) -> list[onnx.NodeProto]:
    """B^T A^T x of x [batch, fan_in, ...]: the small factors are turned, the sound is not."""
    from onnx import helper

    def make(kind: str, inputs: list[str], output: str, **more: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [f"{name}/{output}"], f"{name}/{output}", **more)

    return [
        make("Reshape", [source, ROWS], "flat"),
        make("Transpose", [f"{name}/a"], "a_turned", perm=[1, 0]),
        make("Transpose", [f"{name}/b"], "b_turned", perm=[1, 0]),
        make("MatMul", [f"{name}/a_turned", f"{name}/flat"], "down"),
        make("MatMul", [f"{name}/b_turned", f"{name}/down"], "up_flat"),
        make("Shape", [base], "shape"),
        make("Reshape", [f"{name}/up_flat", f"{name}/shape"], "up"),
    ]


def _rows(found: dict[str, tuple[int | str, ...]], name: str) -> int:
    return int(found[name][0]) if name in found else 0
