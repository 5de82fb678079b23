"""What of TensorRT can be tested without it.

Building and running an engine is not: no card, no library.
"""

import builtins
from pathlib import Path

import numpy as np
import pytest

from engine.runtimes import tensorrt as tensorrt_runtime
from engine.stages import Port, Stage
from export import tensorrt_engine
from export.manifest import Graph
from export.tensorrt_engine import Phases, Profile, TensorRtError, engine_path, profiles

GRAPH = Graph(
    "unet.onnx",
    (("latent", ("B", 8, "T", 16), "float32"), ("lora_a_256", (3, 256, "R"), "float32")),
    (),
)


def test_a_window_is_fixed_and_the_rest_has_a_range():
    found = profiles(GRAPH, {"T": 256})
    assert found["latent"] == Profile((1, 8, 256, 16), (2, 8, 256, 16), (8, 8, 256, 16))
    assert found["lora_a_256"] == Profile((3, 256, 1), (3, 256, 16), (3, 256, 64))


def test_an_axis_without_a_length_is_refused_by_name():
    with pytest.raises(TensorRtError, match="latent: the length of its axis T"):
        profiles(GRAPH, {})


def test_every_axis_of_the_families_has_a_range_or_is_a_window_length():
    from engine.families.registry import FAMILIES

    letters = {
        axis
        for name in ("nano", "audioldm2")
        for stage in FAMILIES[name].stages
        for port in stage.inputs
        for axis in port.axes
        if isinstance(axis, str)
    }
    assert letters <= set(tensorrt_engine.AXES) | {"T", "M"}


def test_an_engine_is_of_one_graph_one_length_one_card_one_version():
    base = (Path("unet.onnx"), "aa", {"T": 256}, "H200 9.0", "11.4")
    paths = {engine_path(*base)}
    for index, other in enumerate((Path("vae.onnx"), "bb", {"T": 128}, "L4 8.9", "10.13")):
        paths.add(engine_path(*base[:index], other, *base[index + 1 :]))
    assert len(paths) == 6 and all(path.suffix == ".engine" for path in paths)
    assert engine_path(*base) == engine_path(*base)


def test_phases_become_one_fraction_and_a_cancel_stops_the_build():
    told, stop = [], []
    phases = Phases(told.append, lambda: bool(stop))
    phases.begin("building", 4)
    phases.begin("tactics", 100)
    assert phases.step("tactics", 50) and told == []
    assert phases.step("building", 0) and phases.step("building", 2) and phases.step("building", 1)
    assert told == [0.25, 0.75, 0.75]
    phases.end("tactics")
    stop.append(1)
    assert not phases.step("building", 3) and phases.was_cancelled


def test_without_the_library_the_reason_is_told_and_nothing_is_imported(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        assert name != "tensorrt"
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(tensorrt_engine.importlib.util, "find_spec", lambda name: None)
    assert "pip install tensorrt" in tensorrt_engine.unavailable_reason()
    assert tensorrt_runtime.find(tmp_path / "unet.onnx", "", {}) is None


def test_no_style_is_handed_to_an_engine_as_zeros_of_rank_one():
    stage = Stage("unet", (Port("latent", ("B", 2)), Port("lora_a_4", (3, 4, "R"))), ())
    feed = tensorrt_runtime.prepare_feed(
        stage, {"latent": np.ones((1, 2)), "lora_a_4": np.zeros((3, 4, 0)), "other": 1}
    )
    assert set(feed) == {"latent", "lora_a_4"} and feed["latent"].dtype == np.float32
    assert feed["lora_a_4"].shape == (3, 4, 1) and not feed["lora_a_4"].any()


def test_shapes_outside_the_profile_go_to_the_other_runtime():
    stage = Stage("unet", (Port("latent", ("B", 2)),), ())
    shapes = {"latent": Profile((1, 2), (2, 2), (8, 2))}
    run = tensorrt_runtime.TensorRtRunner(
        stage, Path("unet.engine"), shapes, lambda **inputs: ("other",)
    )
    assert run(latent=np.zeros((9, 2))) == ("other",)
    assert tensorrt_runtime.fits({"latent": np.zeros((8, 2))}, shapes)
