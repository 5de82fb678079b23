"""How long does `retimbre COMMAND --help` take? Median and worst of several fresh processes.

    python benchmarks/command_line.py [--runs 10]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

GOAL_SECONDS = 0.5
REPOSITORY = Path(__file__).resolve().parent.parent
COMMANDS = ("", "serve", "edit", "presets", "status", "doctor", "demo", "eval")


def main() -> int:
    """Print one line per command; exit code 1 when a median misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    medians = []
    for command in COMMANDS:
        seconds = [_seconds([*command.split(), "--help"]) for _ in range(runs)]
        medians.append(statistics.median(seconds))
        print(f"retimbre {command or '(none)':<8} --help  median {medians[-1]:.3f} s  worst {max(seconds):.3f} s")
    return int(max(medians) > GOAL_SECONDS)


def _seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "server", *words], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
