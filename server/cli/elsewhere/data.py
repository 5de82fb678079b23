"""`retimbre data check|cut|caption|split|import ...`: prepare recordings for training."""

from __future__ import annotations

import argparse

from server.cli.elsewhere.handover import hand_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The rest of the line belongs to the data tools."""
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="check, cut, caption, split or import; `retimbre data check --help` lists options",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the data tools."""
    return hand_over("training.dataset.cli", arguments.rest)
