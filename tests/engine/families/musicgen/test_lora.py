"""LoRA styles: alpha, weights, blends of differing ranks, switching, and what is refused."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from engine.adapters.files import AdapterFile, write_adapter_file
from engine.adapters.lora_settings import base_of
from engine.adapters.modules import ModuleAdapterManager
from engine.errors import EngineError
from presets.style import StyleTensor
from tests.engine.families.musicgen import tiny


def adapters_of(model):
    """As the family has them."""
    return ModuleAdapterManager(model, methods=("lora",))


SEEN = {"input_ids": torch.arange(12).reshape(4, 3)}


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles")
    return {
        "quiet": tiny.write_lora(folder / "quiet", seed=1, rank=4, alpha=2),
        "stable": tiny.write_lora(folder / "stable", seed=2, rank=2, alpha=4, use_rslora=True),
        "dora": tiny.write_lora(folder / "dora", seed=3, rank=2, alpha=4, use_dora=True),
    }


def row(path, weight=1.0):
    return StyleTensor(str(path), weight, "0" * 64)


@torch.no_grad()
def logits_of(model):
    states = torch.linspace(-1, 1, 64).reshape(1, 2, 32)
    return model.decoder(**SEEN, encoder_hidden_states=states).logits


def change(model, before):
    """Of the self-attention's weights: what all styles together add to one layer."""
    layer = model.decoder.model.decoder.layers[0].self_attn.q_proj
    with torch.no_grad():
        return layer(torch.eye(32)) - before


def bare_layer(model):
    with torch.no_grad():
        return model.decoder.model.decoder.layers[0].self_attn.q_proj(torch.eye(32))


@pytest.mark.parametrize("name", ["quiet", "stable", "dora"])
def test_a_style_plays_as_peft_plays_it_with_its_own_alpha(styles, name):
    model = tiny.tiny()
    adapters_of(model).set_adapters([row(styles[name])])
    theirs = PeftModel.from_pretrained(tiny.tiny(), styles[name].parent).eval()
    torch.testing.assert_close(
        logits_of(model), logits_of(theirs.base_model.model), atol=1e-5, rtol=0
    )
    assert (logits_of(model) - logits_of(tiny.tiny())).abs().max() > 1e-2


def test_a_blend_is_the_weighted_sum_of_its_styles_whatever_their_ranks(styles):
    model = tiny.tiny()
    adapters, before = adapters_of(model), bare_layer(model)
    alone = []
    for name in ("quiet", "stable"):
        adapters.set_adapters([row(styles[name])])
        alone.append(change(model, before))
    adapters.set_adapters([row(styles["quiet"], 0.3), row(styles["stable"], -0.7)])
    torch.testing.assert_close(
        change(model, before), 0.3 * alone[0] - 0.7 * alone[1], atol=1e-5, rtol=0
    )


def test_without_styles_and_at_weight_0_the_base_plays_exactly(styles):
    model = tiny.tiny()
    adapters, before = adapters_of(model), logits_of(model)
    for rows in ([row(styles["quiet"])], [row(styles["quiet"], 0.0)], []):
        adapters.set_adapters(rows)
    torch.testing.assert_close(logits_of(model), before, atol=0, rtol=0)


def test_one_file_with_its_configuration_inside_will_do(styles, tmp_path):
    config = json.loads(
        styles["quiet"].with_name("adapter_config.json").read_text(encoding="utf-8")
    )
    path = tmp_path / "one.safetensors"
    save_file(load_file(styles["quiet"]), str(path), {"lora_adapter_metadata": json.dumps(config)})
    one, folder = tiny.tiny(), tiny.tiny()
    adapters_of(one).set_adapters([row(path)])
    adapters_of(folder).set_adapters([row(styles["quiet"])])
    torch.testing.assert_close(logits_of(one), logits_of(folder), atol=0, rtol=0)


def test_a_file_says_which_checkpoint_it_belongs_to(styles, tmp_path):
    beside = tmp_path / "adapter_config.json"
    config = json.loads(
        styles["quiet"].with_name("adapter_config.json").read_text(encoding="utf-8")
    )
    beside.write_text(
        json.dumps({**config, "base_model_name_or_path": "facebook/musicgen-small"}),
        encoding="utf-8",
    )
    save_file(load_file(styles["quiet"]), str(tmp_path / "adapter_model.safetensors"))
    assert base_of(tmp_path / "adapter_model.safetensors") == "facebook/musicgen-small"
    ours = write_adapter_file(
        tmp_path / "ours.safetensors", AdapterFile("lora", {"r": 4}, {}, {"base": "musicgen-large"})
    )
    assert base_of(ours) == "musicgen-large"


def test_a_lora_of_the_decoder_alone_finds_its_place(styles, tmp_path):
    tensors = {
        name.replace("model.decoder.model.", "model.model.", 1): tensor
        for name, tensor in load_file(styles["quiet"]).items()
    }
    save_file(tensors, str(tmp_path / "adapter_model.safetensors"))
    config = styles["quiet"].with_name("adapter_config.json").read_text(encoding="utf-8")
    (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    one, other = tiny.tiny(), tiny.tiny()
    adapters_of(one).set_adapters([row(tmp_path / "adapter_model.safetensors")])
    adapters_of(other).set_adapters([row(styles["quiet"])])
    torch.testing.assert_close(logits_of(one), logits_of(other), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("tensors", "config", "told"),
    [
        ({"x": torch.zeros(2)}, None, "expected LoRA factors, found x"),
        ({"x": torch.zeros(2)}, {"peft_type": "LORA"}, "with r and lora_alpha"),
        ({"x": torch.zeros(2)}, {"peft_type": "LORA", "r": 2}, "expected LoRA factors, found x"),
        ({"x": torch.zeros(2)}, {"peft_type": "IA3"}, "is ia3"),
    ],
)
def test_what_is_no_lora_for_this_model_is_refused_and_the_model_stays_as_it_was(
    tensors, config, told, tmp_path
):
    model = tiny.tiny()
    adapters, before = adapters_of(model), logits_of(model)
    save_file(tensors, str(tmp_path / "a.safetensors"))
    if config:
        (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(EngineError, match=told) as caught:
        adapters.set_adapters([row(tmp_path / "a.safetensors")])
    assert caught.value.code == "bad_preset"
    torch.testing.assert_close(logits_of(model), before, atol=0, rtol=0)


def test_a_lora_of_another_size_or_with_parts_missing_is_refused_and_leaves_no_trace(
    styles, tmp_path
):
    model = tiny.tiny()
    adapters, before = adapters_of(model), logits_of(model)
    config = styles["quiet"].with_name("adapter_config.json").read_text(encoding="utf-8")
    wide = {
        name: torch.cat([tensor, tensor], dim=-1)
        for name, tensor in load_file(styles["quiet"]).items()
    }
    half = {name: tensor for name, tensor in load_file(styles["quiet"]).items() if "lora_A" in name}
    told = ("made for another", "expected both factors")
    for number, tensors in enumerate((wide, half)):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file(tensors, str(folder / "adapter_model.safetensors"))
        (folder / "adapter_config.json").write_text(config, encoding="utf-8")
        with pytest.raises(EngineError) as caught:
            adapters.set_adapters([row(folder / "adapter_model.safetensors")])
        assert caught.value.code == "bad_preset" and told[number] in caught.value.message
        torch.testing.assert_close(logits_of(model), before, atol=0, rtol=0)
    adapters.set_adapters([row(styles["quiet"])])
    assert (logits_of(model) - before).abs().max() > 1e-2
