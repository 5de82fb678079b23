"""The command over real files: every form of list, both outputs, and what is left blank."""

import csv
import json

import numpy as np
import pytest
import soundfile

from evaluation.corpus.results import ResultsError, read_results, read_sound
from evaluation.exams import catalogue, folder
from evaluation.exams.judging import judge
from tests.evaluation.tiny_clap import save_tiny_clap

RATE_HZ = 22_050
QUICK = ["--only", "chroma,mean_chroma,log_mel,spectral,fad,kld_mfcc"]


def write(path, hz, seconds=2.0):
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * time) * (1 - time % 0.5), RATE_HZ)
    return path


@pytest.fixture
def listed(tmp_path):
    """Two methods on two sources: `echo` gives the source back, `higher` a semitone up."""
    for name, hz in (("a", 440), ("b", 330)):
        write(tmp_path / f"{name}.wav", hz)
        write(tmp_path / f"{name}_up.wav", hz * 2 ** (1 / 12))
    rows = "".join(
        f"{n}.wav,a flute,{n}.wav,echo,{n}.wav\n{n}.wav,a flute,{n}_up.wav,higher,{n}.wav\n"
        for n in ("a", "b")
    )
    (tmp_path / "pairs.csv").write_text(
        "source,text,output,method,target\n" + rows, encoding="utf-8"
    )
    return tmp_path


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


def test_with_clap_both_its_similarity_and_fad_are_there(listed, tmp_path):
    clap = save_tiny_clap(tmp_path / "clap")
    report = judge(read_results(listed), only=["clap", "fad"], clap=str(clap))
    figures = report["methods"]["echo"]["figures"]
    assert -1 <= figures["clap"]["value"] <= 1 and figures["clap"]["n"] == 2
    assert figures["fad"]["value"] == pytest.approx(0, abs=1e-6)
    assert report["reference"]["embedding"] == f"CLAP ({clap})" and not report["blank"]


def test_another_reference_set_may_be_named(listed, tmp_path):
    (tmp_path / "others").mkdir()
    write(tmp_path / "others" / "x.wav", 1000)
    report = judge(read_results(listed), only=["fad", "kld_mfcc"], reference=tmp_path / "others")
    assert (
        report["reference"]["set"] == str(tmp_path / "others")
        and report["reference"]["sounds"] == 1
    )
    assert report["methods"]["echo"]["figures"]["fad"]["value"] > 1


def test_figures_without_anything_to_compare_with_are_blank(tmp_path):
    write(tmp_path / "a.output.wav", 440)
    write(tmp_path / "a.source.wav", 440)
    (tmp_path / "a.txt").write_text("a violin\n", encoding="utf-8")
    (row,) = read_results(tmp_path)
    assert (row.name, row.text, row.target) == ("a", "a violin", None)
    report = judge([row], only=["chroma", "spectral"])
    assert report["blank"] == {"spectral": "no row has a target"}
    assert report["methods"]["all"]["figures"]["spectral"]["n"] == 0


def test_takes_are_read_with_the_region_that_was_sent(tmp_path):
    source = write(tmp_path / "song.wav", 440, seconds=3)
    take = tmp_path / "takes" / "7"
    take.mkdir(parents=True)
    write(take / "stem.wav", 440, seconds=1)
    manifest = {
        "input": {"path": str(source), "start_frame": RATE_HZ, "region_frames": RATE_HZ},
        "text": "a violin",
        "preset": {"name": "harp"},
        "model": {"name": "nano"},
        "stems": [{"path": "/elsewhere/stem.wav"}],
    }
    (take / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (row,) = read_results(tmp_path / "takes")
    assert (row.name, row.method, row.text) == ("7/stem", "harp", "a violin")
    assert len(read_sound(row.source).samples) == RATE_HZ


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


def test_the_documentation_holds_the_table_of_figures():
    from pathlib import Path

    page = Path(folder.__file__).parents[2] / "docs" / "evaluation.md"
    assert catalogue.markdown() in page.read_text(encoding="utf-8"), (
        "run: python -m evaluation.exams.catalogue"
    )
