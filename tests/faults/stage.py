"""Where a fault is played: servers, full disks, jumping clocks; all is put back at the end."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time

import pytest

from server.app import Server
from server.compute.local import LocalExecutor
from server.config import ServeConfig
from tests.server.clients import UdpClient, executor, write_wav
from tests.server.machine import ROOT, Machine

REAL_SECONDS = 120.0  # the real engine loads and computes, perhaps beside other work
REAL_WORKER = (
    "import sys, pathlib, engine.families.nano.family as family; "
    "family.WEIGHTS = pathlib.Path(sys.argv.pop(1)); from engine.worker import main; main()"
)


class Stage:
    """One scenario's machine. `stack` undoes what was done."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.audio_folder = folder / "audio"
        self.audio_folder.mkdir(parents=True)
        self.audio = write_wav(self.audio_folder / "region.wav")

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder):
        async with contextlib.AsyncExitStack() as stack:
            yield cls(folder, stack)

    # Servers

    async def server(self, engine=None, **options):
        """A server in this process, and a client of it.

        `engine`: of the double worker unless given.
        """
        options = {
            "data_dir": str(self.folder / "data"),
            "port": 0,
            "http_port": 0,
            "root": (str(self.audio_folder),),
            **options,
        }
        server = await self.stack.enter_async_context(
            Server(ServeConfig(**options), engine or executor())
        )
        return server, await self.client(server.port)

    async def client(self, port):
        client = await UdpClient.open(port)
        self.stack.callback(client.close)
        return client

    async def machine(self):
        """A server in a process of its own, and a client of it."""
        machine = Machine(self.folder / "data", self.audio_folder)
        self.stack.callback(machine.close)
        return machine, await machine.client(await machine.start())

    async def real_server(self, weights=None):
        """A server with the real engine."""
        from engine.families.nano.family import WEIGHTS, missing

        pytest.importorskip("onnxruntime")
        if missing():
            pytest.skip(missing())
        command = [sys.executable, "-c", REAL_WORKER, str(weights or WEIGHTS), "--threads", "1"]
        return await self.server(LocalExecutor(command))

    def command(self, *arguments):
        """`retimbre ...` to its end. Returns what it said on standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "server", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0, done.stdout
        return done.stderr

    # Disks

    def small_disk(self, path, kilobytes=4096):
        """A file system of that size at `path`; skips where none can be made."""
        path.mkdir(parents=True, exist_ok=True)
        self._mount(path, f"size={kilobytes}k")
        return path

    def read_only(self, path):
        """Nobody may write to `path`; for root that takes a file system of its own."""
        path.mkdir(parents=True, exist_ok=True)
        if os.name == "posix" and os.geteuid():
            path.chmod(0o555)
            self.stack.callback(path.chmod, 0o755)
        else:
            self._mount(path, "ro")

    def _mount(self, path, options):
        if (
            shutil.which("mount") is None
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True
            ).returncode
        ):
            pytest.skip("making a file system needs Linux and root")
        self.stack.callback(subprocess.run, ["umount", "--lazy", str(path)], check=True)

    def fill(self, disk, leave_bytes=0):
        """Leave so much room on a disk. Returns the file that takes the rest."""
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                left = shutil.disk_usage(disk).free - leave_bytes
                file.write(b"\0" * max(4096, min(left, 2**20)))
                if left <= 4096:
                    break
        return ballast

    # Clocks

    def clock(self):
        """A wall clock that can be set wrong; `time.monotonic` goes on. Returns how to set it."""
        real, offset = time.time, [0.0]
        time.time = lambda: real() + offset[0]
        self.stack.callback(setattr, time, "time", real)

        def jump(seconds):
            offset[0] += seconds

        return jump


async def until(is_so, seconds=30.0):
    """Wait for something that will be so."""
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at, "it did not come about"
        await asyncio.sleep(0.02)
