"""A running server with the double worker, and clients on real sockets."""

import contextlib

import pytest

from server.app import Server
from server.config import ServeConfig
from tests.server.clients import TcpClient, UdpClient, executor, write_wav


@pytest.fixture
def audio(tmp_path):
    """A folder that clients may read from, with one file in it."""
    folder = tmp_path / "audio"
    folder.mkdir()
    return write_wav(folder / "region.wav")


@pytest.fixture
def config(tmp_path, audio):
    data = str(tmp_path / "data")
    return ServeConfig(
        data_dir=data, port=0, http_port=0, announce="never", root=(str(audio.parent),)
    )


@pytest.fixture
async def server(config):
    async with Server(config, executor()) as server:
        yield server


@pytest.fixture
async def connect(server):
    """connect("udp") or connect("tcp") makes a client of the running server."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(kind="udp", **options):
            client = await {"udp": UdpClient, "tcp": TcpClient}[kind].open(server.port, **options)
            stack.callback(client.close)
            return client

        yield make
