"""retimbre: send a region and a few words, get a stem that drops into the same place."""

# Nothing heavy is imported here, so that --help answers at once. A command is a module with
# `add_arguments(parser)` and `run(arguments) -> exit code`, imported when it is called.

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from server.cli.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CliError
from server.config import ConfigError


class Command(NamedTuple):
    module: str
    help: str


COMMANDS = {
    "serve": Command("server.cli.serve", "listen for OSC until ctrl-C"),
    "edit": Command("server.cli.edit", "turn one audio file, or a part of it, into a stem"),
    "job": Command("server.cli.job", "the same for a program that only reads and writes files"),
    "presets": Command("server.cli.presets", "list the styles"),
    "live": Command("server.cli.live", "listen to an input, so that the last bars can be edited"),
    "models": Command(
        "server.cli.models", "list the models and what they lack; convert a checkpoint"
    ),
    "export": Command(
        "server.cli.export", "turn a model into fast graphs (needs the export extra)"
    ),
    "status": Command("server.cli.status", "say whether a server runs, and what it does"),
    "doctor": Command(
        "server.cli.doctor.command", "say what works on this machine, and how to mend what does not"
    ),
    "demo": Command(
        "server.cli.demo.command", "do the main job once and leave sound and a picture in a folder"
    ),
    "harp": Command(
        "server.cli.harp",
        "offer a running server to HARP, the external editor of DAWs (extra: harp)",
    ),
    "data": Command(
        "server.cli.elsewhere.data", "check, cut, caption and split recordings for training"
    ),
    "train": Command(
        "server.cli.elsewhere.train", "learn a style from recordings (needs the train extra)"
    ),
    "eval": Command("server.cli.elsewhere.eval", "judge the model (needs the train extra)"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(argv).parse_args(argv)
    try:
        return arguments.run(arguments)
    except (CliError, ConfigError) as error:
        print(f"retimbre {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, CliError) else EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has seen enough, as in `retimbre presets | head -1`
        sys.stderr.close()
        return EXIT_OK


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the flags of the command that `argv` names and of no other."""
    parser = argparse.ArgumentParser(prog="retimbre", description=__doc__)
    parser.add_argument("--version", action=_ShowVersion)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    called = next((word for word in argv if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        child = commands.add_parser(name, help=command.help, description=command.help)
        if name == called:
            module = importlib.import_module(command.module)
            module.add_arguments(child)
            child.set_defaults(run=module.run)
    return parser


class _ShowVersion(argparse.Action):
    """Looks the version up only when it is printed: that takes longer than the whole --help."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from server.status import version

        major, minor, patch, commit = version()
        print(f"retimbre {major}.{minor}.{patch}{commit and f' ({commit})'}")
        parser.exit()
