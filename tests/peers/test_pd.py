"""Pd, headless, with region.pd: one port out, another in, and only floats and symbols."""

import json
import subprocess
from pathlib import Path

import pytest

PATCH = Path(__file__).with_name("region.pd")
PATIENCE_SECONDS = 60.0  # of crowded machines; a quiet one needs a tenth


@pytest.fixture
def heard(program, server_port, listen_port):
    """heard(path): what the patch printed about that region, one list of words a message."""
    pd = program("pd", "puredata")

    def run(path):
        done = subprocess.run(
            [
                pd,
                "-nogui",
                "-noaudio",
                "-nomidi",
                "-noprefs",
                "-stderr",
                "-open",
                str(PATCH),
                "-send",
                f"start 127.0.0.1 {server_port} {listen_port} {path}",
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        lines = done.stderr.splitlines()
        assert done.returncode == 0, lines
        return [line.split()[1:] for line in lines if line.startswith("heard: ")]

    return run


def of(messages, *words):
    return [message[len(words) :] for message in messages if message[: len(words)] == list(words)]


def test_a_region_goes_out_and_its_stem_comes_back(heard, region, check_stem):
    messages = heard(region)
    assert of(messages, "retimbre", "region.reply", "3")[0][:3] == ["44100", "2", "30870"]
    assert of(messages, "retimbre", "ack", "7")
    result = of(messages, "retimbre", "result", "7")[0]
    assert result[3:6] == ["44100", "2", "30870"]
    check_stem(result[2])
    ends = of(messages, "retimbre", "done", "/retimbre/say", "7")
    assert len(ends) < 3, (
        "the patch said /got and waited two repeats long; one may have been on its way"
    )
    assert json.loads(Path(ends[0][3]).read_text())["seed"] == 16_777_215, (
        "the largest that a float carries whole"
    )


def test_a_file_that_is_not_there_ends_with_a_reason(heard, region):
    messages = heard(region.with_name("nowhere.wav"))
    assert of(messages, "retimbre", "fail", "/retimbre/region", "3")[0][0] == "no_file"
    assert not of(messages, "retimbre", "ack")
