"""Judge finished results: a CSV file or folder of (source, text, output[, target]), one column of
figures a method.

Nothing is fetched: CLAP and other learned embeddings are read from --clap and --embedding, a folder
or a name in the hub's cache. A figure that cannot be had is left blank, with the reason below the
table.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.exams.catalogue import CATALOGUE, NAMES, Metric
from evaluation.exams.pairs import FORMS, Clip, PairsError, Row, read_rows, sound_of, sounds_in
from evaluation.exams.report import plain
from evaluation.exams.unseen import mean_and_error

ARROWS = {"higher": "↑", "lower": "↓"}
TABLE_WIDTH = 140  # in files and pipes


@dataclass
class Set:
    """What the figures about sets need of many sounds; the sounds themselves are let go."""

    features: list[Mapping[str, np.ndarray]] = field(default_factory=list)
    windows: list[np.ndarray] = field(default_factory=list)  # [n, D] each

    def add(self, clip: Clip, embedding: Any | None) -> None:
        sound = sound_of(clip)
        self.features.append(sound.features)
        if embedding:
            self.windows.append(embedding.windows(sound))

    @property
    def rows(self) -> np.ndarray:
        return np.concatenate(self.windows)


@dataclass(frozen=True)
class Embeddings:
    """What could be loaded; `blank` says why the rest could not (figure -> reason)."""

    clap: Any | None
    fad: Any | None
    blank: Mapping[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """0: judged, 1: nothing to judge or unreadable, 2: wrong use."""
    import warnings

    options = _parser().parse_args(argv)
    if unknown := sorted(set(options.only) - set(NAMES)):
        print(
            f"retimbre eval folder: no figure {unknown[0]!r}; there are {', '.join(NAMES)}",
            file=sys.stderr,
        )
        return 2
    warnings.filterwarnings("ignore", module="librosa")  # it comments on every short CQT octave
    try:
        report = judge(
            read_rows(options.place),
            only=options.only,
            clap=options.clap,
            embedding=options.embedding,
            reference=options.reference,
            device=options.device,
            track=_bar,
        )
    except PairsError as error:
        print(f"retimbre eval folder: {error}", file=sys.stderr)
        return 1
    _print(report)
    if options.json:
        options.json.write_text(
            json.dumps(plain(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if options.csv:
        _write_csv(options.csv, report)
    return 0


def judge(
    rows: Sequence[Row],
    *,
    only: Sequence[str] = (),
    clap: str | None = None,
    embedding: str | None = None,
    reference: Path | None = None,
    device: str = "cpu",
    track: Any = lambda items, title: items,
) -> dict[str, Any]:
    """Every figure of every row and method. PairsError.

    `embedding`: mel, clap, or a folder; none: clap where `clap` is given, else mel. The reference
    set of FAD and KLD is the folder `reference`; without one the rows' targets if all have one,
    else their sources.
    """
    wanted = [metric for metric in CATALOGUE if not only or metric.name in only]
    loaded = _load(wanted, clap, embedding, device)
    needs_sets = any(metric.against == "set" for metric in wanted)
    results, outputs = [], {}
    for row in track(rows, "results"):
        results.append({**row.plain(), "figures": _figures(row, wanted, loaded)})
        if needs_sets:
            outputs.setdefault(row.method, Set()).add(row.output, loaded.fad)
    methods = {row.method: {"results": 0} for row in rows}
    for name, part in methods.items():
        mine = [result["figures"] for result in results if result["method"] == name]
        part["results"] = len(mine)
        part["figures"] = {
            m.name: _mean([f[m.name] for f in mine]) for m in wanted if m.against != "set"
        }
    report = {
        "schema": 1,
        "methods": methods,
        "blank": _blank(rows, wanted, loaded),
        "results": results,
    }
    if needs_sets:
        report["reference"] = _judge_sets(rows, wanted, loaded, outputs, reference, methods, track)
    return report


def _mean(values: Sequence[float]) -> dict[str, float]:
    found = mean_and_error(list(values))
    return {"value": found["mean"], "error": found["error"], "n": int(np.isfinite(values).sum())}


def _figures(row: Row, wanted: Sequence[Metric], loaded: Embeddings) -> dict[str, float]:
    """Figures of one row; nan where there is nothing to compare with."""
    output, found = sound_of(row.output), {}
    for metric in wanted:
        if metric.against == "text":
            has = loaded.clap is not None and row.text
            found[metric.name] = (
                metric.function(loaded.clap, output, row.text) if has else float("nan")
            )
        elif metric.against in ("source", "target"):
            clip = getattr(row, metric.against)
            found[metric.name] = metric.function(output, sound_of(clip)) if clip else float("nan")
    return found


def _judge_sets(rows, wanted, loaded, outputs, folder, methods, track) -> dict[str, Any]:
    """Fills in the set figures of each method; what they were compared with and of which size."""
    from evaluation.metrics.distributions import (
        feature_divergences,
        frechet_distance,
        frechet_infinity,
    )

    title, clips = _reference(rows, folder)
    reference = Set()
    for clip in track(clips, "reference"):
        reference.add(clip, loaded.fad)
    names = {metric.name for metric in wanted}
    for method, ours in outputs.items() if clips else ():
        figures, count = methods[method]["figures"], len(ours.features)
        divergences = feature_divergences(ours.features, reference.features)
        found = {
            f"kld_{family}": {"value": value, "n": count} for family, value in divergences.items()
        }
        if loaded.fad and min(len(ours.rows), len(reference.rows)) > 1:
            windows = len(ours.rows)
            limit = frechet_infinity(ours.rows, reference.rows)
            found["fad"] = {"value": frechet_distance(ours.rows, reference.rows), "n": windows}
            found["fad_infinity"] = {"value": limit.value, "fit": limit.fit, "n": windows}
        figures.update({name: figure for name, figure in found.items() if name in names})
    return {
        "set": title,
        "sounds": len(clips),
        "windows": len(reference.rows) if reference.windows else 0,
        "embedding": loaded.fad.name if loaded.fad else None,
    }


def _reference(rows: Sequence[Row], folder: Path | None) -> tuple[str, list[Clip]]:
    if folder:
        return str(folder), sounds_in(folder)
    role = "target" if all(row.target for row in rows) else "source"
    return f"the {role}s", list(dict.fromkeys(clip for row in rows if (clip := getattr(row, role))))


def _load(
    wanted: Sequence[Metric], clap: str | None, embedding: str | None, device: str
) -> Embeddings:
    from evaluation.metrics import embeddings

    names, blank = {metric.name for metric in wanted}, {}

    def load(figures: set[str], name: str) -> Any | None:
        try:
            return embeddings.load(name, device)
        except embeddings.MissingWeights as error:
            blank.update(dict.fromkeys(figures, str(error)))
            return None

    model = None
    if "clap" in names and clap:
        model = load({"clap"}, clap)
        if model and not isinstance(model, embeddings.Clap):
            blank["clap"], model = f"{clap} is no CLAP model", None
    elif "clap" in names:
        blank["clap"] = (
            "no CLAP given: hf download laion/larger_clap_music, then --clap laion/larger_clap_music"
        )
    fad = None
    if figures := names & {"fad", "fad_infinity"}:
        name = embedding or ("clap" if clap else "mel")
        if name == "clap" and not clap:
            blank.update(dict.fromkeys(figures, "--embedding clap needs --clap"))
        else:
            fad = load(figures, clap if name == "clap" else name)
    return Embeddings(model, fad, blank)


def _blank(rows: Sequence[Row], wanted: Sequence[Metric], loaded: Embeddings) -> dict[str, str]:
    """Figure -> why no row has it."""
    blank = dict(loaded.blank)
    for metric in wanted:
        if metric.against != "set" and not any(getattr(row, metric.against) for row in rows):
            blank.setdefault(metric.name, f"no row has a {metric.against}")
    return blank


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "retimbre eval folder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", type=Path, metavar="CSV_OR_FOLDER", help=FORMS)
    parser.add_argument(
        "--clap", metavar="DIR", help="a ClapModel: folder, or name in the hub's cache"
    )
    parser.add_argument(
        "--embedding",
        metavar="NAME",
        help="of FAD: mel, clap or the folder of another audio encoder (default: clap "
        "where --clap is given, else mel)",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="sounds for FAD and KLD (default: the targets, else the sources)",
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,…",
        help=", ".join(NAMES),
    )
    parser.add_argument(
        "--device", default="cpu", help="of the learned embeddings, such as cuda (default cpu)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the figures of each result there"
    )
    return parser


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
            table.add_row(title, metric.unit, metric.against, *map(_cell, figures))
    console.print(table)
    for line in _footnotes(report):
        console.print(line, markup=False, highlight=False)


def _footnotes(report: Mapping[str, Any]) -> Iterable[str]:
    if part := report.get("reference"):
        yield (
            f"set: {part['set']}, N = {part['sounds']} sounds, {part['windows']} windows of the embedding "
            f"{part['embedding']}; N of FAD counts windows, N of KLD sounds"
        )
    for name, reason in report["blank"].items():
        yield f"{name}: blank, {reason}"


def _cell(figure: Mapping[str, float] | None) -> str:
    if figure is None or not math.isfinite(figure["value"]):
        return f"- ({figure['n']})" if figure else "-"
    error = f" ± {figure['error']:.3f}" if "error" in figure else ""
    return f"{figure['value']:.3f}{error} ({figure['n']})"


def _write_csv(path: Path, report: Mapping[str, Any]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = None
        for result in report["results"]:
            figures = {
                name: value if math.isfinite(value) else ""
                for name, value in result["figures"].items()
            }
            cells = {**{key: value for key, value in result.items() if key != "figures"}, **figures}
            if writer is None:
                writer = csv.DictWriter(stream, fieldnames=list(cells))
                writer.writeheader()
            writer.writerow(cells)


def _bar(items: Sequence[Any], title: str) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    return track(items, description=title, console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    sys.exit(main())
