"""The folder that is built: equally loud and long, blind, and the same from the same seed."""

import json

import numpy as np
import pyloudnorm
import pytest
import soundfile
import yaml

from evaluation.corpus.results import ResultsError, read_results
from evaluation.listening.build import ANCHOR, build
from tests.evaluation.listening.results import METHODS, write_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def built(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "test"
    return folder, build(read_results(results), folder, seed=1)


def test_every_two_methods_meet_on_every_piece_and_each_is_rated(built):
    _, key = built
    kinds = [trial["kind"] for trial in key["trials"]]
    assert (kinds.count("ab"), kinds.count("mos")) == (2, 4)  # two pieces, two methods
    assert {
        key["stimuli"][name]["method"] for trial in key["trials"] for name in trial["stimuli"]
    } == set(METHODS)


def test_stimuli_are_equally_loud_equally_long_and_at_one_rate(built):
    folder, key = built
    lufs, lengths = [], {}
    for name, whose in key["stimuli"].items():
        samples, rate_hz = soundfile.read(folder / "test" / "audio" / f"{name}.wav")
        assert rate_hz == 48_000 and np.abs(samples).max() < 10 ** (-0.9 / 20)
        lufs.append(pyloudnorm.Meter(rate_hz).integrated_loudness(samples))
        lengths.setdefault(whose["piece"], set()).add(len(samples))
    assert max(lufs) - min(lufs) < 0.1
    assert np.mean(lufs) == pytest.approx(key["loudness_lufs"], abs=0.1)
    assert all(len(found) == 1 for found in lengths.values())


def test_nothing_that_listeners_get_tells_the_method(built):
    folder, _ = built
    shown = [path.name for path in (folder / "test").rglob("*")]
    shown += [
        path.read_text(encoding="utf-8") for path in (folder / "test").iterdir() if path.is_file()
    ]
    shown.append((folder / "webmushra" / "retimbre.yaml").read_text(encoding="utf-8"))
    assert not [method for method in METHODS for text in shown if method in text]


def test_the_same_seed_is_the_same_test_and_another_seed_swaps_sides(results, built, tmp_path):
    _, key = built
    assert build(read_results(results), tmp_path / "again", seed=1) == key
    sides = [
        _first_sides(build(read_results(results), tmp_path / str(seed), seed=seed, kinds=("ab",)))
        for seed in range(5)
    ]
    assert len(set(sides)) > 1


def _first_sides(key):
    return tuple(key["stimuli"][trial["stimuli"][0]]["method"] for trial in key["trials"])


def test_pieces_are_drawn_and_the_anchor_is_rated_but_never_in_a_duel(results, tmp_path):
    key = build(read_results(results), tmp_path / "test", pieces=1, with_anchor=True)
    anchored = [
        t["kind"]
        for t in key["trials"]
        if ANCHOR in (key["stimuli"][name]["method"] for name in t["stimuli"])
    ]
    assert len(key["trials"]) == 4 and anchored == ["mos"]


def test_a_test_is_never_overwritten_and_wrong_lists_are_refused(results, built, tmp_path):
    folder, _ = built
    with pytest.raises(ResultsError, match="never overwritten"):
        build(read_results(results), folder)
    rows = read_results(results)
    with pytest.raises(ResultsError, match="give each its own name"):
        build([rows[0], rows[0]], tmp_path / "x")
    with pytest.raises(ResultsError, match="needs two methods"):
        build(rows[:1], tmp_path / "x", kinds=("ab",))
    assert not (tmp_path / "x").exists()


def test_silence_cannot_be_matched(results, tmp_path):
    soundfile.write(results / "silence.wav", np.zeros(48_000), 48_000)
    (tmp_path / "list.csv").write_text(f"output\n{results / 'silence.wav'}\n", encoding="utf-8")
    with pytest.raises(ResultsError, match="silent"):
        build(read_results(tmp_path / "list.csv"), tmp_path / "test", kinds=("mos",))


def test_the_webmushra_experiment_has_its_documented_fields_and_its_files_exist(built):
    folder, key = built
    config = yaml.safe_load((folder / "webmushra" / "retimbre.yaml").read_text(encoding="utf-8"))
    assert {
        "testname",
        "testId",
        "bufferSize",
        "stopOnErrors",
        "showButtonPreviousPage",
        "remoteService",
    } < set(config)
    volume, (order, *pages), finish = config["pages"]
    assert (volume["type"], order, finish["type"]) == ("volume", "random", "finish")
    assert [page["type"] for page in pages] == ["paired_comparison"] * 6 + ["mushra"] * 2
    paths = [path for page in pages for path in (*page["stimuli"].values(), page["reference"])]
    assert all((folder / "test" / path.removeprefix("retimbre/")).is_file() for path in paths)
    assert all(name in key["stimuli"] for page in pages for name in page["stimuli"])


def test_without_sources_only_what_can_be_judged_is_asked(results, tmp_path):
    (tmp_path / "list.csv").write_text(f"output\n{results / 'a_good.wav'}\n", encoding="utf-8")
    key = build(read_results(tmp_path / "list.csv"), tmp_path / "test", kinds=("mos",))
    (trial,) = key["trials"]
    assert trial["original"] is None and [question["id"] for question in trial["questions"]] == [
        "sound"
    ]
    assert "likert_single_stimulus" in (
        tmp_path / "test" / "webmushra" / "retimbre.yaml"
    ).read_text(encoding="utf-8")


def test_trials_are_a_script_that_holds_json(built):
    text = (built[0] / "test" / "trials.js").read_text(encoding="utf-8")
    assert (
        json.loads(text.removeprefix("window.LISTENING_TEST = ").rstrip(";\n"))["test"]
        == built[1]["test"]
    )
