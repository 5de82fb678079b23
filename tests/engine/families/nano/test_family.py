"""The stages of nano joined: shapes, knobs and words, on tiny random weights."""

import numpy as np
import pytest

from engine.errors import Cancelled, EngineError
from engine.families.nano import NanoFamily
from engine.families.nano import editor as editor_module
from engine.families.nano import family as module
from engine.families.nano.conditions import stack_conditions
from engine.families.nano.editor import features_of
from engine.families.nano.features import features
from tests.engine.signals import noise


def never():
    return False


def transfer(nano, count=160_000, text="violin", **knobs):
    return nano.transfer(noise(count)[:, 0], text, {"seed": 1, "steps": 1, **knobs})


@pytest.mark.parametrize("count", (1_600, 160_000, 163_840, 163_841, 500_000))
def test_any_length_comes_back_as_it_was(tiny_nano, count):
    assert transfer(tiny_nano, count).shape == (count,)
    assert tiny_nano.editor.reconstruct(noise(count)[:, 0]).shape == (count,)


def test_the_same_seed_gives_the_same_sound_and_another_does_not(tiny_nano):
    assert np.array_equal(transfer(tiny_nano), transfer(tiny_nano))
    assert not np.allclose(transfer(tiny_nano), transfer(tiny_nano, seed=2))


@pytest.mark.parametrize(
    "change",
    [
        {"text": "piano"},
        {"strength": 0.2},
        {"pooling": 8},
        {"fidelity": 0.0},
        {"guidance": 3.0},
        {"guidance_to": 0.0},
        {"negative": "flute"},
        {"steps": 3},
    ],
)
def test_every_knob_changes_the_sound(tiny_nano, change):
    assert not np.allclose(transfer(tiny_nano), transfer(tiny_nano, **change), atol=1e-5)


@pytest.fixture
def scales(tiny_nano, monkeypatch):
    """How loud each branch hears the region, call by call of the denoiser."""
    seen, denoiser = [], tiny_nano.editor.runners["denoiser"]

    def record_scale(**inputs):
        seen.append(inputs["audio_scale"].tolist())
        return denoiser(**inputs)

    monkeypatch.setitem(tiny_nano.editor.runners, "denoiser", record_scale)
    return seen


def test_without_guidance_the_negative_words_are_not_even_run(tiny_nano, scales):
    unwanted = "bright warm bright"  # that no other test says
    assert np.array_equal(
        transfer(tiny_nano, guidance=1.0), transfer(tiny_nano, guidance=1.0, negative=unwanted)
    )
    assert scales == [[1.0], [1.0]] and unwanted not in tiny_nano.editor._text_tokens


def test_guidance_pushes_away_from_what_never_heard_the_region(tiny_nano, scales):
    transfer(tiny_nano, guidance=2.0, strength=0.75, steps=1)
    assert scales == [[0.75, 0.0]]


def test_outside_its_interval_guidance_costs_nothing(tiny_nano, scales):
    transfer(tiny_nano, guidance=2.0, steps=4, guidance_from=0.25, guidance_to=0.75)
    assert [len(rows) for rows in scales] == [1, 2, 2, 1]


def test_guidance_in_no_interval_is_no_guidance(tiny_nano):
    nowhere = transfer(tiny_nano, guidance=2.0, steps=2, guidance_to=0.0)
    assert np.array_equal(nowhere, transfer(tiny_nano, guidance=1.0, steps=2))


def test_prompts_in_a_row_carry_their_weights_as_bias(tiny_nano):
    words = tiny_nano.editor.encode_text((("violin", 0.75), ("warm piano", 0.25)))
    assert words.tokens.shape == (3 + 4, 384)
    assert np.allclose(np.exp(words.bias), [0.75] * 3 + [0.25] * 4)


def test_padding_weighs_nothing(tiny_nano):
    conditions = [
        tiny_nano.editor.encode_text(((text, 1.0),))
        for text in ("violin", "turn this into a violin")
    ]
    tokens, bias = stack_conditions(conditions)
    assert tokens.shape[:2] == bias.shape == (2, 7)
    assert np.exp(bias[0]).tolist() == [1, 1, 1, 0, 0, 0, 0]


def test_text_is_encoded_once(tiny_nano):
    assert tiny_nano.editor.encode_text((("flute", 1.0),)).tokens is not None
    assert tiny_nano.editor._prompt_tokens("flute") is tiny_nano.editor._prompt_tokens("flute")


def test_a_region_is_heard_once_whatever_is_asked_of_it(tiny_nano, monkeypatch):
    calls, encoder = [], tiny_nano.editor.runners["audio_encoder"]
    monkeypatch.setitem(
        tiny_nano.editor.runners,
        "audio_encoder",
        lambda **inputs: calls.append(1) or encoder(**inputs),
    )
    for knobs in ({"seed": 1}, {"seed": 2}, {"text": "flute"}, {"pooling": 4}):
        transfer(tiny_nano, 150_001, **knobs)
    assert len(calls) == 1
    transfer(tiny_nano, 150_002)
    assert len(calls) == 2


def test_after_warming_up_no_graph_is_read_for_a_job(tiny_weights):
    nano = NanoFamily.load(tiny_weights)
    nano.warm_up()
    assert all(nano.editor.runners[name]._session for name in module.SERVING_STAGES)


def test_decoding_in_chunks_equals_decoding_the_whole(tiny_nano, monkeypatch):
    sound = noise(400_000)[:, 0]
    whole = tiny_nano.editor.reconstruct(sound)
    monkeypatch.setattr(editor_module, "CHUNK_FRAMES", 40)
    assert np.abs(tiny_nano.editor.reconstruct(sound) - whole).max() < 1e-4 * np.abs(whole).max()


def test_listening_in_chunks_equals_listening_to_the_whole(monkeypatch):
    sound = noise(700_000)[:, 0]
    monkeypatch.setattr(editor_module, "CHUNK_FRAMES", 100)
    assert np.allclose(features_of(sound, never), features(sound), atol=1e-4)


def test_a_cancel_stops_it(tiny_nano):
    with pytest.raises(Cancelled):
        tiny_nano.transfer(noise(160_000)[:, 0], "violin", {}, cancelled=lambda: True)


def test_missing_weights_are_listed(tmp_path):
    with pytest.raises(EngineError, match=r"denoiser\.onnx") as caught:
        NanoFamily.load(tmp_path)
    assert caught.value.code == "not_ready"
