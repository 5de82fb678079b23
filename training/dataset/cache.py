"""What a model made of a clip (codes, latents, text states), computed once.

A file's name is the hash of all that decides its content: the sound's bytes, the caption where it
counts, and the recipe (which model file, which settings). What has changed has another name: stale
values are never read, only left over, and `prune` removes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from presets.files import file_sha256

Arrays = Mapping[str, np.ndarray]


class Cache:
    """One folder for one recipe or several. One process writes; others may read."""

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder
        self.made = self.found = 0
        self._recipe = json.dumps(recipe, sort_keys=True)
        self._used: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def of_sound(self, path: Path, compute: Callable[[], Arrays], part: str = "") -> Arrays:
        """Arrays of a sound file; `part` tells apart several of one file."""
        return self._get(f"sound {file_sha256(path)} {part}", compute)

    def of_text(self, text: str, compute: Callable[[], Arrays]) -> Arrays:
        """Arrays of a caption."""
        return self._get(f"text {text}", compute)

    def prune(self) -> int:
        """Remove what this run has not asked for; the number of files."""
        stale = [path for path in self.folder.glob("*.npz") if path.name not in self._used]
        for path in stale:
            path.unlink()
        return len(stale)

    def _get(self, what: str, compute: Callable[[], Arrays]) -> Arrays:
        name = hashlib.sha256(f"{self._recipe}\n{what}".encode()).hexdigest()[:32] + ".npz"
        self._used.add(name)
        found = _read(self.folder / name)
        if found is not None:
            self.found += 1
            return found
        self.made += 1
        made = {key: np.asarray(value) for key, value in compute().items()}
        partial = self.folder / f"{name}.partial"
        with partial.open("wb") as file:
            np.savez(file, **made)  # type: ignore[arg-type]  # taken for allow_pickle
        os.replace(partial, self.folder / name)
        return made


def _read(path: Path) -> Arrays | None:
    """None: not there, or cut off on a full disk by a program that did not rename."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, zipfile.BadZipFile):
        path.unlink()
        return None
