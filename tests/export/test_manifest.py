"""A manifest says what an export is of; one that does not fit is passed over with the reason."""

import logging
import shutil

import pytest

from engine.families.registry import FAMILIES
from export import manifest
from server.cli.doctor import checks


@pytest.fixture
def models(nano_models, tmp_path):
    """The export of another nano, and one that an older version has left."""
    (export,) = (nano_models / manifest.FOLDER).iterdir()
    for name, schema in (("other", manifest.SCHEMA), ("older", 1)):
        folder = tmp_path / manifest.FOLDER / f"nano-float32-{name}"
        folder.mkdir(parents=True)
        text = (export / manifest.FILE_NAME).read_text(encoding="utf-8")
        (folder / manifest.FILE_NAME).write_text(
            text.replace(f'"schema": {manifest.SCHEMA}', f'"schema": {schema}')
        )
    return tmp_path


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


def test_a_manifest_of_another_version_is_not_taken(tmp_path, nano_models):
    (folder,) = (nano_models / manifest.FOLDER).iterdir()
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    other = text.replace(f'"schema": {manifest.SCHEMA}', '"schema": 9')
    (tmp_path / "manifest.json").write_text(other, encoding="utf-8")
    with pytest.raises(ValueError, match="export again"):
        manifest.read(tmp_path)


def test_the_log_says_which_why_and_what_to_do(models, caplog):
    with caplog.at_level(logging.WARNING):
        FAMILIES["nano"].load(1, models)
    older, other = (line for line in caplog.messages if "passed over" in line)
    assert "nano-float32-older" in older and "schema 2, got 1" in older
    assert "nano-float32-other" in other and "other weights" in other
    assert all("retimbre export nano" in line for line in (older, other))


def test_doctor_says_it_too_and_says_nothing_where_all_is_well(models, nano_models):
    found = list(checks.stale_exports(models))
    assert [finding.state for finding in found] == ["note", "note"] and all(
        finding.cure for finding in found
    )
    shutil.rmtree(models / manifest.FOLDER)
    assert list(checks.stale_exports(models)) == []
