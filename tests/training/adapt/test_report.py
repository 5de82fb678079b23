"""The report on sounds whose figures are known, and the commands on a tiny run."""

import json

import numpy as np
import pytest

pytest.importorskip("librosa")

from evaluation.metrics.sound import Sound
from tests.training.adapt.conftest import RATE_HZ, flags_of, tune
from training.adapt import cli, report
from training.adapt.report import Played
from training.dataset import layouts


def sound(seed):
    return Sound(tune(seed), RATE_HZ)


def test_a_style_that_is_the_held_out_sound_gains_all_and_the_base_nothing():
    noise = Sound(np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32), RATE_HZ)
    found = report.gain([Played("x", noise, sound(1))], [sound(1)], None)
    assert found["n"] == 1 and set(found["figures"]) >= {
        "afd",
        "spectral",
        "kld_mfcc",
        "kld_chroma",
        "fad",
    }
    assert all(row["fall"] > 0.9 for row in found["figures"].values())
    same = report.gain([Played("x", sound(1), sound(1))], [sound(2)], None)
    assert all(row["fall"] == pytest.approx(0) for row in same["figures"].values())


def test_a_style_that_plays_a_training_clip_is_caught(data):
    training = [clip for clip in layouts.read(data)[0] if clip.split == "train"]
    caught = report.memorisation([Played("x", sound(7), sound(0))], [sound(8)], training, 10.0)
    assert [row["clip"] for row in caught["copies"]] == ["0.wav"] and caught["style"] > caught[
        "base"
    ]
    assert (
        report.memorisation([Played("x", sound(7), sound(9))], [sound(8)], training, 10.0)["copies"]
        == []
    )


def test_drift_is_nought_where_the_style_changes_nothing():
    rows = report.retention({"genres": [Played("x", sound(1), sound(1))]}, [sound(2)], None)
    row = rows["genres"]
    assert (
        row["n"] == 1
        and row["drift"] == pytest.approx(0, abs=1e-6)
        and row["kld_base"] == row["kld_style"] > 0
    )
    told = report.retention({"genres": [Played("x", sound(1), sound(2))]}, [sound(2)], None)[
        "genres"
    ]
    assert told["kld_style"] == pytest.approx(0, abs=1e-6) and told["kld_base"] == row["kld_base"]


def test_clap_says_whether_other_words_are_still_followed(tmp_path):
    from evaluation.metrics import embeddings
    from tests.evaluation.tiny_clap import save_tiny_clap

    clap = embeddings.load(str(save_tiny_clap(tmp_path / "clap")))
    played = [Played("a slow blues", sound(1), sound(2))]
    row = report.retention({"genres": played}, [sound(3)], clap)["genres"]
    assert row["clap_base"] == pytest.approx(clap.similarity(sound(1), "a slow blues"), abs=1e-5)
    assert row["clap_style"] != row["clap_base"] and row["drift"] > 0
    found = {
        "split": "test",
        "seconds": 1.0,
        "seed": 0,
        "clap": clap.name,
        "retention": {"genres": row},
        "gain": report.gain(played, [sound(3)], clap),
        "memorisation": {"n": 1, "training": 1, "copies": [], "style": 0, "base": 0, "real": 0},
    }
    told = report.markdown(found)
    assert (
        "CLAP was not asked" not in told
        and f"{row['clap_style']:.3f}" in told
        and clap.name in told
    )


def attach_in_family(models, path):
    """The files of a serving family that was asked for the preset that training left."""
    from engine.families.musicgen.family import defaults, load
    from engine.knobs import resolve as knobs_of
    from presets import load_preset, resolve

    preset, family = resolve(load_preset(path), "a tune"), load(1, models)
    knobs, _ = knobs_of("a tune", {"seed": 1}, preset, defaults())
    family.warm_up()
    job = family.prepare(preset, knobs)
    family.port(job, lambda *_: None, lambda: False)
    return {path.name for path in family.files().values()}


def test_the_command_writes_a_report_with_n_and_samples_of_both(
    data, models, tmp_path, short, capsys
):
    settings = {**short, "steps": 1, "sample_seconds": 0.5, "family": "musicgen"}
    flags = flags_of(settings)
    where = ["--models", str(models)]
    assert cli.main(["run", str(data), "--name", "x", "--runs", str(tmp_path), *where, *flags]) == 0
    capsys.readouterr()
    assert cli.main(["report", str(tmp_path / "x"), str(data), *where, "--seconds", "1"]) == 0
    told, folder = capsys.readouterr().out, tmp_path / "x" / "report"
    assert (
        "N = 1 clips of the test split" in told
        and "CLAP was not asked" in told
        and "against 3 clips" in told
    )
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert set(found["retention"]) == set(report.CATEGORIES)
    assert len(list((folder / "genres" / "style").glob("*.flac"))) == 2
    assert cli.main(["report", str(tmp_path / "x"), str(data), *where]) == 1

    assert "x.safetensors" in attach_in_family(models, tmp_path / "x" / "preset" / "x" / "x.yaml")
    exported = tmp_path / "out"
    assert (
        cli.main(
            ["export", str(tmp_path / "x" / "best.safetensors"), str(exported), "--form", "kohya"]
        )
        == 0
    )
    options = {"name": "y", "family": "musicgen", "licence": "CC0", "out": tmp_path}
    assert (
        cli.main(["import", str(exported), *flags_of(options), *where]) == 0
        and (tmp_path / "y" / "y.yaml").is_file()
    )
    merged = tmp_path / "z.safetensors"
    style = tmp_path / "y" / "y.safetensors"
    assert (
        cli.main(
            ["merge", str(merged), f"{style}=0.5", f"{tmp_path / 'x' / 'best.safetensors'}=0.5"]
        )
        == 0
    )
    capsys.readouterr()
    assert cli.main(["merge", str(merged), f"{style}=1"]) == 1
