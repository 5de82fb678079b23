"""The editor against diffusers' own pipelines, on the same weights and the same noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    StableAudio3AudioToAudioPipeline,
    StableAudio3InpaintPipeline,
    StableAudio3Pipeline,
)

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.shared.flow import noise_for
from engine.families.stable_audio_3 import components, editor
from engine.families.stable_audio_3.family import build_editor
from engine.families.stable_audio_3.tasks import TASKS
from engine.knobs import Knobs
from tests.engine.families.stable_audio_3.tiny import FRAME_SAMPLES, LATENT
from tests.engine.signals import noise

KNOBS = Knobs(0.4, 1, 1.0, "", 4, 11, (("warm pad", 1.0),))
BEFORE, REGION, AFTER = (FRAME_SAMPLES * frames for frames in (16, 20, 18))
FRAMES = (BEFORE + REGION + AFTER) // FRAME_SAMPLES
SECONDS = FRAMES * FRAME_SAMPLES / 44_100
PLACE = slice(BEFORE, BEFORE + REGION)


@pytest.fixture(scope="module", params=["base", "distilled"])
def parts(request, base_folder, distilled_folder):
    folder = base_folder / "stable-audio-3-medium-base"
    if request.param == "distilled":
        folder = distilled_folder / "stable-audio-3-small-music"
    return components.load(folder)


@pytest.fixture(scope="module")
def made_by(parts):
    """made_by(scene, knobs, task) -> the region's samples."""
    ours = build_editor(parts, "cpu", None)
    return lambda scene, knobs, task, *more: ours.edit(scene, knobs, TASKS[task], 380.0, *more)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(*np.split(noise(BEFORE + REGION + AFTER, 2, seed=4), [BEFORE, BEFORE + REGION]))


@pytest.fixture
def without_local(parts):
    """diffusers' text to audio and audio to audio leave the embedding of `kept` out."""
    last = [block.to_local_embed[-1].weight for block in parts.transformer.transformer_blocks]
    before = [weight.clone() for weight in last]
    for weight in last:
        weight.zero_()
    yield
    for weight, old in zip(last, before, strict=True):
        weight.copy_(old)


def stock(kind, parts, **options) -> np.ndarray:
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(dict(parts.scheduler_config))
    pipeline = kind(
        parts.vae,
        parts.text_encoder,
        parts.tokenizer,
        parts.duration_embedder,
        parts.transformer,
        scheduler,
    )
    pipeline.set_progress_bar_config(disable=True)
    latent = pipeline(
        "warm pad",
        duration=SECONDS,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(11),
        latents=torch.from_numpy(noise_for(11, LATENT, FRAMES).T[None].copy()),
        output_type="latent",
        **options,
    ).audios
    with torch.inference_mode():
        return parts.vae.decode(latent).sample[0].T.numpy()[PLACE]


def audio(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(
        np.concatenate([scene.before, scene.region, scene.after]).T[None].copy()
    )


def close(made, expected):
    assert expected.std() > 1e-3
    np.testing.assert_allclose(made, expected, atol=2e-3 * np.abs(expected).max())


def test_audio_to_audio_equals_the_stock_pipelines(made_by, parts, scene, without_local):
    expected = stock(
        StableAudio3AudioToAudioPipeline, parts, audio=audio(scene), init_noise_level=0.6
    )
    close(made_by(scene, KNOBS, "timbre"), expected)


def test_inpainting_equals_the_stock_pipelines(made_by, parts, scene):
    mask = torch.ones(1, 1, FRAMES)
    mask[..., BEFORE // FRAME_SAMPLES : (BEFORE + REGION) // FRAME_SAMPLES] = 0
    close(
        made_by(scene, KNOBS, "repaint"),
        stock(StableAudio3InpaintPipeline, parts, audio=audio(scene), mask=mask),
    )


def test_guidance_and_negative_words_equal_text_to_audio_where_nothing_is_kept(
    made_by, parts, scene, without_local
):
    knobs = replace(KNOBS, strength=0.0, guidance=4.0, negative="harsh")
    is_distilled = parts.scheduler_config["stochastic_sampling"]
    options = {} if is_distilled else {"guidance_scale": 4.0, "negative_prompt": "harsh"}
    close(made_by(scene, knobs, "genre"), stock(StableAudio3Pipeline, parts, **options))


def test_words_are_read_once_and_guidance_outside_its_interval_costs_nothing(parts, scene):
    ours, read, asked = build_editor(parts, "cpu", None), [], []
    ours.runners["text_encoder"] = record_calls(ours.runners["text_encoder"], read)
    ours.runners["transformer"] = record_calls(ours.runners["transformer"], asked)
    told = []
    for changes in ({}, {"guidance_from": 0.6}, {"guidance_to": 0.0}, {"guidance": 1.0}):
        asked.clear()
        ours.edit(scene, replace(KNOBS, **{"guidance": 4.0, **changes}), TASKS["timbre"], 380.0)
        assert len(asked) == 4
        told.append(sum(len(call["latent"]) for call in asked))
    everywhere, late, nowhere, without = told
    assert nowhere == without == 4 and everywhere == (4 if ours.is_distilled else 8)
    assert without < late < everywhere or ours.is_distilled
    assert len(read) == (1 if ours.is_distilled else 2)


def record_calls(runner, calls):
    return lambda **inputs: calls.append(inputs) or runner(**inputs)


def test_inpainting_hears_what_lies_about_the_region_and_not_the_region(made_by, scene):
    made, quarter = made_by(scene, KNOBS, "repaint"), REGION // 4
    other = scene.region.copy()
    other[quarter:-quarter] = noise(REGION - 2 * quarter, 2, seed=9)
    np.testing.assert_allclose(
        made_by(replace(scene, region=other), KNOBS, "repaint"), made, atol=1e-6
    )
    assert (
        np.abs(
            made_by(replace(scene, after=noise(AFTER, 2, seed=8)), KNOBS, "repaint") - made
        ).max()
        > 1e-5
    )


def test_left_and_right_are_two_signals_to_the_end(made_by, scene):
    made = made_by(scene, KNOBS, "timbre")
    swapped = made_by(replace(scene, region=scene.region[:, ::-1]), KNOBS, "timbre")
    assert made.shape == (REGION, 2) and made.dtype == np.float32
    assert np.abs(made[:, 0] - made[:, 1]).max() > 1e-3 and np.abs(made - swapped).max() > 1e-4


def test_the_autoencoder_in_chunks_equals_the_whole(parts, monkeypatch):
    ours = build_editor(parts, "cpu", None)
    samples = noise(40 * FRAME_SAMPLES, 2).T
    latent = ours.encode(samples)
    whole = ours.decode(latent)
    monkeypatch.setattr(editor, "CHUNK_FRAMES", 7)
    np.testing.assert_allclose(ours.encode(samples), latent, atol=1e-5)
    np.testing.assert_allclose(ours.decode(latent), whole, atol=1e-5)


def test_every_step_is_told_and_a_cancel_counts_between_two(made_by, scene):
    told = []
    with pytest.raises(Cancelled):
        made_by(
            scene,
            KNOBS,
            "timbre",
            lambda *row: told.append(row),
            lambda: sum(stage == "generating" for stage, _ in told) == 3,
        )
    assert [stage for stage, _ in told] == ["encoding", "generating", "generating", "generating"]
