"""How is MusicGen exported, and which exports are there?

An export is of one checkpoint. LoRA can change the decoder's linear layers, in the prefill and in
the step alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import EngineError
from engine.families.musicgen.exported import SAVED, ExportedMusicGen, build_parts
from engine.families.musicgen.stages import table
from engine.families.musicgen.weights import NAMES, MusicGenWeights, files_of
from engine.manifest import file_hashes, versions
from engine.progress import Advance, ignore_advance
from engine.stages import Stage
from export.plan import Plan, StageExport

if TYPE_CHECKING:
    from torch import nn

    from export.parity import Runner

RATE_HZ = 32_000
HAS_CHECKPOINTS = True  # `plan` takes the name of one
LORA_LAYERS = (
    r"decoder\.model\.decoder\.layers\.\d+\."
    r"(?:(?:self_attn|encoder_attn)\.(?:[qkv]_proj|out_proj)|fc[12])"
    r"|decoder\.lm_heads\.\d+"
)
# axes of the random inputs, see stages.table; the second cache is read to its end
RANDOM_SIZES = (
    {"B": 2, "L": 7, "S": 3, "P": 8, "T": 6, "C": 4},
    {"B": 1, "L": 5, "S": 1, "P": 5, "T": 9, "C": 4},
)
POSITION = 5


def plan(
    models: Path | None, region: np.ndarray, advance: Advance = ignore_advance, checkpoint: str = ""
) -> Plan:
    """Read all weights. `region`: mono at 32 kHz, whose continuation is compared. EngineError.

    `checkpoint`: the name of one; empty for the one that plays first.
    """
    from engine.families.musicgen import components, graphs, teacher_forcing
    from engine.families.shared.torch_runner import build_runners

    weights = MusicGenWeights(models)
    weights.check()
    folder = weights.find_named(checkpoint) if checkpoint else weights.base()
    if folder is None:
        raise EngineError("missing_weights", f"expected {checkpoint} in {models}; it is not there")
    parts = components.load(folder)
    advance(1.0)
    files, sizes = files_of(folder), graphs.sizes_of(parts)
    modules, stages = graphs.modules(parts), table(**sizes)
    own = build_runners(stages, modules, "cpu")
    teacher: list[np.ndarray] = []
    settings = {"sizes": sizes, **{name: getattr(parts, name) for name in SAVED}, "lengths": {}}
    return Plan(
        family="musicgen",
        stages=[
            _stage_export(stage, modules[stage.name], own[stage.name], sizes, parts.hop)
            for stage in stages
        ],
        pipeline=lambda given: teacher_forcing.predict(
            build_parts({**own, **given}, folder, settings), region, teacher
        ),
        files=files,
        hashes=file_hashes(files),
        versions=versions(),
        settings=settings,
        recipe="2: DoRA, too",
    )


def load(threads: int, models: Path | None) -> ExportedMusicGen | None:
    """The family with its graphs; None where no checkpoint in `models` has an export."""
    weights = MusicGenWeights(models)
    if weights.unavailable_reason():
        return None
    family = ExportedMusicGen(weights, threads)
    folders = filter(None, map(weights.find_named, NAMES))
    return family if any(map(family.export_of, folders)) else None


def weight_files(models: Path | None) -> list[dict[str, Path]]:
    """The files of every checkpoint in `models`, because an export is of one."""
    return [files_of(folder) for folder in map(MusicGenWeights(models).find_named, NAMES) if folder]


def _stage_export(
    stage: Stage, module: nn.Module, runner: Runner, sizes: Mapping[str, int], hop: int
) -> StageExport:
    feeds = tuple(_feed(stage, axes, sizes, hop) for axes in RANDOM_SIZES)
    return StageExport(
        stage,
        lambda path: _write(stage, module, feeds[0], path),
        runner,
        feeds,
        lora=LORA_LAYERS if stage.name in ("prefill", "step") else "",
        has_gain=True,
        is_step=stage.name == "step",
        is_exact=stage.name == "codec_encoder",
    )


def _write(stage: Stage, module: nn.Module, feed: Mapping[str, np.ndarray], path: Path) -> None:
    import torch

    from export.onnx_graph import export_stage

    arguments = tuple(torch.from_numpy(feed[name]) for name in stage.input_names)
    export_stage(
        module,
        arguments,
        path,
        list(stage.input_names),
        list(stage.output_names),
        stage.dynamic_axes,
    )


def _feed(
    stage: Stage, axes: Mapping[str, int], sizes: Mapping[str, int], hop: int
) -> dict[str, np.ndarray]:
    """Random inputs of a stage, every text with a word."""
    draw, feed = np.random.default_rng(0), {}
    lengths = {**axes, "N": axes["T"] * hop}
    for port in stage.inputs:
        shape = [lengths[axis] if isinstance(axis, str) else axis for axis in port.axes]
        most = {"mask": 2, "input_ids": 4}.get(port.name, sizes["tokens"])
        feed[port.name] = (
            draw.standard_normal(shape).astype(np.float32)
            if port.dtype == "float32"
            else draw.integers(0, most, shape)
        )
    if "mask" in feed:
        feed["mask"][:, 0] = 1
    if "position" in feed:
        feed["position"][:] = POSITION
    return feed
