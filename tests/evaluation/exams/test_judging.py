"""Figures of results and methods, and what is left blank."""

import pytest

from evaluation.corpus.results import read_results
from evaluation.exams.judging import judge
from tests.evaluation.sounds import write_tone
from tests.evaluation.tiny_clap import save_tiny_clap

QUICK = ["--only", "chroma,mean_chroma,log_mel,spectral,fad,kld_mfcc"]


def test_with_clap_both_its_similarity_and_fad_are_there(listed, tmp_path):
    clap = save_tiny_clap(tmp_path / "clap")
    report = judge(read_results(listed), only=["clap", "fad"], clap=str(clap))
    figures = report["methods"]["echo"]["figures"]
    assert -1 <= figures["clap"]["value"] <= 1 and figures["clap"]["n"] == 2
    assert figures["fad"]["value"] == pytest.approx(0, abs=1e-6)
    assert report["reference"]["embedding"] == f"CLAP ({clap})" and not report["blank"]


def test_another_reference_set_may_be_named(listed, tmp_path):
    (tmp_path / "others").mkdir()
    write_tone(tmp_path / "others" / "x.wav", 1000)
    report = judge(read_results(listed), only=["fad", "kld_mfcc"], reference=tmp_path / "others")
    assert (
        report["reference"]["set"] == str(tmp_path / "others")
        and report["reference"]["sounds"] == 1
    )
    assert report["methods"]["echo"]["figures"]["fad"]["value"] > 1


def test_figures_without_anything_to_compare_with_are_blank(tmp_path):
    write_tone(tmp_path / "a.output.wav", 440)
    write_tone(tmp_path / "a.source.wav", 440)
    (tmp_path / "a.txt").write_text("a violin\n", encoding="utf-8")
    (row,) = read_results(tmp_path)
    assert (row.name, row.text, row.target) == ("a", "a violin", None)
    report = judge([row], only=["chroma", "spectral"])
    assert report["blank"] == {"spectral": "no row has a target"}
    assert report["methods"]["all"]["figures"]["spectral"]["n"] == 0
