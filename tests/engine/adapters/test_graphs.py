"""LoRA as inputs of a finished graph: zero is the base, a blend is the merged weights."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
safetensors = pytest.importorskip("safetensors.numpy")

from engine.adapters.files import AdapterFileError
from engine.adapters.graphs import pack, read_for_graph
from engine.adapters.lora import Factors, LoraFile, is_lora
from engine.adapters.lycoris import dora_gain, reduce_rank
from export.graphs import _convert
from export.lora_inputs import LoraLayer, add_lora_inputs, ports
from export.onnx_graph import export_stage, shrink
from export.parity import STAGE_BOUND, relative_error
from export.step_cache import split

IN, OUT, RANK = 12, 20, 3
LAYERS = (
    LoraLayer("net.blocks.0.to_q", IN, OUT, 0, 0),
    LoraLayer("net.blocks.0.to_out.0", OUT, IN, 0, 0),
)


class Net(torch.nn.Module):
    """A step: `said` is the same at every one of them."""

    def __init__(self):
        super().__init__()
        self.to_q, self.to_k, self.out = (
            torch.nn.Linear(8, 8, bias=index > 0) for index in range(3)
        )

    def forward(self, x, said):
        keys = self.to_k(torch.tanh(said))
        return self.out(torch.softmax(self.to_q(x) @ keys.transpose(1, 2), -1) @ keys)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def graph(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    arguments = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    axes = {"x": {0: "B", 1: "T"}, "said": {0: "B", 1: "L"}, "y": {0: "B", 1: "T"}}
    export_stage(net, arguments, path, ["x", "said"], ["y"], axes)
    return onnx.load(path)


def run(model, **feed):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = {port.name: np.asarray(feed[port.name], np.float32) for port in session.get_inputs()}
    return dict(
        zip((port.name for port in session.get_outputs()), session.run(None, feed), strict=True)
    )


def a_lora(layers, seed, rank=RANK):
    draw = np.random.default_rng(seed)
    normal = lambda *shape: draw.standard_normal(shape).astype(np.float32) * 0.3  # noqa: E731
    return LoraFile(
        {
            each.path: Factors(normal(rank, each.fan_in), normal(each.fan_out, rank), rank)
            for each in layers
        }
    )


def merge(net, files):
    """The same net with W + sum of w A B as its weights."""
    other = Net().eval()
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        for lora, weight in files:
            for path in lora.layers:
                getattr(other, path).weight += weight * torch.from_numpy(lora.change(path))
    return other


FEED = {
    "x": np.random.default_rng(1).standard_normal((3, 6, 8)),
    "said": np.random.default_rng(2).random((3, 4, 8)),
}
TENSORS = tuple(torch.from_numpy(values.astype(np.float32)) for values in FEED.values())


def open_graph(graph, pattern="to_q|to_k|out", has_gain=False):
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    return model, add_lora_inputs(model, pattern, has_gain)


@pytest.mark.parametrize("has_gain", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 8])
def test_no_lora_is_the_base_model_exactly(graph, rank, has_gain):
    model, layers = open_graph(graph, has_gain=has_gain)
    onnx.checker.check_model(model)
    nothing = pack(layers, [], rank)
    assert np.array_equal(run(model, **FEED, **nothing.arrays)["y"], run(graph, **FEED)["y"])


@pytest.mark.parametrize("padded", [0, 16])
def test_a_blend_is_the_model_with_both_merged_into_it(net, graph, padded):
    model, layers = open_graph(graph)
    files = [(a_lora(layers, 3), 0.7), (a_lora(layers, 4, rank=5), -0.4)]
    found = run(model, **FEED, **pack(layers, files, padded).arrays)["y"]
    with torch.no_grad():
        expected = merge(net, files)(*TENSORS).numpy()
        base = net(*TENSORS).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected - base).max() > 1e-2


def test_the_cut_gives_the_same_numbers_with_lora_on_what_was_cut(graph):
    model, layers = open_graph(graph)
    style = pack(layers, [(a_lora(layers, 3), 1.0)]).arrays
    parts = split(model, {"said"})
    onnx.checker.check_model(parts.prefill)
    onnx.checker.check_model(parts.step)
    held = run(parts.prefill, **FEED)
    assert set(held) == set(parts.cached) and len(held) == 1
    assert np.array_equal(
        run(parts.step, **FEED, **style, **held)["y"], run(model, **FEED, **style)["y"]
    )
    assert split(model, {"x"}) is not None and split(graph, set()) is None


def test_graphs_whose_weights_are_stored_as_int8_take_lora_too(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("export.onnx_graph.SMALLEST_QUANTISED", 1)
    onnx.save(graph, tmp_path / "small.onnx")
    shrink(tmp_path / "small.onnx")
    model = onnx.load(tmp_path / "small.onnx")
    expected = run(model, **FEED)["y"]
    layers = add_lora_inputs(model, "to_q|to_k|out")
    assert len(layers) == 3
    assert np.array_equal(run(model, **FEED, **pack(layers, []).arrays)["y"], expected)


def test_a_graph_without_such_layers_says_so(graph):
    with pytest.raises(ValueError, match="has none"):
        open_graph(graph, "to_v")


def test_layers_of_one_width_share_an_input():
    layers = (*LAYERS, LoraLayer("net.blocks.1.to_q", IN, OUT, 1, 1))
    assert ports(layers) == {
        "lora_a_12": (2, 12, "R"),
        "lora_b_20": (2, "R", 20),
        "lora_a_20": (1, 20, "R"),
        "lora_b_12": (1, "R", 12),
    }
    gains = {"lora_gain_12": (1, 12), "lora_gain_20": (2, 20)}
    with_gain = tuple(replace(layer, has_gain=True) for layer in layers)
    assert ports(with_gain) == ports(layers) | gains


def test_more_rank_than_a_fixed_graph_has_is_refused():
    with pytest.raises(AdapterFileError, match="add to 6, this graph takes 4"):
        pack(LAYERS, [(a_lora(LAYERS, 0), 1.0), (a_lora(LAYERS, 1), 1.0)], rank=4)


A = np.random.default_rng(5).standard_normal((RANK, IN)).astype(np.float32)
B = np.random.default_rng(6).standard_normal((OUT, RANK)).astype(np.float32)
CHANGE = B @ A  # [fan_out, fan_in]
Q = "blocks.0.to_q"


def write_adapter_file(folder, tensors, metadata=None, config=None):
    path = folder / "style.safetensors"
    tensors = {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}
    safetensors.save_file(tensors, str(path), metadata=metadata)
    if config:
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def change_of(lora, path="net.blocks.0.to_q"):
    return lora.change(path)


@pytest.mark.parametrize(
    ("tensors", "config", "scale"),
    [
        (
            {f"base_model.model.{Q}.lora_A.weight": A, f"base_model.model.{Q}.lora_B.weight": B},
            {"lora_alpha": 6, "r": RANK},
            2.0,
        ),
        (
            {f"base_model.model.{Q}.lora_A.weight": A, f"base_model.model.{Q}.lora_B.weight": B},
            {"lora_alpha": 6, "r": RANK, "use_rslora": True},
            6 / 3**0.5,
        ),
        ({f"unet.{Q}.lora.down.weight": A, f"unet.{Q}.lora.up.weight": B}, None, 1.0),
        (
            {
                f"lora_unet_{Q.replace('.', '_')}.lora_down.weight": A,
                f"lora_unet_{Q.replace('.', '_')}.lora_up.weight": B,
                f"lora_unet_{Q.replace('.', '_')}.alpha": np.array(1.5),
            },
            None,
            0.5,
        ),
    ],
    ids=["peft", "rank-stabilised", "diffusers", "kohya"],
)
def test_each_dialect_is_read_with_its_alpha(tmp_path, tensors, config, scale):
    path = write_adapter_file(tmp_path, tensors, config=config)
    lora = read_for_graph(path, LAYERS)
    np.testing.assert_allclose(change_of(lora), scale * CHANGE, rtol=1e-5)
    assert is_lora(path) and lora.layers["net.blocks.0.to_q"].rank == RANK
    assert any("no alpha" in note for note in lora.remarks) == (scale == 1.0)


def test_diffusers_metadata_says_the_alpha(tmp_path):
    metadata = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 9, "unet.r": RANK})}
    path = write_adapter_file(
        tmp_path, {f"unet.{Q}.lora_A.weight": A, f"unet.{Q}.lora_B.weight": B}, metadata
    )
    np.testing.assert_allclose(change_of(read_for_graph(path, LAYERS)), 3 * CHANGE, rtol=1e-5)


def test_loha_and_lokr_become_lora_with_a_stated_error(tmp_path):
    one = {
        f"{Q}.hada_w1_a": B,
        f"{Q}.hada_w1_b": A,
        f"{Q}.hada_w2_a": B + 1,
        f"{Q}.hada_w2_b": A + 1,
    }
    lora = read_for_graph(write_adapter_file(tmp_path, one), LAYERS)
    expected = (B @ A) * ((B + 1) @ (A + 1))
    assert np.linalg.norm(change_of(lora) - expected) <= 0.011 * np.linalg.norm(expected)
    assert any(
        "LoHa in 1 layers became LoRA of rank" in note and "% off" in note for note in lora.remarks
    )
    kron = {f"{Q}.lokr_w1": B[:4, :2], f"{Q}.lokr_w2": B[:5].repeat(2, axis=1)}
    lora = read_for_graph(write_adapter_file(tmp_path, kron), LAYERS)
    expected = np.kron(B[:4, :2], B[:5].repeat(2, axis=1))
    np.testing.assert_allclose(change_of(lora), expected, atol=0.02 * np.abs(expected).max())


def test_a_dora_is_converted_where_the_base_weights_are_and_refused_where_not(tmp_path):
    weight = np.random.default_rng(7).standard_normal((OUT, IN)).astype(np.float32)
    magnitude = np.linspace(0.5, 2.0, OUT)
    path = write_adapter_file(
        tmp_path,
        {f"{Q}.lora_A.weight": A, f"{Q}.lora_B.weight": B, f"{Q}.lora_magnitude_vector": magnitude},
    )
    with pytest.raises(AdapterFileError, match="depends on the weights"):
        read_for_graph(path, LAYERS)
    lora = read_for_graph(path, LAYERS, lambda path: weight)
    moved = weight + CHANGE
    expected = moved * (magnitude / np.linalg.norm(moved, axis=1))[:, None] - weight
    assert np.linalg.norm(change_of(lora) - expected) <= 0.011 * np.linalg.norm(expected)
    assert any("DoRA" in note and "% off" in note for note in lora.remarks)
    assert any("export again" in note for note in lora.remarks)


def test_a_dora_that_is_no_lora_is_refused_on_old_graphs_with_the_cure(tmp_path):
    draw, width = np.random.default_rng(7), 200
    normal = lambda *shape: draw.standard_normal(shape).astype(np.float32)  # noqa: E731
    tensors = {f"{Q}.lora_A.weight": normal(2, width), f"{Q}.lora_B.weight": normal(width, 2)}
    tensors[f"{Q}.lora_magnitude_vector"] = draw.uniform(5, 30, width)
    path, weight = write_adapter_file(tmp_path, tensors), normal(width, width)
    old = (LoraLayer("net.blocks.0.to_q", width, width, 0, 0),)
    with pytest.raises(AdapterFileError, match="% off, 10% are allowed; .* export again to play"):
        read_for_graph(path, old, lambda path: weight)
    new = (replace(old[0], has_gain=True),)
    lora = read_for_graph(path, new)  # whose weights are asked for when it is packed
    assert lora.is_dora and not any("DoRA" in note for note in lora.remarks)


def a_dora(layers, seed):
    lora, draw = a_lora(layers, seed), np.random.default_rng(seed)
    magnitudes = {each.path: draw.uniform(0.5, 2, each.fan_out) for each in layers}
    return replace(
        lora,
        layers={
            path: replace(factors, magnitude=magnitudes[path])
            for path, factors in lora.layers.items()
        },
    )


@pytest.mark.parametrize("weight", [1.0, 0.4])
@pytest.mark.parametrize("precision", STAGE_BOUND)
def test_a_dora_is_the_model_with_its_weights_changed(net, graph, precision, weight):
    model, layers = open_graph(graph, has_gain=True)
    model, dora, other = _convert(model, precision), a_dora(layers, 3), copy.deepcopy(net)
    gains = {}
    with torch.no_grad():
        for path, factors in dora.layers.items():
            own = getattr(other, path).weight
            change = weight * dora.change(path)
            gains[path] = dora_gain(change, factors.magnitude, own.numpy())
            own.copy_(torch.from_numpy(gains[path])[:, None] * (own + torch.from_numpy(change)))
            lengths = torch.from_numpy(factors.magnitude).float()
            torch.testing.assert_close(own.norm(dim=1), lengths)
        expected, base = other(*TENSORS).numpy(), net(*TENSORS).numpy()
    found = run(model, **FEED, **pack(layers, [(dora, weight)], gains=gains).arrays)["y"]
    assert relative_error(found, expected) <= STAGE_BOUND[precision]
    assert relative_error(base, expected) > 0.1


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (
            {f"{Q}.lora_A.weight": np.ones((RANK, IN, 3, 3)), f"{Q}.lora_B.weight": B},
            r"expected a layer of \[20, 12\], got factors \[3, 12, 3, 3\]",
        ),
        ({"blocks.0.ff.lora_A.weight": A, "blocks.0.ff.lora_B.weight": B}, "keep the layer closed"),
        ({f"{Q}.lora_A.weight": A[:, 1:], f"{Q}.lora_B.weight": B}, "another size"),
        ({f"{Q}.lora_A.weight": A}, "both factors"),
        ({f"{Q}.weight": A}, "expected LoRA factors"),
    ],
    ids=["convolution", "closed layer", "another size", "half", "whole weights"],
)
def test_what_cannot_be_played_is_refused_with_the_reason(tmp_path, tensors, words):
    with pytest.raises(AdapterFileError, match=words):
        read_for_graph(write_adapter_file(tmp_path, tensors), LAYERS)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no tensors")
    for ask in (is_lora, lambda path: read_for_graph(path, LAYERS)):
        with pytest.raises(AdapterFileError, match="cannot be read"):
            ask(tmp_path / "a.safetensors")


def test_the_rank_of_a_reduction_is_as_low_as_the_error_allows():
    down, _, error = reduce_rank(CHANGE)
    assert len(down) <= RANK and error <= 0.01
    down, _, error = reduce_rank(np.eye(20, dtype=np.float32), most_rank=10)
    assert len(down) == 10 and error == pytest.approx(0.5**0.5)
