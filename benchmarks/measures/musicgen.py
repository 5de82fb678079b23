"""A few seconds of MusicGen (-small, random weights): transformers' generate, ours on torch, and
the exported graphs in float32 and int8, each in a fresh process. The floor: bytes of the weights
that a step reads, over the machine's rate.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure
from benchmarks.setting import Setting
from benchmarks.tools import random_models
from benchmarks.tools.ways import Run, Watch, WayCost, exporting, measure_way, reading_rate

SECONDS, FRAMES_PER_SECOND, DELAY = 3.0, 50, 3
WARM_UP = 0.1
TEXT, GUIDANCE, SEED, TOP_K = "a violin", 3.0, 1, 250
CHECKPOINT = "musicgen-small"
PRECISIONS = ("float32", "int8")


def measure(setting: Setting) -> list[Figure]:
    """One after the other in one run, so that they are to be compared."""
    seconds = 1.0 if setting.sizes.is_quick else SECONDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random_models.musicgen(folder, setting.sizes.is_quick)
        run = partial(measure_way, "musicgen", folder=folder, amount=seconds)
        found, bytes_a_step = (
            {"transformers": run(way="transformers"), "torch": run(way="torch")},
            {},
        )
        for precision in PRECISIONS:
            measure_way("musicgen", f"export {precision}", folder, 1)
            found[f"exported in {precision}"] = run(way="exported")
            bytes_a_step[precision] = max(
                _step_bytes(place) for place in folder.glob(f"exports/*-{precision}-*")
            )
    rate = reading_rate()
    return [
        _figure(
            name, row, found, seconds, bytes_a_step["int8" if "int8" in name else "float32"] / rate
        )
        for name, row in found.items()
    ]


def _figure(
    name: str, row: WayCost, found: dict[str, WayCost], seconds: float, floor_a_step: float
) -> Figure:
    steps = seconds * FRAMES_PER_SECOND + DELAY
    notes = (
        f"{1e3 * row.seconds / steps:.0f} ms a step, floor {1e3 * floor_a_step:.0f} ms; "
        f"{row.peak_mb:.0f} MB at most; "
        f"{found['transformers'].seconds / row.seconds:.1f} times as fast as generate"
    )
    return Figure(
        f"MusicGen-small, {seconds:g} s, {name}", row.seconds, "CPU s", notes=notes, parts=row.parts
    )


def _step_bytes(export: Path) -> int:
    """Of the weights of a step: the file, and the one beside it where they are large."""
    return sum(
        path.stat().st_size
        for path in (export / "step.onnx", export / "step.onnx.data")
        if path.is_file()
    )


def _transformers(folder: Path, watch: Watch) -> Run:
    import torch

    from engine.families.musicgen import components
    from engine.families.musicgen.conditions import tokenize

    parts = components.load(folder / CHECKPOINT)
    model = parts.model
    ids = {name: torch.tensor(values) for name, values in tokenize(parts.tokenizer, [TEXT]).items()}
    model.decoder.forward = watch.on("step", model.decoder.forward)
    model.audio_encoder.decode = watch.on("codec_decoder", model.audio_encoder.decode)

    def _run(seconds: float) -> Any:
        torch.manual_seed(SEED)
        return model.generate(
            **ids,
            do_sample=True,
            guidance_scale=GUIDANCE,
            top_k=TOP_K,
            max_new_tokens=round(seconds * FRAMES_PER_SECOND) + DELAY,
        )

    return _run


def _generate(editor: Any) -> Run:
    from engine.audio.scene import Scene
    from engine.knobs import Knobs

    knobs = Knobs(0.0, 1, GUIDANCE, "", 1, SEED, ((TEXT, 1.0),), top_k=TOP_K)

    def _run(seconds: float) -> np.ndarray:
        region = np.zeros((round(seconds * editor.parts.rate_hz), 1), np.float32)
        return editor.edit(Scene(region[:0], region, region[:0]), "generate", knobs)

    return _run


def _torch(folder: Path, watch: Watch) -> Run:
    from engine.families.musicgen import components
    from engine.families.musicgen.editor import Editor

    parts = components.load(folder / CHECKPOINT)
    parts.model.decoder.forward = watch.on("step", parts.model.decoder.forward)
    parts.model.audio_encoder.decode = watch.on("codec_decoder", parts.model.audio_encoder.decode)
    return _generate(Editor(parts))


def _export(folder: Path, watch: Watch) -> Run:
    from engine.families.musicgen.editor import Editor
    from engine.families.musicgen.exported import Graphs
    from engine.families.musicgen.exporting import load
    from engine.families.musicgen.weights import MusicGenWeights

    family = load(1, folder)
    checkpoint = MusicGenWeights(folder).find_named(CHECKPOINT)
    parts = Graphs(checkpoint, *family.export_of(checkpoint), 1).load(lambda: False)
    for stage, runner in list(parts.runners.items()):
        parts.runners[stage] = watch.on(stage, runner)
    return _generate(Editor(parts))


WAYS = {
    "transformers": _transformers,
    "torch": _torch,
    "exported": _export,
    **exporting("musicgen", PRECISIONS),
}
