"""An export that is not taken is said, with the reason and the command."""

import logging
import shutil

import pytest

from engine.families.registry import FAMILIES
from export import manifest
from server.cli import export as cli_export
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


def test_an_export_that_may_not_fit_into_memory_warns_before_it_begins(
    monkeypatch, capsys, tmp_path
):
    class Exporting:
        memory_bytes = staticmethod(lambda models: 13_300_000_000)

    for total, words in ((8.0, "13 GB at most, 6 of 8 GB are free"), (64.0, "")):
        monkeypatch.setattr("server.status.memory_gb", lambda total=total: (2.0, total))
        cli_export._warn_of_memory("audioldm2", Exporting, tmp_path)
        assert words in capsys.readouterr().err
    cli_export._warn_of_memory("nano", object(), tmp_path)
    assert capsys.readouterr().err == ""


def test_audioldm2_counts_its_weights(ldm_models):
    from engine.families.audioldm2 import exporting

    (files,) = exporting.weight_files(ldm_models)
    assert exporting.memory_bytes(ldm_models) > 9 * max(
        path.stat().st_size for path in files.values()
    )
    assert exporting.memory_bytes(ldm_models / "nothing") == 0
