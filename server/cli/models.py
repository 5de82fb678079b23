"""List the models with their licences and what they lack, or convert a fetched checkpoint."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from server import config
from server.cli.errors import EXIT_OK, CliError
from server.config import ServeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two actions: list, convert."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", help="every model: its licence, and what has to be fetched for it"
    )
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    config.add_arguments(listing, ServeConfig, only=("data_dir", "models_dir"))
    converting = actions.add_parser(
        "convert",
        help="write safetensors from AudioMAE's pretrained.pth, its timm port, "
        "or an AP-Adapter checkpoint",
    )
    converting.add_argument(
        "source", type=Path, metavar="SRC", help="checkpoint file, or a folder with one"
    )
    converting.add_argument(
        "target", type=Path, metavar="DST", help="file to write; its name ends in .safetensors"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked. Raises CliError where a checkpoint cannot be converted."""
    return _convert(arguments) if arguments.action == "convert" else _list(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from engine.families.registry import FAMILIES

    options = config.build(ServeConfig, vars(arguments))
    folder = options.paths().models(options.models_dir)
    missing = {family.name: family.missing(folder) for family in FAMILIES.values()}
    if arguments.json:
        rows = [
            {
                "name": family.name,
                "title": family.title,
                "licence": family.licence,
                "tasks": family.tasks,
                "missing": missing[family.name],
            }
            for family in FAMILIES.values()
        ]
        print(json.dumps({"folder": str(folder), "models": rows}, indent=2))
        return EXIT_OK
    print(f"models folder: {folder}")
    for family in FAMILIES.values():
        tasks = ", ".join(family.tasks)
        print(f"{family.name}: {family.title} ({tasks}). Licence: {family.licence}")
        print("  " + (missing[family.name] or "ready").replace("; ", "\n  "))
    return EXIT_OK


def _convert(arguments: argparse.Namespace) -> int:
    try:
        from engine.families.audioldm2.convert import ConvertError, convert
    except ImportError as error:
        raise CliError(
            "not_ready", f"{error.name} is not installed; run: pip install -e '.[torch]'"
        ) from error
    try:
        arguments.target.parent.mkdir(parents=True, exist_ok=True)
        print(f"{arguments.target}: {convert(arguments.source, arguments.target)}")
    except ConvertError as error:
        raise CliError("bad_args", str(error)) from error
    except OSError as error:
        raise CliError("write_failed", str(error)) from error
    return EXIT_OK
