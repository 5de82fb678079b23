"""What does a family hand to export?

Stages, models, a pipeline: export knows no family and no runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from export.manifest import Axes, StageRow
from export.parity import Feed, Runner


class PortSpec(Protocol):
    """One input or output of a stage."""

    @property
    def name(self) -> str: ...
    @property
    def axes(self) -> Axes: ...
    @property
    def dtype(self) -> str: ...


class StageSpec(Protocol):
    """A row of a family's stage table."""

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> Sequence[PortSpec]: ...
    @property
    def outputs(self) -> Sequence[PortSpec]: ...


@dataclass(frozen=True)
class StageExport:
    """One stage to export."""

    stage: StageSpec
    write: Callable[[Path], object]  # the graph in float32, all of the table's axes dynamic
    model: Runner  # what it must equal
    feeds: Sequence[Feed]  # random inputs of several shapes
    invariant: frozenset[str] = frozenset()  # inputs that are the same at every step
    # layers whose weights are handed in (a regular expression on the end of their path)
    adapter: str = ""
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)  # the adapter in `model`
    lora: str = ""  # layers that styles may change
    has_gain: bool = False  # they may be DoRA, too: each output has a gain
    # runs again and again, though none of its inputs stays the same
    is_step: bool = False
    # in int8 its convolutions are quantised too; their gains are measured on the first feeds
    quantises_convolutions: bool = False
    # in int8 it computes here instead of the graph, which stays for other machines
    instead: Runner | None = None
    # float32 in every precision: it gives whole numbers, which must equal the model's
    is_exact: bool = False


@dataclass(frozen=True)
class Plan:
    """All of one family.

    `pipeline` makes the same stem from the same region and seed with any runners.
    """

    family: str
    stages: Sequence[StageExport]
    pipeline: Callable[[Mapping[str, Runner]], np.ndarray]
    files: Mapping[str, Path]
    hashes: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""  # part of the key, so that a new way to make the graphs exports anew


# folder, row, adapter -> runner
OpenStage = Callable[[Path, StageRow, Mapping[str, np.ndarray]], Runner]
