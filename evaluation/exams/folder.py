"""Judge finished results: (source, text, output[, target]), one column of figures for each method.

Nothing is fetched: CLAP and other learned embeddings are read from --clap and --embedding, which
name a folder or a model in the hub's cache. A figure that cannot be had is left blank, with the
reason below the table.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.corpus.results import FORMS, ResultsError, read_results
from evaluation.exams.catalogue import CATALOGUE, NAMES
from evaluation.exams.judging import judge
from evaluation.reporting.command import (
    ignore_librosa_warnings,
    make_parser,
    option,
    print_error,
    replace_nan,
)

PROG = "retimbre eval folder"
ARROWS = {"higher": "↑", "lower": "↓"}
TABLE_WIDTH = 140  # in files and pipes
# fmt: off
OPTIONS = (
    option("place", FORMS, type=Path, metavar="CSV_OR_FOLDER"),
    option("--clap", "a ClapModel: folder, or name in the hub's cache", metavar="DIR"),
    option("--embedding", "of FAD: mel, clap or the folder of another audio encoder (default: clap "
           "where --clap is given, else mel)", metavar="NAME"),
    option("--reference", "sounds for FAD and KLD (default: the targets, else the sources)",
           type=Path, metavar="DIR"),
    option("--only", ", ".join(NAMES), type=lambda text: text.split(","), default=[],
           metavar="NAME,…"),
    option("--device", "of the learned embeddings, such as cuda (default cpu)", default="cpu"),
    option("--json", "write everything there", type=Path, metavar="FILE"),
    option("--csv", "write the figures of each result there", type=Path, metavar="FILE"),
)
# fmt: on


def main(argv: Sequence[str] | None = None) -> int:
    """0: judged, 1: nothing to judge or unreadable, 2: wrong use."""
    options = make_parser(PROG, __doc__, OPTIONS).parse_args(argv)
    if unknown := sorted(set(options.only) - set(NAMES)):
        print_error(PROG, f"no figure {unknown[0]!r}; there are {', '.join(NAMES)}")
        return 2
    ignore_librosa_warnings()
    try:
        report = judge(
            read_results(options.place),
            only=options.only,
            clap=options.clap,
            embedding=options.embedding,
            reference=options.reference,
            device=options.device,
            track=_track,
        )
    except ResultsError as error:
        print_error(PROG, error)
        return 1
    _print(report)
    if options.json:
        text = json.dumps(replace_nan(report), indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.csv:
        _write_csv(options.csv, report)
    return 0


def _print(report: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    table = Table(box=box.SIMPLE, title="mean ± standard error (N)", title_justify="left")
    for heading in ("", "unit", "against"):
        table.add_column(heading)
    methods = report["methods"]
    for method in methods:
        table.add_column(method, justify="right")
    for metric in CATALOGUE:
        figures = [part["figures"].get(metric.name) for part in methods.values()]
        if any(figures):
            title = f"{metric.title} {ARROWS[metric.better]}"
            table.add_row(title, metric.unit, metric.against, *map(_format, figures))
    console.print(table)
    for line in _footnotes(report):
        console.print(line, markup=False, highlight=False)


def _footnotes(report: Mapping[str, Any]) -> Iterator[str]:
    if part := report.get("reference"):
        yield (
            f"set: {part['set']}, N = {part['sounds']} sounds, {part['windows']} windows of the "
            f"embedding {part['embedding']}; N of FAD counts windows, N of KLD sounds"
        )
    for name, reason in report["blank"].items():
        yield f"{name}: blank, {reason}"


def _format(figure: Mapping[str, float] | None) -> str:
    if figure is None or not math.isfinite(figure["value"]):
        return f"- ({figure['n']})" if figure else "-"
    error = f" ± {figure['error']:.3f}" if "error" in figure else ""
    return f"{figure['value']:.3f}{error} ({figure['n']})"


def _write_csv(path: Path, report: Mapping[str, Any]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer: csv.DictWriter[str] | None = None
        for result in report["results"]:
            cells = {key: value for key, value in result.items() if key != "figures"}
            for name, value in result["figures"].items():
                cells[name] = value if math.isfinite(value) else ""
            if writer is None:
                writer = csv.DictWriter(stream, fieldnames=list(cells))
                writer.writeheader()
            writer.writerow(cells)


def _track(items: Sequence[Any], title: str) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    return track(items, description=title, console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    sys.exit(main())
