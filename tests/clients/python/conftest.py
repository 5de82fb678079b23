"""A server process with the double worker, clients of both faces, a server to be killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from retimbre_client import Client

from server.paths import REPOSITORY, Paths, read_port_file
from tests.clients.python.peer import Peer
from tests.peers.servers import double_command, running
from tests.server.clients import write_wav

START_SECONDS = 60.0


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def audio(tmp_path_factory):
    """A file that the server may read."""
    return write_wav(tmp_path_factory.mktemp("audio") / "region.wav")


@pytest.fixture
def hidden(tmp_path):
    """A file that it may not; long enough for several chunks, also over TCP."""
    return write_wav(tmp_path / "hidden.wav", frames=700_000)


@pytest.fixture(scope="session")
def port(data_dir, audio):
    with running(double_command(data_dir, audio.parent), data_dir) as port:
        yield port


@pytest.fixture
def client(port):
    with Client(port=port) as client:
        yield client


class Machine:
    """A server process that keeps its port from one life to the next."""

    def __init__(self, data, root):
        self.paths, self.root, self.process, self.port = Paths(data), root, None, 0

    def start(self):
        self.paths.data.mkdir(exist_ok=True)
        self.paths.port_file.unlink(missing_ok=True)
        command = [*double_command(self.paths.data, self.root), "0", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, start_new_session=True
        )
        ends_at = time.monotonic() + START_SECONDS
        while not (address := read_port_file(self.paths.port_file)):
            assert time.monotonic() < ends_at and self.process.poll() is None, (
                "the server did not start"
            )
            time.sleep(0.02)
        assert self.port in (0, address.port), "another program took the port meanwhile"
        self.port = address.port

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def runs(self):
        """The jobs that the worker has been given, one line each time."""
        path = self.paths.takes / "runs.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path, audio):
    machine = Machine(tmp_path / "data", audio.parent)
    machine.start()
    yield machine
    machine.kill()


@pytest.fixture
def connect():
    """connect(answer, **options): a client of a Peer that answers so, and that peer."""
    opened = []

    def connect(answer, **options):
        peer = Peer(answer)
        client = Client("127.0.0.1", peer.socket.getsockname()[1], audio_transport="udp", **options)
        opened.extend((client, peer))
        return client, peer

    yield connect
    for each in opened:
        each.close()
