"""Resident memory of the server and of its worker, at rest and after what they are for.

Asks `ps`: not on Windows.
"""

from __future__ import annotations

import subprocess

from benchmarks.figures import Figure
from benchmarks.setting import TEXT, Running, Setting, running, write_region


def measure(setting: Setting) -> list[Figure]:
    """RSS in MB, shared libraries counted in each process."""
    sizes = setting.sizes
    with running(setting) as server, server.client() as client, server.client("tcp") as stream:
        idle = _megabytes(server)
        client.edit(write_region(server.folder / "region.wav", sizes.region_seconds), TEXT, seed=1)
        after_one = _megabytes(server)
        handle = stream.upload(write_region(server.folder / "long.wav", sizes.long_seconds))
        client.edit(handle, TEXT, seed=1)
        after_long = _megabytes(server)
    return [
        Figure(
            f"memory of the {who}, idle",
            idle[who],
            "MB",
            notes=f"{after_one[who]:.0f} MB after a region of {sizes.region_seconds:g} s, "
            f"{after_long[who]:.0f} MB after an upload and a region of {sizes.long_seconds:g} s",
        )
        for who in idle
    ]


def _megabytes(server: Running) -> dict[str, float]:
    processes = resident_bytes(server.process.pid)
    return {
        "server": processes.pop(server.process.pid) / 1e6,
        "worker": max(processes.values()) / 1e6,
    }


def resident_bytes(parent: int) -> dict[int, int]:
    """Process id -> bytes, of a process and its children."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,rss="], check=True, capture_output=True, text=True
    ).stdout
    rows = [tuple(map(int, line.split())) for line in listing.splitlines()]
    return {pid: 1024 * kilobytes for pid, ppid, kilobytes in rows if parent in (pid, ppid)}
