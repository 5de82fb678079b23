"""Methods side by side: from a list of requests to the table, on tiny weights and on none."""

import csv
import json

import numpy as np
import pytest
import soundfile

from evaluation.corpus.results import read_results
from evaluation.exams import compare, folder
from evaluation.exams.judging import judge
from tests.evaluation.tiny_audioldm2 import tiny_models

RATE_HZ = 16_000


@pytest.fixture
def requests_csv(tmp_path):
    samples = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    text = "source,text,name,negative,source_text\na.wav,a violin,first,a piano solo,a piano\n"
    (tmp_path / "asked.csv").write_text(text, encoding="utf-8")
    return tmp_path / "asked.csv"


def test_every_method_of_audioldm2_is_made_and_judged_side_by_side(requests_csv, tmp_path, capsys):
    pytest.importorskip("diffusers")
    methods = ("source", "ap_adapter", "sdedit", "ddim_inversion", "ddpm_inversion")
    settings = [part for name in methods[1:] for part in ("--set", f"{name}.steps=3")]
    models = tiny_models(tmp_path / "models")
    arguments = [
        str(requests_csv),
        "--out",
        str(tmp_path / "out"),
        "--models",
        str(models),
        "--methods",
        ",".join(methods),
    ]
    assert compare.main([*arguments, *settings, "--threads", "1"]) == 0
    listed = list(
        csv.DictReader((tmp_path / "out" / "pairs.csv").read_text(encoding="utf-8").splitlines())
    )
    assert [row["method"] for row in listed] == list(methods)
    record = json.loads((tmp_path / "out" / "methods.json").read_text(encoding="utf-8"))
    assert record["sdedit"]["share"] == 0.55 and record["ap_adapter"]["pooling"] == 2
    assert "unet/diffusion_pytorch_model.safetensors" in record["sdedit"]["files"]
    assert folder.main([str(tmp_path / "out"), "--only", "chroma"]) == 0
    report = judge(read_results(tmp_path / "out"), only=["chroma"])
    assert report["methods"]["source"]["figures"]["chroma"]["value"] == pytest.approx(1, abs=1e-4)


def test_what_is_there_is_not_made_again(requests_csv, tmp_path):
    arguments = [str(requests_csv), "--out", str(tmp_path / "out"), "--methods", "source"]
    assert compare.main(arguments) == 0
    made = tmp_path / "out" / "source" / "first.wav"
    before = made.stat().st_mtime_ns
    assert compare.main(arguments) == 0 and made.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "complaint", "code"),
    [
        (["--methods", "magic"], "no method 'magic'", 2),
        (["--methods", "source", "--set", "source.x=1"], "nothing to set", 1),
        (["--methods", "sdedit", "--set", "sdedit.sharp=1"], "sdedit.sharp", 1),
        (["--methods", "sdedit", "--models", "none"], "hf download", 1),
    ],
)
def test_what_cannot_be_done_is_said(requests_csv, tmp_path, capsys, arguments, complaint, code):
    pytest.importorskip("diffusers")
    assert compare.main([str(requests_csv), "--out", str(tmp_path / "out"), *arguments]) == code
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source,text\n", "nothing is asked"),
        ("source,text\na.wav,\n", "column text"),
        ("source,text\nb.wav,x\n", "b.wav is not there"),
        ("source,text,name\na.wav,x,../y\n", "no file name"),
        ("source,text,name\na.wav,x,y\na.wav,z,y\n", "the same name"),
    ],
)
def test_a_wrong_list_is_refused_with_its_line(requests_csv, capsys, text, complaint):
    requests_csv.write_text(text, encoding="utf-8")
    assert (
        compare.main(
            [str(requests_csv), "--out", str(requests_csv.parent / "out"), "--methods", "source"]
        )
        == 1
    )
    assert complaint in capsys.readouterr().err
