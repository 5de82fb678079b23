"""Exporting AudioLDM2: equal files from equal weights, and the memory that it takes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.engine.families.audioldm2 import small

for module in ("torch", "diffusers", "transformers", "onnx", "onnxruntime"):
    pytest.importorskip(module)

from engine.families.audioldm2 import exporting  # noqa: E402
from engine.runtimes.exported import open_for_parity  # noqa: E402
from export import build  # noqa: E402


def test_two_exports_in_int8_have_equal_files(tmp_path):
    region = (np.sin(np.arange(16_000) * 0.17) * 0.2).astype(np.float32)
    models = small.write_models(tmp_path / "models")
    plan, found = exporting.plan(models, region), []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        (unet,) = (row for row in exporting.plan(models, region).stages if row.stage.name == "unet")
        build.build(replace(plan, stages=[unet]), folder, "int8", open_for_parity(1))
        found.append({path.name: path.read_bytes() for path in folder.rglob("*.onnx")})
    assert len(found[0]) == 2  # a step and its prefill
    assert found[0] == found[1]


def test_audioldm2_counts_its_weights(models_folder):
    (files,) = exporting.weight_files(models_folder)
    assert exporting.memory_bytes(models_folder) > 9 * max(
        path.stat().st_size for path in files.values()
    )
    assert exporting.memory_bytes(models_folder / "nothing") == 0
