"""Small real files and an identity model: what the region contract is proven with."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.region import ModelPort
from tests.engine.signals import whole_windows

MODEL_RATE_HZ = 32_000


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
    """A model at 32 kHz that gives back what it hears, in windows of 5.12 s, as nano plans them."""
    return ModelPort(MODEL_RATE_HZ, run=lambda mono: mono, window_samples=whole_windows)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A folder of nano weights, random and tiny."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.engine.tiny_nano import write_weights

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the tracing exporter, which export/ uses too
        return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def tiny_nano(tiny_weights):
    """NanoFamily on those weights."""
    from engine.nano import NanoFamily

    return NanoFamily.load(tiny_weights, threads=1)
