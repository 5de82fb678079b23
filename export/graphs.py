"""How is one stage written as graphs: cut, opened for styles, in a precision?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.int8_convolutions import gains, quantise_convolutions
from export.lora_inputs import add_lora_inputs, ports
from export.manifest import Axes, Graph, GraphPort, StageRow
from export.onnx_layers import save, unfold
from export.parity import Feed
from export.plan import StageExport
from export.step_cache import split, weights_as_inputs

if TYPE_CHECKING:
    import onnx


def write_stage(part: StageExport, folder: Path, precision: str, feeds: Sequence[Feed]) -> StageRow:
    """Write the graphs of one stage into a folder.

    int8 is for what runs at every step; encoders would lose by it and gain nothing. `feeds` are
    inputs on which int8 measures the ranges of convolutions.
    """
    if part.is_exact or (precision == "int8" and not (part.invariant or part.is_step)):
        precision = "float32"
    name = part.stage.name
    model, gain_of = _read_raw(part, folder / f"{name}.raw", precision, feeds)
    layers = add_lora_inputs(model, part.lora, part.has_gain) if part.lora else ()
    weights = weights_as_inputs(model, part.adapter) if part.adapter else {}
    quantise_convolutions(model, gain_of)
    parts = split(model, {*part.invariant, *weights}) if part.invariant else None
    table = {
        port.name: (port.axes, port.dtype) for port in (*part.stage.inputs, *part.stage.outputs)
    }
    floats: dict[str, Axes] = {**ports(layers), **weights, **(parts.cached if parts else {})}
    table |= {name: (axes, "float32") for name, axes in floats.items()}
    if parts is None:
        step = _write(model, folder / f"{name}.onnx", precision, table)
        return StageRow(name, step, None, (), layers)
    prefill = _write(parts.prefill, folder / f"{name}.first.onnx", "float32", table)
    step = _write(parts.step, folder / f"{name}.onnx", precision, table)
    return StageRow(name, step, prefill, tuple(weights), layers)


def _read_raw(
    part: StageExport, scratch: Path, precision: str, feeds: Sequence[Feed]
) -> tuple[onnx.ModelProto, dict[str, float]]:
    """The graph in float32, and the gains of the convolutions that become int8."""
    import onnx

    scratch.mkdir()  # a model of more than 2 GB comes in many files
    part.write(scratch / "raw.onnx")
    model = onnx.load(str(scratch / "raw.onnx"))
    is_quantised = part.quantises_convolutions and precision == "int8"
    gain_of = gains(model, feeds, scratch) if is_quantised else {}
    shutil.rmtree(scratch)
    return model, gain_of


def _write(
    model: onnx.ModelProto, path: Path, precision: str, table: Mapping[str, tuple[Axes, str]]
) -> Graph:
    save(_convert(model, precision), path)
    inputs, outputs = (
        tuple(GraphPort(each.name, *table[each.name]) for each in side)
        for side in (model.graph.input, model.graph.output)
    )
    return Graph(path.name, inputs, outputs)


def _convert(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Inputs and outputs stay float32 in every precision."""
    if precision == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        return convert_float_to_float16(model, keep_io_types=True)
    if precision == "int8":
        return _quantise_products(model)
    return model


def _quantise_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Products of linear layers in int8, their inputs scaled at every call."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    unfold(model.graph)
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "in.onnx", Path(scratch) / "out.onnx"
        save(model, source)
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(str(target))
