"""The text condition equals that of diffusers' pipeline."""

import numpy as np
import pytest
import torch

from engine.families.audioldm2 import components, graphs
from engine.families.audioldm2.text import TextConditioner, generate, stack
from engine.families.shared.torch_runner import TorchRunner
from tests.engine.families.audioldm2 import tiny


@pytest.fixture(scope="module")
def parts(models_folder):
    return components.load(models_folder / "audioldm2")


@pytest.fixture(scope="module")
def conditioner(parts):
    runners = graphs.runners(graphs.modules(parts, tiny.tiny_audiomae()), "cpu")
    return TextConditioner(runners, parts.clap_tokenizer, parts.t5_tokenizer)


@pytest.fixture(scope="module")
def pipeline(parts, models_folder):
    """diffusers' own, with the language model in the class that transformers 5 lets it use."""
    from diffusers import AudioLDM2Pipeline, DDIMScheduler
    from transformers import ClapModel, GPT2LMHeadModel

    folder = models_folder / "audioldm2"
    return AudioLDM2Pipeline(
        vae=parts.vae,
        text_encoder=ClapModel.from_pretrained(folder / "text_encoder"),
        text_encoder_2=parts.t5,
        projection_model=parts.projection,
        tokenizer=parts.clap_tokenizer,
        tokenizer_2=parts.t5_tokenizer,
        language_model=GPT2LMHeadModel.from_pretrained(folder / "language_model"),
        feature_extractor=None,
        unet=tiny_unet_of(parts),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        vocoder=parts.vocoder,
    )


def tiny_unet_of(parts):
    """The unchanged UNet with the same weights."""
    unet = tiny.tiny_unet()
    own = parts.unet.unet.state_dict()
    unet.load_state_dict({name: own[name] for name in unet.state_dict()})
    return unet.eval()


@torch.no_grad()
def test_the_words_are_those_of_diffusers_pipeline(conditioner, pipeline):
    text = "a recording of a violin solo"
    tokens, mask, generated_tokens = pipeline.encode_prompt(
        text, "cpu", 1, do_classifier_free_guidance=False
    )
    words = conditioner.words(text)
    assert mask.all()
    np.testing.assert_allclose(words.text, tokens[0], atol=1e-5)
    np.testing.assert_allclose(words.generated, generated_tokens[0], atol=1e-5)


@torch.no_grad()
def test_the_loop_on_the_bare_gpt2_equals_generate_language_model_with_padding_too(
    conditioner, parts, pipeline
):
    sequence = torch.randn(2, 11, tiny.GPT2_WIDTH, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 11, dtype=torch.int64)
    mask[1, 6:9] = 0
    expected = pipeline.generate_language_model(sequence, max_new_tokens=8, attention_mask=mask)
    stage = next(stage for stage in graphs.STAGES if stage.name == "language_model")
    step = TorchRunner(stage, graphs.LanguageModelStep(parts.language_model), "cpu")
    np.testing.assert_allclose(generate(step, sequence.numpy(), mask.numpy()), expected, atol=1e-5)


def test_the_published_class_of_the_language_model_is_the_bare_gpt2(parts):
    assert type(parts.language_model).__name__ == "GPT2Model"


def test_a_long_negative_prompt_keeps_its_tail(conditioner):
    long, cut = "low quality, noise, drums, a recording of a piano", "low quality, noise"
    assert len(conditioner.words(long).text) > len(conditioner.words(cut).text)
    batch = stack([conditioner.words(long), conditioner.words("jazz")])
    assert batch["text_mask"][0].all() and not batch["text_mask"][1].all()


def test_a_text_beyond_the_encoders_is_cut_and_known_to_be(conditioner):
    assert conditioner.is_cut("violin " * 40)
    assert not conditioner.is_cut("violin")
    assert len(conditioner.words("violin " * 40).text) == 128


def test_a_part_with_missing_tensors_is_an_error_and_never_random(models_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    from engine.errors import EngineError

    folder = shutil.copytree(models_folder / "audioldm2", tmp_path / "audioldm2")
    path = folder / "language_model" / "model.safetensors"
    tensors = load_file(str(path))
    tensors.pop("h.0.attn.c_attn.weight")
    save_file(tensors, str(path), metadata={"format": "pt"})
    with pytest.raises(EngineError, match="h.0.attn.c_attn.weight") as caught:
        components.load(folder)
    assert caught.value.code == "missing_weights"
