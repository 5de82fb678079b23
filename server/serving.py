"""Serve in the foreground until ctrl-C, or until the program that started us ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from server import logs
from server.app import Server
from server.config import ServeConfig

FILE_HANDLES = 4096  # 256 connections, uploads, downloads, presets; a few are enough for most


def serve(
    config: ServeConfig,
    *,
    announce: Callable[[Server, str], None] = lambda server, what: None,
    until: Callable[[], object] | None = None,
) -> None:
    """Serve until ctrl-C: the first lets the running job finish, the second does not wait.

    `announce(server, "listening" | "ready" | "stopping")` is called as it happens. `until`: a
    function that blocks; when it returns, the server drains and stops. Raises OSError (no port),
    JournalError (data folder in use).
    """
    allow_more_files()
    with logs.write_logs(
        config.paths().log_lines, config.log_level, config.log_format, config.log_mb
    ):
        asyncio.run(_serve(config, announce, until))


def allow_more_files() -> None:
    """As many handles as the caps on connections and uploads may need: macOS begins with 256."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILE_HANDLES if hard == resource.RLIM_INFINITY else min(FILE_HANDLES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    config: ServeConfig, announce: Callable[[Server, str], None], until: Callable[[], object] | None
) -> None:
    server = Server(config)
    await server.start()
    with _stop_on_signals(server):
        if until:
            threading.Thread(target=_stop_after, args=(server, until), daemon=True).start()
        announce(server, "listening")
        ready = asyncio.create_task(_announce_ready(server, announce))
        try:
            await server.serve_until_stopped(lambda: announce(server, "stopping"))
        finally:
            ready.cancel()


def _stop_after(server: Server, until: Callable[[], object]) -> None:
    until()
    server.request_stop_from_thread()


async def _announce_ready(server: Server, announce: Callable[[Server, str], None]) -> None:
    await server.ready.wait()
    announce(server, "ready")


@contextlib.contextmanager
def _stop_on_signals(server: Server) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop."""
    before = {
        number: signal.signal(number, lambda *_: server.request_stop_from_thread())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
