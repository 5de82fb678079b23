"""The baselines on a tiny AudioLDM2 of the real classes, where nothing is asked to change."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.tiny_audioldm2 import load_tiny_audioldm2

for module in ("torch", "transformers", "diffusers"):
    pytest.importorskip(module)

SAME = {
    "text": "a piano",
    "source_text": "a piano",
    "guidance": 1.0,
    "source_guidance": 1.0,
    "steps": 10,
}


@pytest.fixture(scope="module")
def editor():
    return load_tiny_audioldm2().editor


@pytest.fixture(scope="module")
def source():
    """A latent of unit deviation, as those of a trained VAE are."""
    import torch

    return torch.randn((1, 8, 64, 16), generator=torch.Generator().manual_seed(0))


def edit_latent(editor, source, method, **values):
    from evaluation.methods import baselines

    settings = replace(baselines.DEFAULTS[method], **{**SAME, **values})
    run = baselines._Run(editor, settings, lambda fraction: None)
    return baselines._METHODS[method](run, source)


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_ddpm_inversion_with_the_same_words_gives_the_source_back_to_a_ten_thousandth(
    editor, source
):
    assert relative(edit_latent(editor, source, "ddpm_inversion"), source) < 1e-4


def test_ddpm_inversion_with_other_words_or_guidance_does_not(editor, source):
    assert (
        relative(edit_latent(editor, source, "ddpm_inversion", text="a loud church organ"), source)
        > 1e-3
    )
    assert relative(edit_latent(editor, source, "ddpm_inversion", guidance=4.0), source) > 1e-2


def test_ddim_inversion_comes_back_to_a_hundredth_only_if_its_steps_are_refined(editor, source):
    refined = edit_latent(editor, source, "ddim_inversion", share=0.5, refinements=8)
    plain = edit_latent(editor, source, "ddim_inversion", share=0.5)
    assert relative(refined, source) < 1e-2 < relative(plain, source)


def test_sdedit_keeps_the_more_of_the_source_the_less_noise_it_gets(editor, source):
    distances = [
        relative(edit_latent(editor, source, "sdedit", share=share), source)
        for share in (0.1, 0.5, 1.0)
    ]
    assert distances == sorted(distances)


@pytest.mark.parametrize("method", ["sdedit", "ddim_inversion", "ddpm_inversion"])
def test_samples_come_back_at_their_length_and_the_same_from_the_same_seed(editor, method):
    from evaluation.methods.baselines import DEFAULTS, edit

    # more than one window
    mono = (np.random.default_rng(0).standard_normal(48_000) * 0.1).astype(np.float32)
    steps = []
    settings = replace(DEFAULTS[method], text="a violin", steps=4)
    first = edit(editor, mono, method, settings, steps.append)
    assert first.shape == mono.shape and np.isfinite(first).all()
    assert np.array_equal(first, edit(editor, mono, method, settings))
    assert steps == sorted(steps) and steps[-1] <= 1


def test_the_source_is_encoded_at_the_level_that_the_vae_knows(editor):
    from evaluation.methods.baselines import encode

    samples = np.random.default_rng(0).standard_normal(editor.window_samples(1)).astype(np.float32)
    assert np.allclose(encode(editor, samples), encode(editor, samples * 0.01), atol=1e-4)
    assert encode(editor, samples).shape == (1, *editor.sizes.latent)
