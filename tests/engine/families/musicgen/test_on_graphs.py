"""A checkpoint in stages, on torch here, says what it says as a whole."""

import numpy as np
import pytest
import torch

from engine.adapters.soft_prompts import SoftPrompt
from engine.audio.scene import Scene
from engine.families.musicgen import graphs, on_graphs
from engine.families.musicgen.components import load
from engine.families.musicgen.editor import Editor, Lengths
from engine.families.musicgen.exported import SAVED
from engine.families.musicgen.on_graphs import GraphParts
from engine.families.musicgen.sampler import Span
from engine.families.musicgen.stages import table
from engine.families.shared.torch_runner import build_runners
from engine.knobs import Knobs
from tests.engine.families.musicgen import tiny
from tests.engine.signals import noise, sine

SHORT = Lengths(Span(24, 10), prompt=8, least_prompt=2, seam=320, overlap=6)
KNOBS = Knobs(0.0, 1, 3.0, "a drum", 1, 5, (("a violin", 0.7), ("a flute and a harp", 0.3)))


def in_stages(parts):
    sizes = graphs.sizes_of(parts)
    own = build_runners(table(**sizes), graphs.modules(parts), "cpu")
    return GraphParts(own, parts.tokenizer, sizes, **{name: getattr(parts, name) for name in SAVED})


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    return load(tiny.write(tmp_path_factory.mktemp("stereo"), channels=2))


@pytest.mark.parametrize(
    ("kind", "task"), [("plain", "continue"), ("melodic", "accompaniment"), ("stereo", "continue")]
)
def test_every_task_is_as_the_whole_model_does_it(kind, task, request, monkeypatch):
    monkeypatch.setattr(on_graphs, "ROOM", 4)  # memory grows, and more than once
    parts = request.getfixturevalue(kind)
    region = np.repeat(sine(30 * 640, 32_000, 300)[:, None], parts.channels, axis=1)
    scene = Scene(noise(8 * 640, channels=parts.channels), region, region[:0])
    whole, staged = (
        Editor(each, SHORT).edit(scene, task, KNOBS) for each in (parts, in_stages(parts))
    )
    np.testing.assert_allclose(staged, whole, atol=1e-5)


def test_learned_words_go_before_the_words(plain):
    prompt = SoftPrompt(torch.randn(5, tiny.TEXT_WIDTH))
    ours, theirs = (each.encode_words("a violin", prompt) for each in (in_stages(plain), plain))
    assert len(ours) == 5 + len(plain.encode_words("a violin", None))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
