"""How long does `retimbre COMMAND --help` take, in a fresh process?"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.figures import Figure, median
from benchmarks.setting import Setting
from server.paths import REPOSITORY

GOAL_SECONDS = 0.5
COMMANDS = ("", "serve", "edit", "presets", "status", "doctor", "demo", "eval")


def measure(setting: Setting) -> list[Figure]:
    """Of the command itself, and of the slowest of its commands."""
    medians = {
        command: median([_seconds(command) for _ in range(setting.sizes.helps)])
        for command in COMMANDS
    }
    slowest = max(medians, key=medians.__getitem__)
    return [
        Figure(
            "retimbre --help", medians[""], "s", GOAL_SECONDS, f"median of {setting.sizes.helps}"
        ),
        Figure(
            "retimbre COMMAND --help",
            medians[slowest],
            "s",
            GOAL_SECONDS,
            f"the slowest: {slowest or '-'}",
        ),
    ]


def _seconds(command: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "server", *command.split(), "--help"],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began
