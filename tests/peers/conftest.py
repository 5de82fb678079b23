"""A running server for programs that are not ours: with nano, and with the worker double."""

import contextlib
import shutil
import socket

import numpy as np
import pytest
import soundfile

from engine.families.nano import family as nano
from tests.peers.servers import double_command, nano_command, running

# 0.7 s, and not a multiple of anything of the model's
RATE_HZ, FRAMES, CHANNELS = 44_100, 30_870, 2
COMMANDS = {"nano": nano_command, "double": double_command}


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """A decaying tone, its right channel quieter, in 16 bits as the worker double can read them."""
    seconds = np.arange(FRAMES) / RATE_HZ
    tone = 0.5 * np.exp(-2 * seconds) * np.sin(2 * np.pi * 440 * seconds)
    path = tmp_path_factory.mktemp("session") / "region.wav"
    soundfile.write(path, np.stack([tone, 0.5 * tone], axis=1), RATE_HZ, subtype="PCM_16")
    return path


@pytest.fixture(scope="module", params=COMMANDS)
def server_port(request, region, tmp_path_factory):
    """The OSC port of a running server that may read the region's folder."""
    if request.param == "nano" and nano.missing():
        pytest.skip(nano.missing())
    data_dir = tmp_path_factory.mktemp("data")
    with running(COMMANDS[request.param](data_dir, region.parent), data_dir) as port:
        yield port


@pytest.fixture
def listen_port():
    """A UDP port that was free a moment ago."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def program():
    """program("oscsend") is its path; without it the test is skipped."""

    def find(*names):
        path = next(filter(None, map(shutil.which, names)), None)
        return path or pytest.skip(
            f"{names[0]} is not installed; Debian has it in liblo-tools or puredata-core"
        )

    return find


@pytest.fixture
def check_stem():
    """Whether a stem fits where the region was."""

    def check(path):
        stem = soundfile.info(path)
        assert (stem.samplerate, stem.channels, stem.frames) == (RATE_HZ, CHANNELS, FRAMES)
        assert np.isfinite(soundfile.read(path)[0]).all()

    return check
