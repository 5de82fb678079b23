"""`retimbre data check|cut|caption|split|import ...`: hands over to the data tools."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from server.cli.main import EXIT_USAGE, CliError

MODULE, EXTRA = "training.dataset.cli", "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything belongs to the tools."""
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="check, cut, caption, split or import; `retimbre data check --help` lists options",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the tools' own `main`, or say which extra is missing."""
    return handed_over(MODULE, arguments.rest)


def handed_over(module: str, argv: list[str], **places: Path) -> int:
    """The exit code of a module's main. CliError missing_extra."""
    try:
        return importlib.import_module(module).main(argv, **places)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("engine", "evaluation", "presets", "training"):
            raise  # ours: a bug, not a missing extra
        raise CliError(
            "missing_extra",
            f"this needs {error.name}, which is not installed; run: "
            f'pip install "retimbre[{EXTRA}]"',
            EXIT_USAGE,
        ) from error
