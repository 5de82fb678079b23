"""Server processes as a user starts them; the double's worker copies instead of computing."""

import contextlib
import signal
import subprocess
import sys
import time

from server.paths import REPOSITORY, Paths, read_port_file

START_SECONDS = 60.0
STOP_SECONDS = 30.0


def nano_command(data_dir, root, *flags):
    return [
        "-m",
        "server",
        "serve",
        "--port=0",
        "--http-port=0",
        f"--data-dir={data_dir}",
        f"--root={root}",
        *flags,
    ]


def double_command(data_dir, root):
    return ["-m", "tests.server.serve_double", str(data_dir), str(root)]


@contextlib.contextmanager
def running(command, data_dir, ends_by=signal.SIGTERM):
    """Start a server, give its port, stop it."""
    with open(data_dir / "server.log", "w+b") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, stdout=log, stderr=log
        )
        try:
            yield _port(process, Paths(data_dir))
        finally:
            process.send_signal(ends_by)
            process.wait(STOP_SECONDS)


def _port(process, paths):
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        if address := read_port_file(paths.port_file):
            return address.port
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {paths.log.read_text()}")
