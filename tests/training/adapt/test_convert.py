"""Round trips of every form: what plays, every alpha and every rank survive; what matches nothing
is an error.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engine.adapters.files import AdapterFile, read_adapter_file, write_adapter_file
from engine.adapters.lora import Factors, LoraFile, lora_of, to_adapter_file
from engine.adapters.modules import ModuleAdapterManager
from engine.adapters.names import ModelLayers
from training.adapt import convert
from training.adapt.config import TrainError
from training.adapt.convert import FORMS

PATHS = ("blocks.0.attn1.to_q", "blocks.0.attn1.to_out.0", "blocks.1.time_emb_proj")
LAYERS = ModelLayers(dict.fromkeys(PATHS, (5, 6)))


def lora(seed=0, is_stabilised=False, is_dora=False, ranks=(2, 4, 2), alphas=(4.0, 3.0, 4.0)):
    generator = torch.Generator().manual_seed(seed)
    drawn = lambda *shape: torch.randn(shape, generator=generator).numpy()  # noqa: E731
    return LoraFile(
        {
            path: Factors(drawn(rank, 6), drawn(5, rank), alpha, abs(drawn(5)) if is_dora else None)
            for path, rank, alpha in zip(PATHS, ranks, alphas, strict=True)
        },
        is_stabilised,
        {"base": "b", "name": "x"},
    )


def same(one, two):
    assert set(one.layers) == set(two.layers)
    for path in one.layers:
        a, b = one.layers[path], two.layers[path]
        assert (
            (a.rank, a.alpha) == (b.rank, b.alpha)
            and np.array_equal(a.down, b.down)
            and np.array_equal(a.up, b.up)
        )
        assert np.allclose(one.change(path), two.change(path))
        assert (a.magnitude is None) == (b.magnitude is None) and (
            a.magnitude is None or np.array_equal(a.magnitude, b.magnitude)
        )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [{}, {"is_stabilised": True}, {"is_dora": True}])
def test_alpha_and_rank_survive_every_round_trip(tmp_path, form, kind):
    before = lora(**kind)
    place = convert.write(before, tmp_path / "x", form)
    after = convert.read(place, LAYERS)
    same(before, after)
    assert after.is_stabilised == before.is_stabilised
    path = write_adapter_file(tmp_path / "s.safetensors", to_adapter_file(after), "unet")
    same(before, lora_of(read_adapter_file(path)))
    with pytest.raises(TrainError, match="exists"):
        convert.write(before, tmp_path / "x", form)


def test_a_chain_through_all_forms_ends_where_it_began(tmp_path):
    now = before = lora(is_stabilised=True)
    for form in (*FORMS, *reversed(FORMS)):
        now = convert.read(
            convert.write(now, tmp_path / f"{len(list(tmp_path.iterdir()))}", form), LAYERS
        )
    same(before, now)


@pytest.mark.parametrize("form", ["kohya", "comfyui"])
def test_a_rank_stabilised_lora_is_as_loud_where_that_is_not_known(tmp_path, form):
    before = lora(is_stabilised=True)
    path = convert.write(before, tmp_path / "x.safetensors", form)
    # as another program would leave it
    save_file(load_file(path), str(tmp_path / "bare.safetensors"))
    after = convert.read(tmp_path / "bare.safetensors", LAYERS)
    assert not after.is_stabilised and all(
        np.allclose(before.change(p), after.change(p)) for p in PATHS
    )


def test_what_is_foreign_or_matches_nothing_is_refused_by_name(tmp_path):
    path = convert.write(lora(), tmp_path / "k.safetensors", "kohya")
    with pytest.raises(TrainError, match="no_match.*no layer of this model"):
        convert.read(path, ModelLayers({"other.layer": (5, 6)}))
    for tensors, complaint in (
        ({"lora_unet_x.hada_w1_a": torch.ones(2, 2)}, "LoHa, LoKr"),
        ({"weight": torch.ones(2)}, "expected LoRA factors, found weight"),
        ({"x.lora_A.weight": torch.ones(2, 2)}, "expected both factors"),
        (
            {"base_model.model.x.lora_A.weight": torch.ones(2, 2)},
            "adapter_config.json is not beside it",
        ),
    ):
        save_file(tensors, str(tmp_path / "x.safetensors"))
        with pytest.raises(TrainError, match=complaint):
            convert.read(tmp_path / "x.safetensors", LAYERS)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q, self.to_k = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)

    def forward(self, x):
        return self.to_k(torch.tanh(self.to_q(x)))


def test_what_peft_saved_plays_here_as_it_plays_there_and_back(tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(0)
    base, heard = Model().eval().requires_grad_(False), torch.randn(3, 6)
    adapted = get_peft_model(
        base,
        LoraConfig(
            r=2,
            lora_alpha=8,
            target_modules=["to_q", "to_k"],
            use_rslora=True,
            rank_pattern={"to_k": 3},
            alpha_pattern={"to_k": 5},
        ),
    )
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(value)
    expected = adapted.eval()(heard)
    adapted.save_pretrained(tmp_path / "theirs")
    adapted.unload()
    lora = convert.read(tmp_path / "theirs")
    ModuleAdapterManager(base).activate([("x", lora, 1.0)])
    assert torch.allclose(base(heard), expected, atol=1e-6)
    folder = convert.write(lora, tmp_path / "ours", "peft")
    torch.manual_seed(0)
    again = PeftModel.from_pretrained(Model().eval(), folder)
    assert torch.allclose(again(heard), expected, atol=1e-6)


def test_diffusers_reads_what_is_written_for_it_with_its_alpha(tmp_path):
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=4,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(4, 4),
        norm_num_groups=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=4,
        attention_head_dim=2,
    ).eval()
    paths = [name for name, _ in unet.named_modules() if name.endswith("attn2.to_q")]
    noisy = LoraFile(
        {path: Factors(torch.randn(2, 4).numpy(), torch.randn(4, 2).numpy(), 7.0) for path in paths}
    )
    weight = unet.get_submodule(paths[0]).weight.clone()
    folder = convert.write(noisy, tmp_path / "x", "diffusers", "unet")
    unet.load_lora_adapter(str(folder), prefix="unet", use_safetensors=True, adapter_name="x")
    layer = unet.get_submodule(paths[0])
    assert torch.equal(layer.base_layer.weight, weight)
    assert np.allclose(layer.get_delta_weight("x").detach(), noisy.change(paths[0]), atol=1e-6)
    unet.save_lora_adapter(str(tmp_path / "theirs"), adapter_name="x")
    same(noisy, convert.read(tmp_path / "theirs"))


def test_a_merged_file_is_the_weighted_sum_though_ranks_differ_and_licences_are_kept():
    one, two = lora(1), lora(2, is_stabilised=True, ranks=(1, 3, 5), alphas=(2.0, 2.0, 2.0))
    one.notes["licence"] = "CC-BY-NC"
    both = convert.merge([(one, 0.7), (two, -0.3)])
    for path in PATHS:
        assert np.allclose(
            both.change(path), 0.7 * one.change(path) - 0.3 * two.change(path), atol=1e-6
        )
    assert both.layers[PATHS[0]].rank == 3 and both.notes["licence"] == "CC-BY-NC"
    with pytest.raises(TrainError, match="DoRA cannot be merged"):
        convert.merge([(lora(is_dora=True), 1.0)])


def test_an_adapter_that_is_no_lora_has_no_other_form(tmp_path):
    prefix = AdapterFile("prefix", {}, {"x": torch.ones(1)}, {})
    path = write_adapter_file(tmp_path / "x.safetensors", prefix)
    with pytest.raises(TrainError, match="no_lora"):
        convert.read(path)
    assert json.loads(json.dumps(to_adapter_file(lora()).settings))["alpha_pattern"] == {
        PATHS[1]: 3.0
    }
