"""Command lines as tables: an action with its function, its help and its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Arguments = Mapping[str, Mapping[str, Any]]  # flag or name -> what add_argument takes


class Action(NamedTuple):
    """One sub-command; `run` gives its exit status."""

    name: str
    run: Callable[[argparse.Namespace], int]
    help: str
    arguments: Arguments = {}
    extend: Callable[[argparse.ArgumentParser], object] = lambda parser: None


def build_parser(
    program: str, description: str | None, table: Sequence[Action]
) -> argparse.ArgumentParser:
    """A parser whose result has `action`, the name, and `run`, its function."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action in table:
        child = actions.add_parser(action.name, help=action.help, description=action.help)
        child.set_defaults(run=action.run)
        for name, options in action.arguments.items():
            child.add_argument(name, **options)
        action.extend(child)
    return parser
