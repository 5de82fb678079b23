"""A folder is exchanged with a link a thousand times: nothing outside is ever read."""

import os
import threading

import pytest

from server.errors import RequestError
from server.files.sandbox import Sandbox

ROUNDS = 1000

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need an administrator there")


@pytest.fixture
def flickering(tmp_path):
    """root/song, exchanged with a link to outside/ by a thread as fast as it can."""
    inside, outside = tmp_path / "root" / "song", tmp_path / "outside"
    for folder, words in ((inside, b"ours"), (outside, b"secret")):
        folder.mkdir(parents=True)
        (folder / "a.wav").write_bytes(words)
    away, link, is_over = tmp_path / "root" / "away", tmp_path / "root" / "link", threading.Event()
    link.symlink_to(outside)

    def flicker():
        while not is_over.is_set():
            os.rename(inside, away)
            os.rename(link, inside)
            os.rename(inside, link)
            os.rename(away, inside)

    thread = threading.Thread(target=flicker)
    thread.start()
    yield tmp_path / "root"
    is_over.set()
    thread.join()


def test_what_is_let_through_is_inside(flickering):
    sandbox, read, refused = Sandbox([flickering], 100), 0, 0
    for _ in range(ROUNDS):
        try:
            with sandbox.audio_file("song/a.wav").open() as file:
                assert file.read() == b"ours"
                read += 1
        except (RequestError, OSError):
            refused += 1
    assert read and refused
