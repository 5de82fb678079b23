"""The command as a user runs it, on a model whose figures are known."""

import json

import pytest
import soundfile

from evaluation.exams import timbre


def run(tmp_path, echo, *arguments):
    path = tmp_path / "figures.json"
    code = timbre.main([*arguments, "--json", str(path)], model=echo)
    return code, json.loads(path.read_text())


def test_figures_goals_and_tables_of_an_examination(tmp_path, echo, pair_renderer, tune, capsys):
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "tune.wav", tune.samples, 32_000)
    code, report = run(tmp_path, echo, "--pairs", "2", "--recordings", str(tmp_path / "clips"))
    reached = {goal["name"]: goal["reached"] for goal in report["goals"]}
    assert code == 0 and len(reached) == 8
    assert (
        reached["recordings (b) chroma to source"]
        and reached["recordings (c) onset F, share of the codec's"]
    )
    assert not reached["unseen (d) log-mel distance, share of the source's"]
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("true, through codec", "Goals", "missed", "from tune"))


def test_the_same_seed_gives_the_same_figures(tmp_path, echo, pair_renderer):
    assert run(tmp_path, echo, "--pairs", "1", "--seed", "5") == run(
        tmp_path, echo, "--pairs", "1", "--seed", "5"
    )


def test_check_turns_a_missed_goal_into_an_exit_code(tmp_path, echo, pair_renderer):
    assert run(tmp_path, echo, "--pairs", "1", "--check")[0] == 1


def test_words_that_training_never_said_are_asked_on_request(tmp_path, echo, pair_renderer):
    report = run(tmp_path, echo, "--pairs", "1", "--held-out-words")[1]
    assert report["held_out_words"]["pairs"] == 1


def test_the_melody_of_unseen_pairs_is_asked_on_request(tmp_path, echo, pair_renderer, capsys):
    for arguments, is_asked in ([], False), (["--melody"], True):
        rows = run(tmp_path, echo, "--pairs", "1", *arguments)[1]["unseen"]["rows"]
        assert ("melody" in rows["stem"]) is is_asked
        assert ("(f) melody" in capsys.readouterr().out) is is_asked
    assert rows["stem"]["melody"]["mean"] == 1


def test_the_gallery_holds_sound_and_picture(tmp_path, echo, pair_renderer):
    run(tmp_path, echo, "--pairs", "1", "--gallery", str(tmp_path / "gallery"))
    names = sorted(
        path.name.split("_")[-1]
        for path in (tmp_path / "gallery").iterdir()
        if path.suffix == ".wav"
    )
    assert names == ["source.wav", "stem.wav", "true.wav"]
    assert len(list((tmp_path / "gallery").glob("*.png"))) == 1


def test_a_missing_soundfont_skips_with_the_name_of_its_package(tmp_path, echo, monkeypatch):
    monkeypatch.setattr("evaluation.corpus.render.SOUNDFONT_FOLDERS", (tmp_path,))
    code, report = run(tmp_path, echo, "--pairs", "1")
    assert code == 0 and "unseen" not in report
    assert "timgm6mb-soundfont" in report["skipped"][0]


def test_missing_weights_end_the_examination_with_a_message(tmp_path, capsys):
    assert timbre.main(["--weights", str(tmp_path), "--pairs", "1"]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--set", "loudness=3"], ["--set", "steps"], ["--set", "steps=few"]]
)
def test_a_knob_that_does_not_exist_is_wrong_use(arguments):
    with pytest.raises(SystemExit) as caught:
        timbre.main(arguments)
    assert caught.value.code == 2


def test_a_folder_that_is_none_is_wrong_use(tmp_path, echo):
    assert timbre.main(["--recordings", str(tmp_path / "absent")], model=echo) == 2
