"""What is said, token by token, is what transformers says; windows, prompts, seeds."""

import numpy as np
import pytest
import torch

from engine.errors import Cancelled
from engine.families.musicgen.conditions import Conditioner, branches_of, tokenize
from engine.families.musicgen.decoder import Decoder
from engine.families.musicgen.delay import apply_delays, delays_of, remove_delays
from engine.families.musicgen.sampler import SamplingOptions, Span, draw_tokens, sample
from tests.engine.families.musicgen import tiny

GREEDY, SPAN = SamplingOptions(temperature=0.0), Span(1500, 600)
WORDS = (("a violin", 1.0),)


def decoder_of(parts, guidance=3.0, chroma=None, negative="", prompts=WORDS):
    conditioner = Conditioner(parts, branches_of(prompts, negative, guidance))
    return Decoder(
        parts.model.decoder, conditioner.factors, lambda first: conditioner.build_condition(chroma)
    )


def sample_codes(
    parts, frames, prompt=None, decoder=None, span=SPAN, options=GREEDY, seed=0, **more
):
    prompt = np.zeros((len(parts.delays), 0), np.int64) if prompt is None else prompt
    decoder = decoder or decoder_of(parts)
    return sample(decoder, prompt, frames, parts.delays, parts.padding, span, options, seed, **more)


def theirs(parts, frames, **more):
    ids = {
        name: torch.tensor(values)
        for name, values in tokenize(parts.tokenizer, ["a violin"]).items()
    }
    steps = frames + int(parts.delays.max())
    asked = {"do_sample": False, "guidance_scale": 3.0, "max_new_tokens": steps, **more}
    return parts.model.generate(**ids, **asked)[0].T.numpy()


@pytest.mark.parametrize("kind", ["plain", "melodic"])
def test_the_likeliest_tokens_are_those_of_transformers_generate(kind, request):
    parts = request.getfixturevalue(kind)
    codes = sample_codes(parts, 20)
    assert len(np.unique(codes)) > 4
    np.testing.assert_array_equal(parts.decode(codes), theirs(parts, 20))


def test_a_stereo_checkpoint_says_what_generate_says(tmp_path):
    from engine.families.musicgen.components import load

    parts = load(tiny.write(tmp_path, channels=2))
    np.testing.assert_array_equal(parts.decode(sample_codes(parts, 9)), theirs(parts, 9))


def test_a_continuation_says_what_generate_says_after_the_same_audio(plain):
    audio = np.random.default_rng(3).standard_normal((8 * plain.hop, 1)).astype(np.float32)
    prompt = plain.encode(audio)
    codes = sample_codes(plain, 12, prompt)
    np.testing.assert_array_equal(codes[:, :8], prompt)
    wave = torch.from_numpy(audio.T[None])
    expected = theirs(plain, 12, input_values=wave, padding_mask=torch.ones(1, wave.shape[-1]))
    np.testing.assert_array_equal(plain.decode(codes), expected)


def test_a_melody_is_played_as_generate_plays_it(melodic):
    chroma = np.eye(12, dtype=np.float32)[np.arange(40) % 12]
    codes = sample_codes(melodic, 10, decoder=decoder_of(melodic, chroma=chroma))
    expected = theirs(melodic, 10, input_features=torch.from_numpy(chroma)[None])
    np.testing.assert_array_equal(melodic.decode(codes), expected)


def test_negative_words_and_several_prompts_are_terms_of_one_sum(plain):
    def first(**more):
        return decoder_of(plain, **more).prefill(0, np.full((4, 1), plain.padding))

    violin, flute = (
        first(guidance=1.0, prompts=((words, 1.0),)) for words in ("a violin", "a flute")
    )
    mixed = first(guidance=1.0, prompts=(("a violin", 0.25), ("a flute", 0.75)))
    np.testing.assert_allclose(mixed, 0.25 * violin + 0.75 * flute, atol=1e-4)
    np.testing.assert_allclose(
        first(guidance=4.0, negative="a flute"), flute + 4 * (violin - flute), atol=1e-4
    )


def test_a_seed_is_a_take_and_a_longer_take_begins_as_a_shorter_one(plain):
    takes = [sample_codes(plain, 12, options=SamplingOptions(), seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(takes[0], takes[1])
    assert (takes[0] != takes[2]).any()
    np.testing.assert_array_equal(
        sample_codes(plain, 20, options=SamplingOptions(), seed=1)[:, :9], takes[0][:, :9]
    )


def test_a_long_take_goes_on_from_the_end_of_the_window_before(plain):
    heard = []

    class Overheard(Decoder):
        def prefill(self, first_frame, steps):
            heard.append((first_frame, steps))
            return super().prefill(first_frame, steps)

    conditioner = Conditioner(plain, branches_of(WORDS, "", 3.0))
    decoder = Overheard(
        plain.model.decoder, conditioner.factors, lambda first: conditioner.build_condition()
    )
    codes = sample_codes(plain, 40, decoder=decoder, span=Span(16, 6), options=SamplingOptions())
    assert codes.shape == (4, 40) and codes.min() >= 0 and codes.max() < tiny.TOKENS
    assert [first for first, _ in heard] == [0, 10, 20, 30]
    for first, steps in heard[1:]:
        np.testing.assert_array_equal(steps[0, 1:], codes[0, first : first + 6])
        assert (steps[:, 0] == plain.padding).all() and (steps[3, :4] == plain.padding).all()


def test_progress_is_told_for_every_token_and_a_cancel_is_heard_between_two(plain):
    told = []
    sample_codes(plain, 10, advance=told.append)
    assert len(told) == 13 and told == sorted(told) and told[-1] == 1.0
    asked = []
    with pytest.raises(Cancelled):
        sample_codes(plain, 10, cancelled=lambda: len(asked.append(0) or asked) > 4)
    assert len(asked) == 5


def test_only_the_likeliest_are_drawn_by_their_shares():
    logits = np.log(np.array([[0.05, 0.3, 0.6, 0.05]]))
    random = np.random.default_rng(0)
    counts = np.bincount(
        [draw_tokens(logits, SamplingOptions(top_k=2), random)[0] for _ in range(2000)], minlength=4
    )
    assert counts[0] == counts[3] == 0 and abs(counts[2] / 2000 - 2 / 3) < 0.04
    colder = np.bincount(
        [draw_tokens(logits, SamplingOptions(0.5), random)[0] for _ in range(2000)], minlength=4
    )
    assert colder[2] > counts[2] and draw_tokens(logits, GREEDY, random)[0] == 2


@pytest.mark.parametrize(
    ("codebooks", "channels", "expected"), [(4, 1, [0, 1, 2, 3]), (8, 2, [0, 0, 1, 1, 2, 2, 3, 3])]
)
def test_delays_go_and_come_back(codebooks, channels, expected):
    delays = delays_of(codebooks, channels)
    codes = np.arange(codebooks * 5).reshape(codebooks, 5)
    steps = apply_delays(codes, delays, 99)
    assert delays.tolist() == expected and steps.shape == (codebooks, 8)
    assert (steps == 99).sum() == codebooks * 3
    np.testing.assert_array_equal(remove_delays(steps, delays), codes)
