"""`retimbre train run|methods|recipes|report|import|export|merge ...`: make a style."""

from __future__ import annotations

import argparse

from server import config
from server.cli.elsewhere.handover import hand_over
from server.config import ServeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The rest of the line belongs to the trainer."""
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="run, methods, recipes, report, import, export or merge; "
        "`retimbre train run --help` lists options",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the trainer with the server's folders of models and presets."""
    options = config.build(ServeConfig, {})
    paths = options.paths()
    return hand_over(
        "training.adapt.cli",
        arguments.rest,
        models=paths.models(options.models_dir),
        presets=paths.presets,
    )
