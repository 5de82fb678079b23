"""How is AudioLDM2 exported, and which exports are there?

The UNet's graph is cut in two. A prefill computes the keys and values of words and audio once per
edit, with the adapter's weights as inputs: one export serves every AP-Adapter of its size. LoRA can
change every layer that training changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import EngineError
from engine.families.audioldm2 import decoders
from engine.families.audioldm2.exported import ExportedAudioLdm2, build_editor, graph_name
from engine.families.audioldm2.family import SAMPLE_RATE_HZ, AudioLdm2Family
from engine.families.audioldm2.stages import STAGES
from engine.families.audioldm2.weights import ADAPTER, AudioLdm2Weights
from engine.knobs import Knobs
from engine.manifest import file_hashes, versions
from engine.progress import Advance, ignore_advance
from engine.stages import Stage
from export.manifest import find
from export.plan import Plan, StageExport

if TYPE_CHECKING:
    from torch import nn

    from engine.families.audioldm2.audiomae import AudioMae
    from engine.families.audioldm2.components import Components
    from engine.families.audioldm2.editor import Editor, Sizes
    from engine.families.audioldm2.graphs import Denoiser
    from export.parity import Runner

INVARIANT_INPUTS = frozenset(
    {"generated", "text", "text_mask", "audio", "audio_position", "audio_scale"}
)
ADAPTER_LAYERS = r"attn2\.to_[kv]_ip"
# every layer that training or kohya's scripts change
LORA_LAYERS = (
    r"attn[12]\.(?:to_[qkv]|to_out\.0)|ff\.net\.(?:0\.proj|2)|proj_(?:in|out)"
    r"|time_embedding\.linear_[12]|time_emb_proj"
)
FRAME_STEP = 8  # the UNet halves time three times: latent frames come in multiples of 8
# of the random inputs: batch, words, language model's sequence, latent frames, audio tokens
RANDOM_SIZES = ((2, 7, 12, 2 * FRAME_STEP, 8), (1, 5, 17, 3 * FRAME_STEP, 32))
RATE_HZ = SAMPLE_RATE_HZ
CHECK_STEPS, CHECK_SEED, NOISE_SEED = 2, 7, 0
MEMORY_FACTOR = 8  # an export's memory beside the weights, in sizes of the largest file


def plan(models: Path | None, region: np.ndarray, advance: Advance = ignore_advance) -> Plan:
    """Read all weights. `region`: mono at 16 kHz, to compare whole stems. EngineError."""
    from engine.families.audioldm2 import audiomae, components, graphs
    from engine.families.audioldm2.ap_adapter import read_adapter

    weights = AudioLdm2Weights(models)
    weights.check(brings_adapter=True)
    parts = components.load(weights.base(), advance=advance)
    encoder = audiomae.read(weights.audiomae())
    if adapter := weights.find(ADAPTER):
        parts.unet.load_adapter(*read_adapter(adapter))
    modules = graphs.modules(parts, encoder)
    in_bfloat16 = decoders.runners(modules) if decoders.is_quick() else {}
    own = graphs.runners(modules, "cpu")
    settings = _settings(parts, _check_sizes(parts, encoder), list(in_bfloat16))
    files = AudioLdm2Family(weights, 1).files()
    rows = [_stage_export(stage, modules, own, parts, encoder) for stage in STAGES]
    return Plan(
        family="audioldm2",
        stages=[replace(row, instead=in_bfloat16.get(row.stage.name)) for row in rows],
        pipeline=lambda given: _transfer(
            build_editor({**own, **given}, weights.base(), settings), region
        ),
        files=files,
        hashes=file_hashes(files),
        versions=versions(),
        settings=settings,
        recipe="3: DoRA, too",
    )


def _check_sizes(parts: Components, encoder: AudioMae) -> Sizes:
    """The editor's sizes. EngineError not_ready where a window does not fit the UNet's graph."""
    from engine.families.audioldm2 import family

    sizes = family.build_editor(parts, encoder, "cpu").sizes
    if sizes.latent[1] % FRAME_STEP:
        raise EngineError(
            "not_ready",
            f"expected windows of a multiple of {FRAME_STEP} latent frames, got "
            f"{sizes.latent[1]}; this model cannot be exported",
        )
    return sizes


def _settings(parts: Components, sizes: Sizes, in_bfloat16: list[str]) -> dict[str, Any]:
    """What the manifest tells `exported.build_editor` instead of the parts."""
    return {
        "sizes": asdict(sizes),
        "scheduler": dict(parts.scheduler_config),
        "rotary": _is_rotary(parts),
        "text_width": parts.t5.config.d_model,
        "lengths": {"T": sizes.latent[1]},
        "bfloat16": in_bfloat16,
    }


def load(threads: int, models: Path | None) -> ExportedAudioLdm2 | None:
    """The family on its exported graphs; None where the weights in `models` have none."""
    found = next(
        (each for files in weight_files(models) for each in find(models, "audioldm2", files)), None
    )
    return ExportedAudioLdm2(AudioLdm2Weights(models), threads, *found) if found else None


def weight_files(models: Path | None) -> list[dict[str, Path]]:
    """The files that an export has to be of, by name; nothing where they are not there."""
    weights = AudioLdm2Weights(models)
    try:
        weights.check(brings_adapter=True)
    except EngineError:
        return []
    return [AudioLdm2Family(weights, 1).files()]


def memory_bytes(models: Path | None) -> int:
    """About the most memory that an export holds; docs/export.md has the measurement."""
    sizes = [path.stat().st_size for files in weight_files(models) for path in files.values()]
    return sum(sizes) + MEMORY_FACTOR * max(sizes, default=0)


def _stage_export(
    stage: Stage,
    modules: Mapping[str, nn.Module],
    own: Mapping[str, Runner],
    parts: Components,
    encoder: AudioMae,
) -> StageExport:
    is_unet = stage.name == "unet"
    feeds = tuple(_feed(stage, parts, encoder, sizes) for sizes in RANDOM_SIZES)
    extras: dict[str, Any] = (
        {}
        if not is_unet
        else {
            "invariant": INVARIANT_INPUTS,
            "adapter": ADAPTER_LAYERS,
            "lora": LORA_LAYERS,
            "has_gain": True,
            "quantises_convolutions": True,
            "tensors": {
                graph_name(name): tensor.numpy().T
                for name, tensor in parts.unet.adapter_state().items()
            },
        }
    )
    write = _write_unet if is_unet else _write
    return StageExport(
        stage,
        lambda path: write(stage, modules[stage.name], feeds[0], path),
        own[stage.name],
        feeds,
        **extras,
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


def _write_unet(stage: Stage, module: Denoiser, feed: Mapping[str, np.ndarray], path: Path) -> None:
    """Write the UNet with noise for an adapter, the same on every machine.

    An adapter that equals the words' projections would be merged with them by the exporter.
    """
    import torch

    unet = module.unet
    kept = {name: tensor.clone() for name, tensor in unet.adapter_state().items()}
    draw = np.random.default_rng(NOISE_SEED)
    noise = {
        name: torch.from_numpy(draw.standard_normal(tuple(tensor.shape), np.float32))
        for name, tensor in kept.items()
    }
    try:
        unet.load_adapter(noise)
        _write(stage, module, feed, path)
    finally:
        unet.load_adapter(kept)


def _feed(
    stage: Stage, parts: Components, encoder: AudioMae, sizes: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Random inputs of a stage, with the widths of the loaded parts."""
    draw = np.random.default_rng(0)
    batch, words, sequence, frames, tokens = sizes
    channels, window, bands = parts.latent_shape
    if _is_rotary(parts):
        frames = window  # where a cell stands in time is part of the graph
    length = {
        "B": batch,
        "L": words,
        "S": sequence,
        "T": frames,
        "M": frames * parts.frames_per_latent,
        "A": tokens,
    }
    widths = {
        "embedding": (batch, parts.clap.config.projection_dim),
        "embedded": (batch, words, parts.t5.config.d_model),
        "tokens": (batch, words, parts.t5.config.d_model),
        "text": (batch, words, parts.t5.config.d_model),
        "sequence": (batch, sequence, parts.language_model.config.n_embd),
        "generated": (batch, 8, parts.language_model.config.n_embd),
        "audio": (batch, tokens, parts.language_model.config.n_embd),
        "time_embedding": (batch, parts.unet.unet.config.block_out_channels[0]),
        "fbank": (batch, encoder.frames, encoder.vit.config.image_size[1]),
        "latent": (batch, channels, frames, bands),
    }
    feed = {}
    for port in stage.inputs:
        shape = widths.get(port.name) or [
            length[axis] if isinstance(axis, str) else axis for axis in port.axes
        ]
        feed[port.name] = draw.standard_normal(shape).astype(np.float32)
        if port.dtype == "int64" or port.name == "text_mask":
            feed[port.name] = np.ones(shape, port.dtype)
    return feed


def _is_rotary(parts: Components) -> bool:
    return any(adapter.rotary for adapter in parts.unet.adapters.values())


def _transfer(editor: Editor, region: np.ndarray) -> np.ndarray:
    knobs = Knobs(0.5, 2, 7.5, "", CHECK_STEPS, CHECK_SEED, (("a violin", 1.0),))
    return editor.transfer(region, knobs, alpha=0.5)
