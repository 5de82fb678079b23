"""What is taught is what is played: a tiny model learns one clip by heart and says it again.

A wrong form of the labels reaches as low a loss, so only the playing shows it.
"""

import numpy as np
import pytest
import torch

from engine.adapters.soft_prompts import SoftPrompt
from engine.families.musicgen.components import Components
from engine.families.musicgen.conditions import tokenize
from engine.families.musicgen.labels import labels, loss
from tests.engine.families.musicgen import tiny
from tests.engine.families.musicgen.test_sampler import decoder_of, sample_codes

FRAMES = 16
CODES = torch.from_numpy(np.random.default_rng(5).integers(0, tiny.TOKENS, (1, 4, FRAMES)))


def words(text="a violin"):
    ids = tokenize(tiny.tokenizer(), [text])
    return torch.tensor(ids["input_ids"]), torch.tensor(ids["attention_mask"])


def by_heart(model, taught, steps=120):
    """The loss after learning, with the decoder open."""
    ids, mask = words()
    model.requires_grad_(False)
    model.decoder.requires_grad_(True)
    optimiser = torch.optim.Adam(model.decoder.parameters(), 5e-3)
    for _ in range(steps):
        found = taught(model, ids, mask)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    return found.item()


def replay(model):
    parts = Components(model, tiny.tokenizer())
    return (
        sample_codes(parts, FRAMES, decoder=decoder_of(parts, guidance=1.0)) == CODES[0].numpy()
    ).mean(axis=1)


@pytest.mark.parametrize("melody", [False, True])
def test_a_clip_learned_by_heart_is_said_again_to_the_last_frame_of_every_codebook(melody):
    model = tiny.tiny(melody)
    assert by_heart(model, lambda model, ids, mask: loss(model, CODES, ids, mask)) < 0.05
    np.testing.assert_array_equal(replay(model), 1.0)


def test_labels_that_are_not_delayed_are_learned_as_well_and_say_garbage():
    model = tiny.tiny()
    model.config.decoder.decoder_start_token_id = tiny.TOKENS

    def naive(model, ids, mask):
        return model(input_ids=ids, attention_mask=mask, labels=CODES.transpose(1, 2)).loss

    assert by_heart(model, naive) < 0.05
    assert (replay(model)[[0, 2, 3]] < 0.5).all()


def test_the_labels_are_the_delay_pattern_with_nothing_cut_off():
    found = labels(torch.arange(8).reshape(1, 4, 2), padding=99)[0].T.tolist()
    assert found == [[0, 1, 99, 99, 99], [99, 2, 3, 99, 99], [99, 99, 4, 5, 99], [99, 99, 99, 6, 7]]
    stereo = labels(torch.arange(8).reshape(1, 4, 2), padding=99, channels=2)[0].T.tolist()
    assert stereo == [[0, 1, 99], [2, 3, 99], [99, 4, 5], [99, 6, 7]]


def test_the_loss_is_the_composites_own_on_these_labels():
    model = tiny.tiny()
    model.config.decoder.decoder_start_token_id = tiny.TOKENS
    ids, mask = words()
    with torch.no_grad():
        theirs = model(input_ids=ids, attention_mask=mask, labels=labels(CODES, tiny.TOKENS)).loss
        assert torch.allclose(loss(model, CODES, ids, mask), theirs, atol=1e-5)


@pytest.mark.parametrize("melody", [False, True])
def test_those_that_are_dropped_hear_nothing_and_the_others_are_not_touched(melody):
    model = tiny.tiny(melody)
    ids, mask = words()
    heard = torch.eye(12)[None]

    def of(text, drop, melody_heard):
        ids, mask = words(text)
        more = {"melody": melody_heard} if melody else {}
        with torch.no_grad():
            return loss(model, CODES, ids, mask, dropped=torch.tensor([drop]), **more).item()

    assert of("a violin", True, heard) == pytest.approx(
        of("a flute.", True, heard.flip(1)), abs=1e-5
    )
    assert abs(of("a violin", False, heard) - of("a flute.", False, heard)) > 1e-4
    assert np.isfinite(of("a violin", True, heard))


def test_a_soft_prompt_learns_while_all_else_stands_still():
    model = tiny.tiny().requires_grad_(False)
    ids, mask = words()
    prompt = SoftPrompt(model.text_encoder.get_input_embeddings()(ids.repeat(1, 30)[0, :30]))
    assert prompt.vectors.shape == (30, tiny.TEXT_WIDTH)
    before = loss(model, CODES, ids, mask, soft_prompt=prompt)
    before.backward()
    assert prompt.vectors.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    optimiser = torch.optim.Adam(prompt.parameters(), 0.05)
    for _ in range(10):
        optimiser.zero_grad()
        found = loss(model, CODES, ids, mask, soft_prompt=prompt)
        found.backward()
        optimiser.step()
    assert found < before
