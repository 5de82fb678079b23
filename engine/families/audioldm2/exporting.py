"""audioldm2 as export wants a family, and the family that its graphs serve, without a torch module.

The UNet's graph is cut: keys and values of words and audio are made once an edit, with the
adapter's weights as inputs, so that one export serves every AP-Adapter of its size. Every layer
that training changes is open to LoRA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.adapters.graphs import GraphAdapterManager
from engine.errors import Cancelled, EngineError
from engine.families.audioldm2 import decoders
from engine.families.audioldm2.family import SAMPLE_RATE_HZ, AudioLdm2Family
from engine.families.audioldm2.stages import STAGES
from engine.families.audioldm2.weights import ADAPTER, AudioLdm2Weights
from engine.knobs import Knobs
from engine.manifest import file_hashes, versions
from engine.progress import (
    Advance,
    IsCancelled,
    Progress,
    ignore_advance,
    ignore_progress,
    never_cancelled,
)
from engine.runtimes import providers
from engine.runtimes.exported import ExportedRunner, runners
from export.manifest import ExportManifest, find
from export.plan import Plan, StageExport

if TYPE_CHECKING:
    from engine.families.audioldm2.components import Components
    from engine.families.audioldm2.editor import Editor

INVARIANT_INPUTS = frozenset(
    {"generated", "text", "text_mask", "audio", "audio_position", "audio_scale"}
)
ADAPTER_LAYERS = r"attn2\.to_[kv]_ip"
# all that training changes, and what else kohya's scripts do
LORA_LAYERS = (
    r"attn[12]\.(?:to_[qkv]|to_out\.0)|ff\.net\.(?:0\.proj|2)|proj_(?:in|out)"
    r"|time_embedding\.linear_[12]|time_emb_proj"
)
FRAME_STEP = 8  # three halvings: the UNet's graph takes latent frames in multiples of it
# batch, words, language model's sequence, latent frames, audio tokens of the random inputs
RANDOM_SIZES = ((2, 7, 12, 2 * FRAME_STEP, 8), (1, 5, 17, 3 * FRAME_STEP, 32))
RATE_HZ = SAMPLE_RATE_HZ
GRAPH_PREFIX = "unet.unet."  # the stage's module holds the adapted UNet, which holds diffusers' own
CHECK_STEPS, CHECK_SEED = 2, 7
SERVING_STAGES = tuple(stage.name for stage in STAGES if stage.name != "vae_encoder")


def plan(models: Path | None, region: np.ndarray, advance: Advance = ignore_advance) -> Plan:
    """Read all weights. `region`: mono at 16 kHz, to compare whole stems. EngineError."""
    from engine.families.audioldm2 import audiomae, components, family, graphs
    from engine.families.audioldm2.ap_adapter import read_adapter

    weights = AudioLdm2Weights(models)
    weights.check(brings_adapter=True)
    parts = components.load(weights.base(), advance=advance)
    heard = audiomae.read(weights.audiomae())
    if adapter := weights.find(ADAPTER):
        parts.unet.load_adapter(*read_adapter(adapter))
    modules = graphs.modules(parts, heard)
    halved = decoders.runners(modules) if decoders.is_quick() else {}
    torch_runners = graphs.runners(modules, "cpu")
    sizes = family._editor(parts, heard, "cpu").sizes
    if sizes.latent[1] % FRAME_STEP:
        raise EngineError(
            "not_ready",
            f"expected windows of a multiple of {FRAME_STEP} latent frames, got "
            f"{sizes.latent[1]}; this model cannot be exported",
        )
    files = AudioLdm2Family(weights, 1).files()
    settings = {
        "sizes": asdict(sizes),
        "scheduler": dict(parts.scheduler_config),
        "rotary": _is_rotary(parts),
        "text_width": parts.t5.config.d_model,
        "lengths": {"T": sizes.latent[1]},
        "bfloat16": list(halved),
    }
    return Plan(
        family="audioldm2",
        stages=[
            replace(
                _part(stage, modules, torch_runners, parts, heard), instead=halved.get(stage.name)
            )
            for stage in STAGES
        ],
        pipeline=lambda own: _stem(
            _editor({**torch_runners, **own}, weights.base(), settings), region
        ),
        files=files,
        hashes=file_hashes(files),
        versions=versions(),
        settings=settings,
        recipe="2: LoRA on blocks, time and output, too",
    )


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
    """That an export holds at most, about: eight times the largest file (the UNet's) besides all
    weights, as measured at the published size (13.3 GB with 2.4 GB of weights).
    """
    sizes = [path.stat().st_size for files in weight_files(models) for path in files.values()]
    return sum(sizes) + 8 * max(sizes, default=0)


class ExportedAudioLdm2(AudioLdm2Family):
    """The same job on the same files: the graphs instead of the modules, and LoRA styles beside the
    adapter.
    """

    def __init__(
        self, weights: AudioLdm2Weights, threads: int, folder: Path, manifest: ExportManifest
    ) -> None:
        super().__init__(weights, threads)
        self.device = "cpu"
        self.folder, self.manifest = folder, manifest
        self.runtime = f"{providers.current().title}, exported in {manifest.precision}"
        self._runners: dict[str, ExportedRunner] = {}

    def files(self) -> dict[str, Path]:
        return {**super().files(), "export": self.folder / "manifest.json"}

    def warm_up(
        self, cancelled: IsCancelled = never_cancelled, progress: Progress = ignore_progress
    ) -> None:
        """Build every session, once.

        Raises Cancelled between two of them; EngineError model_damaged.
        """
        if self._editor is not None:
            return
        progress("loading", -1.0)
        opened = runners(self.folder, self.manifest, self.threads)
        halved = decoders.read(self._base, self.threads) if self._uses_bfloat16() else {}
        for name in SERVING_STAGES:
            if cancelled():
                raise Cancelled
            if name not in halved:
                opened[name].load()
        self._runners, self._editor = (
            opened,
            _editor({**opened, **halved}, self._base, self.manifest.settings),
        )
        self._adapters = GraphAdapterManager([opened["unet"]], self._base_weight)

    def close(self) -> None:
        super().close()
        self._runners = {}

    def _uses_bfloat16(self) -> bool:
        """Whether VAE and vocoder were compared in bfloat16, and this processor is quick at it as
        well.
        """
        return (
            self.manifest.precision == "int8"
            and bool(self.manifest.settings.get("bfloat16"))
            and decoders.is_quick()
        )

    def _base_weight(self, path: str) -> np.ndarray | None:
        """Of a layer of the UNet, from the repository's own file: a DoRA is converted with it."""
        from safetensors import safe_open

        file = self._base / "unet" / "diffusion_pytorch_model.safetensors"
        if not file.is_file():
            return None
        with safe_open(str(file), framework="np") as tensors:
            return np.asarray(tensors.get_tensor(path.removeprefix(GRAPH_PREFIX) + ".weight"))

    def _load_adapter(self, path: Path) -> None:
        from safetensors import SafetensorError

        from engine.families.audioldm2.ap_adapter import check_fit, read_adapter

        self._adapter, runner = None, self._runners["unet"]
        try:
            state, rotary = read_adapter(path)
            expected = {_checkpoint_name(name): axes[::-1] for name, axes in _weight_axes(runner)}
            check_fit(expected, state)
            if rotary != self.manifest.settings["rotary"]:
                raise ValueError(
                    "its audio path has rotary positions and the graph has none, "
                    "or the other way round; "
                    "put it into the models folder and export again"
                )
        except (OSError, SafetensorError, ValueError) as error:
            raise EngineError(
                "bad_preset", f"{path} is no AP-Adapter for {self._base.name}: {error}"
            ) from error
        runner.take_adapter(
            {name: state[_checkpoint_name(name)].float().numpy().T for name in runner.row.weights}
        )
        self._adapter = path


def _part(
    stage: Any, modules: Mapping[str, Any], own: Mapping[str, Any], parts: Components, heard: Any
) -> StageExport:
    is_unet = stage.name == "unet"
    feeds = tuple(_feed(stage, parts, heard, sizes) for sizes in RANDOM_SIZES)
    extras: dict[str, Any] = (
        {}
        if not is_unet
        else {
            "invariant": INVARIANT_INPUTS,
            "adapter": ADAPTER_LAYERS,
            "lora": LORA_LAYERS,
            "quantises_convolutions": True,
            "tensors": {
                _graph_name(name): tensor.numpy().T
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


def _write(stage: Any, module: Any, feed: Mapping[str, np.ndarray], path: Path) -> None:
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


def _write_unet(stage: Any, module: Any, feed: Mapping[str, np.ndarray], path: Path) -> None:
    """With noise for an adapter: one that equals the words' projections would be merged with them
    by the exporter.
    """
    import torch

    unet = module.unet
    kept = {name: tensor.clone() for name, tensor in unet.adapter_state().items()}
    try:
        unet.load_adapter({name: torch.randn_like(tensor) for name, tensor in kept.items()})
        _write(stage, module, feed, path)
    finally:
        unet.load_adapter(kept)


def _feed(
    stage: Any, parts: Components, heard: Any, sizes: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Random inputs of a stage; the table's published widths become those of the loaded parts."""
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
        "fbank": (batch, heard.frames, heard.vit.config.image_size[1]),
        "latent": (batch, channels, frames, bands),
    }
    feed = {}
    for port in stage.inputs:
        shape = widths.get(port.name) or [length.get(axis, axis) for axis in port.axes]
        feed[port.name] = draw.standard_normal(shape).astype(np.float32)
        if port.dtype == "int64" or port.name == "text_mask":
            feed[port.name] = np.ones(shape, port.dtype)
    return feed


def _editor(runners: Mapping[str, Any], base: Path, settings: Mapping[str, Any]) -> Editor:
    """The editor on any runners; tokenizers from the repository, all else from the manifest's
    settings.
    """
    from engine.families.audioldm2 import components
    from engine.families.audioldm2.editor import Editor, Sizes
    from engine.families.audioldm2.learned import LearnedText

    readers = {part.field: part for part in components.PARTS}
    clap_tokenizer, t5_tokenizer = (
        readers[name].read(base / readers[name].folder)
        for name in ("clap_tokenizer", "t5_tokenizer")
    )
    sizes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings["sizes"].items()
    }
    text = LearnedText(runners, clap_tokenizer, t5_tokenizer, settings["text_width"])
    return Editor(runners, text, settings["scheduler"], Sizes(**sizes))


def _is_rotary(parts: Components) -> bool:
    return any(adapter.rotary for adapter in parts.unet.adapters.values())


def _stem(editor: Editor, region: np.ndarray) -> np.ndarray:
    knobs = Knobs(0.5, 2, 7.5, "", CHECK_STEPS, CHECK_SEED, (("a violin", 1.0),))
    return editor.transfer(region, knobs, alpha=0.5)


def _weight_axes(runner: ExportedRunner) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (name, axes) for name, axes, _ in runner.row.prefill.inputs if name in runner.row.weights
    ]


def _graph_name(checkpoint_name: str) -> str:
    """'down_blocks.1. ... .attn2.processor.to_k_ip.weight' -> the input of the graph."""
    return GRAPH_PREFIX + checkpoint_name.replace(".processor.", ".")


def _checkpoint_name(graph_name: str) -> str:
    return graph_name.removeprefix(GRAPH_PREFIX).replace(".attn2.", ".attn2.processor.")
