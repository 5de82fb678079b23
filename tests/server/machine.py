"""A server process that can lose its power, and clients that outlive it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from server.paths import Paths, read_port_file
from tests.server.clients import PATIENCE_SECONDS, UdpClient

SCRIPT = Path(__file__).with_name("serve_double.py")
ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A server process with the double worker, on its own data folder.

    `root`: the folder that clients may name.
    """

    def __init__(self, data, root):
        self.paths, self.root, self.process, self.clients = Paths(data), root, None, []

    async def start(self, port=0):
        """Returns the port, once the server listens."""
        self.paths.data.mkdir(parents=True, exist_ok=True)
        self.paths.port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.paths.data), str(self.root), "0", str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        for _ in range(int(3 * PATIENCE_SECONDS / 0.02)):
            if address := read_port_file(self.paths.port_file):
                return address.port
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.02)
        raise AssertionError("the server did not start")

    def kill(self):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def worker(self):
        """The process id of the worker, None while there is none."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True
        ).stdout.split()
        return int(found[0]) if found else None

    async def client(self, port):
        self.clients.append(await UdpClient.open(port))
        return self.clients[-1]

    async def restart(self, client):
        """Power cut, new start; the client talks to the new server from its old port."""
        self.kill()
        client.messages.clear()
        client.server = ("127.0.0.1", await self.start())

    def runs(self):
        """One line for each time that a worker began an edit: the server's name of it."""
        path = self.paths.takes / "runs.txt"
        return path.read_text().splitlines() if path.exists() else []

    def close(self):
        self.kill()
        for client in self.clients:
            client.close()
