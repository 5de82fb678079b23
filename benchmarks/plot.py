"""A picture of figures: a bar for each that is measured in seconds, its parts in a row, a panel for
each benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

WIDTH_INCHES, BAR_INCHES, HEAD_INCHES = 9.0, 0.32, 0.9


def draw(measured: Mapping[str, Sequence[Figure]], path: Path) -> None:
    """`measured`: module name -> figures; SVG or PNG by the path's ending."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {
        name: rows
        for name, found in measured.items()
        if (rows := [row for row in found if _is_time(row)])
    }
    heights = [HEAD_INCHES + BAR_INCHES * len(rows) for rows in panels.values()]
    figure, axes = pyplot.subplots(
        len(panels), figsize=(WIDTH_INCHES, sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, (name, rows) in zip(axes[:, 0], panels.items(), strict=True):
        _panel(axis, name, rows)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _panel(axis: Any, name: str, rows: Sequence[Figure]) -> None:
    names = [row.name for row in rows]
    parts = dict.fromkeys(part for row in rows for part in row.parts)
    ends = [0.0] * len(rows)
    for part in parts:
        widths = [row.parts.get(part, 0.0) for row in rows]
        axis.barh(names, widths, left=ends, label=part)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    bare = [(row.name, row.value) for row in rows if not row.parts]
    if bare:
        axis.barh(*zip(*bare, strict=True), color="grey")
    axis.invert_yaxis()
    axis.set_xlabel(rows[0].unit)
    axis.set_title(name, loc="left")
    axis.tick_params(labelsize=7)
    if parts:
        axis.legend(fontsize=7)


def _is_time(row: Figure) -> bool:
    return row.unit in ("s", "CPU s")
