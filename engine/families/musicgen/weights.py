"""Which MusicGen checkpoints are on this machine, and of which kind are they?

models/musicgen/         any checkpoint in transformers' layout: it plays before others of its kind
models/musicgen-large/   a repository of `facebook` as published
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.families.shared.weights import Download, FamilyWeights, find_cached, missing_error

OWN, OWNER, INDEX = "musicgen", "facebook", "config.json"
TEXT, MELODY = "musicgen", "musicgen_melody"  # `model_type` in config.json: transformers' classes
LICENCE = "CC-BY-NC-4.0, non-commercial"


@dataclass(frozen=True)
class Checkpoint:
    """A published repository."""

    name: str
    kind: str
    gigabytes: float  # of its safetensors in float32

    @property
    def download(self) -> Download:
        """The download, without the pickles beside the safetensors."""
        target = f'--exclude "*.bin" --local-dir "{{folder}}/{self.name}"'
        size, command = f"{self.gigabytes} GB", f"hf download {OWNER}/{self.name} {target}"
        return Download(self.name, size, LICENCE, command)


CHECKPOINTS = (  # the best of each kind first; stereo plays where there is nothing else
    Checkpoint("musicgen-large", TEXT, 13.7),
    Checkpoint("musicgen-medium", TEXT, 8.0),
    Checkpoint("musicgen-small", TEXT, 2.4),
    Checkpoint("musicgen-stereo-large", TEXT, 13.8),
    Checkpoint("musicgen-stereo-medium", TEXT, 8.1),
    Checkpoint("musicgen-stereo-small", TEXT, 2.4),
    Checkpoint("musicgen-melody-large", MELODY, 10.5),
    Checkpoint("musicgen-melody", MELODY, 6.2),
    Checkpoint("musicgen-stereo-melody-large", MELODY, 10.6),
    Checkpoint("musicgen-stereo-melody", MELODY, 6.3),
)
NAMES = (OWN, *(row.name for row in CHECKPOINTS))
TO_FETCH = {TEXT: "musicgen-small", MELODY: "musicgen-melody"}  # the smallest of each kind


class MusicGenWeights(FamilyWeights):
    """The MusicGen checkpoints on this machine."""

    family = "musicgen"
    packages = ("torch", "transformers", "peft", "safetensors")

    def base(self) -> Path:
        """The checkpoint that plays first. EngineError missing_weights."""
        return self.best((TEXT, MELODY))

    def find_base(self) -> Path | None:
        """The checkpoint that plays first, if one is there."""
        return self.find((TEXT, MELODY))

    def find(self, kinds: Sequence[str]) -> Path | None:
        """The best checkpoint of the first kind that is there."""
        for kind in kinds:
            names = [OWN, *(row.name for row in CHECKPOINTS if row.kind == kind)]
            for path in filter(None, map(self.find_named, names)):
                if kind_of(path) == kind:
                    return path
        return None

    def find_named(self, name: str) -> Path | None:
        """The folder of one checkpoint; the last part of a path or of a hub's name counts."""
        name = name.replace("\\", "/").rpartition("/")[2]
        path = self.folder / name if self.folder and name else None
        if path and (path / INDEX).is_file():
            return path
        return find_cached(f"{OWNER}/{name}", INDEX) if name in NAMES[1:] else None

    def best(self, kinds: Sequence[str]) -> Path:
        """As `find`. EngineError missing_weights, with the command."""
        if found := self.find(kinds):
            return found
        raise missing_error(self.family, [_describe(kinds[0], self.folder)])

    def missing(self) -> list[str]:
        """What to fetch where there is no checkpoint of any kind."""
        return [] if self.find_base() else [_describe(TEXT, self.folder)]


def kind_of(folder: Path) -> str:
    """`model_type` of a checkpoint's config.json; empty where it cannot be read."""
    try:
        config = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return str(config.get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def files_of(folder: Path) -> dict[str, Path]:
    """The files that determine a checkpoint's output: configurations, tokenizer, weights."""
    patterns = ("*.json", "*.model", "*.safetensors")
    return {path.name: path for pattern in patterns for path in sorted(folder.glob(pattern))}


def _describe(kind: str, folder: Path | None) -> str:
    """The smallest checkpoint of a kind with its command, and the names of the others."""
    rows = {row.name: row for row in CHECKPOINTS if row.kind == kind}
    smallest = rows.pop(TO_FETCH[kind]).download.describe(folder)
    others = (
        f"{name.removeprefix('musicgen-')} ({row.gigabytes} GB)" for name, row in rows.items()
    )
    return f"{smallest}; or in the same way {', '.join(others)}"
