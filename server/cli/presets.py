"""List the shipped styles and your own; exit code 1 when one of them is broken."""

from __future__ import annotations

import argparse
import json
import sys

from server import config
from server.cli.errors import EXIT_FAILED, EXIT_OK
from server.config import ServeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to look."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    config.add_arguments(parser, ServeConfig, only=("data_dir", "presets_dir"))


def run(arguments: argparse.Namespace) -> int:
    """Print name, title and description of each, and what is wrong with the broken ones."""
    from presets import SHIPPED_FOLDER, Library

    options = config.build(ServeConfig, vars(arguments))
    library = Library([SHIPPED_FOLDER, options.paths().presets, *options.presets_dir])
    if arguments.json:
        print(
            json.dumps([preset.model_dump(mode="json") for preset in library.presets()], indent=2)
        )
    else:
        width = max((len(name) for name in library.names()), default=0)
        for preset in library.presets():
            print(f"{preset.name:<{width}}  {preset.description} [{preset.licence}]")
    for problem in library.report.errors:
        print(f"retimbre presets: {problem}", file=sys.stderr)
    return EXIT_FAILED if library.report.errors else EXIT_OK
