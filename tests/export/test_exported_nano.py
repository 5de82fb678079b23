"""nano's exported graphs give exactly what the model gives; other weights pass them over."""

import shutil

import numpy as np
import pytest

from engine.errors import EngineError
from engine.families.nano import exporting
from engine.families.nano.family import NanoFamily
from engine.families.registry import Family, family_named


def test_nano_on_exported_graphs_says_exactly_what_it_says(nano_models, nano_weights, region):
    exported = exporting.load(1, nano_models, nano_weights)
    exported.warm_up()
    plain = NanoFamily.load(nano_weights, 1)
    knobs = {"seed": 3, "guidance": 2.0, "steps": 3}
    assert np.array_equal(
        exported.transfer(region, "violin", knobs), plain.transfer(region, "violin", knobs)
    )


def test_without_an_export_and_after_the_weights_change_the_model_itself_serves(
    nano_models, nano_weights, tmp_path
):
    assert exporting.load(1, tmp_path, nano_weights) is None
    changed = shutil.copytree(nano_weights, tmp_path / "changed")
    assert exporting.load(1, nano_models, changed) is not None  # the same bytes at another time
    (changed / "config.json").write_text('{"defaults": {"steps": 3}}', encoding="utf-8")
    assert exporting.load(1, nano_models, changed) is None


def test_a_family_without_graphs_says_so():
    with pytest.raises(EngineError, match="no graphs to export"):
        Family("other", "", "", (), 1.0, "engine.other").exporting()
    assert family_named("nano").exports
