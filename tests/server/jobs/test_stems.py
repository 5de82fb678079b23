"""What stems are called, and how copies of them reach the client's folder."""

import pytest

from server.jobs.records import Result
from server.jobs.stems import deliver, stem_prefix


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
    assert stem_prefix(audio, text, "job-abcdef0123") == prefix


def test_copies_take_the_next_free_name(tmp_path):
    source = tmp_path / "source" / "a.wav"
    source.parent.mkdir()
    source.write_bytes(b"new")
    (tmp_path / "a.wav").write_bytes(b"old")
    result, problem = deliver(Result(0, "s", str(source), 1, 1, 1, 0.0), str(tmp_path))
    assert result.path == str(tmp_path / "a-2.wav") and not problem
    assert (tmp_path / "a.wav").read_bytes() == b"old" and (
        tmp_path / "a-2.wav"
    ).read_bytes() == b"new"
    assert not list(tmp_path.glob(".*"))


def test_a_copy_that_fails_leaves_the_stem_where_it_is_and_says_so(tmp_path):
    result, problem = deliver(
        Result(0, "s", str(tmp_path / "a.wav"), 1, 1, 1, 0.0), str(tmp_path / "gone")
    )
    assert result.path == str(tmp_path / "a.wav") and "gone" in problem
