"""On a tiny nano both methods learn, leave the model alone, and give presets that play."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("onnx", "onnxruntime", "peft"):
    pytest.importorskip(package)

from engine.families.nano.family import NanoFamily
from presets.loader import load_preset
from tests.engine.signals import noise
from training.nano.flow import flow_loss
from training.worked_example import learn, restore
from training.worked_example.pairs import HELPERS, Pairs, make_recording
from training.worked_example.served import Served

METHODS = {
    "lora": learn.Method("lora", rate=3e-2, steps=30, prior=1, style=2, rank=4, alpha=8.0, looks=2),
    "words": learn.Method("words", rate=0.3, steps=30, style=2, length=3, looks=2),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from tests.engine.tiny_nano import write_weights

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def family(weights):
    return NanoFamily.load(weights, 1)


@pytest.fixture(scope="module")
def recordings(family, weights):
    encoder = restore.load_audio_encoder(weights / "audio_encoder.onnx")
    return [
        make_recording(noise(90_000 + 80_000 * index)[:, 0], family, encoder, index)
        for index in range(2)
    ]


@pytest.fixture(scope="module")
def denoiser(weights):
    return restore.load_denoiser(weights / "denoiser.onnx")


def loss_of(denoiser, batch):
    torch.manual_seed(0)
    return flow_loss(denoiser, batch)["loss"].detach()


@pytest.mark.parametrize("name", METHODS)
def test_recordings_become_a_preset_that_plays(
    name, family, recordings, denoiser, weights, tmp_path
):
    batch = Pairs(recordings, family, "violin", seed=0).batch(style=2, drops=False)
    before = loss_of(denoiser, batch)
    found = learn.learn(
        METHODS[name], denoiser, family, recordings, recordings, "violin", tmp_path / "style", 0
    )
    assert min(loss for _, loss in found.looks) < found.looks[0][1]
    assert torch.equal(loss_of(denoiser, batch), before)
    path = learn.write_preset(
        "mine", found, METHODS[name], "violin", tmp_path / "presets", "CC0-1.0"
    )
    served, mono = Served(tmp_path / "models", weights), noise(60_000)[:, 0]
    styled = served.stem(load_preset(path), mono)
    plain = served.stem(
        load_preset(path).model_copy(update={"adapters": (), "soft_prompt": None}), mono
    )
    assert not np.allclose(styled.samples, plain.samples, atol=1e-5)


def test_short_recordings_are_continued_and_long_ones_cut_into_windows(recordings):
    assert [each.latent.shape[:2] for each in recordings] == [
        (1 + len(HELPERS), 1),
        (1 + len(HELPERS), 1),
    ]


def test_a_batch_says_the_words_of_what_it_asks_for(family, recordings):
    pairs = Pairs(recordings, family, "violin", seed=0)
    batch = pairs.batch(style=2, prior=1, learned=torch.ones(3, 384), drops=False)
    assert batch["text_bias"][:, :3].tolist() == [[0, 0, 0], [0, 0, 0], [-1e4] * 3]
    assert batch["latent"].shape[0] == batch["heard"].shape[0] == batch["text"].shape[0] == 3
