"""Measured values beside their goals, and the ways to show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

COLUMNS = ("what", "measured", "goal", "", "notes")


@dataclass(frozen=True)
class Figure:
    """One measured value; less is better, and `goal` is the most that would do. `parts`: what it is
    made of.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    notes: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, in a word; empty without a goal."""
        if self.goal is None:
            return ""
        return "ok" if self.value <= self.goal else "MISSED"

    def rows(self) -> list[tuple[str, ...]]:
        """Its lines of a table, as text, in the order of COLUMNS."""
        goal = "" if self.goal is None else f"≤ {_text(self.goal)} {self.unit}"
        parts = [
            (f"  {name}", f"{_text(value)} {self.unit}", "", "", "")
            for name, value in self.parts.items()
        ]
        return [
            (self.name, f"{_text(self.value)} {self.unit}", goal, self.verdict, self.notes),
            *parts,
        ]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank)."""
    assert values and 0 < percent <= 100
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def median(values: Sequence[float]) -> float:
    """The value in the middle, a measured one."""
    return percentile(values, 50)


def median_parts(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each part over all runs, longest first; a part that a run lacks took no time in
    it.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    parts = {name: median([row.get(name, 0.0) for row in rows]) for name in names}
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def table(figures: Iterable[Figure]) -> str:
    """Plain text for a terminal."""
    rows = [COLUMNS, *(row for figure in figures for row in figure.rows())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def markdown(figures: Iterable[Figure]) -> str:
    """The same for a page."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(row for figure in figures for row in figure.rows())]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def as_rows(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """For JSON."""
    return [{**asdict(figure), "verdict": figure.verdict} for figure in figures]


def _cell(text: str) -> str:
    return f"· {text.strip()}" if text.startswith("  ") else text


def _text(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
