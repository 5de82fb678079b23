"""Listen for OSC until ctrl-C; the first one lets the running job finish, a second one does not."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from typing import TYPE_CHECKING

from server import config
from server.cli.errors import EXIT_OK, CliError
from server.config import ServeConfig

if TYPE_CHECKING:
    from server.app import Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All of the server's options."""
    config.add_arguments(parser, ServeConfig)
    # For programs that start a server for themselves: it then never outlives them.
    parser.add_argument("--stop-with-stdin", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Serve, and say what happens on standard output; the log goes to standard error."""
    options = config.build(ServeConfig, vars(arguments))
    options.password()  # reports a file that cannot be read before the start
    from server.errors import to_error
    from server.jobs.journal import JournalError
    from server.serving import serve

    try:
        serve(
            options,
            announce=_announce,
            until=_read_to_the_end if arguments.stop_with_stdin else None,
        )
    except JournalError as error:
        raise CliError(error.code, str(error)) from error
    except (OSError, sqlite3.Error) as error:
        refusal = to_error(error, "the server cannot start")
        code = refusal.code if refusal.code != "internal" else "not_ready"
        raise CliError(code, f"{refusal.message}; retimbre doctor looks for the cause") from error
    return EXIT_OK


def _announce(server: Server, what: str) -> None:
    print(_WORDS[what](server), flush=True)


def _listening(server: Server) -> str:
    wanted = server.config.port
    other = f" ({wanted} is taken)" if wanted and wanted != server.port else ""
    return (
        f"listening for OSC on {server.config.host} port {server.port}{other}, UDP and TCP\n"
        f"{_http(server)}\n"
        f"data in {server.paths.data}\n"
        f"loading {server.config.model}; jobs may be sent already. ctrl-C stops"
    )


def _http(server: Server) -> str:
    wanted = server.config.http_port
    if not server.http_port:
        return "no page, no HTTP: " + (
            f"ports from {wanted} on are taken" if wanted else "--http-port is 0"
        )
    other = f" ({wanted} is taken)" if wanted != server.http_port else ""
    host = f"[{server.config.host}]" if ":" in server.config.host else server.config.host
    return f"page and HTTP on http://{host}:{server.http_port}/{other}"


def _ready(server: Server) -> str:
    info = server.executor.info
    seconds = f"{server.services.uptime_seconds:.1f} s after the start"
    return f"ready: {server.config.model} on {info.device}, {seconds}"


def _stopping(server: Server) -> str:
    running = (
        ", after the job that runs; ctrl-C again does not wait"
        if server.services.dispatcher.running
        else ""
    )
    return f"stopping{running}"


_WORDS = {"listening": _listening, "ready": _ready, "stopping": _stopping}


def _read_to_the_end() -> None:
    """Block until the program that started us closes the pipe, or ends."""
    while sys.stdin.buffer.read(4096):
        pass
