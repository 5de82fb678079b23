"""Options as command line flags, and as the table in docs/options.md."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from server.config.options import CONFIGS, CommonConfig, ServeConfig, option_names

Parser = argparse._ActionsContainer  # a parser or a group of one: both take arguments
Option = dataclasses.Field[Any]


def add_arguments(parser: Parser, config: type[CommonConfig], only: Sequence[str] = ()) -> None:
    """Add a flag for each option of `config` (or for those in `only`), and --config."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="option file (YAML): the same names with underscores",
    )
    for each in dataclasses.fields(config):
        if only and each.name not in only:
            continue
        parser.add_argument(
            flag_of(each.name),
            dest=each.name,
            default=argparse.SUPPRESS,
            action="append" if isinstance(each.default, tuple) else "store",
            metavar=each.metadata["metavar"] or _metavar(each),
            help=_help(each),
        )


def arguments(config: CommonConfig) -> list[str]:
    """The flags that make `config` again, to hand it to another process."""
    flags = []
    for each in dataclasses.fields(config):
        value = getattr(config, each.name)
        if value != each.default:
            for one in value if isinstance(value, tuple) else (value,):
                flags += [f"{flag_of(each.name)}={one}"]
    return flags


def markdown() -> str:
    """The table of all options in docs/options.md.

    python -c "from server import config; print(config.markdown())"
    """
    lines = ["| option | default | of | what it does |", "|---|---|---|---|"]
    for name in option_names():
        owners = [
            config
            for config in CONFIGS
            if name in {each.name for each in dataclasses.fields(config)}
        ]
        each = next(each for each in dataclasses.fields(owners[0]) if each.name == name)
        only = "server" if owners[0] is ServeConfig else "client"
        of = "both" if len(owners) == len(CONFIGS) else only
        default = "" if each.default in ("", ()) else f"`{each.default}`"
        lines.append(f"| `{flag_of(name)}` | {default} | {of} | {_help(each, default=False)} |")
    return "\n".join(lines)


def flag_of(name: str) -> str:
    """The command line flag of an option."""
    return "--" + name.replace("_", "-")


def _metavar(each: Option) -> str:
    if each.metadata["choices"]:
        return "{" + ",".join(each.metadata["choices"]) + "}"
    return each.metadata["unit"].upper() or {int: "N", float: "X"}.get(type(each.default), "TEXT")


def _help(each: Option, default: bool = True) -> str:
    unit = f" [{each.metadata['unit']}]" if each.metadata["unit"] else ""
    shown = f" (default {each.default})" if default and each.default not in ("", ()) else ""
    return f"{each.metadata['help']}{unit}{shown}".replace("%", "%%")
