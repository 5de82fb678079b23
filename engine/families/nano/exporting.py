"""nano as export wants a family.

Its released graphs are the model: what comes of them must say what they say.

What export adds to them: keys and values of words and audio once an edit instead of at every step,
LoRA inputs on the sixty attention layers, other precisions and runtimes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.errors import Cancelled
from engine.families.nano.family import NanoFamily
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.families.nano.sampler import WINDOW_FRAMES
from engine.families.nano.stages import STAGES
from engine.manifest import file_hashes, versions
from engine.progress import IsCancelled, Progress, ignore_progress, never_cancelled
from engine.runtimes import providers
from engine.runtimes.exported import ExportedRunner, runners
from engine.runtimes.runner import OnnxRunner, Runner, threads_for
from engine.stages import Stage
from export.manifest import find
from export.plan import Plan, StageExport

INVARIANT_INPUTS = frozenset({"text", "text_bias", "audio", "audio_position", "audio_scale"})
RATE_HZ = SAMPLE_RATE_HZ
LORA_LAYERS = (
    r"(?:self|cross)_attention\.(?:"
    r"(?:query|key|value|text_key|text_value|audio_key|audio_value)\.project|out)"
)
RANDOM_SIZES = ({"B": 2, "T": 40, "L": 7, "A": 20}, {"B": 1, "T": 128, "L": 12, "A": 32})
CHECK_TEXT, CHECK_KNOBS = "a violin", {"seed": 7, "guidance": 2.0}


def plan(
    models: Path | None,
    region: np.ndarray,
    advance: Callable[[float], None] = lambda done: None,
    weights: Path | None = None,
) -> Plan:
    """`region`: mono at 32 kHz. `weights`: another folder than the shipped one. EngineError."""
    family = NanoFamily.load(weights, threads_for())
    files = _files(family)
    advance(1.0)
    return Plan(
        family="nano",
        stages=[_part(stage, family) for stage in STAGES],
        pipeline=lambda own: _with(family, own).transfer(region, CHECK_TEXT, CHECK_KNOBS),
        files=files,
        hashes=file_hashes(files),
        versions=versions(),
        settings={"lengths": {"T": WINDOW_FRAMES}},
    )


def load(threads: int, models: Path | None, weights: Path | None = None) -> NanoFamily | None:
    """The family on its exported graphs; None where the released ones have not been exported into
    `models`.
    """
    family = NanoFamily.load(weights, threads)
    found = next(find(models, "nano", _files(family)), None)
    if found is None:
        return None
    folder, manifest = found
    exported = _with(family, runners(folder, manifest, threads))
    exported.manifest_path = folder / "manifest.json"
    exported.runtime = f"{providers.current().title}, exported in {manifest.precision}"
    return exported


def weight_files(models: Path | None) -> list[dict[str, Path]]:
    """The files that an export has to be of, by name: nano's come with the package."""
    return [_files(NanoFamily.load(None, 1))]


def _files(family: NanoFamily) -> dict[str, Path]:
    names = [f"{stage.name}.onnx" for stage in STAGES]
    folder = family.folder
    return {**family.files(), **({name: folder / name for name in names} if folder else {})}


class ExportedNano(NanoFamily):
    """nano on exported graphs."""

    manifest_path: Path | None = None

    def files(self) -> dict[str, Path]:
        return {**super().files(), **({"export": self.manifest_path} if self.manifest_path else {})}

    def warm_up(
        self, cancelled: IsCancelled = never_cancelled, progress: Progress = ignore_progress
    ) -> None:
        for runner in self.editor.runners.values():
            if cancelled():
                raise Cancelled
            if isinstance(runner, (OnnxRunner, ExportedRunner)):
                runner.load()


def _with(family: NanoFamily, own: Mapping[str, Runner]) -> ExportedNano:
    editor = family.editor
    return ExportedNano({**editor.runners, **own}, editor.tokenizer, family.config, family.folder)


def _part(stage: Stage, family: NanoFamily) -> StageExport:
    runner = family.editor.runners[stage.name]
    assert isinstance(runner, OnnxRunner), "the released graphs are files"

    def write(path: Path) -> None:
        shutil.copyfile(runner.path, path)

    feeds = tuple(_feed(stage, runner, sizes) for sizes in RANDOM_SIZES)
    part = StageExport(stage, write, runner, feeds)
    if stage.name != "denoiser":
        return part
    return replace(part, invariant=INVARIANT_INPUTS, lora=LORA_LAYERS)


def _feed(stage: Stage, runner: OnnxRunner, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Random inputs; the width of audio tokens is the graph's, which is the model's."""
    import onnx

    graph = onnx.load(str(runner.path), load_external_data=False).graph
    widths = {port.name: port.type.tensor_type.shape.dim[-1].dim_value for port in graph.input}
    draw, feed = np.random.default_rng(0), {}
    for port in stage.inputs:
        shape = [axis if isinstance(axis, int) else sizes[axis] for axis in port.axes]
        shape = [*shape[:-1], widths[port.name] or shape[-1]]
        values = draw.standard_normal(shape) if port.dtype == "float32" else np.ones(shape)
        feed[port.name] = values.astype(port.dtype)
    return feed
