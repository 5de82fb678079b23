"""The command over real files: what it prints, writes and refuses."""

import csv
import json

import pytest

from evaluation.corpus.results import ResultsError, read_results
from evaluation.exams import folder

QUICK = ["--only", "chroma,mean_chroma,log_mel,spectral,fad,kld_mfcc"]


def test_a_folder_gives_a_table_json_and_csv_with_one_column_a_method(listed, tmp_path, capsys):
    assert (
        folder.main(
            [
                str(listed),
                *QUICK,
                "--json",
                str(tmp_path / "r.json"),
                "--csv",
                str(tmp_path / "r.csv"),
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert (
        "echo" in printed
        and "higher" in printed
        and "N = 2 sounds" in printed
        and "mel statistics" in printed
    )
    methods = json.loads((tmp_path / "r.json").read_text())["methods"]
    echo, higher = methods["echo"]["figures"], methods["higher"]["figures"]
    assert echo["chroma"] == {
        "value": pytest.approx(1, abs=1e-5),
        "error": pytest.approx(0, abs=1e-5),
        "n": 2,
    }
    assert higher["chroma"]["value"] < 0.8
    assert echo["fad"]["value"] == pytest.approx(0, abs=1e-4) and echo["kld_mfcc"]["value"] == 0
    assert echo["spectral"]["value"] == 0 < higher["spectral"]["value"]
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4 and float(rows[0]["chroma"]) == pytest.approx(1, abs=1e-5)


def test_without_clap_its_figure_is_blank_and_says_why(listed, capsys):
    assert folder.main([str(listed), "--only", "clap"]) == 0
    assert "clap: blank, no CLAP given: hf download" in capsys.readouterr().out
    assert folder.main([str(listed), "--only", "clap,fad", "--clap", str(listed)]) == 0
    printed = capsys.readouterr().out
    assert (
        "clap: blank" in printed
        and "fad: blank" in printed
        and "no model that transformers can load" in printed
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source,text\n", "the column output"),
        ("output\nnone.wav\n", "none.wav is not there"),
        ("output,text\n,words\n", "the cell output is empty"),
        ("output\n", "nothing to judge"),
    ],
)
def test_a_wrong_list_is_refused_with_its_line(tmp_path, text, complaint, capsys):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ResultsError, match=complaint):
        read_results(tmp_path / "list.csv")
    assert folder.main([str(tmp_path / "list.csv")]) == 1
    assert complaint in capsys.readouterr().err


def test_an_unknown_figure_is_wrong_use(listed, capsys):
    assert folder.main([str(listed), "--only", "beauty"]) == 2
    assert "beauty" in capsys.readouterr().err
