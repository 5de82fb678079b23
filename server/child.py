"""A child process that is spoken with in lines of JSON.

    we  -- one request a line -->  stdin
    we  <-- one event a line ----  stdout      an event is an object with the name `event`
    log <-- text ----------------  stderr      its last line explains how the process ended

The end of its stdin ends the process, so it never outlives us. Belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

Event = dict[str, Any]

MAX_LINE_BYTES = 16 * 2**20
LOG_CHUNK_BYTES = 2**16
MAX_REASON_CHARACTERS = 300  # of the last line that is quoted
OOM_KILLER = ", as the system does when memory runs out"


class ChildProcess:
    """One process, from its start to its end.

    `title` names it in sentences, for example "the worker". `on_event` is called for each event.
    """

    def __init__(self, title: str, on_event: Callable[[Event], None], log: logging.Logger) -> None:
        self._title, self._on_event, self._log = title, on_event, log
        self._process: asyncio.subprocess.Process | None = None
        self._last_line = ""
        self._kill_reason = ""

    async def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Raises OSError where there is no such program."""
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            env=env,
            **_own_group(),
        )

    @property
    def pid(self) -> int | None:
        """None where it does not run."""
        return self._process.pid if self._process and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    def send(self, request: Mapping[str, Any]) -> None:
        """One line. A process that has ended gets nothing."""
        stdin = self._process.stdin if self._process else None
        if stdin and not stdin.is_closing():
            stdin.write(json.dumps(request).encode() + b"\n")

    def close_input(self) -> None:
        """Ask it to end."""
        if self._process and self._process.stdin:
            self._process.stdin.close()

    def kill(self, reason: str = "") -> None:
        """End it at once. `reason` is then what `run` returns."""
        if self._process and self.is_running:
            self._kill_reason = reason or self._kill_reason
            self._process.kill()

    async def wait(self) -> None:
        """Until it has ended."""
        if self._process:
            await self._process.wait()

    async def run(self) -> str:
        """Pass its events on until it has ended. Returns why it did, as a clause."""
        process = self._process
        assert process and process.stdout and process.stderr, "start comes first"
        try:
            await asyncio.gather(self._read_events(process.stdout), self._read_log(process.stderr))
            await process.wait()
        finally:
            self.kill()
        return self._kill_reason or describe_end(self._title, process.returncode, self._last_line)

    async def _read_events(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than MAX_LINE_BYTES
                self.kill(f"{self._title} wrote a line that is too long")
                await _drain(stream)
                return
            if not line:
                return
            event = self._parse(line)
            try:
                if event:
                    self._on_event(event)
            except Exception:  # one event that we cannot handle must not hide the next ones
                self._log.exception("an event of %s", self._title, extra={"said": event})

    def _parse(self, line: bytes) -> Event | None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            return event
        self._log.warning("%s wrote what is not an event", self._title, extra={"said": line[:200]})
        return None

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        async for line in _lines(stream):
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._last_line = text
                self._log.info("%s says", self._title, extra={"said": text})


def describe_end(title: str, returncode: int | None, last_line: str = "") -> str:
    """How a process ended, as a clause: "the worker was killed by SIGSEGV (its last line)"."""
    if returncode is not None and returncode < 0:
        name = (
            signal.Signals(-returncode).name
            if -returncode in set(signal.Signals)
            else str(-returncode)
        )
        clause = f"{title} was killed by {name}" + (OOM_KILLER if name == "SIGKILL" else "")
    else:
        clause = f"{title} ended with exit code {returncode}"
    return f"{clause} ({last_line[:MAX_REASON_CHARACTERS]})" if last_line else clause


def _own_group() -> dict[str, Any]:
    """Ctrl-C in the terminal is for the server, which then drains; its children go on."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


async def _drain(stream: asyncio.StreamReader) -> None:
    """Read to the end: the end of a process is not noticed before its pipes are empty."""
    while await stream.read(LOG_CHUNK_BYTES):
        pass


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines of a log. Long ones come in pieces, where `readline` would raise."""
    rest = b""
    while chunk := await stream.read(LOG_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > LOG_CHUNK_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest
