"""The worker opens what the server has checked, or nothing: names may be swapped in between."""

import os

import pytest
import soundfile

from engine.audio.files import file_info, sha256_of
from engine.audio.identity import FileIdentity
from engine.audio.reading import read_region
from engine.errors import EngineError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="open files cannot be swapped there")


def link(path, other):
    path.unlink()
    path.symlink_to(other)


def pipe(path, other):
    path.unlink()
    os.mkfifo(path)


SWAPS = {
    "a link": link,
    "another file": lambda path, other: os.replace(other, path),
    "a pipe": pipe,
    "other words": lambda path, other: path.write_bytes(other.read_bytes()[:-2]),
}


@pytest.fixture
def files(tmp_path):
    made = tmp_path / "a.wav", tmp_path / "b.wav"
    for path in made:
        soundfile.write(path, [0.1] * 1000, 8000)
    return made


def identity(path):
    return FileIdentity.from_status(os.stat(path))


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize(
    "read", [file_info, sha256_of, lambda path, seen: read_region(path, expected=seen)]
)
def test_what_was_swapped_is_not_read(files, swap, read):
    seen = identity(files[0])
    read(files[0], seen)
    SWAPS[swap](*files)
    with pytest.raises(EngineError) as error:
        read(files[0], seen)
    assert error.value.code == ("no_file" if swap == "a pipe" else "bad_audio")


def test_a_small_file_that_promises_hours_of_many_channels_is_refused(tmp_path):
    import struct

    soundfile.write(tmp_path / "a.flac", [[0.1] * 8] * 1000, 96000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    # 20 bits rate, 3 channels, 5 sample size, 36 frames
    packed = int.from_bytes(data[18:26], "big")
    data[18:26] = struct.pack(">Q", packed | (1 << 36) - 1)
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(EngineError) as error:
        read_region(tmp_path / "a.flac")
    assert error.value.code in ("too_long", "bad_audio")


def test_a_name_that_says_raw_is_no_obstacle(files):
    files[0].rename(files[0].with_suffix(".raw"))
    assert file_info(files[0].with_suffix(".raw")).frames == 1000
