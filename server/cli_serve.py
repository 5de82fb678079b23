"""Listen for OSC until ctrl-C: the first one lets the running job finish, a second one does not wait."""

from __future__ import annotations

import argparse

from server import config
from server.config import ServeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All of the server's options."""
    config.add_arguments(parser, ServeConfig)
    # For programs that start a server for themselves: it then never outlives them.
    parser.add_argument("--stop-with-stdin", action="store_true", help=argparse.SUPPRESS)
