"""What can be said without Ray."""

import importlib.util

import pytest

from engine.errors import EngineError
from server.app import Server
from server.compute.ray_cluster import Cluster
from server.compute.ray_takes import write_take
from server.config import ConfigError, ServeConfig


def test_without_ray_the_server_names_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'retimbre\[cluster\]'"):
        Server(ServeConfig(data_dir=str(tmp_path), executor="ray"))


def test_bounds_that_contradict_each_other_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(
        ConfigError, match="min_replicas: expected no more than max_replicas, which is 2, got 3"
    ):
        Cluster.of(
            ServeConfig(data_dir=str(tmp_path), executor="ray", min_replicas=3, max_replicas=2)
        )


def test_each_data_folder_has_an_application_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    names = [
        Cluster.of(ServeConfig(data_dir=str(tmp_path / name), executor="ray")).name
        for name in "aab"
    ]
    assert names[0] == names[1] != names[2]


@pytest.fixture
def done():
    stem = {
        "name": "timbre",
        "path": "/elsewhere/made/x.wav",
        "rate_hz": 8000,
        "channels": 1,
        "frames": 2,
    }
    return {
        "job": "j.0",
        "seed": 3,
        "seconds": 0.1,
        "stems": [b"RIFF"],
        "manifest": {
            "seed": 3,
            "input": {"path": "/elsewhere/in.wav", "start_frame": 4000, "rate_hz": 8000},
            "stems": [stem],
        },
    }


def test_what_a_replica_made_lands_in_the_servers_folder(tmp_path, done):
    (result,), closing = write_take(
        done, {"audio": "/music/in.wav", "preset": None, "output_dir": str(tmp_path)}
    )
    assert (tmp_path / "x.wav").read_bytes() == b"RIFF" and (tmp_path / "manifest.json").is_file()
    assert result["path"] == str(tmp_path / "x.wav") and result["start_seconds"] == 0.5
    assert closing["manifest"] == str(tmp_path / "manifest.json")
    assert done["manifest"]["input"]["path"] == "/music/in.wav"


def test_a_take_that_cannot_be_written_leaves_nothing(tmp_path, done):
    done["manifest"]["stems"].append(
        {**done["manifest"]["stems"][0], "path": f"/elsewhere/made/{'x' * 300}.wav"}
    )
    done["stems"].append(b"RIFF")
    with pytest.raises(EngineError, match="write_failed"):
        write_take(done, {"audio": "/music/in.wav", "preset": None, "output_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())
