"""`retimbre train run|methods|recipes|report|import|export|merge ...`: hands over to the trainer."""

from __future__ import annotations

import argparse

from server import config
from server.cli.data import handed_over
from server.config import ServeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything belongs to the trainer."""
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="run, methods, recipes, report, import, "
        "export or merge; `retimbre train run --help` lists options",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the trainer's own `main` with the server's folders, or say which extra is missing."""
    options = config.build(ServeConfig, {})
    paths = options.paths()
    return handed_over(
        "training.adapt.cli",
        arguments.rest,
        models=paths.models(options.models_dir),
        presets=paths.presets,
    )
