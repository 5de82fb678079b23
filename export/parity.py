"""Does a graph compute what its model computes, stage by stage and as a whole pipeline?

The error is the root mean square of the difference over that of the model's output, the worst of
all outputs. Whole numbers (masks) must be equal. An export with an error over its bound is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Runner = Callable[..., "tuple[np.ndarray, ...]"]
Feed = Mapping[str, np.ndarray]

# The error that a precision may cause in a stage, and in a whole stem, where steps add up.
STAGE_BOUND = {"float32": 1e-4, "int8": 0.05, "float16": 0.03}
STEM_BOUND = {"float32": 1e-3, "int8": 0.3, "float16": 0.1}


@dataclass(frozen=True)
class Row:
    """One comparison.

    `shapes` of the inputs; `error` is relative, infinite where shapes or whole numbers differ.
    """

    stage: str
    kind: str  # random, real, zero style, pipeline
    shapes: Mapping[str, Sequence[int]]
    error: float
    bound: float

    @property
    def is_within(self) -> bool:
        """Whether the error is at most the bound."""
        return self.error <= self.bound

    def as_row(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)

    def __str__(self) -> str:
        verdict = "ok" if self.is_within else "OVER ITS BOUND"
        shapes = ", ".join(
            f"{name} {'x'.join(map(str, shape))}" for name, shape in self.shapes.items()
        )
        figures = f"{self.error:9.2e} of {self.bound:.0e} {verdict}"
        return f"{self.stage:16} {self.kind:10} {figures}  {shapes}"


class ParityError(Exception):
    """A graph differs from its model by more than its bound.

    `rows`: every comparison that was made.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = tuple(rows)
        worst = max((row for row in rows if not row.is_within), key=lambda row: row.error)
        super().__init__(
            f"{worst.stage} ({worst.kind} inputs) differs from its model by {worst.error:.2e}, "
            f"allowed are {worst.bound:.0e}; nothing was kept. "
            f"Export in float32, or send this report:\n{report(rows)}"
        )


def compare(
    stage: str, kind: str, model: Runner, graph: Runner, feeds: Iterable[Feed], bound: float
) -> list[Row]:
    """One row for each set of inputs."""
    rows = []
    for feed in feeds:
        expected, found = model(**feed), graph(**feed)
        shapes = {name: values.shape for name, values in feed.items()}
        error = max(
            relative_error(ours, theirs) for ours, theirs in zip(found, expected, strict=True)
        )
        rows.append(Row(stage, kind, shapes, error, bound))
    return rows


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference over that of what is expected."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(found, expected) else float("inf")
    difference = np.sqrt(np.mean(np.square(found.astype(np.float64) - expected)))
    size = np.sqrt(np.mean(np.square(expected.astype(np.float64))))
    return float(difference / max(size, 1e-12))


def check(rows: Sequence[Row]) -> None:
    """Raises ParityError where a row is over its bound."""
    if not all(row.is_within for row in rows):
        raise ParityError(rows)


def report(rows: Iterable[Row]) -> str:
    """One line a comparison."""
    return "\n".join(map(str, rows))


class Recorder:
    """A runner that records its first inputs, while a pipeline runs once."""

    def __init__(self, run: Runner, most: int = 2) -> None:
        self._run, self._most = run, most
        self.feeds: list[Feed] = []

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        if len(self.feeds) < self._most:
            self.feeds.append({name: np.array(values) for name, values in inputs.items()})
        return self._run(**inputs)
