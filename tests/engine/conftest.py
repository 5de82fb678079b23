"""Small real files and an identity model: what the region contract is proven with."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.region import ModelOutput, ModelPort
from tests.engine.signals import whole_windows

MODEL_RATE_HZ = 32_000
ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0


@pytest.fixture
def write(tmp_path):
    """write(samples [frames] or [frames, channels], rate) -> path."""

    def _write(samples, rate_hz, name="in.wav", subtype="FLOAT") -> Path:
        path = tmp_path / name
        soundfile.write(path, np.asarray(samples, np.float32), rate_hz, subtype=subtype)
        return path

    return _write


@pytest.fixture
def identity():
    """A model at 32 kHz that gives back what it hears, in whole windows: 5.12 s and 3.84 s for each
    further one.
    """
    return ModelPort(MODEL_RATE_HZ, run=ModelOutput, window_samples=whole_windows)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """start(models folder) -> port of a fresh server that may read `start.folder`."""
    from server.paths import Paths, read_port_file

    processes = []
    folder = tmp_path_factory.mktemp("served")

    def _start(models):
        data = folder / f"data{len(processes)}"
        command = [
            sys.executable,
            "-m",
            "server",
            "serve",
            "--port=0",
            "--http-port=0",
            f"--data-dir={data}",
            f"--models-dir={models}",
            f"--root={folder}",
            "--threads=1",
        ]
        processes.append(subprocess.Popen(command, cwd=ROOT))
        ends_at = time.monotonic() + START_SECONDS
        while (address := read_port_file(Paths.under(data).port_file)) is None:
            assert processes[-1].poll() is None and time.monotonic() < ends_at, (
                "the server did not start"
            )
            time.sleep(0.05)
        return address.port

    _start.folder = folder
    yield _start
    for process in processes:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A folder of nano weights, random and tiny."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.engine.tiny_nano import write_weights

    with warnings.catch_warnings():
        # of the tracing exporter, which export/ uses too
        warnings.simplefilter("ignore", DeprecationWarning)
        return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def tiny_nano(tiny_weights):
    """NanoFamily on those weights."""
    from engine.families.nano import NanoFamily

    return NanoFamily.load(tiny_weights, threads=1)
