"""What stands beside exported graphs: of which weights they are, how they are asked, how well they
were checked.

exports/<family>-<precision>-<key>/manifest.json, graphs beside it. Written last and the folder
renamed into place, so a folder that is there is whole. Needs neither torch nor onnx: this is what a
server reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from export.lora_inputs import LoraLayer

SCHEMA = 2  # 2: AudioLDM2's words are embedded in a graph of their own
FILE_NAME = "manifest.json"
FOLDER = "exports"  # in the models folder


@dataclass(frozen=True)
class Graph:
    """One ONNX file: names, axes and types of what it takes and gives."""

    file: str
    inputs: tuple[tuple[str, tuple[int | str, ...], str], ...]
    outputs: tuple[tuple[str, tuple[int | str, ...], str], ...]


@dataclass(frozen=True)
class StageRow:
    """One stage of a family: the graph of a step, and what is done once before it, if anything is."""

    stage: str
    step: Graph
    first: Graph | None = None
    weights: tuple[str, ...] = ()  # inputs of `first` that are an adapter's
    lora: tuple[LoraLayer, ...] = ()


@dataclass(frozen=True)
class ExportManifest:
    """A whole export. `weights`: file -> {bytes, mtime_ns, sha256} of what it was made of."""

    family: str
    precision: str
    created: str
    weights: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    graphs: Mapping[str, str]  # file -> sha256
    stages: tuple[StageRow, ...]
    parity: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)  # the family's own
    schema: int = SCHEMA

    def row(self, stage: str) -> StageRow:
        return next(row for row in self.stages if row.stage == stage)

    def is_of(self, files: Mapping[str, Path]) -> bool:
        """Whether `files` are the weights that were exported: same size, and same time or same
        contents.
        """
        return set(files) == set(self.weights) and all(
            _is_same(files[name], row) for name, row in self.weights.items()
        )


def write(folder: Path, manifest: ExportManifest) -> None:
    """`manifest.json` into a folder."""
    (folder / FILE_NAME).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")


def read(folder: Path) -> ExportManifest:
    """Raises OSError, ValueError where there is none that this version understands."""
    values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    if values.get("schema") != SCHEMA:
        raise ValueError(
            f"{folder}: expected an export of schema {SCHEMA}, got {values.get('schema')}; export again"
        )
    try:
        stages = tuple(_stage_row(row) for row in values.pop("stages"))
        return ExportManifest(stages=stages, **values)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / FILE_NAME} is not as it was written: {error}; export again"
        ) from error


def find(
    models: Path | None, family: str, files: Mapping[str, Path]
) -> Iterator[tuple[Path, ExportManifest]]:
    """The exports of these very weights in a models folder, the latest first."""
    found = []
    for folder in (models / FOLDER).glob(f"{family}-*") if models else ():
        try:
            manifest = read(folder)
        except (OSError, ValueError):
            continue  # left by another version, or half removed: `passed_over` tells
        if manifest.is_of(files):
            found.append((folder, manifest))
    yield from sorted(found, key=lambda pair: pair[1].created, reverse=True)


def passed_over(
    models: Path, family: str, weights: Sequence[Mapping[str, Path]]
) -> Iterator[tuple[Path, str]]:
    """The exports in a models folder that fit none of the `weights` at hand (files by name), each
    with the reason.
    """
    for folder in sorted((models / FOLDER).glob(f"{family}-*")):
        try:
            manifest = read(folder)
        except (OSError, ValueError) as error:
            yield folder, str(error)
            continue
        if not any(manifest.is_of(files) for files in weights):
            yield folder, "of other weights than are here"


def weight_rows(files: Mapping[str, Path], hashes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a manifest says of the weights."""
    return {
        name: {
            "bytes": path.stat().st_size,
            "mtime_ns": path.stat().st_mtime_ns,
            "sha256": hashes[name],
        }
        for name, path in files.items()
    }


def key(*parts: Any) -> str:
    """Twelve letters that change with anything in `parts`."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _is_same(path: Path, row: Mapping[str, Any]) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_size != row["bytes"]:
        return False
    return status.st_mtime_ns == row["mtime_ns"] or sha256(path) == row["sha256"]


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _stage_row(row: Mapping[str, Any]) -> StageRow:
    return StageRow(
        row["stage"],
        _graph(row["step"]),
        _graph(row["first"]) if row["first"] else None,
        tuple(row["weights"]),
        tuple(LoraLayer(**layer) for layer in row["lora"]),
    )


def _graph(row: Mapping[str, Any]) -> Graph:
    ports = [
        tuple((name, tuple(axes), kind) for name, axes, kind in row[side])
        for side in ("inputs", "outputs")
    ]
    return Graph(row["file"], *ports)
