"""Adapters on a small module: what was learned plays, blends are sums, none leaves a trace."""

import pytest

torch = pytest.importorskip("torch")
for module in ("peft", "safetensors"):
    pytest.importorskip(module)

from torch import nn

from engine.adapters import kinds
from engine.adapters.files import AdapterFile, read_adapter_file, write_adapter_file
from engine.adapters.modules import ModuleAdapterManager
from engine.errors import EngineError

WIDTH = 8


class Attention(nn.Module):
    """One that takes what it reads as diffusers' and transformers' do."""

    def __init__(self):
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, hidden, encoder_hidden_states=None, attention_mask=None):
        scores = self.to_q(hidden) @ self.to_k(encoder_hidden_states).transpose(1, 2)
        scores = scores if attention_mask is None else scores + attention_mask
        return self.to_out(scores.softmax(-1) @ self.to_v(encoder_hidden_states))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.block = (
            Attention(),
            nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, WIDTH)),
        )

    def forward(self, hidden, words):
        return self.block(self.attention(hidden, encoder_hidden_states=words))


LORA = {"r": 2, "lora_alpha": 6, "target_modules": r".*\.to_[qkv]"}
SETTINGS = {
    "lora": LORA,
    "bottleneck": {"sites": "block", "size": 4},
    "prefix": {"sites": "attention", "length": 3},
    "full": {},
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model().eval().requires_grad_(False)


@pytest.fixture
def heard():
    torch.manual_seed(1)
    return torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)


def random_adapter(method, seed=0, **changes):
    """As if it had been trained."""
    torch.manual_seed(3)
    settings = {**SETTINGS[method], **changes}
    makers = {
        "lora": lambda m: kinds.Lora(m, settings, "x"),
        "full": kinds.Full,
        "bottleneck": lambda m: kinds.Bottleneck(m, settings),
        "prefix": lambda m: kinds.Prefix(m, settings),
    }
    shapes = {name: value.shape for name, value in makers[method](Model()).parameters().items()}
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()
    }
    return AdapterFile(method, settings, tensors, {})


@pytest.mark.parametrize("method", SETTINGS)
def test_an_adapter_changes_the_sound_at_weight_one_and_nothing_at_weight_zero_or_removed(
    model, heard, method
):
    base, adapter, manager = model(*heard), random_adapter(method), ModuleAdapterManager(model)
    manager.activate([("a", adapter, 1.0)])
    played = model(*heard)
    assert not torch.allclose(played, base, atol=1e-3)
    manager.activate([("a", adapter, 0.0)])
    assert torch.allclose(model(*heard), base, atol=1e-6)
    manager.activate([("a", adapter, 1.0)])
    assert torch.equal(model(*heard), played)
    manager.activate([])
    manager._forget(set(), 0)
    assert torch.allclose(model(*heard), base, atol=1e-6)


@pytest.mark.parametrize("method", SETTINGS)
def test_a_file_brings_back_what_was_written(model, heard, tmp_path, method):
    adapter = random_adapter(method)
    noted = AdapterFile(method, adapter.settings, adapter.tensors, {"base": "b"})
    path = write_adapter_file(tmp_path / "x.safetensors", noted, prefix="unet")
    back = read_adapter_file(path)
    assert back.notes == {"base": "b"} and back.settings == adapter.settings
    first, second = ModuleAdapterManager(model), model(*heard)
    first.activate([("a", adapter, 1.0)])
    played = model(*heard)
    first.activate([("b", back, 1.0)])
    assert torch.equal(model(*heard), played) and not torch.allclose(played, second)


def test_a_blend_is_the_sum_of_the_changes_though_ranks_differ(model, heard):
    linear = model.attention.to_q
    base = linear(heard[0])
    one, two = (
        random_adapter("lora", 1),
        random_adapter("lora", 2, r=3, lora_alpha=3, use_rslora=True),
    )
    manager = ModuleAdapterManager(model)

    def change(*adapters):
        manager.activate(adapters)
        return model.attention.to_q(heard[0]) - base

    expected = 0.7 * change(("1", one, 1.0)) + 0.3 * change(("2", two, 1.0))
    assert torch.allclose(change(("1", one, 0.7), ("2", two, 0.3)), expected, atol=1e-6)


def test_what_matches_nothing_and_what_is_incomplete_is_refused_and_leaves_no_trace(model, heard):
    base, adapter = model(*heard), random_adapter("lora")
    elsewhere = AdapterFile(
        "lora", LORA, {f"other.{name}": value for name, value in adapter.tensors.items()}, {}
    )
    half = AdapterFile(
        "lora",
        LORA,
        {k: v for k, v in adapter.tensors.items() if "lora_B" not in k or "to_q" in k},
        {},
    )
    wide = AdapterFile("lora", {**LORA, "r": 4}, adapter.tensors, {})
    for wrong in (elsewhere, half, wide, AdapterFile("soft_prompt", {}, {}, {})):
        with pytest.raises(EngineError, match="bad_preset"):
            ModuleAdapterManager(model).activate([("x", wrong, 1.0)])
        assert torch.allclose(model(*heard), base, atol=1e-6)


def test_dora_goes_alone(model):
    dora, other = random_adapter("lora", use_dora=True), random_adapter("lora", 2)
    ModuleAdapterManager(model).activate([("x", dora, 1.0)])
    with pytest.raises(EngineError, match="DoRA cannot be blended"):
        ModuleAdapterManager(model).activate([("x", dora, 0.5), ("y", other, 0.5)])


def test_a_manager_keeps_few_and_forgets_what_has_not_played_for_longest(model):
    manager = ModuleAdapterManager(model, kept=2)
    for seed in range(4):
        manager.activate([(str(seed), random_adapter("lora", seed), 1.0)])
    assert list(manager._added) == ["2", "3"]
    assert set(model.attention.to_q.scaling) == {"style3", "style4"}
