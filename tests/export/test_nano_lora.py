"""LoRA on the exported nano plays as peft trained it, by weight, and goes without a trace."""

import numpy as np
import pytest
import torch

from engine.adapters.files import AdapterFile, write_adapter_file
from engine.adapters.kinds import Lora
from engine.families.nano import exporting
from tests.engine.families.nano.test_adapters import play
from training.worked_example import restore

SETTINGS = {
    "r": 4,
    "lora_alpha": 8.0,
    "target_modules": exporting.LORA_LAYERS.replace("(?:self", r".*(?:self", 1),
}


@pytest.fixture(scope="module")
def nano(nano_models, nano_weights):
    return exporting.load(1, nano_models, nano_weights)


@pytest.fixture(scope="module")
def learned(nano_weights, tmp_path_factory):
    """A LoRA file of alpha 8 at rank 4, and the module that it is on."""
    torch.manual_seed(0)
    module = restore.load_denoiser(nano_weights / "denoiser.onnx")
    lora = Lora(module, SETTINGS, "learned")
    for parameter in lora.parameters().values():
        torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp("style") / "style.safetensors"
    return write_adapter_file(
        path, AdapterFile("lora", SETTINGS, lora.parameters(), {}), "denoiser"
    ), module


def preset(path, weight):
    return {"adapters": [{"path": str(path), "weight": weight, "sha256": "0" * 64}]}


def test_what_was_learned_is_what_plays(nano, learned):
    path, module = learned
    draw = np.random.default_rng(0)
    shapes = {
        "latent": (1, 12, 48),
        "time_embedding": (1, 256),
        "text": (1, 5, 384),
        "text_bias": (1, 5),
        "audio": (1, 6, 32),
        "audio_position": (1, 6),
        "audio_scale": (1,),
    }
    feed = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    play(nano, preset(path, 1.0))
    (ours,) = nano.editor.runners["denoiser"](**feed)
    with torch.inference_mode():
        theirs = module(*(torch.from_numpy(values) for values in feed.values())).numpy()
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_weights_count_and_zero_is_the_base_to_the_bit(nano, learned):
    plain = play(nano, {})
    full, half = (play(nano, preset(learned[0], weight)) for weight in (1.0, 0.5))
    assert not np.allclose(full, plain, atol=1e-5) and not np.allclose(full, half, atol=1e-5)
    assert np.array_equal(play(nano, preset(learned[0], 0.0)), plain)
    assert np.array_equal(play(nano, {}), plain)
