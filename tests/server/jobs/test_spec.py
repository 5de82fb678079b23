"""From a request, or an earlier job and changes, to what a job is asked to do."""

import subprocess
import sys

import pytest

from presets import Library
from server.errors import RequestError
from server.files.sandbox import Sandbox
from server.jobs.spec import MAX_SEED, SpecBuilder, check_model, new_seed
from server.jobs.stems import worker_request
from tests.server.clients import write_wav


@pytest.fixture
def builder(tmp_path):
    write_wav(tmp_path / "a.wav")
    return SpecBuilder(Library(), Sandbox([tmp_path], 10**9), "nano")


def test_a_spec_holds_all_that_is_needed(builder):
    spec = builder.edit("a.wav", "softly", {"preset": "harp", "steps": 3, "start": 0.5, "seed": 4})
    request = worker_request(spec, "job-1.1", "job-1", 1, "/out")["request"]
    assert request["preset"]["name"] == "harp" and request["knobs"] == {"steps": 3, "seed": 5}
    assert (request["start_seconds"], request["length_seconds"], request["model"]) == (
        0.5,
        None,
        "nano",
    )


def test_seeds_come_from_the_key_then_the_old_job_then_chance(builder):
    old = builder.edit("a.wav", "softly", {"seed": 4})
    assert builder.again(old, {}).seed == 4
    assert builder.again(old, {"seed": 6}).seed == 6
    seeds = {builder.again(old, {"seed": -1}).seed for _ in range(20)}
    assert len(seeds) > 1


def test_again_keeps_what_is_not_changed(builder):
    old = builder.edit("a.wav", "softly", {"preset": "harp", "steps": 3, "length": 2.0})
    new = builder.again(old, {"strength": 0.5, "preset": "banjo"})
    assert new.options == {"steps": 3, "strength": 0.5} and new.length_seconds == 2.0
    assert (old.preset.name, new.preset.name) == ("harp", "banjo")


def test_a_preset_on_another_model_is_refused(builder):
    with pytest.raises(RequestError, match="plays on model nano"):
        builder.edit("a.wav", "softly", {"preset": "harp", "model": "musicgen"})


def test_unknown_models_name_the_nearest_unless_the_engine_has_said_nothing_yet():
    with pytest.raises(RequestError, match="nano"):
        check_model("nanu", [{"name": "nano"}])
    check_model("nanu", [])


def test_seeds_fit_the_floats_of_pd():
    assert all(0 <= new_seed(8) <= MAX_SEED - 8 for _ in range(100))


def test_knowing_which_model_takes_what_needs_neither_torch_nor_a_runtime():
    heavy = "{'torch', 'onnxruntime', 'numpy', 'safetensors'} & set(sys.modules)"
    code = f"import sys, server.jobs.spec; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
