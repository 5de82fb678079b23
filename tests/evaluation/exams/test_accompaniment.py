"""The command as a user runs it, on a model whose figures are known."""

import pytest
import soundfile

from evaluation.exams import accompaniment

SECONDS = 4.0


def test_a_model_that_copies_its_source_is_caught(examine, copycat, renderer, capsys):
    code, report = examine(accompaniment, copycat("bass"), "--arrangements", "1", "--check")
    rows = report["unseen"]["rows"]
    assert code == 1
    assert (
        rows["stem"]["source"]["mean"] == pytest.approx(0.0, abs=1e-3)
        and rows["true"]["source"]["mean"] < -10
    )
    assert rows["true"]["harmony"]["mean"] > 0.8
    assert {goal["name"]: goal["reached"] for goal in report["goals"]}[
        "energy of the source in the stem, dB"
    ] is False
    assert "true part" in capsys.readouterr().out


def test_recordings_are_judged_without_a_truth(examine, copycat, tmp_path, tune):
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "tune.wav", tune.samples, 32_000)
    _, report = examine(
        accompaniment,
        copycat("bass"),
        "--arrangements",
        "0",
        "--recordings",
        str(tmp_path / "clips"),
    )
    assert [row["asked"] for row in report["recordings"]["results"]] == [
        request.text for request in accompaniment.REQUESTS[:3]
    ]
    assert not report["goals"]


def test_a_folder_that_is_none_is_wrong_use(copycat, tmp_path):
    assert (
        accompaniment.main(["--recordings", str(tmp_path / "absent")], model=copycat("bass")) == 2
    )
