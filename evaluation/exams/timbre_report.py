"""Which goals has timbre transfer, and how is one examination of it printed?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evaluation.exams import recordings, unseen
from evaluation.reporting.tables import Goal, figures_table, format_mean, goals_table, make_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Means = Mapping[str, Mapping[str, float]]  # figure -> mean and error


def find_goals(report: Mapping[str, Any]) -> list[Goal]:
    """What the model has to reach, of the parts that were examined."""
    found = []
    if report.get("unseen"):
        found += _unseen_goals(report["unseen"]["rows"])
    if report.get("recordings"):
        found += _recordings_goals(report["recordings"]["summary"])
    return found


def _unseen_goals(rows: Mapping[str, Means]) -> list[Goal]:
    stem, true, source = rows["stem"], rows["true"], rows["source"]
    chroma, onsets = _ratio(stem, true, "chroma"), _ratio(stem, true, "onset_f")
    distance = _ratio(stem, source, "log_mel")
    return [
        Goal("unseen (a) instrument accuracy", stem["accuracy"]["mean"], 0.92),
        Goal("unseen (b) chroma, share of the true rendering's", chroma, 0.97),
        Goal("unseen (c) onset F, share of the true rendering's", onsets, 0.93),
        Goal("unseen (d) log-mel distance, share of the source's", distance, 0.35, below=True),
    ]


def _recordings_goals(summary: Mapping[str, Any]) -> list[Goal]:
    figures, onsets = summary["all"], _ratio(summary["all"], summary["codec"], "onset_f")
    return [
        Goal("recordings (a) instrument accuracy", figures["accuracy"]["mean"], 0.88),
        Goal("recordings (b) chroma to source", figures["chroma"]["mean"], 0.83),
        Goal("recordings (c) onset F, share of the codec's", onsets, 0.85),
        Goal("recordings (f) raw chroma accuracy", figures["melody"]["mean"], 0.9),
    ]


def _ratio(figures: Means, whole: Means, name: str) -> float:
    divisor = whole[name]["mean"]
    return figures[name]["mean"] / divisor if divisor else float("nan")


def print_report(console: Console, report: Mapping[str, Any]) -> None:
    """All tables of one examination."""
    for table in _tables(report):
        console.print(table)
    for line in report["skipped"]:
        console.print(f"skipped: {line}", markup=False)


def _tables(report: Mapping[str, Any]) -> Iterator[Table]:
    if part := report.get("unseen"):
        yield _unseen_table(part)
        yield _mistakes_table(part)
    if part := report.get("held_out_words"):
        yield _words_table(part)
    if part := report.get("recordings"):
        yield _recordings_table(part)
    if part := report.get("knobs"):
        yield _knobs_table(part)
    if report["goals"]:
        yield goals_table(report["goals"])


def _unseen_table(part: Mapping[str, Any]) -> Table:
    return figures_table(
        f"Unseen scores, unseen soundfont ({part['soundfont']}): {part['pairs']} pairs, "
        "mean ± standard error",
        {figure: unseen.FIGURES[figure] for figure in part["rows"]["stem"]},
        {unseen.ROWS[row]: figures for row, figures in part["rows"].items()},
    )


def _mistakes_table(part: Mapping[str, Any]) -> Table:
    title = "Targets that the judge did not always hear"
    table = make_table(title, "target", "heard / asked", "heard instead")
    for target, entry in part["per_target"].items():
        if entry["instead"]:
            counts = f"{entry['heard']} / {entry['asked']}"
            table.add_row(target, counts, ", ".join(entry["instead"]))
    return table


def _words_table(part: Mapping[str, Any]) -> Table:
    title = f"Words that training never said: {part['pairs']} pairs"
    table = make_table(title, "words", "asked for", "heard")
    for item in part["results"]:
        heard = item["heard"] if item["heard"] != item["target"] else "yes"
        table.add_row(item["text"], item["target"], heard)
    accuracy = part["accuracy"]
    table.add_row("accuracy", "", f"{accuracy['mean']:.0%} ± {accuracy['error']:.0%}")
    return table


def _recordings_table(part: Mapping[str, Any]) -> Table:
    summary = part["summary"]
    rows = {
        "all": summary["all"],
        **{f"as {target}": figures for target, figures in summary["by_target"].items()},
        **{f"from {source}": figures for source, figures in summary["by_source"].items()},
        "codec alone": summary["codec"],
    }
    melodic = ", ".join(summary["melodic_sources"]) or "none"
    title = f"{len(part['results'])} real recordings; (f) on {melodic}"
    return figures_table(title, recordings.FIGURES, rows)


def _knobs_table(part: Mapping[str, Any]) -> Table:
    names = list(part["rows"][0]["figures"])
    title = f"One knob at a time: {part['pairs']} pairs"
    table = make_table(title, "knob", "value", *(unseen.FIGURES[name] for name in names))
    for row in part["rows"]:
        figures = (format_mean(row["figures"][name]) for name in names)
        table.add_row(row["knob"], f"{row['value']:g}", *figures)
    return table
