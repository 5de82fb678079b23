"""Learned words: in front of the text, by their weight, out of a file."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.adapters.soft_prompts import SoftPrompt, read_soft_prompt, write_soft_prompt
from engine.errors import EngineError
from engine.families.musicgen.conditions import Conditioner, branches_of, text_states, tokenize
from engine.families.musicgen.decoder import Decoder
from tests.engine.families.musicgen import tiny

WORDS = (("a violin", 1.0),)


def prompt_of(seed):
    torch.manual_seed(seed)
    return SoftPrompt(torch.randn(30, tiny.TEXT_WIDTH))


def first_step(parts, soft_prompts, guidance=3.0):
    conditioner = Conditioner(parts, branches_of(WORDS, "", guidance, soft_prompts))
    decoder = Decoder(
        parts.model.decoder, conditioner.factors, lambda first: conditioner.build_condition()
    )
    return decoder.prefill(0, np.full((4, 1), parts.padding))


@torch.no_grad()
def test_the_state_of_the_words_is_what_the_composite_makes_of_the_same_embeddings(plain):
    ids = {
        name: torch.tensor(values)
        for name, values in tokenize(plain.tokenizer, ["a violin"]).items()
    }
    prompt = prompt_of(0)
    states, mask = text_states(plain.model, ids["input_ids"], ids["attention_mask"], prompt)
    assert states.shape == (1, 30 + ids["input_ids"].shape[1], 32) and mask.sum() == states.shape[1]
    embedded, longer = prompt(
        plain.model.text_encoder.get_input_embeddings()(ids["input_ids"]), ids["attention_mask"]
    )
    start = torch.full((4, 1), plain.padding)
    theirs = plain.model(
        inputs_embeds=embedded, attention_mask=longer, decoder_input_ids=start
    ).logits[:, -1]
    ours = plain.model.decoder(
        input_ids=start, encoder_hidden_states=states, encoder_attention_mask=mask
    ).logits[:, -1]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["plain", "melodic"])
def test_a_prompt_of_weight_1_is_as_trained_of_0_is_off_and_between_a_mixture(kind, request):
    parts = request.getfixturevalue(kind)
    off, on = first_step(parts, []), first_step(parts, [(prompt_of(0), 1.0)])
    assert np.abs(on - off).max() > 1e-2
    np.testing.assert_allclose(first_step(parts, [(prompt_of(0), 0.0)]), off, atol=1e-5)
    if kind == "plain":  # in a melody model the padding of a shorter row counts as words of nothing
        np.testing.assert_allclose(
            first_step(parts, [(prompt_of(0), 0.3)]), 0.3 * on + 0.7 * off, atol=1e-3
        )


def test_two_styles_blend_by_their_weights(plain):
    one, two = (first_step(plain, [(prompt_of(seed), 1.0)], guidance=1.0) for seed in (1, 2))
    mixed = first_step(plain, [(prompt_of(1), 0.25), (prompt_of(2), 0.75)], guidance=1.0)
    np.testing.assert_allclose(mixed, 0.25 * one + 0.75 * two, atol=1e-4)


def test_a_prompt_comes_back_from_its_file(tmp_path):
    prompt = prompt_of(3)
    write_soft_prompt(tmp_path / "p.safetensors", prompt)
    assert (tmp_path / "p.safetensors").stat().st_size < 30 * tiny.TEXT_WIDTH * 4 + 200
    found = read_soft_prompt(tmp_path / "p.safetensors", tiny.TEXT_WIDTH)
    torch.testing.assert_close(found.vectors, prompt.vectors, atol=0, rtol=0)
    assert not found.vectors.requires_grad


@pytest.mark.parametrize(
    "tensors", [{"x": torch.zeros(3, 24)}, {"soft_prompt": torch.zeros(3, 25)}]
)
def test_a_file_of_something_else_is_a_bad_preset(tensors, tmp_path):
    save_file(tensors, str(tmp_path / "p.safetensors"))
    with pytest.raises(EngineError, match="expected `soft_prompt`") as caught:
        read_soft_prompt(tmp_path / "p.safetensors", tiny.TEXT_WIDTH)
    assert caught.value.code == "bad_preset"
