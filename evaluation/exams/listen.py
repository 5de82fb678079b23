"""A blind listening test: build it from results, show it on this machine, count the answers.

retimbre eval listen RESULTS --out TEST     build; RESULTS as for `retimbre eval folder`, with
                                            methods to compare
retimbre eval listen TEST --serve           show it here; or put TEST/test on any web server
retimbre eval listen TEST --score [CSV …]   figures of the answers, with those downloaded elsewhere
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.corpus.results import ResultsError, read_results
from evaluation.listening.build import KINDS, build
from evaluation.listening.score import score
from evaluation.reporting.command import make_parser, option, print_error

PROG = "retimbre eval listen"
PORT = 11_030
# fmt: off
OPTIONS = (
    option("place", type=Path, metavar="RESULTS_OR_TEST"),
    option("--out", "build the test there; the folder must not exist", type=Path, metavar="TEST"),
    option("--serve", "show the test on this machine until ctrl-C", action="store_true"),
    option("--score", "count answers", nargs="*", type=Path, metavar="CSV"),
    option("--seed", "of order, sides and choice (default 0)", type=int, default=0),
    option("--kind", "A/B, opinion scores, or both", choices=(*KINDS, "both"), default="both"),
    option("--pieces", "that many pieces, drawn by seed (all)", type=int, default=0, metavar="N"),
    option("--anchor", "also ask for an opinion of the unchanged source", action="store_true"),
    option("--port", f"for --serve (default {PORT})", type=int, default=PORT),
    option("--json", "write the figures of --score there", type=Path, metavar="FILE"),
)
# fmt: on


def main(argv: Sequence[str] | None = None) -> int:
    """0: done, 1: something is missing, 2: wrong use."""
    options = make_parser(PROG, __doc__, OPTIONS).parse_args(argv)
    actions = [options.out is not None, options.serve, options.score is not None]
    if sum(actions) != 1:
        print_error(PROG, "expected one of --out, --serve and --score")
        return 2
    try:
        if options.out:
            _build(options)
        elif not (options.place / "key.json").is_file():
            raise ResultsError(
                f"{options.place} is no listening test (no key.json); build one with --out"
            )
        elif options.serve:
            _serve(options.place, options.port)
        else:
            _show(score(options.place, options.score), options.json)
    except ResultsError as error:
        print_error(PROG, error)
        return 1
    return 0


def _build(options: argparse.Namespace) -> None:
    kinds = KINDS if options.kind == "both" else (options.kind,)
    key = build(
        read_results(options.place),
        options.out,
        seed=options.seed,
        kinds=kinds,
        pieces=options.pieces,
        with_anchor=options.anchor,
    )
    trials, level_lufs = len(key["trials"]), key["loudness_lufs"]
    print(f"{trials} trials, every stimulus at {level_lufs} LUFS, in {options.out}")
    print(
        f"show it here: retimbre eval listen {options.out} --serve; "
        f"elsewhere: put {options.out / 'test'} on the web"
    )
    print(f"keep {options.out / 'key.json'} to yourself")


def _serve(folder: Path, port: int) -> None:
    from aiohttp import web

    from evaluation.listening.collect import HOST, application

    print(f"http://{HOST}:{port}/   answers go to {folder / 'results'}; ctrl-C ends")
    web.run_app(application(folder), host=HOST, port=port, print=None)


def _show(figures: Mapping[str, Any], json_path: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    duels = Table("question", "A/B", "wins", "ties", "p (sign test)", box=box.SIMPLE)
    for row in figures["ab"]:
        wins = " : ".join(map(str, row["wins"]))
        duels.add_row(
            row["question"], " : ".join(row["methods"]), wins, str(row["ties"]), f"{row['p']:.3g}"
        )
    opinions = Table("question", "method", "mean opinion, 95 %", "n", box=box.SIMPLE)
    for row in figures["mos"]:
        opinions.add_row(
            row["question"],
            row["method"],
            f"{row['mean']:.2f} ± {row['half_interval']:.2f}",
            str(row["n"]),
        )
    for table in (duels, opinions):
        if table.row_count:
            console.print(table)
    console.print(f"{figures['listeners']} listeners")
    if json_path:
        json_path.write_text(
            json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    sys.exit(main())
