"""Exporting AudioLDM2: the same weights give the same files."""

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
