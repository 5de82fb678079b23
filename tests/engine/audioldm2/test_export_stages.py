"""The stage table is enough to export a stage: the graph takes other sizes and gives what torch gives."""

import warnings

import numpy as np
import pytest
import torch

from engine.audioldm2 import audiomae, components, graphs
from engine.audioldm2.stages import STAGES
from tests.engine.audioldm2 import tiny

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

OPSET = 17
WIDTHS = {512: tiny.CLAP_WIDTH, 1024: tiny.T5_WIDTH, 768: tiny.GPT2_WIDTH}
AUDIO_WIDTHS = {1024: 4 * tiny.WINDOW_LATENTS}
SIZES = ({"B": 2, "L": 7, "S": 12, "T": 16, "M": 64}, {"B": 1, "L": 5, "S": 17, "T": 24, "M": 96})
# the UNet's export takes a minute even when it is tiny: it was done by hand, see docs/audioldm2.md
EXPORTED = [stage for stage in STAGES if stage.name != "unet"]


@pytest.fixture(scope="module")
def modules(models_folder):
    parts = components.load(models_folder / "audioldm2")
    return graphs.modules(parts, audiomae.read(models_folder / "audiomae.safetensors"))


def feed_of(stage, sizes):
    draw = torch.Generator().manual_seed(0)
    widths = AUDIO_WIDTHS if stage.name == "audio_encoder" else WIDTHS
    feed = {}
    for port in stage.inputs:
        shape = [sizes[axis] if isinstance(axis, str) else widths.get(axis, axis) for axis in port.axes]
        feed[port.name] = torch.ones(shape, dtype=torch.int64)
        if port.dtype == "float32":
            feed[port.name] = torch.randn(shape, generator=draw)
    return feed


@pytest.mark.parametrize("stage", EXPORTED, ids=[stage.name for stage in EXPORTED])
@torch.no_grad()
def test_an_exported_stage_gives_what_torch_gives(stage, modules, tmp_path):
    module, path = modules[stage.name], tmp_path / f"{stage.name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter announces its age, and every shape it looks at
        torch.onnx.export(
            module, tuple(feed_of(stage, SIZES[0]).values()), path, dynamo=False, opset_version=OPSET,
            input_names=list(stage.input_names), output_names=list(stage.output_names),
            dynamic_axes=stage.dynamic_axes,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for sizes in SIZES:
        feed = feed_of(stage, sizes)
        expected = module(*feed.values())
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = session.run(stage.output_names, {name: values.numpy() for name, values in feed.items()})
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
