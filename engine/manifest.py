"""The manifest: all that went into a stem, and what was measured on it. Written last: where it
lies, all is done.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.audio.files import sha256_of
from engine.audio.publishing import publish
from engine.audio.writing import not_written

SCHEMA = 1
FILE_NAME = "manifest.json"
PACKAGES = (
    "retimbre",
    "numpy",
    "soundfile",
    "soxr",
    "tokenizers",
    "onnxruntime",
    "torch",
    "transformers",
    "diffusers",
    "peft",
)


@dataclass(frozen=True)
class Manifest:
    """The manifest's values (what the JSON holds) and where they are written."""

    path: Path
    values: Mapping[str, Any]

    @property
    def stems(self) -> list[dict[str, Any]]:
        return self.values["stems"]

    @property
    def seed(self) -> int:
        return self.values["seed"]


def write_manifest(folder: Path, values: Mapping[str, Any]) -> Manifest:
    """Write `manifest.json` into a folder, whole or not at all.

    EngineError write_failed, disk_full.
    """
    temporary = folder / f".{FILE_NAME}.{os.getpid()}.part"
    values = _plain(values)
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(values, stream, ensure_ascii=False, indent=1, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        return Manifest(publish(temporary, folder / FILE_NAME), values)
    except OSError as error:
        raise not_written(folder / FILE_NAME, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of what computes. Nothing is imported for it."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def file_hashes(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each file; a file that did not change is not read again."""
    return {
        name: _hash_of(str(path), path.stat().st_mtime_ns, path.stat().st_size)
        for name, path in files.items()
    }


@lru_cache(maxsize=256)
def _hash_of(path: str, modified_ns: int, size: int) -> str:
    return sha256_of(path)


def _plain(value: Any) -> Any:
    """Values that JSON has: paths as text, infinite numbers (the level of silence) as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
