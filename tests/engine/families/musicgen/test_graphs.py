"""The stage table suffices to export a stage: the graph takes other sizes and equals torch."""

import warnings

import numpy as np
import pytest
import torch

from engine.families.musicgen import graphs
from engine.families.musicgen.stages import MELODY_STAGES, STAGES, table
from tests.engine.families.musicgen import tiny

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

OPSET = 17
SIZES = (
    {"B": 2, "L": 7, "S": 3, "P": 5, "T": 6, "N": 6 * 640, "C": 4},
    {"B": 1, "L": 5, "S": 1, "P": 9, "T": 9, "N": 9 * 640, "C": 4},
)
POSITION = 4
ROWS = [
    *(("plain", stage.name) for stage in STAGES),
    *(("melodic", stage.name) for stage in MELODY_STAGES[-3:]),
]


def feed_of(stage, sizes):
    draw = torch.Generator().manual_seed(0)
    feed = {}
    for port in stage.inputs:
        shape = [sizes.get(axis, axis) for axis in port.axes]
        feed[port.name] = torch.randint(
            2 if port.name == "mask" else tiny.TOKENS, shape, generator=draw
        )
        if port.dtype == "float32":
            feed[port.name] = torch.randn(shape, generator=draw)
    if "mask" in feed:
        feed["mask"][:, 0] = 1
    if "position" in feed:
        feed["position"][:] = POSITION
    return feed


@pytest.mark.parametrize(("kind", "name"), ROWS)
@torch.no_grad()
def test_an_exported_stage_gives_what_torch_gives(kind, name, request, tmp_path):
    parts = request.getfixturevalue(kind)
    stage = next(stage for stage in table(**graphs.sizes_of(parts)) if stage.name == name)
    module, path = graphs.modules(parts)[name], tmp_path / f"{name}.onnx"
    with warnings.catch_warnings():
        # the tracing exporter announces its age, and every shape it looks at
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(feed_of(stage, SIZES[0]).values()),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(stage.input_names),
            output_names=list(stage.output_names),
            dynamic_axes=stage.dynamic_axes,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for sizes in SIZES:
        feed = feed_of(stage, sizes)
        expected = module(*feed.values())
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = session.run(
            stage.output_names, {name: values.numpy() for name, values in feed.items()}
        )
        for port, ours, theirs in zip(stage.outputs, found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
            assert len(port.axes) == ours.ndim


@torch.no_grad()
@pytest.mark.parametrize("kind", ["plain", "melodic"])
def test_prefill_and_steps_say_what_the_decoder_says_of_the_whole(kind, request):
    parts = request.getfixturevalue(kind)
    built, melody = graphs.modules(parts), parts.hears_melody
    tokens, states = torch.randint(tiny.TOKENS, (2, 4, 6)), torch.randn(2, 5, 32)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    heard = (states,) if melody else (states, mask)
    logits, *memory = built["prefill"](tokens[..., :3], *heard)
    count = 2 * parts.model.config.decoder.num_hidden_layers
    room = lambda held: torch.cat([held, torch.full_like(held, 7.0)], dim=2)  # noqa: E731 - what is not said yet
    own, words, said = [room(held) for held in memory[:count]], memory[count:], memory[0].shape[2]
    for step in range(3, 6):
        asked = (tokens[..., step : step + 1], torch.tensor([said]))
        logits, *new = built["step"](*asked, *(() if melody else (mask,)), *own, *words)
        for held, one in zip(own, new, strict=True):
            held[:, :, said] = one[:, :, 0]
        said += 1
    whole = parts.model.decoder(
        tokens.flatten(0, 1),
        encoder_hidden_states=states,
        encoder_attention_mask=None if melody else mask,
    ).logits[:, -1]
    torch.testing.assert_close(logits, whole.unflatten(0, (2, 4)), atol=1e-4, rtol=0)
