"""What was measured, as tables and pictures between the marks of docs/experiments.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.metrics.means import mean_and_error
from evaluation.reporting.page import markdown_table, replace_block, save_picture
from evaluation.reporting.tables import format_mean
from training.experiments import length
from training.experiments.knobs import EXPERIMENTS, MANY_STEPS
from training.experiments.ledger import Ledger

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[["Figure"], None]
Cells = Sequence[Mapping[str, Mapping[str, float]]]  # of each region: setting -> figures
HEADINGS = {
    "accuracy": "accuracy",
    "chroma": "chroma to source",
    "onset_f": "onset F",
    "log_mel": "log-mel to true",
}
WITHOUT_TRUTH = ("accuracy", "chroma", "onset_f")
FIRST_COLUMN = {
    "pooling": "ω",
    "steps": "steps",
    "negative": "guidance, negative words",
    "colour": "asked, with λ 3",
}
DRAWN_BY_MINUTE = {
    "to_first_minute": "log-mel to first minute",
    "centroid_hz": "centroid, Hz",
    "level_db": "level, dB",
}
DRIFT_HEAD = (
    "",
    "level",
    "centroid",
    "log-mel in first minute",
    "last to first minute",
    "chroma, first",
    "chroma, last",
)
TRUE = "true"


def write(page: Path, part: str, ledger: Ledger) -> None:
    """The block of one part and its picture, from everything that the ledger holds of it."""
    text, draw = {"attention": _attention, "length": _length}.get(part, _knobs)(part, ledger)
    replace_block(page, part, text)
    if draw:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.2), layout="constrained")
        draw(figure)
        save_picture(figure, page.parent / "pictures" / f"experiments-{part}.svg")


def _knobs(part: str, ledger: Ledger) -> tuple[str, Draw | None]:
    unseen, recorded = (ledger.under(f"{part}/{kind}/") for kind in ("unseen", "recorded"))
    names = [setting.label for setting in EXPERIMENTS[part]]
    head = [FIRST_COLUMN[part], *HEADINGS.values()]
    columns: list[Callable[[str], str]] = [partial(_cell, unseen, figure) for figure in HEADINGS]
    if part == "colour":
        head.append("centroid beside the first row's")
        columns.append(lambda name: _percent(_ratios(unseen, name, names[0], "centroid_hz")))
    if part == "steps":
        head += ["log-mel to 16 steps", "CPU seconds for 5 s"]
        columns.append(lambda name: format_mean(mean(unseen, name, "to_many_steps")))
        taken = ledger.rows["turnaround"]
        columns.append(lambda name: f"{taken[name]:.2f}" if name in taken else "")
    if recorded:
        head += [f"recordings: {HEADINGS[figure]}" for figure in WITHOUT_TRUTH]
        columns += [partial(_cell, recorded, figure) for figure in WITHOUT_TRUTH]
    rows = [[name, *(column(name) for column in columns)] for name in names]
    if TRUE in unseen[0]:
        rows.append(["true rendering", *(column(TRUE) for column in columns)])
    said = f"N = {len(unseen)} unseen pairs" + (
        f", {len(recorded)} of recordings" if recorded else ""
    )
    parts = [said + "; mean ± standard error.", markdown_table(head, rows)]
    if part == "steps":
        parts.append(_beside_many(unseen, recorded, names))
    return "\n\n".join(parts), _curves(part, unseen, recorded, names)


def _cell(cells: Cells, figure: str, name: str) -> str:
    return format_mean(mean(cells, name, figure))


def mean(cells: Cells, name: str, figure: str) -> dict[str, float]:
    """Over the regions that have this figure."""
    return mean_and_error([row.get(name, {}).get(figure, float("nan")) for row in cells])


def differences(cells: Cells, name: str, other: str, figure: str) -> dict[str, float]:
    """Of one setting over another on the same region."""
    return mean_and_error(
        [row[name].get(figure, np.nan) - row[other].get(figure, np.nan) for row in cells]
    )


def _beside_many(unseen: Cells, recorded: Cells, names: Sequence[str]) -> str:
    """Fewer steps minus many on the same region and noise; bold: two standard errors or more."""
    head = [
        "minus 16 steps",
        *HEADINGS.values(),
        *(f"recordings: {HEADINGS[figure]}" for figure in WITHOUT_TRUTH),
    ]
    pairs = [
        *((unseen, figure) for figure in HEADINGS),
        *((recorded, figure) for figure in WITHOUT_TRUTH),
    ]
    rows = []
    for name in (name for name in names if name != MANY_STEPS):
        found = [differences(cells, name, MANY_STEPS, figure) for cells, figure in pairs]
        rows.append([name, *(_difference(figure) for figure in found)])
    said = "The same, region by region, minus 16 steps; bold: more than two standard errors away."
    return said + "\n\n" + markdown_table(head, rows)


def _difference(figure: Mapping[str, float]) -> str:
    if np.isnan(figure["mean"]):
        return ""
    text = f"{figure['mean']:+.3f} ± {figure['error']:.3f}"
    return f"**{text}**" if abs(figure["mean"]) > 2 * figure["error"] else text


def _ratios(cells: Cells, name: str, other: str, figure: str) -> dict[str, float]:
    return mean_and_error([row[name][figure] / row[other][figure] - 1 for row in cells])


def _percent(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:+.1%} ± {figure['error']:.1%}"


def _curves(part: str, unseen: Cells, recorded: Cells, names: Sequence[str]) -> Draw:
    """Accuracy, chroma and onset F over the settings."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 3)
        for axis, name in zip(axes, WITHOUT_TRUTH, strict=True):
            for cells, label in ((unseen, "unseen"), (recorded, "recordings")):
                if cells:
                    found = [mean(cells, setting, name) for setting in names]
                    axis.errorbar(
                        range(len(names)),
                        [f["mean"] for f in found],
                        [f["error"] for f in found],
                        marker="o",
                        capsize=3,
                        label=label,
                    )
            if name != "accuracy" and TRUE in unseen[0]:
                axis.axhline(
                    mean(unseen, TRUE, name)["mean"],
                    color="grey",
                    linestyle=":",
                    label="true rendering",
                )
            is_long = max(map(len, names)) > 3
            words = {"rotation": 30, "ha": "right", "fontsize": 6} if is_long else {}
            axis.set_xticks(range(len(names)), names, **words)
            axis.set_title(HEADINGS[name])
        axes[0].legend()

    return draw


def _attention(part: str, ledger: Ledger) -> tuple[str, Draw]:
    found: dict[str, Any] = {}
    for key in ledger.rows:
        if key.startswith("attention_loss/"):
            _, name, sizes = key.split("/")
            cells = ledger.under(f"attention/{name}/{sizes}/")
            found[name] = {"loss": ledger.rows[key], "cells": cells, "sizes": sizes}

    def over(name: str, figure: str) -> dict[str, float]:
        return mean_and_error([row[figure] for row in found[name]["cells"]])

    rows = [
        [name, f"{own['loss']:.4f}", *(format_mean(over(name, figure)) for figure in HEADINGS)]
        for name, own in found.items()
    ]
    scores, steps, batch = next(iter(found.values()))["sizes"].split("-")
    count = len(next(iter(found.values()))["cells"])
    said = (
        f"N = {count} unseen pairs. Trained on: {steps} steps of {batch} rows from {scores} "
        "further scores."
    )

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 3)
        for axis, name in zip(axes, ("loss", "accuracy", "chroma"), strict=True):
            values = [
                {"mean": own["loss"], "error": 0.0} if name == "loss" else over(variant, name)
                for variant, own in found.items()
            ]
            axis.barh(
                range(len(found)),
                [v["mean"] for v in values],
                xerr=[v["error"] for v in values],
                capsize=3,
            )
            axis.set_yticks(
                range(len(found)), found if axis is axes[0] else [""] * len(found), fontsize=8
            )
            axis.invert_yaxis()
            axis.set_title("held-out flow loss" if name == "loss" else HEADINGS[name])

    return said + "\n\n" + markdown_table(
        ["", "held-out flow loss", *HEADINGS.values()], rows
    ), draw


def _length(part: str, ledger: Ledger) -> tuple[str, Draw]:
    keys = [key for key in ledger.rows if key.startswith("length/")]
    found = {key.split("/")[1]: ledger.rows[key] for key in keys}
    seconds = keys[0].split("/")[2]
    places = list(next(iter(found.values()))["seams"])
    seams = [
        [name, *(format_mean(figure, 2) for figure in row["seams"].values())]
        for name, row in found.items()
    ]
    parts = (
        f"{seconds} s of one phrase. Last minute beside first:",
        markdown_table(
            DRIFT_HEAD, [_drift_row(name, row["minutes"]) for name, row in found.items()]
        ),
        "Spectral flux near borders as a share of that elsewhere:",
        markdown_table(["", *places], seams),
    )
    return "\n\n".join(parts), partial(_draw_minutes, found)


def _drift_row(name: str, minutes: Sequence[Mapping[str, float]]) -> list[str]:
    own = length.summary(minutes)
    return [
        name,
        f"{own['level_db']:+.2f} dB",
        f"{own['centroid']:+.1%}",
        f"{own['distance_first']:.3f}",
        f"{own['distance_last']:.3f}",
        f"{own['chroma_first']:.3f}",
        f"{own['chroma_last']:.3f}",
    ]


def _draw_minutes(found: Mapping[str, Mapping[str, Any]], figure: Figure) -> None:
    axes = figure.subplots(1, 3)
    for axis, (name, title) in zip(axes, DRAWN_BY_MINUTE.items(), strict=True):
        for phrase, row in found.items():
            values = [minute[name] for minute in row["minutes"]]
            axis.plot(range(1, 1 + len(values)), values, "o-", label=phrase)
        axis.set(title=title, xlabel="minute")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(fontsize=6)
