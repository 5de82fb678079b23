"""How are figures shown? Goals and tables, each figure as its mean with its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table


class Goal(NamedTuple):
    """What a figure has to reach: at least `bound`, or with `below` less than it."""

    name: str
    value: float
    bound: float
    below: bool = False

    @property
    def is_reached(self) -> bool:
        return self.value < self.bound if self.below else self.value >= self.bound

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "value": self.value,
            "below" if self.below else "at_least": self.bound,
            "reached": self.is_reached,
        }


def make_table(title: str, *headings: str) -> Table:
    """An empty table; all columns but the first are flush right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    return table


def figures_table(
    title: str, headings: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]
) -> Table:
    """Named rows of means; `headings`: figure -> its heading."""
    table = make_table(title, "", *headings.values())
    for name, figures in rows.items():
        table.add_row(name, *(format_mean(figures.get(figure)) for figure in headings))
    return table


def goals_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Name, value, bound, reached or missed; `rows` are those of Goal.to_dict."""
    table = make_table("Goals", "", "is", "should be", "")
    for row in rows:
        bound = f"< {row['below']:g}" if "below" in row else f">= {row['at_least']:g}"
        verdict = "reached" if row["reached"] else "missed"
        table.add_row(row["name"], f"{row['value']:.3f}", bound, verdict)
    return table


def format_mean(figure: Mapping[str, float] | None, digits: int = 3) -> str:
    """A mean with its standard error; "-" where there is none."""
    if figure is None or math.isnan(figure["mean"]):
        return "-"
    return f"{figure['mean']:.{digits}f} ± {figure['error']:.{digits}f}"
