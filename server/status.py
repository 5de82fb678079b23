"""Figures about this process and this machine, for /status and /version."""

from __future__ import annotations

import functools
import os
import subprocess
from importlib import metadata
from pathlib import Path

MEMINFO = Path("/proc/meminfo")


def memory_gb() -> tuple[float, float]:
    """Used and total memory of this machine. Used is 0 where /proc does not tell it."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        total, free = (
            int(lines[key].split()[0]) * 1024 / 1e9 for key in ("MemTotal", "MemAvailable")
        )
    except (OSError, KeyError, ValueError):
        return 0.0, _total_gb()
    return total - free, total


def _total_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0.0


@functools.lru_cache(maxsize=1)
def version() -> tuple[int, int, str, str]:
    """Major, minor, patch and commit; of a clone that is not installed, by its setup.cfg."""
    try:
        text = metadata.version("retimbre")
    except metadata.PackageNotFoundError:
        text = _version_of_clone()
    major, minor, patch = (text.split(".", 2) + ["0", "0"])[:3]
    return int(major), int(minor), patch, _commit()


def _version_of_clone() -> str:
    import configparser

    parser = configparser.ConfigParser()
    parser.read(_repository() / "setup.cfg", encoding="utf-8")
    return parser.get("metadata", "version", fallback="0.0.0")


def _commit() -> str:
    """Of the clone that this runs from, empty otherwise. Blocks for a moment."""
    if not (_repository() / ".git").exists():
        return ""
    try:
        output = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=_repository(),
            capture_output=True,
            text=True,
            timeout=2,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return output.stdout.strip()


def _repository() -> Path:
    return Path(__file__).resolve().parent.parent
