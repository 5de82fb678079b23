"""What the DAWs' tests share: a region, a server with the worker double, the program `retimbre`."""

import contextlib
import importlib.util
import shutil
import socket
import sys
import threading

import numpy as np
import pytest
import soundfile
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from server.paths import REPOSITORY
from tests.peers.servers import double_command, running

RATE_HZ, FRAMES, CHANNELS = 44_100, 61_740, 2  # 1.4 s
PATIENCE_SECONDS = 60.0  # of crowded machines; a quiet one needs a tenth


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """The project's folder: every frame of region.wav differs, so a stem shows where it was cut."""
    folder = tmp_path_factory.mktemp("a project's folder")
    ramp = np.linspace(-0.5, 0.5, FRAMES)
    soundfile.write(
        folder / "region.wav", np.stack([ramp, -ramp], axis=1), RATE_HZ, subtype="PCM_16"
    )
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server_port(media, data_dir):
    """The OSC port of a running server whose worker copies instead of computing."""
    with running(double_command(data_dir, media), data_dir) as port:
        yield port


@pytest.fixture(scope="module")
def retimbre(server_port, data_dir):
    """The command as an installation has it, at home in this server's data folder."""
    program = data_dir / "bin" / "retimbre"
    program.parent.mkdir()
    start = f'RETIMBRE_DATA_DIR="{data_dir}" exec "{sys.executable}" -m server "$@"'
    program.write_text(f'#!/bin/sh\ncd "{REPOSITORY}" && {start}\n')
    program.chmod(0o755)
    return program


def find_program(name, package):
    """The path of a program; without it the test is skipped."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed; Debian has it in {package}")


def load_script(path):
    """A client's script as a module; it may import what lies beside it, as when Python runs it."""
    sys.path.insert(0, str(path.parent))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # its dataclasses ask for it by name
    specification.loader.exec_module(module)
    sys.path.remove(str(path.parent))
    return module


def free_port():
    """A UDP port that was free a moment ago."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Listener:
    """A host program's end of OSC: `answer` gets each message that arrives, and may send."""

    def __init__(self, answer):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.packets = []
        self._answer = answer
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while packet := self.socket.recv(65_536):
            self.packets.append(packet)
            self._answer(OscMessage(packet))

    def send(self, port, address, *values):
        message = OscMessageBuilder(address)
        for value in values:
            message.add_arg(value)
        self.socket.sendto(message.build().dgram, ("127.0.0.1", port))

    def close(self):
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self.socket.close()
