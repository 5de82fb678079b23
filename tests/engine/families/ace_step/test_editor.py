"""The editor against diffusers' own pipeline, on the same weights and the same noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.models.autoencoders.autoencoder_oobleck import OobleckDiagonalGaussianDistribution

from engine.audio.scene import Scene
from engine.errors import Cancelled
from engine.families.ace_step import components
from engine.families.ace_step.editor import NO_LYRICS, Editor
from engine.families.ace_step.family import build_editor
from engine.families.ace_step.tasks import TASKS
from engine.families.shared.flow import noise_for
from engine.knobs import Knobs
from tests.engine.signals import noise

KNOBS = Knobs(1.0, 1, 7.0, "", 2, 11, (("loud drums", 1.0),))
BEFORE, REGION, AFTER = 1920 * 70, 1920 * 90, 1920 * 100  # 10.4 s in all, no rest
SECONDS = (BEFORE + REGION + AFTER) / 48_000


@pytest.fixture(scope="module")
def parts(base_folder):
    return components.load(base_folder / "acestep-v15-xl-base-diffusers")


@pytest.fixture(scope="module")
def editor(parts) -> Editor:
    return build_editor(parts, "cpu", None, can_guide=True)


@pytest.fixture(scope="module")
def pipeline(parts):
    found = AceStepPipeline(
        parts.vae,
        parts.text_encoder,
        parts.tokenizer,
        parts.transformer,
        parts.condition_encoder,
        FlowMatchEulerDiscreteScheduler.from_config(dict(parts.scheduler_config)),
        parts.audio_tokenizer,
        parts.detokenizer,
    )
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(scope="module")
def scene() -> Scene:
    whole = noise(BEFORE + REGION + AFTER, 2, seed=4)
    return Scene(*np.split(whole, [BEFORE, BEFORE + REGION]))


def whole(scene: Scene) -> np.ndarray:
    return np.concatenate([scene.before, scene.region, scene.after])


def stock(pipeline, monkeypatch, scene, **options) -> np.ndarray:
    """What the pipeline makes of the region, before it sets the level."""
    monkeypatch.setattr(
        OobleckDiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mean
    )
    frames = (BEFORE + REGION + AFTER) // 1920
    latent = pipeline(
        "loud drums",
        lyrics=NO_LYRICS[1],
        vocal_language=NO_LYRICS[0],
        audio_duration=SECONDS,
        num_inference_steps=2,
        guidance_scale=7.0,
        src_audio=torch.from_numpy(whole(scene).T.copy()),
        latents=torch.from_numpy(
            noise_for(11, pipeline.transformer.config.audio_acoustic_hidden_dim, frames)
        )[None],
        output_type="latent",
        **options,
    ).audios
    with torch.inference_mode():
        samples = pipeline.vae.decode(latent.transpose(1, 2)).sample[0].T.numpy()
    return samples[BEFORE : BEFORE + REGION]


@pytest.mark.parametrize(
    ("task", "strength", "options"),
    [
        ("lego", 1.0, {"track_name": "DRUMS"}),
        ("complete", 1.0, {"complete_track_classes": ["DRUMS"]}),
        ("cover", 1.0, {}),
        ("cover", 0.6, {"audio_cover_strength": 0.6}),
        (
            "repaint",
            1.0,
            {
                "repainting_start": BEFORE / 48_000 + 1e-3,
                "repainting_end": (BEFORE + REGION) / 48_000 + 1e-3,
            },
        ),
    ],
)
def test_a_task_equals_the_stock_pipelines(
    editor, pipeline, monkeypatch, scene, task, strength, options
):
    made = editor.edit(scene, replace(KNOBS, strength=strength), TASKS[task], 600.0)
    expected = stock(pipeline, monkeypatch, scene, task_type=task, **options)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(made, expected, atol=2e-3 * np.abs(expected).max())


def test_without_guidance_no_words_are_not_asked(editor, pipeline, monkeypatch, scene):
    asked = []
    monkeypatch.setitem(
        editor.runners, "transformer", record_calls(editor.runners["transformer"], asked)
    )
    editor.edit(scene, replace(KNOBS, guidance=1.0), TASKS["lego"], 600.0)
    assert len(asked) == 2
    editor.edit(scene, KNOBS, TASKS["lego"], 600.0)
    assert len(asked) == 6
    editor.edit(scene, replace(KNOBS, guidance_from=0.1), TASKS["lego"], 600.0)  # the second step
    assert len(asked) == 9


def test_words_are_read_once(editor, monkeypatch, scene):
    asked = []
    monkeypatch.setitem(
        editor.runners, "text_encoder", record_calls(editor.runners["text_encoder"], asked)
    )
    for seed in (1, 2):
        editor.edit(
            scene, replace(KNOBS, seed=seed, prompts=(("new drums", 1.0),)), TASKS["lego"], 600.0
        )
    assert len(asked) == 1


def record_calls(runner, asked):
    return lambda **inputs: asked.append(inputs) or runner(**inputs)


def test_negative_words_and_further_prompts_change_what_is_made(editor, scene):
    plain, avoided, mixed = (
        editor.edit(scene, knobs, TASKS["lego"], 600.0)
        for knobs in (
            KNOBS,
            replace(KNOBS, negative="soft drums"),
            replace(KNOBS, prompts=(("loud drums", 0.5), ("soft brush drums", 0.5))),
        )
    )
    assert np.abs(plain - avoided).max() > 1e-3 and np.abs(plain - mixed).max() > 1e-3


def test_repainting_does_not_hear_the_middle_of_its_region_but_what_lies_about_it(editor, scene):
    """The autoencoder hears a little across the region's ends: its last quarters stay."""
    task, quarter = TASKS["repaint"], REGION // 4
    made = editor.edit(scene, KNOBS, task, 600.0)
    other = scene.region.copy()
    other[quarter:-quarter] = noise(REGION - 2 * quarter, 2, seed=9)
    np.testing.assert_allclose(
        editor.edit(replace(scene, region=other), KNOBS, task, 600.0), made, atol=1e-4
    )
    moved = editor.edit(replace(scene, after=noise(AFTER, 2, seed=8)), KNOBS, task, 600.0)
    assert np.abs(moved - made).max() > 1e-3


def test_every_step_is_told_and_a_cancel_counts_between_two(editor, scene):
    told = []
    with pytest.raises(Cancelled):
        editor.edit(
            scene,
            KNOBS,
            TASKS["lego"],
            600.0,
            lambda *row: told.append(row),
            lambda: sum(stage == "generating" for stage, _ in told) == 2,
        )
    assert [stage for stage, _ in told] == ["encoding", "generating", "generating"]
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)


def test_a_short_region_is_heard_as_ten_seconds(editor):
    made = editor.edit(
        Scene(noise(0, 2), noise(5_000, 2), noise(0, 2)), KNOBS, TASKS["cover"], 600.0
    )
    assert made.shape == (5_000, 2)
