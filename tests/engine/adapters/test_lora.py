"""LoRA files of every make change a layer by weight * alpha / rank * B A."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from safetensors.torch import save_file

from engine.adapters.modules import ModuleAdapterManager
from engine.errors import EngineError
from presets.style import StyleTensor

RANK, ALPHA = 2, 6.0


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q, self.to_out = (
            torch.nn.Linear(4, 5, bias=False),
            torch.nn.ModuleList([torch.nn.Linear(4, 3)]),
        )

    def forward(self, x):
        return self.to_q(x)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Block()])

    def forward(self, x):
        return self.layers[0](x)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().requires_grad_(False)


A, B = torch.arange(8.0).reshape(RANK, 4) / 10, torch.arange(10.0).reshape(5, RANK) / 10
INPUT = torch.tensor([[1.0, -1.0, 0.5, 2.0]])
RENAMES = {"q_proj": "to_q", "o_proj": "to_out.0"}


def peft(folder, **more):
    (folder / "adapter_config.json").write_text(
        json.dumps({"r": RANK, "lora_alpha": ALPHA, **more})
    )
    return write_lora(
        folder,
        "base_model.model.layers.0.to_q.lora_A.weight",
        "base_model.model.layers.0.to_q.lora_B.weight",
    )


def authors(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": ALPHA}))
    return write_lora(
        folder,
        "base_model.model.layers.0.q_proj.lora_A.weight",
        "base_model.model.layers.0.q_proj.lora_B.weight",
    )


def diffusers(folder):
    metadata = {
        "lora_adapter_metadata": json.dumps(
            {"transformer.r": RANK, "transformer.lora_alpha": ALPHA}
        )
    }
    return write_lora(
        folder,
        "transformer.layers.0.to_q.lora_A.weight",
        "transformer.layers.0.to_q.lora_B.weight",
        metadata=metadata,
    )


def kohya(folder):
    return write_lora(
        folder,
        "lora_unet_layers_0_to_q.lora_down.weight",
        "lora_unet_layers_0_to_q.lora_up.weight",
        {"lora_unet_layers_0_to_q.alpha": torch.tensor(ALPHA)},
    )


def comfy(folder):
    return write_lora(
        folder,
        "diffusion_model.layers.0.to_q.lora_down.weight",
        "diffusion_model.layers.0.to_q.lora_up.weight",
        {"diffusion_model.layers.0.to_q.alpha": torch.tensor(ALPHA)},
    )


def write_lora(folder, down, up, more=None, metadata=None):
    path = folder / "style.safetensors"
    save_file({down: A, up: B, **(more or {})}, str(path), metadata)
    return path


def row(path, weight=1.0):
    return StyleTensor(str(path), weight, "0" * 64)


@pytest.mark.parametrize("make", [peft, authors, diffusers, kohya, comfy])
def test_alpha_is_honoured_in_every_format(net, tmp_path, make):
    before = net(INPUT)
    manager = ModuleAdapterManager(net, RENAMES)
    active = manager.set_adapters([row(make(tmp_path), 0.5)])
    torch.testing.assert_close(net(INPUT), before + 0.5 * ALPHA / RANK * INPUT @ A.T @ B.T)
    assert (
        not any("no alpha" in note for note in active.notes)
        and "adapter style.safetensors" in active.files()
    )
    assert manager.set_adapters([]).notes == () and not manager.active.files()
    torch.testing.assert_close(net(INPUT), before, rtol=0, atol=0)


def test_a_rank_stabilised_file_divides_by_the_root(net, tmp_path):
    before = net(INPUT)
    ModuleAdapterManager(net).set_adapters([row(peft(tmp_path, use_rslora=True))])
    torch.testing.assert_close(net(INPUT), before + ALPHA / RANK**0.5 * INPUT @ A.T @ B.T)


def test_a_pattern_in_the_configuration_gives_a_layer_its_own_alpha(net, tmp_path):
    before = net(INPUT)
    ModuleAdapterManager(net).set_adapters([row(peft(tmp_path, alpha_pattern={"to_q": 10.0}))])
    torch.testing.assert_close(net(INPUT), before + 10.0 / RANK * INPUT @ A.T @ B.T)


def test_without_an_alpha_the_rank_is_taken_and_told(net, tmp_path):
    before = net(INPUT)
    path = write_lora(tmp_path, "layers.0.to_q.lora_A.weight", "layers.0.to_q.lora_B.weight")
    notes = ModuleAdapterManager(net).set_adapters([row(path)]).notes
    torch.testing.assert_close(net(INPUT), before + INPUT @ A.T @ B.T)
    assert any("no alpha" in note for note in notes)


def test_files_of_different_rank_add_up(net, tmp_path):
    before, (first, second) = net(INPUT), (tmp_path / "first", tmp_path / "second")
    first.mkdir(), second.mkdir()
    other = second / "other.safetensors"
    save_file(
        {
            "layers.0.to_q.lora_A.weight": A[:1],
            "layers.0.to_q.lora_B.weight": B[:, :1].contiguous(),
        },
        str(other),
    )
    ModuleAdapterManager(net).set_adapters([row(kohya(first), 0.7), row(other, 0.3)])
    expected = before + 0.7 * ALPHA / RANK * INPUT @ A.T @ B.T + 0.3 * INPUT @ A[:1].T @ B[:, :1].T
    torch.testing.assert_close(net(INPUT), expected)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ("layers.7.to_q.lora_A.weight", "layers.7.to_q.lora_B.weight"),
            "no layer of this model is called layers.7.to_q",
        ),
        (
            ("layers.0.to_q.weight", "layers.0.to_q.bias"),
            "expected LoRA factors, found layers.0.to_q",
        ),
        (
            ("layers.0.to_q.lora_A.weight", "layers.0.to_out.0.lora_B.weight"),
            "expected both factors",
        ),
        # turned round
        (
            ("layers.0.to_q.lora_B.weight", "layers.0.to_q.lora_A.weight"),
            "expected factors of rank 5",
        ),
        # of another layer's size
        (("layers.0.to_out.0.lora_A.weight", "layers.0.to_out.0.lora_B.weight"), "another size"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_the_model_as_it_was(net, tmp_path, names, words):
    before = net(INPUT)
    with pytest.raises(EngineError, match=words) as caught:
        ModuleAdapterManager(net).set_adapters([row(write_lora(tmp_path, *names))])
    assert caught.value.code == "bad_preset"
    torch.testing.assert_close(net(INPUT), before, rtol=0, atol=0)
