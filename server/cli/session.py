"""Find the server that runs on a data folder, or start one for as long as a command needs it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from retimbre_client import Client, ClientError, NoServer

from server.cli.errors import CliError
from server.config import ClientConfig
from server.paths import REPOSITORY, read_port_file

START_SECONDS = 30.0  # a cold disk and a slow machine; a warm one needs about a second
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
FIND_SECONDS = 5.0  # a busy server must not be taken for dead; a closed port answers at once
LOG_TAIL_LINES = 8
LOG_BYTES = 10**6  # a longer log begins anew; the server's own log has what matters


@dataclass(frozen=True)
class Session:
    """A server that answers. `is_ours`: it was started here, and stops with us."""

    client: Client
    is_ours: bool


@contextlib.contextmanager
def session(
    config: ClientConfig,
    roots: Sequence[Path] = (),
    may_start: bool = True,
    always_start: bool = False,
) -> Iterator[Session]:
    """A server to talk to; one that was started here is stopped at the end. Raises CliError."""
    try:
        address = None if always_start else find(config)
        if address is not None:
            with _client(config, *address) as client:
                yield Session(client, False)
        elif may_start and (always_start or not _is_named(config)):
            with _start_own(config, roots) as client:
                yield Session(client, True)
        else:
            raise CliError(
                "not_ready", f"no server answers{_where(config)}; start one with: retimbre serve"
            )
    except ClientError as error:
        raise CliError(error.code, error.message) from error


def find(config: ClientConfig) -> tuple[str, int] | None:
    """Host and port of a server that answers: the options' one, else the data folder's own."""
    if _is_named(config):
        address = (config.host, config.port)
    else:
        announced = read_port_file(config.paths().port_file)
        if announced is None:
            return None
        address = (_reachable(announced.host), announced.port)
    try:
        with _client(config, *address, connect_seconds=FIND_SECONDS):
            return address
    except NoServer:
        return None


def _is_named(config: ClientConfig) -> bool:
    return (config.host, config.port) != (ClientConfig.host, ClientConfig.port)


def _where(config: ClientConfig) -> str:
    return f" on {config.host} port {config.port}" if _is_named(config) else ""


def _reachable(host: str) -> str:
    """A server that listens on all addresses is reached at this machine's own."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _client(config: ClientConfig, host: str, port: int, **options: Any) -> Client:
    return Client(
        host,
        port,
        transport=config.transport,
        password=config.password(),
        silence_seconds=config.silence_seconds,
        on_log=_print_log,
        **options,
    )


def _print_log(level: int, text: str) -> None:
    if level >= 2:
        print(text, file=sys.stderr)


@contextlib.contextmanager
def _start_own(config: ClientConfig, roots: Sequence[Path]) -> Iterator[Client]:
    """A server of our own on a free port. It stops when our end of a pipe closes."""
    try:
        paths = config.paths().create()
    except OSError as error:
        raise CliError(
            "disk_full", f"the data folder cannot be made: {error}; name another: --data-dir DIR"
        ) from error
    # Nobody answered there: a server that was killed left it behind.
    paths.port_file.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "server",
        "serve",
        "--port=0",
        "--http-port=0",
        "--stop-with-stdin",
        *([f"--data-dir={paths.data}"] if config.data_dir else []),
        *(f"--root={root}" for root in roots),
    ]
    is_long = paths.log.exists() and paths.log.stat().st_size > LOG_BYTES
    with open(paths.log, "w+b" if is_long else "a+b") as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # ctrl-C reaches us alone, and we cancel the job
        )
        try:
            with _connect(config, process, log) as client:
                yield client
        finally:
            _stop(process)


def _connect(config: ClientConfig, process: subprocess.Popen, log: IO[bytes]) -> Client:
    port_file = config.paths().port_file
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        announced = read_port_file(port_file)
        if announced is not None:
            with contextlib.suppress(NoServer):
                return _client(
                    config, _reachable(announced.host), announced.port, connect_seconds=FIND_SECONDS
                )
        time.sleep(POLL_SECONDS)
    log.seek(0)
    tail = log.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
    raise CliError("not_ready", "\n  ".join(["the server did not start; its last words:", *tail]))


def _stop(process: subprocess.Popen) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
