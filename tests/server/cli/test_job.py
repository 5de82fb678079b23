"""`retimbre job NAME`: what a script that only reads and writes files gets. Its good end:
tests/clients/reaper.
"""

import pytest

from server.cli.main import main


@pytest.fixture
def job(tmp_path):
    """job(*lines): the last line of the log for a request of these lines."""

    def job(*lines):
        (tmp_path / "a.request").write_text("".join(f"{line}\n" for line in lines))
        assert main(["job", str(tmp_path / "a"), "--data-dir", str(tmp_path)]) != 0
        return (tmp_path / "a.log").read_text().splitlines()[-1]

    return job


@pytest.fixture
def audio(tmp_path):
    (tmp_path / "in.wav").write_bytes(b"RIFF")
    return f"audio {tmp_path}/in.wav"


def test_a_request_without_words_says_which_line_is_missing(job, audio, tmp_path):
    assert "expected a line `text VALUE`" in job(audio, f"output {tmp_path}/out.wav")


def test_an_unknown_key_is_named(job, audio, tmp_path):
    assert "fail bad_args request: stregth is not known" in job(
        audio, "text a flute", "output o.wav", "stregth 1"
    )


def test_a_value_out_of_range_is_named(job, audio, tmp_path):
    assert job(audio, "text a flute", "output o.wav", "steps 0").startswith(
        "fail bad_args request: steps"
    )


def test_a_file_that_is_not_there_is_named(job):
    assert job("audio /nowhere.wav", "text a flute", "output o.wav").startswith(
        "fail no_file /nowhere.wav"
    )


def test_a_name_without_a_request_says_so_in_its_log(tmp_path):
    assert main(["job", str(tmp_path / "a"), "--data-dir", str(tmp_path)]) == 1
    assert (tmp_path / "a.log").read_text().splitlines()[-1].startswith("fail bad_args")
