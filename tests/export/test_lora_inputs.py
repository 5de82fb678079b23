"""LoRA changes between two jobs, and between two steps of one, on real graphs of the families."""

import numpy as np
import pytest

pytest.importorskip("torch")

from engine.adapters.graphs import pack
from engine.adapters.lora import Factors, LoraFile
from engine.families.nano import exporting
from presets.style import ResolvedStyle, StyleTensor

KNOBS = {"seed": 3, "guidance": 2.0, "steps": 2}


def a_lora(layers, seed, size=0.2):
    draw = np.random.default_rng(seed)
    normal = lambda *shape: draw.standard_normal(shape).astype(np.float32) * size  # noqa: E731
    return LoraFile(
        {each.path: Factors(normal(2, each.fan_in), normal(each.fan_out, 2), 2) for each in layers}
    )


def run(graph, **feed):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feed)[0]


@pytest.fixture
def family(nano_models, nano_weights):
    return exporting.load(1, nano_models, nano_weights)


@pytest.fixture
def loras(family):
    layers = family.editor.runners["denoiser"].row.lora
    return [pack(layers, [(a_lora(layers, seed), 1.0)]) for seed in (1, 2)]


def test_each_job_plays_its_own_lora_and_the_next_none_of_it(family, loras, region):
    denoiser, stems = family.editor.runners["denoiser"], []
    for lora in (None, loras[0], loras[1], None, loras[0]):
        denoiser.set_lora(lora)
        stems.append(family.transfer(region, "violin", KNOBS))
    assert np.array_equal(stems[0], stems[3]) and np.array_equal(stems[1], stems[4])
    assert not np.allclose(stems[0], stems[1]) and not np.allclose(stems[1], stems[2])


def test_lora_may_change_between_two_steps_of_one_job(family, loras, region):
    denoiser = family.editor.runners["denoiser"]
    asked = []

    def stepwise(order):
        def run(**inputs):
            asked.append(1)
            denoiser.set_lora(order[len(asked) - 1])
            return denoiser(**inputs)

        asked.clear()
        family.editor.runners["denoiser"] = run
        stem = family.transfer(region, "violin", KNOBS)
        family.editor.runners["denoiser"] = denoiser
        return stem

    both, first = stepwise([loras[0], loras[1]]), stepwise([loras[0], loras[0]])
    assert len(asked) == 2 and not np.allclose(both, first)
    assert np.array_equal(both, stepwise([loras[0], loras[1]]))


def test_the_unet_with_lora_is_the_unet_with_it_merged(ldm_models):
    import torch

    from engine.families.audioldm2 import audiomae, components, graphs
    from engine.families.audioldm2 import exporting as ldm
    from engine.families.audioldm2.ap_adapter import read_adapter
    from engine.families.registry import ModelCache

    parts = components.load(ldm_models / "audioldm2")
    parts.unet.load_adapter(*read_adapter(ldm_models / "ap_adapter.safetensors"))
    heard = audiomae.read(ldm_models / "audiomae.safetensors")
    family = ModelCache(1, ldm_models).warm(
        "audioldm2", lambda: False, lambda stage, fraction: None
    )
    family._load_adapter(ldm_models / "ap_adapter.safetensors")
    unet = family._runners["unet"]
    blend = [(a_lora(unet.row.lora, 1), 0.6), (a_lora(unet.row.lora, 2), -0.3)]
    modules = dict(graphs.modules(parts, heard)["unet"].named_modules())
    with torch.no_grad():
        for lora, weight in blend:
            for path in lora.layers:
                change = torch.from_numpy(weight * lora.change(path))
                modules[path].weight += change.reshape(modules[path].weight.shape)
    stage = next(stage for stage in ldm.STAGES if stage.name == "unet")
    feed = ldm._feed(stage, parts, heard, (2, 7, 12, 24, 8))
    (expected,) = graphs.runners(graphs.modules(parts, heard), "cpu")["unet"](**feed)
    (base,) = unet(**feed)
    unet.set_lora(pack(unet.row.lora, blend))
    (found,) = unet(**feed)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.abs(found - base).max() > 0.05


def test_a_preset_brings_lora_files_and_the_next_has_none(ldm_models, tmp_path):
    from safetensors.numpy import save_file

    from engine.families.registry import ModelCache
    from engine.knobs import Knobs

    family = ModelCache(1, ldm_models).warm(
        "audioldm2", lambda: False, lambda stage, fraction: None
    )
    layer = family._runners["unet"].row.lora[0]
    name = layer.path.removeprefix("unet.unet.")
    draw = np.random.default_rng(0)
    save_file(
        {
            f"unet.{name}.lora_A.weight": draw.standard_normal((4, layer.fan_in)).astype(
                np.float32
            ),
            f"unet.{name}.lora_B.weight": draw.standard_normal((layer.fan_out, 4)).astype(
                np.float32
            ),
        },
        str(tmp_path / "style.safetensors"),
    )
    knobs = Knobs(0.5, 2, 7.5, "", 2, 5, (("a violin", 1.0),))
    notes = family.prepare(
        ResolvedStyle(adapters=(StyleTensor(str(tmp_path / "style.safetensors"), 0.5),)), knobs
    ).notes
    assert any("rank 4" in note for note in notes) and any("no alpha" in note for note in notes)
    assert family._runners["unet"]._lora[layer.b][layer.b_index].any()
    family.prepare(ResolvedStyle(), knobs)
    inputs = family._runners["unet"]._lora
    assert all(
        (values == 1).all() if "gain" in name else not values.size
        for name, values in inputs.items()
    )


def test_products_of_vectors_and_1x1_convolutions_are_linear_layers_too(tmp_path):
    import onnx
    import torch

    from export.lora_inputs import add_lora_inputs
    from export.onnx_graph import export_stage

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.time, self.narrow = torch.nn.Linear(6, 8), torch.nn.Conv2d(4, 8, 1)
            self.wide, self.out = torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.Linear(8, 5)

        def forward(self, x, t):
            wide = self.wide(self.narrow(x)) + self.time(t)[:, :, None, None]
            return self.out(wide.permute(0, 2, 3, 1))

    torch.manual_seed(0)
    net, path = Net().eval().requires_grad_(False), tmp_path / "net.onnx"
    x, t = torch.randn(2, 4, 3, 5), torch.randn(2, 6)
    axes = {"x": {0: "B", 2: "H"}, "t": {0: "B"}, "y": {0: "B", 1: "H"}}
    export_stage(net, (x, t), path, ["x", "t"], ["y"], axes)
    model = onnx.load(str(path))

    feed = {"x": x.numpy(), "t": t.numpy()}
    base = run(model, **feed)
    layers = add_lora_inputs(model, "time|narrow|wide|out")
    onnx.checker.check_model(model)
    assert {layer.path for layer in layers} == {"time", "narrow", "out"}  # 3x3 stays closed
    assert np.array_equal(run(model, **feed, **pack(layers, []).arrays), base)
    lora = a_lora(layers, 1, size=1.0)
    for name in lora.layers:
        weight = net.get_submodule(name).weight
        weight += torch.from_numpy(0.7 * lora.change(name)).reshape(weight.shape)
    found = run(model, **feed, **pack(layers, [(lora, 0.7)]).arrays)
    np.testing.assert_allclose(found, net(x, t).numpy(), atol=1e-4)


@pytest.mark.parametrize("dims", [1, 2])
def test_gains_multiply_every_kind_of_layer_before_its_bias(tmp_path, dims):
    import onnx
    import torch

    from export.lora_inputs import add_lora_inputs
    from export.onnx_graph import export_stage

    convolution = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d}[dims]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.time, self.narrow = torch.nn.Linear(6, 8), convolution(4, 8, 1)
            self.bare, self.out = convolution(8, 8, 1, bias=False), torch.nn.Linear(8, 5)

        def forward(self, x, t):
            wide = self.bare(self.narrow(x)) + self.time(t).reshape(2, 8, *[1] * dims)
            return self.out(wide.transpose(1, -1))

    torch.manual_seed(0)
    net, path = Net().eval().requires_grad_(False), tmp_path / "net.onnx"
    x, t = torch.randn(2, 4, *(3, 5)[:dims]), torch.randn(2, 6)
    axes = {"x": {0: "B", 2: "H"}, "t": {0: "B"}, "y": {0: "B", 1: "H"}}
    export_stage(net, (x, t), path, ["x", "t"], ["y"], axes)
    model = onnx.load(str(path))

    feed = {"x": x.numpy(), "t": t.numpy()}
    base = run(model, **feed)
    layers = add_lora_inputs(model, "time|narrow|bare|out", has_gain=True)
    onnx.checker.check_model(model)
    assert len(layers) == 4 and all(layer.has_gain for layer in layers)
    assert np.array_equal(run(model, **feed, **pack(layers, []).arrays), base)
    lora, draw = a_lora(layers, 1, size=1.0), np.random.default_rng(2)
    gains = {each.path: draw.uniform(-2, 2, each.fan_out).astype(np.float32) for each in layers}
    for name in lora.layers:
        weight = net.get_submodule(name).weight
        weight += torch.from_numpy(lora.change(name)).reshape(weight.shape)
        weight *= torch.from_numpy(gains[name]).reshape(-1, *[1] * (weight.ndim - 1))
    found = run(model, **feed, **pack(layers, [(lora, 1.0)], gains=gains).arrays)
    np.testing.assert_allclose(found, net(x, t).numpy(), rtol=1e-4, atol=1e-4)


def test_a_manifest_from_before_gains_is_read_and_nano_has_none(family):
    import json

    from export.manifest import StageRow

    row = family.editor.runners["denoiser"].row
    assert row.lora and not any(layer.has_gain for layer in row.lora)
    written = json.loads(json.dumps(row.to_json()))
    for layer in written["lora"]:
        del layer["has_gain"]
    assert StageRow.from_json(written) == row
