"""One window of AudioLDM2 at its published size with random weights, the same guided steps each
way, end to end: diffusers' own pipeline in float32, and ours with AP-Adapter on its exported
graphs in float32 and int8, each in a fresh process. diffusers' pipeline hears no region, ours
hears one. The last row guides half of the way only, which is another sound. Beside it the floor:
operations of the parts over the machine's rate in float32.
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
from benchmarks.tools.ways import Run, Watch, WayCost, exporting, matrix_rate, measure_way
from presets.style import ResolvedStyle

GOAL_TIMES = 3.0  # faster than diffusers
WARM_UP = 1
TEXT, NEGATIVE, GUIDANCE, ALPHA, SEED = "a violin", "drums", 7.5, 0.5, 1
PRECISIONS = ("float32", "int8")
GUIDED = (0.25, 0.75)
STAGES = {"unet": "unet", "vae_decoder": "vae", "vocoder": "vocoder", "audio_encoder": "audiomae"}


def measure(setting: Setting) -> list[Figure]:
    """One after the other in one run, so that they are to be compared."""
    sizes = setting.sizes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random_models.audioldm2(
            folder, sizes.is_quick, round(sizes.window_seconds * random_models.FRAMES_PER_SECOND)
        )
        run = partial(
            measure_way,
            "audioldm2",
            folder=folder,
            amount=sizes.model_steps,
            threads=setting.threads or 1,
        )
        found = {"diffusers": run(way="diffusers")}
        for precision in PRECISIONS:
            run(way=f"export {precision}")
            found[f"exported in {precision}, with AP-Adapter"] = run(way="exported")
        found[f"the same, guidance from {GUIDED[0]:g} to {GUIDED[1]:g}"] = run(way="guided in part")
    title = f"AudioLDM2, {sizes.window_seconds:g} s, {sizes.model_steps} guided steps"
    return [
        _figure(f"{title}, {name}", row, found["diffusers"], sizes.model_steps)
        for name, row in found.items()
    ]


def _figure(name: str, row: WayCost, stock: WayCost, steps: int) -> Figure:
    operations = (
        stock.operations["unet"] * steps + stock.operations["vae"] + stock.operations["vocoder"]
    )
    floor = operations / matrix_rate()
    notes = (
        f"{stock.seconds / row.seconds:.1f} times as fast as diffusers; "
        f"{row.peak_mb:.0f} MB at most; "
        f"{row.seconds / floor:.1f} times {floor:.1f} s of matrix products in float32"
    )
    goal = None if row is stock else stock.seconds / GOAL_TIMES
    return Figure(name, row.seconds, "CPU s", goal, notes, row.parts)


def _diffusers(folder: Path, watch: Watch) -> Run:
    """The pipeline as its documentation has it, on the processor in float32."""
    import torch
    from diffusers import AudioLDM2Pipeline, AudioLDM2UNet2DConditionModel, DDIMScheduler
    from transformers import ClapModel, GPT2LMHeadModel

    from engine.families.audioldm2 import components

    base = folder / "audioldm2"
    parts = components.load(base)
    pipeline = AudioLDM2Pipeline(
        vae=parts.vae,
        text_encoder=ClapModel.from_pretrained(base / "text_encoder"),
        text_encoder_2=parts.t5,
        projection_model=parts.projection,
        tokenizer=parts.clap_tokenizer,
        tokenizer_2=parts.t5_tokenizer,
        language_model=GPT2LMHeadModel.from_pretrained(base / "language_model"),
        feature_extractor=None,
        unet=AudioLDM2UNet2DConditionModel.from_pretrained(base / "unet").eval(),
        scheduler=DDIMScheduler.from_pretrained(base / "scheduler"),
        vocoder=parts.vocoder,
    )
    pipeline.set_progress_bar_config(disable=True)
    parts.unet = None
    for module, method, name in (
        (pipeline.unet, "forward", "unet"),
        (pipeline.vae, "decode", "vae"),
        (pipeline.vocoder, "forward", "vocoder"),
    ):
        setattr(module, method, watch.on(name, getattr(module, method)))
    seconds = _seconds_of(pipeline)

    def _run(steps: float) -> Any:
        return pipeline(
            TEXT,
            negative_prompt=NEGATIVE,
            num_inference_steps=int(steps),
            guidance_scale=GUIDANCE,
            audio_length_in_s=seconds,
            generator=torch.Generator().manual_seed(SEED),
        )

    return _run


def _seconds_of(pipeline: Any) -> float:
    """Of one window."""
    samples = int(np.prod(pipeline.vocoder.config.upsample_rates)) * pipeline.vae_scale_factor
    return pipeline.unet.config.sample_size * samples / pipeline.vocoder.config.sampling_rate


def _export(folder: Path, watch: Watch, guided: tuple[float, float] = (0.0, 1.0)) -> Run:
    import torch

    from engine.families.audioldm2.exporting import load

    family = load(torch.get_num_threads(), folder)
    family.warm_up()
    family.prepare(ResolvedStyle(), _knobs(1, guided))
    runners = family.editor.runners
    for stage, name in STAGES.items():
        runners[stage] = watch.on(name, runners[stage])
    window, draw = family.editor.window_samples(1), np.random.default_rng(0)

    def _run(steps: float) -> np.ndarray:
        # what was heard before is remembered
        region = (0.1 * draw.standard_normal(window)).astype(np.float32)
        return family.editor.transfer(region, _knobs(int(steps), guided), ALPHA)

    return _run


def _knobs(steps: int, guided: tuple[float, float]) -> Any:
    from engine.knobs import Knobs

    return Knobs(
        ALPHA,
        2,
        GUIDANCE,
        NEGATIVE,
        steps,
        SEED,
        ((TEXT, 1.0),),
        guidance_from=guided[0],
        guidance_to=guided[1],
    )


WAYS = {
    "diffusers": _diffusers,
    "exported": _export,
    "guided in part": partial(_export, guided=GUIDED),
    **exporting("audioldm2", PRECISIONS),
}
COUNTED = ("diffusers",)
