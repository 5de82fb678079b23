"""Exports are made once: the UNet's takes seconds even when it is tiny."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def region():
    """A second of music-like noise at 16 kHz."""
    draw = np.random.default_rng(0)
    return (np.sin(np.arange(16_000) * 0.17) * 0.2 + draw.standard_normal(16_000) * 0.02).astype(
        np.float32
    )


@pytest.fixture(scope="session")
def ldm_models(tmp_path_factory, region):
    """A models folder of audioldm2 with its export in it."""
    for module in ("torch", "diffusers", "transformers", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    from engine.families.audioldm2 import exporting
    from engine.runtimes.exported import open_for_parity
    from export import build
    from tests.engine.families.audioldm2 import small

    folder = small.write_models(tmp_path_factory.mktemp("ldm"))
    build.build(exporting.plan(folder, region), folder, "float32", open_for_parity(1))
    return folder


@pytest.fixture(scope="session")
def nano_weights(tmp_path_factory):
    """nano's real signatures with tiny random weights."""
    for module in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    from tests.engine.tiny_nano import write_weights

    return write_weights(tmp_path_factory.mktemp("nano_weights"))


@pytest.fixture(scope="session")
def nano_models(tmp_path_factory, nano_weights, region):
    """A models folder with nano's export in it."""
    from engine.families.nano import exporting
    from engine.runtimes.exported import open_for_parity
    from export import build

    folder = tmp_path_factory.mktemp("nano_models")
    build.build(
        exporting.plan(folder, region, weights=nano_weights), folder, "float32", open_for_parity(1)
    )
    return folder


@pytest.fixture(scope="session")
def musicgen_models(tmp_path_factory):
    """A models folder of musicgen with the exports of both of its checkpoints in it."""
    for module in ("torch", "transformers", "peft", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    from engine.families.musicgen import exporting
    from engine.runtimes.exported import open_for_parity
    from export import build
    from tests.engine.families.musicgen import tiny

    folder = tiny.write_models(tmp_path_factory.mktemp("musicgen"))
    heard = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    for checkpoint in ("musicgen-small", "musicgen-melody"):
        build.build(
            exporting.plan(folder, heard, checkpoint=checkpoint),
            folder,
            "float32",
            open_for_parity(1),
        )
    return folder
