"""How does AudioLDM2 play from its exported graphs, without a torch module for the UNet?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.adapters.graphs import GraphAdapterManager
from engine.errors import Cancelled, EngineError
from engine.families.audioldm2 import decoders
from engine.families.audioldm2.family import AudioLdm2Family
from engine.families.audioldm2.stages import STAGES
from engine.families.audioldm2.weights import AudioLdm2Weights
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from engine.runtimes import providers
from engine.runtimes.exported import ExportedRunner, runners
from export.manifest import ExportManifest

if TYPE_CHECKING:
    from engine.families.audioldm2.editor import Editor

GRAPH_PREFIX = "unet.unet."  # the stage's module holds the adapted UNet, which holds diffusers' own
SERVING_STAGES = tuple(stage.name for stage in STAGES if stage.name != "vae_encoder")


class ExportedAudioLdm2(AudioLdm2Family):
    """The same job on the same files, with graphs instead of modules."""

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
        in_bfloat16 = decoders.read(self._base, self.threads) if self._uses_bfloat16() else {}
        for name in SERVING_STAGES:
            if cancelled():
                raise Cancelled
            if name not in in_bfloat16:
                opened[name].load()
        settings = self.manifest.settings
        self._editor = build_editor({**opened, **in_bfloat16}, self._base, settings)
        self._runners = opened
        self._adapters = GraphAdapterManager([opened["unet"]], self._base_weight)

    def close(self) -> None:
        super().close()
        self._runners = {}

    def _uses_bfloat16(self) -> bool:
        """Whether the export compared VAE and vocoder in bfloat16, and it is fast here too."""
        return (
            self.manifest.precision == "int8"
            and bool(self.manifest.settings.get("bfloat16"))
            and decoders.is_quick()
        )

    def _base_weight(self, path: str) -> np.ndarray | None:
        """The weight of a layer of the UNet, which a DoRA's gains need."""
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
            expected = {checkpoint_name(name): axes[::-1] for name, axes in _weight_axes(runner)}
            check_fit(expected, state)
            if rotary != self.manifest.settings["rotary"]:
                raise ValueError(
                    "its audio path has rotary positions and the graph has none, or vice versa; "
                    "put it into the models folder and export again"
                )
        except (OSError, SafetensorError, ValueError) as error:
            raise EngineError(
                "bad_preset", f"{path} is no AP-Adapter for {self._base.name}: {error}"
            ) from error
        runner.take_adapter(
            {name: state[checkpoint_name(name)].float().numpy().T for name in runner.row.weights}
        )
        self._adapter = path


def build_editor(runners: Mapping[str, Any], base: Path, settings: Mapping[str, Any]) -> Editor:
    """The editor on any runners. Tokenizers come from the repository, the rest from a manifest."""
    from engine.families.audioldm2 import components
    from engine.families.audioldm2.editor import Editor, Sizes
    from engine.families.audioldm2.learned import LearnedText

    readers = {part.field: part for part in components.PARTS}
    clap_tokenizer, t5_tokenizer = (
        readers[name].read(base / readers[name].folder)
        for name in ("clap_tokenizer", "t5_tokenizer")
    )
    text = LearnedText(runners, clap_tokenizer, t5_tokenizer, settings["text_width"])
    return Editor(runners, text, settings["scheduler"], Sizes.from_json(settings["sizes"]))


def _weight_axes(runner: ExportedRunner) -> list[tuple[str, tuple[int, ...]]]:
    """The adapter's inputs of the prefill, with their shapes."""
    prefill = runner.row.prefill
    assert prefill is not None, "an exported UNet has a prefill"
    return [
        (port.name, tuple(int(axis) for axis in port.axes))
        for port in prefill.inputs
        if port.name in runner.row.weights
    ]


def graph_name(name: str) -> str:
    """'down_blocks.1. ... .attn2.processor.to_k_ip.weight' -> the input of the graph."""
    return GRAPH_PREFIX + name.replace(".processor.", ".")


def checkpoint_name(name: str) -> str:
    return name.removeprefix(GRAPH_PREFIX).replace(".attn2.", ".attn2.processor.")
