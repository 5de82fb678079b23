"""The graphs that ship hold the model that was trained: restored, it says what they say."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from engine.families.nano.family import WEIGHTS, missing
from engine.families.nano.model import AudioEncoder, Denoiser, NanoConfig
from engine.families.nano.stages import STAGES
from engine.runtimes.runner import OnnxRunner
from export.onnx_graph import export_stage, shrink
from training.worked_example import restore

SIZES = {"B": 2, "T": 24, "L": 5, "A": 12}
KINDS = {
    "denoiser": (Denoiser, restore.load_denoiser),
    "audio_encoder": (AudioEncoder, restore.load_audio_encoder),
}
STAGE = {stage.name: stage for stage in STAGES}


def feed(name, width):
    draw = np.random.default_rng(0)
    axes = {
        port.name: (*port.axes[:-1], width) if port.name == "audio" else port.axes
        for port in STAGE[name].inputs
    }
    return {
        port: draw.standard_normal([SIZES.get(axis, axis) for axis in row]).astype(np.float32)
        for port, row in axes.items()
    }


def export(path, name, is_trained):
    """A tiny one; training leaves no two parameters equal, of equal ones the exporter keeps one."""
    torch.manual_seed(0)
    module = KINDS[name][0](NanoConfig(width=96, heads=4, layers=2, encoder_layers=2))
    for parameter in module.parameters() if is_trained else ():
        torch.nn.init.normal_(parameter, std=0.1)
    stage, inputs = STAGE[name], feed(name, 96)
    arguments = tuple(torch.from_numpy(values) for values in inputs.values())
    export_stage(
        module,
        arguments,
        path,
        list(stage.input_names),
        list(stage.output_names),
        stage.dynamic_axes,
    )
    shrink(path)
    return path


def apart(path, name, width):
    """The greatest difference between a graph and what was restored of it, relative to what they
    say.
    """
    module, inputs = KINDS[name][1](path), feed(name, width)
    (said,) = OnnxRunner(STAGE[name], path, 1)(**inputs)
    with torch.inference_mode():
        found = module(*(torch.from_numpy(values) for values in inputs.values())).numpy()
    return np.abs(found - said).max() / max(np.abs(said).max(), 1e-3)


@pytest.mark.skipif(bool(missing()), reason="the shipped weights are not here")
@pytest.mark.parametrize("name", KINDS)
def test_the_shipped_graphs_come_back_as_the_modules_they_were(name):
    assert apart(WEIGHTS / f"{name}.onnx", name, 384) < 1e-4


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("is_trained", (False, True))
def test_sizes_are_read_from_the_graph(tmp_path, name, is_trained):
    assert apart(export(tmp_path / "graph.onnx", name, is_trained), name, 96) < 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_names_of_products_and_parameters_are_enough(tmp_path, name):
    path = export(tmp_path / "graph.onnx", name, is_trained=True)
    model = onnx.load(str(path))
    kept = {port.name for port in (*model.graph.input, *model.graph.output)}
    kept |= {tensor.name.removesuffix(".int8") for tensor in model.graph.initializer}
    inner = {each for node in model.graph.node for each in node.output} - kept
    short = {each: f"{index:x}" for index, each in enumerate(sorted(inner))}
    for node in model.graph.node:
        node.name = node.name if node.op_type == "MatMul" else ""
        node.input[:] = [short.get(each, each) for each in node.input]
        node.output[:] = [short.get(each, each) for each in node.output]
    onnx.save(model, str(path))
    assert apart(path, name, 96) < 1e-4


def test_a_graph_that_lacks_a_parameter_is_refused_by_its_name(tmp_path):
    path = export(tmp_path / "graph.onnx", "denoiser", is_trained=True)
    model = onnx.load(str(path))
    next(
        tensor for tensor in model.graph.initializer if tensor.name == "out.bias"
    ).name = "elsewhere"
    onnx.save(model, str(path))
    with pytest.raises(restore.RestoreError, match=r"out\.bias"):
        restore.load_denoiser(path)
