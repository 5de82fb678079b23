"""`retimbre export`: what it prints, what it refuses."""

import pytest

from server.cli import export as cli_export
from server.cli import main as cli
from server.cli.errors import EXIT_FAILED


def test_a_model_that_is_not_there_is_refused_with_those_that_are(capsys, tmp_path):
    assert cli.main(["export", "nothing", f"--data-dir={tmp_path}"]) == EXIT_FAILED
    assert "unknown_model" in capsys.readouterr().err


def test_a_model_without_its_weights_says_how_to_get_them(capsys, tmp_path):
    pytest.importorskip("torch")
    assert cli.main(["export", "audioldm2", f"--data-dir={tmp_path}"]) == EXIT_FAILED
    assert "missing_weights" in capsys.readouterr().err


def test_without_onnx_it_names_the_extra(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli_export, "PACKAGES", ("no_such_package",))
    assert cli.main(["export", "nano", f"--data-dir={tmp_path}"]) == EXIT_FAILED
    assert "pip install" in capsys.readouterr().err


def test_the_region_that_is_compared_is_music_of_the_asked_length():
    region = cli_export._region(16_000, 40.0)
    assert region.shape == (640_000,) and region.std() > 0.01


def test_tensorrt_is_refused_with_the_reason_before_anything_is_exported(capsys, tmp_path):
    from export import tensorrt_engine

    if not tensorrt_engine.unavailable_reason():
        pytest.skip("here it can run")
    assert cli.main(["export", "nano", "--to=tensorrt", f"--data-dir={tmp_path}"]) == EXIT_FAILED
    assert "--to tensorrt" in capsys.readouterr().err and not list(tmp_path.rglob("*.onnx"))


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
