"""The ReaScript under Debian's Lua: REAPER is a double, `retimbre job` and the server are real."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from tests.clients.studio import FRAMES, PATIENCE_SECONDS, RATE_HZ, find_program

SCRIPT = Path(__file__).parents[3] / "clients" / "reaper" / "retimbre.lua"
DOUBLE = Path(__file__).with_name("double.lua")
ITEM = {"position": 10, "length": 1.4, "seconds": 1.4}


class Take(NamedTuple):
    position: float
    length: float
    offset: float
    volume: float
    is_active: bool
    file: str


class Outcome(NamedTuple):
    lines: list
    takes: list

    def lines_of(self, word):
        return [line[len(word) + 1 :] for line in self.lines if line.startswith(f"{word} ")]


@pytest.fixture
def run(media, retimbre, tmp_path):
    """run(text=…, …): the script in a project whose folder is tmp_path."""
    lua = find_program("lua5.4", "lua5.4")

    def run(**given):
        facts = {
            **ITEM,
            "file": media / "region.wav",
            "folder": tmp_path,
            "program": retimbre,
            **given,
        }
        done = subprocess.run(
            [lua, str(DOUBLE), str(SCRIPT), *(f"{key}={value}" for key, value in facts.items())],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        lines = done.stdout.splitlines()
        assert lines[-1].split()[1:3] == ["0", "0"], (
            "the undo block and the screen's refresh are balanced"
        )
        takes = [
            Take(*map(float, words[1:5]), words[5] == "true", words[6])
            for words in (line.split(" ", 6) for line in lines if line.startswith("take "))
        ]
        return Outcome(lines, takes)

    return run


def request_of(folder):
    [path] = folder.glob("retimbre-jobs/*.request")
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())


def test_the_stem_is_a_new_take_of_the_same_item_and_one_undo_step(run, tmp_path):
    outcome = run(text="copy into a violin", D_VOL=0.5)
    old, new = outcome.takes
    assert new.is_active and not old.is_active
    assert (new.position, new.length, new.offset, new.volume) == (10, 1.4, 0, 0.5)
    assert soundfile.info(new.file).frames == FRAMES
    assert Path(new.file).name == "retimbre-copy-into-a-violin-1.wav"
    assert outcome.lines_of("undo") == ["Retimbre: copy into a violin"]


def test_words_that_a_shell_would_eat_arrive_as_they_are(run, tmp_path):
    text = 'copy "that" $HOME; it\'s `50 %` & more | than ä'
    outcome = run(text=text)
    manifest = (
        next(Path(tmp_path).glob("retimbre-jobs/*.log"))
        .read_text()
        .split("manifest ")[1]
        .splitlines()[0]
    )
    assert json.loads(Path(manifest).read_text())["edit"]["text"] == text
    assert len(outcome.takes) == 2


def test_seed_strength_style_tempo_and_beat_travel_with_the_job(run, tmp_path):
    run(text="copy", menu=3, seed=5, strength=0.5)
    request = request_of(tmp_path)
    assert request["preset"] and request["seed"] == "5" and request["strength"] == "0.5"
    assert float(request["tempo"]) == 100 and float(request["beats_start"]) == pytest.approx(
        10 * 100 / 60
    )


def test_a_time_selection_splits_the_item_and_only_its_part_gets_the_take(run, tmp_path):
    outcome = run(text="copy", **{"from": 10.5, "to": 11})
    takes = {(take.position, take.is_active): take for take in outcome.takes}
    active = [(take.position, take.length) for take in outcome.takes if take.is_active]
    assert active == [(10, 0.5), (11, 0.4), (10.5, 0.5)]
    assert takes[10.5, True].offset == pytest.approx(0, abs=1e-6) and takes[
        10.5, False
    ].offset == pytest.approx(0.5)
    assert (
        request_of(tmp_path)["start"] == "0.500000000"
        and request_of(tmp_path)["length"] == "0.500000000"
    )


def test_an_item_that_was_moved_meanwhile_gets_its_take_where_it_is_now(run):
    outcome = run(text="slow 6", moved_to=20)
    assert [(take.position, take.offset) for take in outcome.takes] == [(20, 0), (20, 0)]


def test_the_items_own_offset_is_the_regions_start(run, tmp_path):
    run(text="copy", D_STARTOFFS=0.25, length=1)
    assert (request_of(tmp_path)["start"], request_of(tmp_path)["length"]) == (
        "0.250000000",
        "1.000000000",
    )


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"D_PLAYRATE": 1.5}, "another rate"),
        ({"D_PITCH": 2}, "pitched"),
        ({"markers": 2}, "stretch markers"),
        ({"type": "SECTION"}, "reversed"),
        ({"length": 2}, "loops"),
    ],
)
def test_an_item_whose_file_is_not_what_is_heard_is_refused(run, tmp_path, facts, why):
    [message] = run(text="copy", **facts).lines_of("message")
    assert why in message and "Glue" in message
    assert not list(tmp_path.iterdir())


def test_without_an_item_it_says_what_to_select(run):
    assert "Select an audio item" in run(text="copy", selected="none").lines_of("message")[0]


def test_a_dialog_that_is_left_does_nothing(run, tmp_path):
    outcome = run()
    assert (
        len(outcome.takes) == 1 and not outcome.lines_of("message") and not outcome.lines_of("undo")
    )


def test_a_failed_job_says_why_and_changes_nothing(run):
    outcome = run(text="fail out_of_memory")
    assert outcome.lines_of("message") == ["out_of_memory as you wished"]
    assert len(outcome.takes) == 1 and not outcome.lines_of("undo")


def test_escape_stops_the_job_and_changes_nothing(run, tmp_path):
    outcome = run(text="slow 400", escape=1)
    assert len(outcome.takes) == 1 and not outcome.lines_of("message")
    assert "fail cancelled" in next(tmp_path.glob("retimbre-jobs/*.log")).read_text()


def test_an_item_that_is_gone_leaves_the_stem_and_says_where(run):
    outcome = run(text="copy", gone=1)
    assert "retimbre-copy-1.wav" in outcome.lines_of("message")[0]


def test_an_error_while_placing_still_closes_the_undo_block(run):
    outcome = run(text="copy", unreadable=1)
    assert "cannot read" in outcome.lines_of("message")[0]
    assert len(outcome.lines_of("undo")) == 1


def test_nine_decimals_of_a_second_name_a_frame():
    frames = np.array([0, 1, 12_345, FRAMES - 1])
    assert (
        np.round(np.array([float(f"{n / RATE_HZ:.9f}") for n in frames]) * RATE_HZ) == frames
    ).all()
