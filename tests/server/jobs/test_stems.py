"""What stems are called, and how copies of them reach the client's folder."""

import os
import threading

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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no folder descriptors")
def test_a_folder_that_is_swapped_for_a_link_leads_no_stem_elsewhere(tmp_path):
    source, out, elsewhere, aside = (tmp_path / name for name in ("s.wav", "out", "else", "aside"))
    source.write_bytes(b"stem")
    out.mkdir()
    elsewhere.mkdir()
    is_over = threading.Event()

    def swap():
        while not is_over.is_set():
            out.rename(aside)
            out.symlink_to(elsewhere)
            out.unlink()
            aside.rename(out)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            deliver(Result(0, "s", str(source), 1, 1, 1, 0.0), str(out))
    finally:
        is_over.set()
        swapper.join()
    assert list(elsewhere.iterdir()) == []
    assert not list(out.glob(".*.part"))
