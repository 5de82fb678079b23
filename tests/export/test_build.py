"""An export is made once, within its bounds, and nothing is kept of one that fails."""

import numpy as np
import pytest

from engine.families.nano import exporting
from engine.runtimes.exported import open_for_parity
from export import build, manifest, parity
from export.parity import ParityError


def test_nothing_is_left_of_an_export_that_fails(nano_weights, region, tmp_path):
    plan = exporting.plan(tmp_path, region, weights=nano_weights)

    def wrong(folder, row, adapter):
        return lambda **inputs: tuple(np.zeros((1, 1)) for _ in row.step.outputs)

    with pytest.raises(ParityError):
        build.build(plan, tmp_path, "float32", wrong)
    assert list((tmp_path / manifest.FOLDER).iterdir()) == []


def test_the_same_export_is_made_once(nano_models, nano_weights, region):
    again = exporting.plan(nano_models, region, weights=nano_weights)
    never = lambda *_: pytest.fail("it was there")  # noqa: E731
    assert build.build(again, nano_models, "float32", never).is_dir()


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_smaller_precisions_pass_their_own_bounds(nano_weights, region, tmp_path, precision):
    plan = exporting.plan(tmp_path, region, weights=nano_weights)
    folder = build.build(plan, tmp_path, precision, open_for_parity(1))
    errors = [row["error"] for row in manifest.read(folder).parity if row["stage"] == "denoiser"]
    assert 0 < max(errors) <= parity.STAGE_BOUND[precision]
