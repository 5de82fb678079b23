"""What does the manifest beside exported graphs say?

Of which weights they are, what they take and give, how well they were checked. It is
exports/<family>-<precision>-<key>/manifest.json with the graphs beside it. It is written last and
the folder then renamed into place, so that a folder is whole or not there. Reading needs neither
torch nor onnx.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from export.lora_inputs import LoraLayer

SCHEMA = 2  # 2: AudioLDM2's words are embedded in a graph of their own
FILE_NAME = "manifest.json"
FOLDER = "exports"  # in the models folder
PREFILL_KEY = "first"


Axes = tuple[int | str, ...]  # a letter is a dynamic axis, a number a fixed one


class GraphPort(NamedTuple):
    """One input or output of a graph."""

    name: str
    axes: Axes
    dtype: str


@dataclass(frozen=True)
class Graph:
    """One ONNX file."""

    file: str
    inputs: tuple[GraphPort, ...]
    outputs: tuple[GraphPort, ...]


@dataclass(frozen=True)
class StageRow:
    """One stage of a family: the graph of a step, and the prefill that runs once before it."""

    stage: str
    step: Graph
    prefill: Graph | None = None
    weights: tuple[str, ...] = ()  # inputs of `prefill` that are an adapter's
    lora: tuple[LoraLayer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The file calls the prefill `first`."""
        keys = {"prefill": PREFILL_KEY}
        return {keys.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> StageRow:
        """Raises KeyError, TypeError where the row is not as it was written."""
        prefill = row[PREFILL_KEY]
        return cls(
            row["stage"],
            _graph(row["step"]),
            _graph(prefill) if prefill else None,
            tuple(row["weights"]),
            tuple(LoraLayer(**layer) for layer in row["lora"]),
        )


@dataclass(frozen=True)
class ExportManifest:
    """A whole export. `weights`: file -> {bytes, mtime_ns, sha256} of its sources."""

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
        """The row of a stage, by its name."""
        return next(row for row in self.stages if row.stage == stage)

    def is_of(self, files: Mapping[str, Path]) -> bool:
        """Whether `files` were exported: of the same size, and the same time or contents."""
        return set(files) == set(self.weights) and all(
            _is_same(files[name], row) for name, row in self.weights.items()
        )


def write(folder: Path, manifest: ExportManifest) -> None:
    """`manifest.json` into a folder."""
    values = {**asdict(manifest), "stages": [stage.to_json() for stage in manifest.stages]}
    (folder / FILE_NAME).write_text(json.dumps(values, indent=1), encoding="utf-8")


def read(folder: Path) -> ExportManifest:
    """Raises OSError, ValueError where there is none that this version understands."""
    values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    if values.get("schema") != SCHEMA:
        found = values.get("schema")
        raise ValueError(f"{folder}: expected schema {SCHEMA}, got {found}; export again")
    try:
        stages = tuple(map(StageRow.from_json, values.pop("stages")))
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
            continue  # left by another version, or half removed: `find_unfit` tells
        if manifest.is_of(files):
            found.append((folder, manifest))
    yield from sorted(found, key=lambda pair: pair[1].created, reverse=True)


def find_unfit(
    models: Path, family: str, weights: Sequence[Mapping[str, Path]]
) -> Iterator[tuple[Path, str]]:
    """The exports in a models folder that fit none of the `weights`, each with the reason.

    `weights`: the files of every checkpoint at hand, by name.
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
    """The manifest's `weights` of these files."""
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
    return bool(status.st_mtime_ns == row["mtime_ns"]) or sha256(path) == row["sha256"]


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _graph(row: Mapping[str, Any]) -> Graph:
    inputs, outputs = (
        tuple(GraphPort(name, tuple(axes), dtype) for name, axes, dtype in row[side])
        for side in ("inputs", "outputs")
    )
    return Graph(row["file"], inputs, outputs)
