"""musicgen as export wants a family, and the family that its graphs serve.

One checkpoint at a time: an export belongs to the checkpoint that it was made of, the others play
on torch. The decoder's linear layers are open to LoRA, in the prefill and in the step alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.adapters.graphs import GraphAdapterManager
from engine.audio.scene import Scene
from engine.errors import Cancelled, EngineError
from engine.families.musicgen.family import DEFAULTS, MusicGenFamily, PreparedGeneration
from engine.families.musicgen.stages import table
from engine.families.musicgen.weights import NAMES, MusicGenWeights, files_of
from engine.knobs import Knobs
from engine.manifest import file_hashes, versions
from engine.progress import Advance, IsCancelled, Progress, ignore_advance
from engine.runtimes import providers
from engine.runtimes.exported import ExportedRunner, runners
from export.manifest import ExportManifest, find
from export.plan import Plan, StageExport
from presets.style import ResolvedStyle, StyleTensor

if TYPE_CHECKING:
    from engine.families.musicgen.on_graphs import GraphParts
    from engine.families.musicgen.sampler import CachedDecoder

RATE_HZ = 32_000
HAS_CHECKPOINTS = True  # `plan` takes the name of one
LORA_LAYERS = (
    r"decoder\.model\.decoder\.layers\.\d+\.(?:(?:self_attn|encoder_attn)\.(?:[qkv]_proj|out_proj)|fc[12])"
    r"|decoder\.lm_heads\.\d+"
)
# axes of the random inputs, see stages.table; the second memory is read to its end
RANDOM_SIZES = (
    {"B": 2, "L": 7, "S": 3, "P": 8, "T": 6, "C": 4},
    {"B": 1, "L": 5, "S": 1, "P": 5, "T": 9, "C": 4},
)
POSITION = 5
CHECK_SEED = 7
SAVED = ("rate_hz", "hop", "channels", "padding")  # of Components, in the manifest's settings


def plan(
    models: Path | None, region: np.ndarray, advance: Advance = ignore_advance, checkpoint: str = ""
) -> Plan:
    """Reads all weights. `region`: mono at 32 kHz, whose continuation is compared. `checkpoint`:
    another one than plays first. EngineError.
    """
    from engine.families.musicgen import components, graphs
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
    lead: list[np.ndarray] = []
    settings = {"sizes": sizes, **{name: getattr(parts, name) for name in SAVED}, "lengths": {}}
    return Plan(
        family="musicgen",
        stages=[
            _part(stage, modules[stage.name], own[stage.name], sizes, parts.hop) for stage in stages
        ],
        pipeline=lambda given: _predictions(
            _parts({**own, **given}, folder, settings), region, lead
        ),
        files=files,
        hashes=file_hashes(files),
        versions=versions(),
        settings=settings,
    )


def load(threads: int, models: Path | None) -> ExportedMusicGen | None:
    """The family with graphs for at least one of its checkpoints; None where the weights in
    `models` have none.
    """
    weights = MusicGenWeights(models)
    if weights.unavailable_reason():
        return None
    family = ExportedMusicGen(weights, threads)
    folders = filter(None, map(weights.find_named, NAMES))
    return family if any(map(family.export_of, folders)) else None


def weight_files(models: Path | None) -> list[dict[str, Path]]:
    """The files of every checkpoint that is there: an export is of one."""
    return [files_of(folder) for folder in map(MusicGenWeights(models).find_named, NAMES) if folder]


class Graphs:
    """One checkpoint's export at hand; sessions are built by `load`."""

    def __init__(self, base: Path, folder: Path, manifest: ExportManifest, threads: int) -> None:
        self.base, self.folder, self.manifest = base, folder, manifest
        self.runners: dict[str, ExportedRunner] = runners(folder, manifest, threads)
        self.adapters = GraphAdapterManager(
            [self.runners["prefill"], self.runners["step"]], self._base_weight
        )

    def load(self, cancelled: IsCancelled) -> GraphParts:
        """Build every session. Raises Cancelled between two of them; EngineError model_damaged."""
        for runner in self.runners.values():
            if cancelled():
                raise Cancelled
            runner.load()
        return _parts(self.runners, self.base, self.manifest.settings)

    def _base_weight(self, path: str) -> np.ndarray | None:
        """Of a layer, from the checkpoint's own files: a DoRA is converted with it."""
        from safetensors import safe_open

        for file in sorted(self.base.glob("*.safetensors")):
            with safe_open(str(file), framework="np") as tensors:
                if f"{path}.weight" in tensors.keys():  # noqa: SIM118 - no mapping
                    return np.asarray(tensors.get_tensor(f"{path}.weight"))
        return None


class ExportedMusicGen(MusicGenFamily):
    """The same jobs on the same files: graphs where the checkpoint has been exported, torch where
    not.
    """

    def __init__(self, weights: MusicGenWeights, threads: int) -> None:
        super().__init__(weights, threads)
        # of the checkpoint in memory, and of one that is wanted next
        self._graphs: dict[Path, Graphs] = {}
        self._exports: dict[Path, tuple[Path, ExportManifest] | None] = {}

    @property
    def runtime(self) -> str:
        found = self.export_of(self._wanted)
        return (
            f"{providers.current().title}, exported in {found[1].precision}"
            if found
            else super().runtime
        )

    def export_of(self, checkpoint: Path) -> tuple[Path, ExportManifest] | None:
        """Folder and manifest of a checkpoint's latest export; looked for once."""
        if checkpoint not in self._exports:
            self._exports[checkpoint] = next(
                find(self.weights.folder, "musicgen", files_of(checkpoint)), None
            )
        return self._exports[checkpoint]

    def files(self) -> dict[str, Path]:
        found = self.export_of(self._wanted)
        return {**super().files(), **({"export": found[0] / "manifest.json"} if found else {})}

    def prepare(self, style: ResolvedStyle, knobs: Knobs) -> PreparedGeneration:
        """As the family's, and the preset's LoRA files become inputs of the graphs."""
        job = super().prepare(style, knobs)
        graphs = self._graphs_of(job.folder)
        if graphs is None:
            return job
        active = graphs.adapters.set_adapters(style.adapters)
        return replace(job, notes=(*job.notes, *active.notes))

    def close(self) -> None:
        super().close()
        self._graphs = {}

    def _load_checkpoint(self, folder: Path, cancelled: IsCancelled, progress: Progress) -> None:
        graphs = self._graphs_of(folder)
        if graphs is None:
            super()._load_checkpoint(folder, cancelled, progress)
            return
        if folder == self._folder:
            return
        from engine.families.musicgen.editor import Editor

        progress("loading", -1.0)
        self.close()
        self._editor, self._graphs, self._folder = (
            Editor(graphs.load(cancelled)),
            {folder: graphs},
            folder,
        )

    def _set_adapters(self, adapters: tuple[StyleTensor, ...]) -> None:
        if self._folder is None or not self.export_of(self._folder):
            super()._set_adapters(adapters)

    def _graphs_of(self, checkpoint: Path) -> Graphs | None:
        """What is at hand of a checkpoint's export, if it has one."""
        found = self.export_of(checkpoint)
        if found and checkpoint not in self._graphs:
            self._graphs[checkpoint] = Graphs(checkpoint, *found, self.threads)
        return self._graphs.get(checkpoint)


def _parts(runners: Mapping[str, Any], folder: Path, settings: Mapping[str, Any]) -> GraphParts:
    """A checkpoint on any runners; the tokenizer from its folder, all else from the manifest's
    settings.
    """
    from transformers import AutoTokenizer

    from engine.families.musicgen.on_graphs import GraphParts

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return GraphParts(
        runners, tokenizer, settings["sizes"], **{name: settings[name] for name in SAVED}
    )


def _part(stage: Any, module: Any, runner: Any, sizes: Mapping[str, int], hop: int) -> StageExport:
    feeds = tuple(_feed(stage, axes, sizes, hop) for axes in RANDOM_SIZES)
    return StageExport(
        stage,
        lambda path: _write(stage, module, feeds[0], path),
        runner,
        feeds,
        lora=LORA_LAYERS if stage.name in ("prefill", "step") else "",
        is_step=stage.name == "step",
        is_exact=stage.name == "codec_encoder",
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


def _feed(
    stage: Any, axes: Mapping[str, int], sizes: Mapping[str, int], hop: int
) -> dict[str, np.ndarray]:
    """Random inputs of a stage, every text with a word."""
    draw, feed = np.random.default_rng(0), {}
    length = {**axes, "N": axes["T"] * hop}
    for port in stage.inputs:
        shape = [length.get(axis, axis) for axis in port.axes]
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


def _predictions(parts: GraphParts, region: np.ndarray, lead: list[np.ndarray]) -> np.ndarray:
    """Predictions [steps, K, V] of what follows the region's first third, along the tokens that
    `lead` leads to.

    Empty, it is filled, and leads from then on. Where a number falls just between two tokens, the
    last digit decides which one is said, and all that follows is another take: no fault of the
    graphs, so stems are not what is compared.
    """
    from engine.families.musicgen.editor import Editor

    knobs = Knobs(0.0, 1, DEFAULTS["guidance"], "", 1, CHECK_SEED, (("a violin", 1.0),))
    columns = np.repeat(region[:, None], parts.channels, axis=1)
    found: list[np.ndarray] = []
    led = _ForcedParts(parts, lambda decoder: _ForcedDecoder(decoder, lead, found))
    Editor(led).edit(Scene(columns[:0], columns, columns[:0]), "continue", knobs)
    lead[:] = lead or found
    return np.stack(found)


class _ForcedParts:
    """Parts whose decoder is led."""

    def __init__(self, parts: GraphParts, lead: Callable[[CachedDecoder], CachedDecoder]) -> None:
        self._parts, self._lead = parts, lead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parts, name)

    def decoder(self, factors: np.ndarray, heard: Callable[[int], Any]) -> CachedDecoder:
        return self._lead(self._parts.decoder(factors, heard))


class _ForcedDecoder:
    """A decoder whose predictions are noted, while those of another decide what is said."""

    def __init__(
        self, decoder: CachedDecoder, lead: list[np.ndarray], found: list[np.ndarray]
    ) -> None:
        self._decoder, self._lead, self._found = decoder, lead, found

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        return self._note(self._decoder.prefill(first_frame, steps))

    def decode_step(self, step: np.ndarray) -> np.ndarray:
        return self._note(self._decoder.decode_step(step))

    def _note(self, predicted: np.ndarray) -> np.ndarray:
        self._found.append(predicted)
        return self._lead[len(self._found) - 1] if self._lead else predicted
