"""`retimbre job NAME`: one job for scripts that start programs and read files (REAPER, Ardour).

NAME.request  is read: a line is a word and its value. audio, text and output are needed; any key of
              the protocol's table may follow. No shell sees the words, so nothing needs quoting.
NAME.log      is written, a line at a time: `progress 0.4 generating`, `stem PATH`, `seed 3`,
              `manifest PATH`, and last `done` or `fail CODE MESSAGE`. Only complete lines count.
NAME.cancel   stops the job as soon as that file exists.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from retimbre_client import Progress

from osc_protocol import EDIT_KEYS
from osc_protocol.arguments import BadArgument, take
from server import config
from server.cli.edit import edit
from server.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, CliError
from server.cli.session import session

NEEDED = ("audio", "text", "output")
Say = Callable[..., None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The name, and the client's options."""
    parser.add_argument(
        "name", metavar="NAME", type=Path, help="NAME.request is read, NAME.log is written"
    )
    config.add_arguments(parser.add_argument_group("server"), config.ClientConfig)


def run(arguments: argparse.Namespace) -> int:
    """Run that one job. Whatever happens, the last line of the log says how it ended."""
    name = arguments.name.absolute()
    with open(f"{name}.log", "a", encoding="utf-8", buffering=1, newline="\n") as log:

        def say(*words: Any) -> None:
            log.write(" ".join(str(word) for word in words).replace("\n", " ") + "\n")

        try:
            _run(name, config.build(config.ClientConfig, vars(arguments)), say)
        except CliError as error:
            code, _, message = str(error).partition(": ")
            say("fail", code, message)
            return EXIT_FAILED
        except KeyboardInterrupt:
            say("fail", "cancelled", "stopped on request")
            return EXIT_INTERRUPTED
        except Exception as error:
            # The calling script reads the log, not our standard error.
            say("fail", "internal", f"{type(error).__name__}: {error}")
            raise
    return EXIT_OK


def _run(name: Path, options: config.ClientConfig, say: Say) -> None:
    say("progress", -1, "starting")
    source, text, target, keys = _request(Path(f"{name}.request"))
    cancel = Path(f"{name}.cancel")

    def show(progress: Progress) -> None:
        if cancel.exists():
            raise KeyboardInterrupt
        say("progress", f"{progress.fraction:.3f}", progress.stage)

    with session(options, roots=[source.parent]) as server:
        outcome, _, files = edit(server, source, target, text, keys, show)
    for file in files:
        say("stem", file)
    say("seed", outcome.seed)
    say("manifest", outcome.manifest)
    say("done")


def _request(path: Path) -> tuple[Path, str, Path, dict[str, Any]]:
    """Source, words, target and keys. Raises CliError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError("bad_args", f"{path}: expected a file of UTF-8 lines; {error}") from error
    values = dict(line.split(" ", 1) for line in lines if " " in line)
    missing = [word for word in NEEDED if not values.get(word, "").strip()]
    if missing:
        raise CliError("bad_args", f"{path}: expected a line `{missing[0]} VALUE`; there is none")
    source, text, target = (values.pop(word) for word in NEEDED)
    if not Path(source).is_file():
        raise CliError("no_file", f"{source}: no such file; expected an audio file")
    return Path(source).resolve(), text, Path(target), _keys(values)


def _keys(values: dict[str, str]) -> dict[str, Any]:
    unknown = values.keys() - EDIT_KEYS.keys()
    if unknown:
        _refuse(f"{min(unknown)} is not known; there are: {' '.join(EDIT_KEYS)}")
    try:
        return {name: take(EDIT_KEYS[name], value) for name, value in values.items()}
    except BadArgument as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    raise CliError("bad_args", f"request: {message}")
