"""The action in a real Ardour session, run by Ardour's own headless Lua tool.

`retimbre job` and the server are real. Windows are doubles: the selection, the dialogs, and the
editor's import.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from tests.clients.studio import PATIENCE_SECONDS, find_program

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "clients" / "ardour" / "retimbre.lua"
# as in session.lua; 0.7 s, and neither a multiple of anything
POSITION, FRAMES, RATE_HZ = 12_345, 30_871, 44_100


class Region(NamedTuple):
    track: str
    position: int
    frames: int
    gain: float
    file: str


class Outcome(NamedTuple):
    lines: list
    regions: list

    def lines_of(self, word):
        return [line[len(word) + 1 :] for line in self.lines if line.startswith(f"{word} ")]


WORDS = 'copy "that" $HOME; it\'s `50 %` ä'
PARTS = {  # what is different about each run of the action, one after the other in one session
    "left": {},
    "nothing": {"text": "copy", "nothing": 1},
    "sandboxed": {"text": "copy", "sandboxed": 1},
    "wordless": {"text": " "},
    "failing": {"text": "fail out_of_memory"},
    "cancelled": {"text": "slow 400", "cancel": 1},
    "refusing": {"text": "copy", "refuses": 1},
    "good": {"text": WORDS, "preset": "harp 0.7 choir 0.3", "seed": 5},
    "narrow": {"text": "copy", "from": POSITION + 10_001, "to": POSITION + 20_004},
}
ORDER = ["failing", "cancelled", "refusing", "good", "narrow"]  # those of them that start jobs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ardour")


@pytest.fixture(scope="module")
def outcomes(retimbre, folder):
    """What each part printed, by its name."""
    tool = find_program("ardour7-lua", "ardour")
    words = []
    for facts in PARTS.values():
        words += [
            "then",
            *(f"{key}={value}" for key, value in {**facts, "program": retimbre}.items()),
        ]
    done = subprocess.run(
        [
            tool,
            str(HERE / "session.lua"),
            str(SCRIPT),
            f"{sys.executable} {HERE / 'fill.py'}",
            str(folder),
            *words[1:],
        ],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0 and "Error" not in done.stdout + done.stderr, (
        done.stdout + done.stderr
    )
    parts = [part.splitlines() for part in done.stdout.split("part\n")[1:]]
    return {
        name: Outcome(lines, [_region(line) for line in lines if line.startswith("region ")])
        for name, lines in zip(PARTS, parts, strict=True)
    }


def _region(line):
    _, track, position, frames, gain, file = line.split(" ", 5)
    return Region(track, int(position), int(frames), float(gain), file)


@pytest.fixture
def job(folder):
    """job("good", "request"): the text of that file of that part's job."""

    def job(part, ending):
        return (
            folder / "song" / "export" / f"retimbre-{ORDER.index(part) + 1}.{ending}"
        ).read_text()

    return job


@pytest.fixture
def read_export(folder):
    """read_export("good"): samples and rate of what that part sent out."""

    def read_export(part):
        return soundfile.read(
            folder / "song" / "export" / f"retimbre-{ORDER.index(part) + 1}-region.wav"
        )

    return read_export


def test_the_stem_lies_on_a_new_track_at_the_same_sample(outcomes):
    old, new = outcomes["good"].regions
    assert (
        (new.position, new.frames, new.gain)
        == (old.position, old.frames, old.gain)
        == (POSITION, FRAMES, 0.5)
    )
    assert new.track != old.track
    assert outcomes["good"].lines_of("import")[0].startswith(f"{POSITION} 2 {FRAMES} ")
    assert np.array_equal(soundfile.read(new.file)[0], soundfile.read(old.file)[0])


def test_what_goes_out_is_the_region_to_the_sample(outcomes, read_export):
    samples, rate_hz = read_export("good")
    ramp = np.linspace(-0.5, 0.5, FRAMES)
    assert rate_hz == RATE_HZ and samples.shape == (FRAMES, 2)
    assert np.allclose(samples, np.stack([ramp, -ramp], axis=1), atol=1e-6)


def test_a_range_narrows_the_region(outcomes, read_export):
    new = outcomes["narrow"].regions[-1]
    assert (new.position, new.frames) == (POSITION + 10_001, 10_003)
    assert np.allclose(
        read_export("narrow")[0][:, 0], np.linspace(-0.5, 0.5, FRAMES)[10_001:20_004], atol=1e-6
    )


def test_words_style_seed_and_tempo_travel_and_are_remembered(outcomes, job, folder):
    assert {f"text {WORDS}", "preset harp 0.7 choir 0.3", "seed 5", "tempo 120.000000"} <= set(
        job("good", "request").splitlines()
    )
    assert "text copy" in (folder / "retimbre").read_text(), "the last one's"


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("nothing", "Select an audio region"),
        ("sandboxed", "sandbox"),
        ("wordless", "Say in words"),
        ("failing", "out_of_memory as you wished"),
        ("refusing", "did not import the stem"),
    ],
)
def test_what_went_wrong_is_said_in_words(outcomes, part, why):
    assert why in outcomes[part].lines_of("message")[0] and len(outcomes[part].regions) == 1


def test_cancel_stops_the_job_and_leaves_the_session_alone(outcomes, job):
    cancelled = outcomes["cancelled"]
    assert (
        len(cancelled.regions) == 1
        and not cancelled.lines_of("message")
        and cancelled.lines_of("window") == ["closed"]
    )
    assert "fail cancelled" in job("cancelled", "log")


def test_a_dialog_that_is_left_does_nothing(outcomes):
    assert len(outcomes["left"].regions) == 1 and not outcomes["left"].lines_of("message")
