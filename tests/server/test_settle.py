"""Files that somebody may still be writing."""

import os
import threading
import time

import pytest

from server import settle
from server.errors import Refusal
from server.settle import settled
from tests.server.clients import write_wav


@pytest.fixture
def naps(monkeypatch):
    """How often it waited."""
    naps = []
    sleep = time.sleep
    monkeypatch.setattr(settle.time, "sleep", lambda seconds: (naps.append(seconds), sleep(seconds)))
    return naps


def test_a_file_that_was_closed_a_while_ago_is_not_waited_for(tmp_path, naps):
    path = write_wav(tmp_path / "a.wav")
    os.utime(path, (time.time() - 10,) * 2)
    identity, header = settled(str(path))
    assert header.frames == 4800 and identity.size_bytes == path.stat().st_size and not naps


def test_a_file_of_this_moment_is_watched_for_a_while(tmp_path, naps):
    settled(str(write_wav(tmp_path / "a.wav")))
    assert naps


def test_a_date_in_the_future_is_not_believed(tmp_path, naps):
    path = write_wav(tmp_path / "a.wav")
    os.utime(path, (time.time() + 1000,) * 2)
    settled(str(path))
    assert naps


def test_the_last_version_of_a_growing_file_counts(tmp_path):
    path, whole = tmp_path / "a.wav", write_wav(tmp_path / "whole.wav").read_bytes()
    path.write_bytes(whole[:100])
    threading.Timer(0.25, path.write_bytes, [whole]).start()
    assert settled(str(path))[0].size_bytes == len(whole)


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WAVE"])
def test_patience_ends(tmp_path, monkeypatch, content):
    monkeypatch.setattr(settle, "PATIENCE_SECONDS", 0.2)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(Refusal, match="being written|empty") as refusal:
        settled(str(tmp_path / "a.wav"))
    assert refusal.value.code == "bad_audio"


def test_a_file_that_disappears_is_no_file(tmp_path):
    with pytest.raises(Refusal) as refusal:
        settled(str(tmp_path / "a.wav"))
    assert refusal.value.code == "no_file"
