"""Styles play on the tiny AudioLDM2: LoRA beside the AP-Adapter, soft prompts before T5."""

import numpy as np
import pytest
import torch

pytest.importorskip("peft")

from engine.adapters.files import AdapterFile, write_adapter_file
from engine.adapters.kinds import Lora
from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
from engine.errors import EngineError
from engine.families.audioldm2 import learned
from engine.families.audioldm2.family import defaults, load
from engine.knobs import resolve
from presets.style import ResolvedStyle
from tests.engine.families.audioldm2 import tiny


@pytest.fixture
def family(models_folder):
    family = load(1, models_folder)
    family.warm_up()
    return family


@pytest.fixture
def lora(tmp_path):
    settings = {"r": 2, "lora_alpha": 4, "target_modules": r".*attn2\.to_(?:q|k)"}
    torch.manual_seed(0)
    tensors = {
        name: 0.5 * torch.randn(value.shape)
        for name, value in Lora(tiny.tiny_unet(), settings, "x").parameters().items()
    }
    return write_adapter_file(
        tmp_path / "lora.safetensors", AdapterFile("lora", settings, tensors, {}), "unet"
    )


def words(path, placeholder="", seed=0):
    torch.manual_seed(seed)
    return write_soft_prompt(path, SoftPrompt(torch.randn(3, tiny.T5_WIDTH), placeholder))


def stem(family, text="a tune", **preset):
    knobs, _ = resolve(text, {"steps": 2, "seed": 1}, None, defaults())
    job = family.prepare(ResolvedStyle.from_json(preset), knobs)
    mono = np.sin(np.arange(16_000) / 20).astype(np.float32) * 0.3
    return family.port(job, lambda *_: None, lambda: False).run(mono).samples


def row(path, weight=1.0):
    return {"path": str(path), "weight": weight}


def test_a_style_is_heard_beside_the_adapter_by_its_weight_and_leaves_no_trace(family, lora):
    base = stem(family)
    played = stem(family, adapters=[row(lora)])
    assert not np.allclose(played, base, atol=1e-4)
    assert np.allclose(stem(family, adapters=[row(lora, 0.0)]), base, atol=1e-5)
    assert np.allclose(stem(family, adapters=[row(lora, 0.4), row(lora, 0.6)]), played, atol=1e-4)
    assert np.allclose(stem(family), base, atol=1e-5)
    family.prepare(
        ResolvedStyle.from_json({"adapters": [row(lora)]}),
        resolve("x", {"seed": 1}, None, defaults())[0],
    )
    assert any(name.startswith("adapter lora") for name in family.files())


def test_learned_words_are_heard_in_front_or_in_place_and_never_in_unwanted_words(family, tmp_path):
    base, unwanted = stem(family), family.editor.text.plain_condition("noise").generated
    front = stem(family, soft_prompt=row(words(tmp_path / "a.safetensors")))
    assert not np.allclose(front, base, atol=1e-4)
    assert np.array_equal(family.editor.text.plain_condition("noise").generated, unwanted)
    placed = words(tmp_path / "b.safetensors", "<it>")
    # its word is not said
    assert np.allclose(stem(family, soft_prompt=row(placed)), base, atol=1e-5)
    assert not np.allclose(stem(family, "a <it> tune", soft_prompt=row(placed)), base, atol=1e-4)
    assert np.allclose(stem(family), base, atol=1e-5)
    with pytest.raises(EngineError, match="cannot be mixed"):
        stem(family, soft_prompt=[row(tmp_path / "a.safetensors", 0.5), row(placed, 0.5)])


def test_a_text_is_read_once_with_each_learned_words(family, tmp_path, monkeypatch):
    one, other = (row(words(tmp_path / f"{seed}.safetensors", seed=seed)) for seed in (1, 2))
    first = stem(family, soft_prompt=one)
    assert not np.allclose(stem(family, soft_prompt=other), first, atol=1e-4)
    monkeypatch.setattr(family.editor.text, "_encode", None)
    assert np.array_equal(stem(family, soft_prompt=one), first)


def test_words_read_with_gradients_are_the_words_that_play(family, models_folder):
    from engine.families.audioldm2 import components
    from engine.families.audioldm2.weights import AudioLdm2Weights

    parts = components.load(AudioLdm2Weights(models_folder).base())
    generated, tokens = learned.states(parts, "a tune")
    played = family.editor.text.words("a tune")
    assert np.allclose(generated.detach(), played.generated, atol=1e-5)
    assert np.allclose(tokens.detach(), played.text, atol=1e-5)


def test_a_lora_of_another_model_is_refused(family, tmp_path):
    tensors = {"x.lora_A.weight": torch.ones(1, 2), "x.lora_B.weight": torch.ones(2, 1)}
    path = write_adapter_file(
        tmp_path / "x.safetensors",
        AdapterFile("lora", {"r": 1, "lora_alpha": 1}, tensors, {}),
        "unet",
    )
    with pytest.raises(EngineError, match="bad_preset"):
        stem(family, adapters=[row(path)])
