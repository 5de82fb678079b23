"""The registry of jobs, recipes and names: what is remembered, and for how long."""

import dataclasses
import time

import pytest

from presets import Library
from server.errors import RequestError
from server.files.sandbox import Sandbox
from server.jobs import job as jobs
from server.jobs.job import ENDED, MAX_SEED, Job, JobRegistry, fingerprint, new_seed, region_name
from server.jobs.journal import End, JobRecord, Result
from server.jobs.spec import Recipes, check_model
from server.jobs.stems import delivered, prefix_of, worker_request
from tests.server.clients import write_wav


def job(name, client="here/max", client_id=1):
    return Job(JobRecord(name, client, client_id, "/retimbre/edit", "", "", {}, time.time()), None)


def test_ended_jobs_are_remembered_for_a_while_and_not_too_many(monkeypatch):
    monkeypatch.setattr(jobs, "KEEP_AT_MOST", 2)
    registry = JobRegistry()
    for number in range(4):
        each = job(f"job-{number}", client_id=number)
        registry.add(each)
        registry.close(each)
    assert [registry.find("here/max", number) is not None for number in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    monkeypatch.setattr(jobs, "KEEP_SECONDS", -1.0)
    assert registry.find("here/max", 3) is None


def test_living_jobs_are_never_forgotten(monkeypatch):
    monkeypatch.setattr(jobs, "KEEP_SECONDS", -1.0)
    registry = JobRegistry()
    registry.add(job("job-1"))
    assert registry.find("here/max", 1) and registry.find("anybody", "job-1")


def test_jobs_follow_a_client_that_says_its_name():
    registry = JobRegistry()
    registry.add(job("job-1", client="udp:127.0.0.1:4000"))
    assert registry.rename("udp:127.0.0.1:4000", "here/max") == ["job-1"]
    assert registry.find("here/max", 1).record.client == "here/max"
    assert registry.find("udp:127.0.0.1:4000", 1) is None


def test_progress_is_kept_honest():
    each = job("job-1")
    fractions = []
    for told in (-1, 0.3, 0.2, -1, 7.0):
        each.advance(told, "generating", -1)
        fractions.append(each.fraction)
    assert fractions == [-1, 0.3, 0.3, 0.3, 0.999]


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (None, "queued"),
        (End(), "done"),
        (End("cancelled"), "cancelled"),
        (End("engine_died"), "failed"),
    ],
)
def test_states_have_public_names(end, state):
    each = dataclasses.replace(job("job-1"), end=end)
    assert each.public_state == state
    assert each.is_alive and not dataclasses.replace(each, state=ENDED).is_alive


def test_seeds_fit_the_floats_of_pd():
    assert all(0 <= new_seed(8) <= MAX_SEED - 8 for _ in range(100))


def test_requests_and_regions_are_told_apart():
    assert (
        fingerprint("a", {"x": 1, "y": 2})
        == fingerprint("a", {"y": 2, "x": 1})
        != fingerprint("a", {"x": 1})
    )
    assert region_name("/a", 0, 1) == region_name("/a", 0.0, 1.0) != region_name("/a", 0, 2)


@pytest.fixture
def recipes(tmp_path):
    write_wav(tmp_path / "a.wav")
    return Recipes(Library(), Sandbox([tmp_path], 10**9), "nano")


def test_a_recipe_holds_all_that_is_needed(recipes):
    spec = recipes.edit("a.wav", "softly", {"preset": "harp", "steps": 3, "start": 0.5, "seed": 4})
    request = worker_request(spec, "job-1.1", "job-1", 1, "/out")["request"]
    assert request["preset"]["name"] == "harp" and request["knobs"] == {"steps": 3, "seed": 5}
    assert (request["start_seconds"], request["length_seconds"], request["model"]) == (
        0.5,
        None,
        "nano",
    )


def test_seeds_come_from_the_key_then_the_old_job_then_chance(recipes):
    old = recipes.edit("a.wav", "softly", {"seed": 4})
    assert recipes.again(old, {})["seed"] == 4
    assert recipes.again(old, {"seed": 6})["seed"] == 6
    seeds = {recipes.again(old, {"seed": -1})["seed"] for _ in range(20)}
    assert len(seeds) > 1


def test_again_keeps_what_is_not_changed(recipes):
    old = recipes.edit("a.wav", "softly", {"preset": "harp", "steps": 3, "length": 2.0})
    new = recipes.again(old, {"strength": 0.5, "preset": "banjo"})
    assert new["keys"] == {"steps": 3, "strength": 0.5} and new["length"] == 2.0
    assert (old["preset"]["name"], new["preset"]["name"]) == ("harp", "banjo")


def test_a_preset_on_another_model_is_refused(recipes):
    with pytest.raises(RequestError, match="plays on model nano"):
        recipes.edit("a.wav", "softly", {"preset": "harp", "model": "musicgen"})


def test_unknown_models_name_the_nearest_unless_the_engine_has_said_nothing_yet():
    with pytest.raises(RequestError, match="nano"):
        check_model("nanu", [{"name": "nano"}])
    check_model("nanu", [])


@pytest.mark.parametrize(
    ("audio", "text", "prefix"),
    [
        (
            "/songs/Take 3 (final).wav",
            "turn this into a violin!",
            "Take-3-final-turn-this-into-a-violin-abcdef",
        ),
        ("/a.wav", "", "a-abcdef"),
        ("/ä.wav", "../../x", "ä-x-abcdef"),
        ("/a.wav", "é" * 500, f"a-{'é' * 20}-abcdef"),
    ],
)
def test_stems_have_names_that_people_and_file_systems_like(audio, text, prefix):
    assert prefix_of(audio, text, "job-abcdef0123") == prefix


def test_copies_take_the_next_free_name(tmp_path):
    source = tmp_path / "source" / "a.wav"
    source.parent.mkdir()
    source.write_bytes(b"new")
    (tmp_path / "a.wav").write_bytes(b"old")
    result, complaint = delivered(Result(0, "s", str(source), 1, 1, 1, 0.0), str(tmp_path))
    assert result.path == str(tmp_path / "a-2.wav") and not complaint
    assert (tmp_path / "a.wav").read_bytes() == b"old" and (
        tmp_path / "a-2.wav"
    ).read_bytes() == b"new"
    assert not list(tmp_path.glob(".*"))


def test_a_copy_that_fails_leaves_the_stem_where_it_is_and_says_so(tmp_path):
    result, complaint = delivered(
        Result(0, "s", str(tmp_path / "a.wav"), 1, 1, 1, 0.0), str(tmp_path / "gone")
    )
    assert result.path == str(tmp_path / "a.wav") and "gone" in complaint
