"""Pd, a server for it, and a region to put into its arrays."""

import shutil

import numpy as np
import pytest
import soundfile

from tests.clients.pd.puredata import PureData
from tests.peers.servers import double_command, running

RATE_HZ, FRAMES = 44_100, 30_871  # 0.7 s, and a prime: not a multiple of anything of the model's


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the tests write and Pd reads, and the server not: it names a folder of its own."""
    return tmp_path_factory.mktemp("a project")


@pytest.fixture(scope="module")
def server_port(folder, tmp_path_factory):
    """A server whose worker copies instead of computing; spaces in its paths, as on a Mac."""
    data_dir = tmp_path_factory.mktemp("Application Support")
    with running(double_command(data_dir, data_dir), data_dir) as port:
        yield port


@pytest.fixture
def pure_data():
    """pure_data(port): a Pd whose two [retimbre] are connected to the server at that port."""
    command = shutil.which("pd") or pytest.skip(
        "pd is not installed; Debian has it in puredata-core"
    )
    opened = []

    def open_patch(port):
        opened.append(pd := PureData(command))
        for who in "ab":
            pd.say(who, "server", "127.0.0.1", port)
            pd.expect(who, "rest", "link", "1")
        return pd

    yield open_patch
    for pd in opened:
        pd.close()


@pytest.fixture
def pd(pure_data, server_port):
    return pure_data(server_port)


@pytest.fixture(scope="module")
def tones(folder):
    """Two decaying tones, each sample of which a float carries whole: (frames, 2)."""
    seconds = np.arange(FRAMES) / RATE_HZ
    tones = np.stack(
        [np.sin(2 * np.pi * hz * seconds) * np.exp(-seconds) / 2 for hz in (440, 660)], axis=1
    )
    return tones.astype(np.float32)


@pytest.fixture
def fill(folder):
    """fill(pd, samples, *arrays): puts a column into each array, as long as the samples."""

    def fill(pd, samples, *arrays):
        soundfile.write(folder / "fill.wav", samples, RATE_HZ, subtype="FLOAT")
        assert pd.sound("read", "-resize", folder / "fill.wav", *arrays) == len(samples)

    return fill


@pytest.fixture
def content(folder):
    """content(pd, *arrays): their samples, (frames, arrays)."""

    def content(pd, *arrays):
        frames = pd.sound("write", "-bytes", 4, folder / "content.wav", *arrays)
        samples = soundfile.read(folder / "content.wav", dtype="float32", always_2d=True)[0]
        assert len(samples) == frames
        return samples

    return content
