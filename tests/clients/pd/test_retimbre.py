"""[retimbre] in a real Pd, on a real server: out of arrays, into arrays, and what is refused."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tools.relay import LossyRelay
from engine.families.nano import family as nano
from tests.clients.pd.conftest import FRAMES, RATE_HZ
from tests.clients.pd.puredata import CLIENT
from tests.peers.servers import double_command, nano_command, running


def test_a_region_goes_out_of_an_array_and_its_stem_comes_back_into_it(pd, tones, fill, content):
    fill(pd, tones[:, 0], "left")
    fill(pd, tones[:, 1], "other")
    pd.say("a", "into", "other")
    pd.say("a", "edit", "left", "a", "violin")
    path, rate_hz, channels, frames, stem, seed, seconds = pd.expect("a", "result")
    assert (rate_hz, channels, frames, stem) == (str(RATE_HZ), "1", str(FRAMES), "violin")
    assert np.array_equal(content(pd, "other")[:, 0], tones[:, 0]), (
        "as the double copies, sample for sample"
    )
    assert not pd.all("a", "fail")


def test_into_alone_sends_stems_back_to_where_they_came_from(pd, tones, fill, content):
    fill(pd, tones[:, 0], "left")
    fill(pd, tones[:77, 1], "other")
    pd.say("a", "into", "other")
    pd.say("a", "into")
    pd.say("a", "edit", "left", "a", "violin")
    pd.expect("a", "result")
    assert len(content(pd, "left")) == FRAMES and len(content(pd, "other")) == 77


def test_nano_gives_as_many_samples_as_it_got(pure_data, tmp_path, tones, fill, content):
    if nano.missing():
        pytest.skip(nano.missing())
    with running(nano_command(tmp_path, tmp_path), tmp_path) as port:
        pd = pure_data(port)
        fill(pd, tones, "left", "right")
        pd.say("a", "set", "steps", 2)
        pd.say("a", "arrays", "left", "right")
        pd.say("a", "say", "turn", "this", "into", "a", "flute")
        assert pd.expect("a", "result")[1:4] == [str(RATE_HZ), "2", str(FRAMES)]
        stem = content(pd, "left", "right")
    assert stem.shape == (FRAMES, 2) and np.isfinite(stem).all()
    assert not np.array_equal(stem, tones)


def test_words_arrive_as_they_were_written(pd, tones, fill):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "edit", "left", 808, "drums,", "two words", 0.5, "Flügelhorn", "100%")
    pd.expect("a", "result")
    assert _manifest(pd, "a")["edit"]["text"] == "808 drums, two words 0.5 Flügelhorn 100%"


def test_only_a_range_of_the_array_goes_out_and_comes_back(pd, tones, fill, content):
    fill(pd, tones, "left", "right")
    pd.say("a", "arrays", "left", "right")
    pd.say("a", "range", 1000, 501)
    pd.say("a", "say", "a", "violin")
    assert pd.expect("a", "result")[3] == "501"
    fill(pd, np.zeros_like(tones), "left", "right")
    pd.say("a", "original")
    expected = np.zeros_like(tones)
    expected[1000:1501] = tones[1000:1501]
    assert np.array_equal(content(pd, "left", "right"), expected)


@pytest.mark.parametrize("skip", [FRAMES, FRAMES + 9999])
def test_a_range_beyond_the_array_is_refused(pd, tones, fill, skip):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "range", skip, 10)
    pd.say("a", "edit", "left", "a", "violin")
    assert pd.expect("a", "fail")[0] == "bad_args"


def test_an_array_that_does_not_exist_is_refused(pd):
    pd.say("a", "edit", "nowhere", "a", "violin")
    code, reason = pd.expect("a", "fail")
    assert code == "bad_args" and "name" in reason


def test_the_rate_of_the_array_can_be_told(pd, tones, fill):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "rate", 96000)
    pd.say("a", "edit", "left", "a", "violin")
    assert pd.expect("a", "result")[1] == "96000"


def test_a_file_goes_out_and_its_stem_goes_into_an_array(pd, tones, fill, content, folder):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "edit", "left", "a", "violin")
    path = pd.expect("a", "result")[0]
    fill(pd, tones[:100, 1], "left")
    pd.say("a", "file", path)
    pd.say("a", "into", "other")
    pd.say("a", "say", "a", "flute")
    assert pd.expect("a", "result", count=2)[0] != path
    assert np.array_equal(content(pd, "other")[:, 0], tones[:, 0])
    assert len(content(pd, "left")) == 100


def test_a_failure_has_a_code_and_a_reason_and_leaves_the_array_alone(pd, tones, fill, content):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "edit", "left", "fail", "out_of_memory")
    assert pd.expect("a", "fail") == ["out_of_memory", "as you wished"]
    pd.say("a", "set", "sedd", 3, "steps", "many")
    assert pd.expect("a", "fail", count=2)[0] == "bad_args"
    assert np.array_equal(content(pd, "left")[:, 0], tones[:, 0])


def test_a_cancelled_job_ends_so(pd, tones, fill):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "edit", "left", "slow", 400)
    pd.expect("a", "progress")
    pd.say("a", "cancel")
    assert pd.expect("a", "fail")[0] == "cancelled"
    assert not pd.all("a", "result")


def test_a_new_job_takes_the_place_of_the_one_that_runs(pd, tones, fill):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "edit", "left", "slow", 400)
    pd.expect("a", "progress")
    pd.say("a", "edit", "left", "a", "flute")
    pd.expect("a", "result")
    pd.say("a", "status")
    pd.expect("a", "rest", "status.reply", "ready", count=2)  # the first when the link came
    assert not pd.all("a", "fail") and len(pd.all("a", "result")) == 1


def test_two_in_one_patch_do_not_hear_each_other(pd, tones, fill, content):
    fill(pd, tones[:, 0], "left")
    fill(pd, tones[:200, 1], "right")
    pd.say("a", "set", "preset", "harp")
    pd.say("a", "edit", "left", "slow", 5)
    pd.say("b", "edit", "right", "a", "flute")
    assert pd.expect("a", "result")[3] == str(FRAMES)
    assert pd.expect("b", "result")[3] == "200"
    assert len(pd.all("a", "result")) == len(pd.all("b", "result")) == 1
    assert len(content(pd, "left")) == FRAMES and len(content(pd, "right")) == 200
    pd.say("b", "get", "preset")
    assert pd.expect("b", "rest", "get.reply", "preset") == [""]


def test_two_patches_begin_to_count_anew_and_do_not_get_each_others_stems(
    pure_data, server_port, tones, fill
):
    paths = []
    for _ in range(2):
        pd = pure_data(server_port)
        fill(pd, tones[:, 0], "left")
        pd.say("a", "edit", "left", "a", "violin")
        paths.append(pd.expect("a", "result")[0])
    assert paths[0] != paths[1]


@pytest.mark.parametrize("seed", range(2))
def test_a_network_that_loses_packets_costs_only_time(
    pure_data, server_port, tones, fill, content, seed
):
    with LossyRelay(server_port, loss=0.15, seed=seed) as relay:
        pd = pure_data(relay.port)
        fill(pd, tones, "left", "right")
        pd.say("a", "arrays", "left", "right")
        for count in (1, 2, 3):
            pd.say("a", "say", "a", "violin")
            pd.expect("a", "result", count=count)
        assert relay.lost
    assert len(pd.all("a", "result")) == 3 and not pd.all("a", "fail")
    assert np.array_equal(content(pd, "left", "right"), tones)


def test_again_with_a_change_and_back_to_the_first_take(pd, tones, fill):
    fill(pd, tones[:, 0], "left")
    pd.say("a", "edit", "left", "a", "violin")
    first = pd.expect("a", "result")[0]
    pd.say("a", "again", "seed", 5)
    second = pd.expect("a", "result", count=2)
    assert second[5] == "5" and second[0] != first
    pd.say("a", "take", 1)
    assert pd.expect("a", "result", count=3)[0] == first


def test_styles_are_listed_chosen_blended_and_left_again(pd):
    pd.say("a", "presets")
    count = int(pd.expect("a", "rest", "preset", "list.end")[0])
    assert len(pd.all("a", "rest", "preset", "item")) == count > 0
    for message, expected in (
        (("preset", "harp"), "harp"),
        (("blend", "harp", 0.7, "pan_flute", 0.3), None),
        (("preset",), ""),
    ):
        pd.say("a", *message)
        pd.say("a", "get", "preset")
        value = pd.expect(
            "a", "rest", "get.reply", "preset", count=len(pd.all("a", "rest", "get.reply")) + 1
        )[0]
        assert expected is None or value == expected


def test_a_server_that_dies_ends_the_job_and_the_link(pure_data, tmp_path, tones, fill):
    with running(double_command(tmp_path, tmp_path), tmp_path, signal.SIGKILL) as port:
        pd = pure_data(port)
        fill(pd, tones[:, 0], "left")
        pd.say("a", "edit", "left", "slow", 10_000)
        pd.expect("a", "progress")
    pd.expect("a", "rest", "link", "0")
    assert pd.expect("a", "fail")[0] == "timed_out"
    pd.say("a", "edit", "left", "a", "violin")
    assert pd.expect("a", "fail", count=2)[0] == "not_ready"


@pytest.mark.parametrize("patch", sorted(CLIENT.glob("*.pd")), ids=lambda path: path.stem)
def test_every_patch_opens_without_a_complaint(patch):
    command = shutil.which("pd") or pytest.skip(
        "pd is not installed; Debian has it in puredata-core"
    )
    done = subprocess.run(
        [
            command,
            "-nogui",
            "-noaudio",
            "-nomidi",
            "-noprefs",
            "-stderr",
            "-open",
            str(patch),
            "-send",
            "pd quit",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _manifest(pd, who):
    return json.loads(Path(pd.expect(who, "result")[0]).with_name("manifest.json").read_text())
