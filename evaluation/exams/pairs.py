"""What is to be judged: rows of (source, text, output[, target]), read from a CSV file, a folder or
finished takes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.metrics.similarity import Sound

LIST_NAME, MANIFEST_NAME = "pairs.csv", "manifest.json"
SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
ROLES = ("source", "output", "target")
FORMS = (
    f"a CSV file with the columns output, text, source and optionally target, name, method; a folder with {LIST_NAME}; "
    f"a folder with NAME.output.wav, NAME.source.wav, NAME.txt and optionally NAME.target.wav; "
    f"or a folder of takes (each with {MANIFEST_NAME})"
)
ONE_METHOD = "all"


class PairsError(ValueError):
    """What was expected of the list, what is there, and where."""


class Clip(NamedTuple):
    """A file, or `frames` of it."""

    path: Path
    start_frame: int = 0
    frames: int | None = None


@dataclass(frozen=True)
class Row:
    """One result to be judged. Rows of several methods stand side by side in the report."""

    name: str
    output: Clip
    text: str = ""
    source: Clip | None = None
    target: Clip | None = None
    method: str = ONE_METHOD

    def plain(self) -> dict[str, str]:
        """For JSON and CSV."""
        paths = {role: str(clip.path) if (clip := getattr(self, role)) else "" for role in ROLES}
        return {"name": self.name, "method": self.method, "text": self.text, **paths}


def read_rows(place: Path) -> list[Row]:
    """The rows of a file or a folder, at least one. PairsError."""
    if place.is_file():
        rows = list(_from_csv(place))
    elif (place / LIST_NAME).is_file():
        rows = list(_from_csv(place / LIST_NAME))
    elif place.is_dir():
        rows = [*_from_names(place), *_from_takes(place)]
    else:
        raise PairsError(f"{place} is not there; expected {FORMS}")
    if not rows:
        raise PairsError(f"nothing to judge in {place}; expected {FORMS}")
    return rows


@lru_cache(maxsize=16)  # one source serves many rows; its chroma is computed once
def sound_of(clip: Clip) -> Sound:
    """The clip, mixed to mono at its own rate. PairsError."""
    samples, rate_hz = samples_of(clip)
    return Sound(samples.mean(axis=1), rate_hz)


def samples_of(clip: Clip) -> tuple[np.ndarray, int]:
    """Float samples [frames, channels] and their rate. PairsError."""
    import soundfile

    try:
        with soundfile.SoundFile(clip.path) as file:
            file.seek(min(clip.start_frame, file.frames))
            frames = -1 if clip.frames is None else clip.frames
            samples, rate_hz = file.read(frames, dtype="float32", always_2d=True), file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise PairsError(f"{clip.path} cannot be read: {error}") from error
    if not len(samples):
        raise PairsError(f"{clip.path} holds no sound; leave it out of the list")
    return samples, rate_hz


def sounds_in(folder: Path) -> list[Clip]:
    """Every sound file below a folder, in the order of names. PairsError if there is none."""
    found = [Clip(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise PairsError(f"no sound files in {folder}; expected {', '.join(SUFFIXES)}")
    return found


def _from_csv(path: Path) -> Iterator[Row]:
    """Paths are relative to the list's own folder."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if "output" not in (reader.fieldnames or ()):
            raise PairsError(
                f"{path}: expected a first line with the column output, got {reader.fieldnames}"
            )
        for number, cells in enumerate(reader, start=2):
            cells = {column: (value or "").strip() for column, value in cells.items() if column}
            clips = {
                role: _clip(path.parent / cells[role], f"{path}:{number}")
                for role in ROLES
                if cells.get(role)
            }
            if "output" not in clips:
                raise PairsError(f"{path}:{number}: the cell output is empty")
            name = cells.get("name") or clips["output"].path.stem
            yield Row(
                name=name,
                text=cells.get("text", ""),
                method=cells.get("method") or ONE_METHOD,
                **clips,
            )


def _from_names(folder: Path) -> Iterator[Row]:
    files = {
        path.name: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES
    }
    by_role = {
        (path.stem.rpartition(".")[0], path.stem.rpartition(".")[2]): path
        for path in files.values()
    }
    for (name, role), path in by_role.items():
        if role == "output" and name:
            words = folder / f"{name}.txt"
            text = words.read_text(encoding="utf-8").strip() if words.is_file() else ""
            others = {
                other: Clip(by_role[name, other])
                for other in ("source", "target")
                if (name, other) in by_role
            }
            yield Row(name, Clip(path), text, **others)


def _from_takes(folder: Path) -> Iterator[Row]:
    for path in sorted(folder.rglob(MANIFEST_NAME)):
        take = json.loads(path.read_text(encoding="utf-8"))
        for stem in take.get("stems", ()):
            output = path.parent / Path(stem["path"]).name  # takes may have moved since
            yield Row(
                f"{path.parent.name}/{output.stem}",
                _clip(output, str(path)),
                take["text"],
                _region(take["input"], str(path)),
                method=_method(take),
            )


def _region(row: Mapping[str, Any], where: str) -> Clip:
    return _clip(Path(row["path"]), where)._replace(
        start_frame=row["start_frame"], frames=row["region_frames"]
    )


def _method(take: Mapping[str, Any]) -> str:
    """The preset if there was one, else the model."""
    return (take.get("preset") or {}).get("name") or take["model"]["name"]


def _clip(path: Path, where: str) -> Clip:
    if not path.is_file():
        raise PairsError(f"{where}: {path} is not there")
    return Clip(path)
