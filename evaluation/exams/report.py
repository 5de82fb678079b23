"""Goals and tables: figures on one side, their ceilings beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evaluation.exams import recordings, unseen


class Goal(NamedTuple):
    name: str
    value: float
    at_least: float  # `at_most` goals are told by `below`
    below: bool = False

    @property
    def is_reached(self) -> bool:
        return self.value < self.at_least if self.below else self.value >= self.at_least

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        bound = "below" if self.below else "at_least"
        return {
            "name": self.name,
            "value": self.value,
            bound: self.at_least,
            "reached": self.is_reached,
        }


def goals(report: Mapping[str, Any]) -> list[Goal]:
    """What the model has to reach, of those parts that were examined."""
    found = []
    if report.get("unseen"):
        rows = report["unseen"]["rows"]
        ratio = lambda figure, beside: _share(rows["stem"][figure], rows[beside][figure])  # noqa: E731
        found += [
            Goal("unseen (a) instrument accuracy", rows["stem"]["accuracy"]["mean"], 0.92),
            Goal("unseen (b) chroma, share of the true rendering's", ratio("chroma", "true"), 0.97),
            Goal(
                "unseen (c) onset F, share of the true rendering's", ratio("onset_f", "true"), 0.93
            ),
            Goal(
                "unseen (d) log-mel distance, share of the source's",
                ratio("log_mel", "source"),
                0.35,
                below=True,
            ),
        ]
    if report.get("recordings"):
        summary = report["recordings"]["summary"]
        figures, onsets = (
            summary["all"],
            _share(summary["all"]["onset_f"], summary["codec"]["onset_f"]),
        )
        found += [
            Goal("recordings (a) instrument accuracy", figures["accuracy"]["mean"], 0.88),
            Goal("recordings (b) chroma to source", figures["chroma"]["mean"], 0.83),
            Goal("recordings (c) onset F, share of the codec's", onsets, 0.85),
            Goal("recordings (f) raw chroma accuracy", figures["melody"]["mean"], 0.9),
        ]
    return found


def _share(figure: Mapping[str, float], whole: Mapping[str, float]) -> float:
    return figure["mean"] / whole["mean"] if whole["mean"] else float("nan")


def print_report(console: Any, report: Mapping[str, Any]) -> None:
    """All tables of one examination."""
    for table in _tables(report):
        console.print(table)
    for line in report["skipped"]:
        console.print(f"skipped: {line}", markup=False)


def plain(value: Any) -> Any:
    """JSON has no nan: null instead."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tables(report: Mapping[str, Any]) -> Iterator[Any]:
    if part := report.get("unseen"):
        yield _unseen_table(part)
        yield _missed_table(part)
    if part := report.get("held_out_words"):
        yield _held_out_table(part)
    if part := report.get("recordings"):
        yield _recordings_table(part)
    if part := report.get("knobs"):
        yield _knobs_table(part)
    if report["goals"]:
        yield goals_table(report["goals"])


def _unseen_table(part: Mapping[str, Any]) -> Any:
    return figures_table(
        f"Unseen scores, unseen soundfont ({part['soundfont']}): {part['pairs']} pairs, mean ± standard error",
        {figure: unseen.FIGURES[figure] for figure in part["rows"]["stem"]},
        {unseen.ROWS[row]: figures for row, figures in part["rows"].items()},
    )


def _missed_table(part: Mapping[str, Any]) -> Any:
    table = _table("Targets that the judge did not always hear")
    _columns(table, "target", "heard / asked", "heard instead")
    for target, entry in part["per_target"].items():
        if entry["instead"]:
            table.add_row(
                target, f"{entry['heard']} / {entry['asked']}", ", ".join(entry["instead"])
            )
    return table


def _held_out_table(part: Mapping[str, Any]) -> Any:
    table = _table(f"Words that training never said: {part['pairs']} pairs")
    _columns(table, "words", "asked for", "heard")
    for item in part["results"]:
        table.add_row(
            item["text"],
            item["target"],
            item["heard"] if item["heard"] != item["target"] else "yes",
        )
    table.add_row(
        "accuracy", "", f"{part['accuracy']['mean']:.0%} ± {part['accuracy']['error']:.0%}"
    )
    return table


def _recordings_table(part: Mapping[str, Any]) -> Any:
    summary = part["summary"]
    table = _table(
        f"{len(part['results'])} real recordings; (f) on {', '.join(summary['melodic_sources']) or 'none'}"
    )
    _columns(table, "", *recordings.FIGURES.values())
    for title, figures in (
        ("all", summary["all"]),
        *((f"as {target}", figures) for target, figures in summary["by_target"].items()),
        *((f"from {source}", figures) for source, figures in summary["by_source"].items()),
        ("codec alone", summary["codec"]),
    ):
        table.add_row(title, *(cell(figures.get(figure)) for figure in recordings.FIGURES))
    return table


def _knobs_table(part: Mapping[str, Any]) -> Any:
    table = _table(f"One knob at a time: {part['pairs']} pairs")
    shown = list(part["rows"][0]["figures"])
    _columns(table, "knob", "value", *(unseen.FIGURES[figure] for figure in shown))
    for row in part["rows"]:
        table.add_row(
            row["knob"], f"{row['value']:g}", *(cell(row["figures"][figure]) for figure in shown)
        )
    return table


def figures_table(
    title: str, headings: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]
) -> Any:
    """Named rows of means; `headings`: figure -> its heading."""
    table = _table(title)
    _columns(table, "", *headings.values())
    for name, figures in rows.items():
        table.add_row(name, *(cell(figures.get(figure)) for figure in headings))
    return table


def goals_table(rows: list[Mapping[str, Any]]) -> Any:
    """Name, value, bound, reached or missed."""
    table = _table("Goals")
    _columns(table, "", "is", "should be", "")
    for row in rows:
        bound = f"< {row['below']:g}" if "below" in row else f">= {row['at_least']:g}"
        table.add_row(
            row["name"], f"{row['value']:.3f}", bound, "reached" if row["reached"] else "missed"
        )
    return table


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(title=title, box=box.SIMPLE, title_justify="left")


def _columns(table: Any, first: str, *others: str) -> None:
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")


def cell(figure: Mapping[str, float] | None, digits: int = 3) -> str:
    """A mean with its standard error; "-" where there is none."""
    if figure is None or math.isnan(figure["mean"]):
        return "-"
    return f"{figure['mean']:.{digits}f} ± {figure['error']:.{digits}f}"
