"""A family becomes a folder of graphs: every stage written, cut, checked against its model, then
the whole pipeline.

Knows no family and no runtime: stages, modules, a pipeline and a way to open a graph are handed in
as a `Plan`. Nothing is left behind by an export that fails or is stopped.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export import manifest as manifests
from export import parity
from export.held import split, weights_as_inputs
from export.int8_convolutions import gains, quantise_convolutions
from export.lora_inputs import add_lora_inputs, ports
from export.manifest import ExportManifest, Graph, StageRow
from export.onnx_layers import save, unfold
from export.parity import STAGE_BOUND, STEM_BOUND, Feed, Recorder, Row, Runner

if TYPE_CHECKING:
    import numpy as np
    import onnx

log = logging.getLogger(__name__)

PRECISIONS = tuple(STAGE_BOUND)
RECIPES = {"int8": "2: convolutions too"}  # how a precision is made, where that has changed
CHECKED = 0.9  # of the work when all stages are done; the pipeline is the rest

# folder, row, adapter -> runner
OpenStage = Callable[[Path, StageRow, "Mapping[str, np.ndarray]"], Runner]


@dataclass(frozen=True)
class Part:
    """One stage to export.

    `stage`: a row of the family's table, with `inputs` and `outputs` of (name, axes, dtype).
    """

    stage: Any
    write: Callable[[Path], None]  # the graph in float32, all of the table's axes dynamic
    model: Runner  # what it must equal
    feeds: Sequence[Feed]  # random inputs of several shapes
    same: frozenset[str] = frozenset()  # inputs that are the same at every step
    # layers whose weights are handed in (a regular expression on the end of their path)
    adapter: str = ""
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)  # the adapter in `model`
    lora: str = ""  # layers that styles may change
    # asked again and again, though nothing of what it is asked stays the same
    is_step: bool = False
    # in int8 its convolutions are, too; their gains are measured on the first feeds
    convolves: bool = False
    # in int8 it computes here instead of the graph, which stays for other machines
    instead: Runner | None = None
    # float32 in every precision: it gives whole numbers, which must be the model's
    is_exact: bool = False


@dataclass(frozen=True)
class Plan:
    """All of one family.

    `pipeline` makes the same stem from the same region and seed with any runners.
    """

    family: str
    parts: Sequence[Part]
    pipeline: Callable[[Mapping[str, Runner]], np.ndarray]
    files: Mapping[str, Path]
    hashes: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)


def folder_of(plan: Plan, models: Path, precision: str) -> Path:
    """Where an export of these weights by these versions lies."""
    recipe = [RECIPES[precision]] if precision in RECIPES else []
    key = manifests.key(plan.hashes, plan.versions, manifests.SCHEMA, *recipe)
    return models / manifests.FOLDER / f"{plan.family}-{precision}-{key}"


def build(
    plan: Plan,
    models: Path,
    precision: str,
    open_stage: OpenStage,
    progress: Callable[[str, float], None] = lambda stage, fraction: None,
) -> Path:
    """The folder of the export, made or found. Raises parity.ParityError, ValueError, OSError."""
    target = folder_of(plan, models, precision)
    if (target / manifests.FILE_NAME).is_file():
        return target
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        manifests.write(temporary, _built(plan, temporary, precision, open_stage, progress))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _built(
    plan: Plan, folder: Path, precision: str, open_stage: OpenStage, progress
) -> ExportManifest:
    real = {part.stage.name: Recorder(part.model) for part in plan.parts}
    progress("listening", 0.0)
    expected = plan.pipeline(real)
    stages, rows, runners = [], [], {}
    for index, part in enumerate(plan.parts):
        name = part.stage.name
        progress(name, CHECKED * index / len(plan.parts))
        feeds = {"random": part.feeds, "real": real[name].feeds}
        stage, runners[name], compared = _fitting(part, folder, precision, open_stage, feeds)
        stages.append(stage)
        rows += compared
        if part.instead and precision == "int8":
            runners[name] = part.instead
            for kind, each in feeds.items():
                rows += parity.compare(
                    name, f"{kind}, half", part.model, part.instead, each, STAGE_BOUND["float16"]
                )
        parity.check(rows)
    progress("whole stem", CHECKED)
    error = parity.relative_error(plan.pipeline(runners), expected)
    rows.append(
        Row("pipeline", "same seed", {"stem": expected.shape}, error, STEM_BOUND[precision])
    )
    parity.check(rows)
    return ExportManifest(
        family=plan.family,
        precision=precision,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        weights=manifests.weight_rows(plan.files, plan.hashes),
        versions=plan.versions,
        graphs={path.name: manifests.sha256(path) for path in sorted(folder.iterdir())},
        stages=tuple(stages),
        parity=tuple(row.as_row() for row in rows),
        settings=plan.settings,
    )


def _fitting(
    part: Part,
    folder: Path,
    precision: str,
    open_stage: OpenStage,
    feeds: Mapping[str, Sequence[Feed]],
) -> tuple[StageRow, Runner, list[Row]]:
    """A stage, opened and compared.

    Where int8 is too coarse for its convolutions, they stay in float32.
    """
    stage = _stage(part, folder, precision, [feed for each in feeds.values() for feed in each[:1]])
    runner, rows = open_stage(folder, stage, part.tensors), []
    for kind, each in feeds.items():
        rows += parity.compare(stage.stage, kind, part.model, runner, each, STAGE_BOUND[precision])
    if part.convolves and precision == "int8" and not all(row.is_within for row in rows):
        log.warning(
            "%s: convolutions in int8 are %.1f %% off, they stay in float32",
            stage.stage,
            100 * max(row.error for row in rows),
        )
        return _fitting(replace(part, convolves=False), folder, precision, open_stage, feeds)
    return stage, runner, rows


def _stage(part: Part, folder: Path, precision: str, feeds: Sequence[Feed]) -> StageRow:
    """Write the graphs of one stage.

    What is run once an edit gains nothing by int8, and encoders lose by it.

    `feeds` are for what int8 has to measure; others than these are compared, too.
    """
    import onnx

    if part.is_exact or precision == "int8" and not (part.same or part.is_step):
        precision = "float32"
    scratch, name = folder / f"{part.stage.name}.raw", part.stage.name
    scratch.mkdir()  # a model of more than 2 GB comes in many files
    part.write(scratch / "raw.onnx")
    model = onnx.load(str(scratch / "raw.onnx"))
    gain_of = gains(model, feeds, scratch) if part.convolves and precision == "int8" else {}
    shutil.rmtree(scratch)
    layers = add_lora_inputs(model, part.lora) if part.lora else ()
    weights = weights_as_inputs(model, part.adapter) if part.adapter else {}
    quantise_convolutions(model, gain_of)
    parts = split(model, {*part.same, *weights}) if part.same else None
    table = {
        port.name: (port.axes, port.dtype) for port in (*part.stage.inputs, *part.stage.outputs)
    }
    table |= {name: (axes, "float32") for name, axes in (*ports(layers).items(), *weights.items())}
    if parts is None:
        return StageRow(
            name, _written(model, folder / f"{name}.onnx", precision, table), None, (), layers
        )
    table |= {name: (axes, "float32") for name, axes in parts.held.items()}
    first = _written(parts.first, folder / f"{name}.first.onnx", "float32", table)
    step = _written(parts.step, folder / f"{name}.onnx", precision, table)
    return StageRow(name, step, first, tuple(weights), layers)


def _written(
    model: onnx.ModelProto, path: Path, precision: str, table: Mapping[str, tuple]
) -> Graph:
    save(_converted(model, precision), path)
    inputs, outputs = (
        [(each.name, *table[each.name]) for each in side]
        for side in (model.graph.input, model.graph.output)
    )
    return Graph(path.name, tuple(inputs), tuple(outputs))


def _converted(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """In and out stay float32 in every precision."""
    if precision == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        return convert_float_to_float16(model, keep_io_types=True)
    if precision == "int8":
        return _int8(model)
    return model


def _int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Products of linear layers in int8, their inputs scaled at every call."""
    import tempfile

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
