"""Which results are to be judged? (source, text, output[, target]) of a list, folder or takes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.metrics.sound import Sound

LIST_NAME, MANIFEST_NAME = "pairs.csv", "manifest.json"
SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
ROLES = ("source", "output", "target")
FORMS = (
    "a CSV file with the columns output, text, source and optionally target, name, method; "
    f"a folder with {LIST_NAME}; "
    "a folder with NAME.output.wav, NAME.source.wav, NAME.txt and optionally NAME.target.wav; "
    f"or a folder of takes (each with {MANIFEST_NAME})"
)
ONE_METHOD = "all"


class ResultsError(ValueError):
    """What was expected of the list, what is there, and where."""


class FileRegion(NamedTuple):
    """A sound file, or `frames` of it."""

    path: Path
    start_frame: int = 0
    frames: int | None = None


@dataclass(frozen=True)
class Result:
    """One result to be judged. Results of several methods stand side by side in the report."""

    name: str
    output: FileRegion
    text: str = ""
    source: FileRegion | None = None
    target: FileRegion | None = None
    method: str = ONE_METHOD

    def to_dict(self) -> dict[str, str]:
        """For JSON and CSV."""
        regions = {role: getattr(self, role) for role in ROLES}
        paths = {role: str(region.path) if region else "" for role, region in regions.items()}
        return {"name": self.name, "method": self.method, "text": self.text, **paths}


def read_results(place: Path) -> list[Result]:
    """The results of a file or a folder, at least one. ResultsError."""
    if place.is_file():
        results = list(_read_csv(place))
    elif (place / LIST_NAME).is_file():
        results = list(_read_csv(place / LIST_NAME))
    elif place.is_dir():
        results = [*_read_names(place), *_read_takes(place)]
    else:
        raise ResultsError(f"{place} is not there; expected {FORMS}")
    if not results:
        raise ResultsError(f"nothing to judge in {place}; expected {FORMS}")
    return results


@lru_cache(maxsize=16)  # one source serves many results; its chroma is computed once
def read_sound(region: FileRegion) -> Sound:
    """The region, mixed to mono at its own rate. ResultsError."""
    samples, rate_hz = read_samples(region)
    return Sound(samples.mean(axis=1), rate_hz)


def read_samples(region: FileRegion) -> tuple[np.ndarray, int]:
    """Float samples [frames, channels] and their rate. ResultsError."""
    import soundfile

    try:
        with soundfile.SoundFile(region.path) as file:
            file.seek(min(region.start_frame, file.frames))
            frames = -1 if region.frames is None else region.frames
            samples, rate_hz = file.read(frames, dtype="float32", always_2d=True), file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise ResultsError(f"{region.path} cannot be read: {error}") from error
    if not len(samples):
        raise ResultsError(f"{region.path} holds no sound; leave it out of the list")
    return samples, rate_hz


def find_sounds(folder: Path) -> list[FileRegion]:
    """Every sound file below a folder, in the order of names. ResultsError if there is none."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise ResultsError(f"no sound files in {folder}; expected {', '.join(SUFFIXES)}")
    return [FileRegion(path) for path in paths]


def read_table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, cells that are not empty) of a CSV file with a first line of headings."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            cells = {column: (value or "").strip() for column, value in row.items() if column}
            yield number, {column: value for column, value in cells.items() if value}


def _read_csv(path: Path) -> Iterator[Result]:
    """Paths are relative to the list's own folder."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        headings = csv.DictReader(stream).fieldnames
    if "output" not in (headings or ()):
        raise ResultsError(f"{path}: expected a first line with the column output, got {headings}")
    for number, cells in read_table(path):
        where = f"{path}:{number}"
        regions = {
            role: _find_region(path.parent / cells[role], where) for role in ROLES if role in cells
        }
        if "output" not in regions:
            raise ResultsError(f"{where}: the cell output is empty")
        yield Result(
            name=cells.get("name") or regions["output"].path.stem,
            output=regions["output"],
            text=cells.get("text", ""),
            source=regions.get("source"),
            target=regions.get("target"),
            method=cells.get("method") or ONE_METHOD,
        )


def _read_names(folder: Path) -> Iterator[Result]:
    """NAME.output.wav beside NAME.source.wav, NAME.txt and NAME.target.wav."""
    regions = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            name, _, role = path.stem.rpartition(".")
            regions[name, role] = FileRegion(path)
    for (name, role), output in regions.items():
        if role == "output" and name:
            words = folder / f"{name}.txt"
            text = words.read_text(encoding="utf-8").strip() if words.is_file() else ""
            source, target = regions.get((name, "source")), regions.get((name, "target"))
            yield Result(name, output, text, source, target)


def _read_takes(folder: Path) -> Iterator[Result]:
    for path in sorted(folder.rglob(MANIFEST_NAME)):
        take = json.loads(path.read_text(encoding="utf-8"))
        for stem in take.get("stems", ()):
            output = path.parent / Path(stem["path"]).name  # takes may have moved since
            yield Result(
                f"{path.parent.name}/{output.stem}",
                _find_region(output, str(path)),
                take["text"],
                _find_source(take["input"], str(path)),
                method=(take.get("preset") or {}).get("name") or take["model"]["name"],
            )


def _find_source(input: Mapping[str, Any], where: str) -> FileRegion:
    region = _find_region(Path(input["path"]), where)
    return region._replace(start_frame=input["start_frame"], frames=input["region_frames"])


def _find_region(path: Path, where: str) -> FileRegion:
    if not path.is_file():
        raise ResultsError(f"{where}: {path} is not there")
    return FileRegion(path)
