"""What the DAWs' tests share: a region, a server with the worker double, and the program `retimbre` that finds it."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.paths import REPOSITORY
from tests.peers.servers import double_command, running

RATE_HZ, FRAMES, CHANNELS = 44_100, 61_740, 2  # 1.4 s
PATIENCE_SECONDS = 60.0  # of crowded machines; a quiet one needs a tenth


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """The project's folder: region.wav, every frame of it different, so that a stem tells where it was cut."""
    folder = tmp_path_factory.mktemp("a project's folder")
    ramp = np.linspace(-0.5, 0.5, FRAMES)
    soundfile.write(folder / "region.wav", np.stack([ramp, -ramp], axis=1), RATE_HZ, subtype="PCM_16")
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
    program.write_text(f'#!/bin/sh\ncd "{REPOSITORY}" && RETIMBRE_DATA_DIR="{data_dir}" exec "{sys.executable}" -m server "$@"\n')
    program.chmod(0o755)
    return program


def needed(name, package):
    """The path of a program; without it the test is skipped."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed; Debian has it in {package}")


def environment(**more):
    return {**os.environ, **{name: str(value) for name, value in more.items()}}


def stem_in(folder: Path) -> Path:
    """The one stem in a folder."""
    [path] = folder.glob("retimbre-*.wav")
    return path
