"""A graph that differs is refused with every figure, and nothing of it is kept."""

import numpy as np
import pytest

from export import build, manifest, parity
from export.parity import ParityError, Recorder, compare, relative_error


def double(x):
    return (2 * x,)


def test_the_figure_is_the_difference_over_the_size_of_what_is_expected():
    expected = np.array([3.0, 4.0])
    assert relative_error(expected * 1.01, expected) == pytest.approx(0.01)
    assert relative_error(np.array([np.nan, 4.0]), expected) == np.inf
    assert relative_error(np.zeros(3), expected) == np.inf
    assert relative_error(np.array([1, 2]), np.array([1, 3])) == np.inf  # a mask


def test_over_its_bound_an_export_is_refused_with_a_report():
    feeds = [{"x": np.ones((2, length), np.float32)} for length in (3, 5)]
    rows = compare("denoiser", "random", double, lambda x: (2.1 * x,), feeds, 1e-4)
    with pytest.raises(ParityError) as caught:
        parity.check(rows)
    text = str(caught.value)
    assert "denoiser" in text and "x 2x3" in text and "x 2x5" in text and text.count("OVER") == 2
    parity.check(compare("denoiser", "random", double, double, feeds, 1e-4))


def test_a_recorder_keeps_the_first_real_inputs_and_passes_all_on():
    run = Recorder(double, most=2)
    values = np.zeros(2)
    for index in range(3):
        values[:] = index  # a caller may use its buffer again
        assert run(x=values)[0].max() == 2 * index
    assert [feed["x"][0] for feed in run.feeds] == [0, 1]


def test_nothing_is_left_of_an_export_that_fails(nano_weights, region, tmp_path):
    from engine.families.nano import exporting

    plan = exporting.plan(tmp_path, region, weights=nano_weights)

    def wrong(folder, row, adapter):
        return lambda **inputs: tuple(np.zeros((1, 1)) for _ in row.step.outputs)

    with pytest.raises(ParityError):
        build.build(plan, tmp_path, "float32", wrong)
    assert list((tmp_path / manifest.FOLDER).iterdir()) == []


def test_the_manifest_says_of_what_an_export_is_and_how_near(nano_models, nano_weights):
    (folder,) = (nano_models / manifest.FOLDER).iterdir()
    found = manifest.read(folder)
    assert {row["kind"] for row in found.parity} == {"random", "real", "same seed"}
    assert all(row["error"] <= row["bound"] for row in found.parity)
    assert {"onnxruntime", "torch"} <= set(found.versions) and len(
        found.weights["denoiser.onnx"]["sha256"]
    ) == 64
    assert set(found.graphs) == {path.name for path in folder.glob("*.onnx")}
    assert {row.stage for row in found.stages} == {name.split(".")[0] for name in found.graphs}


def test_the_same_export_is_made_once(nano_models, nano_weights, region):
    from engine.families.nano import exporting

    again = exporting.plan(nano_models, region, weights=nano_weights)
    never = lambda *_: pytest.fail("it was there")  # noqa: E731
    assert build.build(again, nano_models, "float32", never).is_dir()


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_smaller_precisions_pass_their_own_bounds(nano_weights, region, tmp_path, precision):
    from engine.families.nano import exporting
    from engine.runtimes.exported import open_for_parity

    plan = exporting.plan(tmp_path, region, weights=nano_weights)
    folder = build.build(plan, tmp_path, precision, open_for_parity(1))
    errors = [row["error"] for row in manifest.read(folder).parity if row["stage"] == "denoiser"]
    assert 0 < max(errors) <= parity.STAGE_BOUND[precision]


def test_a_manifest_of_another_version_is_not_taken(tmp_path, nano_models):
    (folder,) = (nano_models / manifest.FOLDER).iterdir()
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    other = text.replace(f'"schema": {manifest.SCHEMA}', '"schema": 9')
    (tmp_path / "manifest.json").write_text(other, encoding="utf-8")
    with pytest.raises(ValueError, match="export again"):
        manifest.read(tmp_path)
