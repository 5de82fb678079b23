"""What all measurements share: how large they are, the server that is measured, the region that it
is sent.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
from retimbre_client import Client

from server.paths import REPOSITORY, Paths, ServerAddress, read_port_file

TEXT = "turn this into a violin"
RATE_HZ, CHANNELS = 48_000, 2
START_SECONDS = 120.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_TAIL_BYTES = 2000


class BenchmarkError(RuntimeError):
    """Nothing could be measured; the text says why."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The defaults take three minutes on two cores."""

    acks: int = 400
    edits: int = 10
    region_seconds: float = 5.0
    long_seconds: float = 60.0  # of the upload, and of the job that keeps the worker busy
    busy_steps: int = 100
    uploads: int = 2
    starts: int = 3
    helps: int = 5
    clients: int = 64
    queued: int = 1000
    probes: int = 200
    idle_seconds: float = 60.0
    soak_seconds: float = 3600.0
    soak_pause_seconds: float = 0.5  # of a client between two jobs, on the average
    model_steps: int = 20  # of AudioLDM2
    # of AudioLDM2; 10.24 is the published one, and takes twice as long
    window_seconds: float = 5.12
    is_quick: bool = False  # models of a few thousand weights, too


QUICK = Sizes(
    acks=10,
    edits=1,
    long_seconds=2.0,
    uploads=1,
    starts=1,
    helps=1,
    clients=4,
    queued=24,
    probes=5,
    idle_seconds=1.0,
    soak_seconds=10.0,
    model_steps=1,
    is_quick=True,
)  # does it work?


@dataclass(frozen=True)
class Setting:
    """What the command line chose."""

    sizes: Sizes = Sizes()
    threads: int = 0  # of the model; 0: one per core


@dataclass(frozen=True)
class Running:
    """A server process that takes jobs at once. `folder`: audio that it may read."""

    process: subprocess.Popen
    address: ServerAddress
    folder: Path
    listening_seconds: float
    ready_seconds: float

    def client(self, transport: str = "udp", port: int = 0) -> Client:
        """A connection to it, or to a relay's `port` before it."""
        return Client(
            port=port or self.address.port, transport=transport, audio_transport=transport
        )


@contextlib.contextmanager
def running(setting: Setting, *flags: str) -> Iterator[Running]:
    """Start a server on a fresh data folder, wait until its model is loaded, stop it at the end."""
    with fresh_folder() as folder, serving(setting, folder, *flags) as server:
        yield server


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """For the data and the audio of a server."""
    with tempfile.TemporaryDirectory(
        prefix="retimbre-bench-", ignore_cleanup_errors=True
    ) as folder:
        Path(folder, "data").mkdir()
        Path(folder, "audio").mkdir()
        yield Path(folder)


@contextlib.contextmanager
def serving(setting: Setting, folder: Path, *flags: str) -> Iterator[Running]:
    """A server on a folder that may have been used before. `flags` come last, so they win."""
    data_dir, audio = folder / "data", folder / "audio"
    with open(data_dir / "benchmark.log", "w+b") as log:
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "server",
            "serve",
            "--port=0",
            "--http-port=0",
            f"--data-dir={data_dir}",
            f"--root={audio}",
            f"--threads={setting.threads}",
            *flags,
        ]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        try:
            address = _until(lambda: read_port_file(Paths(data_dir).port_file), process, log)
            listening_seconds = time.monotonic() - began
            with Client(port=address.port) as client:
                _until(lambda: _is_ready(client), process, log)
            yield Running(process, address, audio, listening_seconds, time.monotonic() - began)
        finally:
            _stop(process)


def write_region(path: Path, seconds: float) -> Path:
    """Stereo float at 48 kHz: a chord with vibrato; what is computed does not depend on what it
    hears.
    """
    time_axis = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    vibrato = 0.003 * np.sin(2 * np.pi * 5 * time_axis)
    chord = sum(np.sin(2 * np.pi * hz * (time_axis + vibrato / 5)) for hz in (220.0, 277.2, 329.6))
    soundfile.write(
        path, np.repeat(0.2 * chord[:, None], CHANNELS, axis=1), RATE_HZ, subtype="FLOAT"
    )
    return path


def _is_ready(client: Client) -> bool:
    # busy: with what an earlier life has left
    if client.status()["state"] not in ("ready", "busy"):
        return False
    if not any(model["loaded"] for model in client.models()):
        raise BenchmarkError("the server runs without a model; `retimbre doctor` says why")
    return True


def _until(find: Callable[[], Any], process: subprocess.Popen, log: IO[bytes]) -> Any:
    """What `find` gives, once it gives something."""
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        if found := find():
            return found
        time.sleep(POLL_SECONDS)
    log.seek(0)
    raise BenchmarkError(
        f"the server did not start: {log.read()[-LOG_TAIL_BYTES:].decode('utf-8', 'replace')}"
    )


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
