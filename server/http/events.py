"""The later messages of a client as server-sent events: numbered, kept for a while, resumable.

A stream reads from its client's log, so a reader that is slow or gone costs the log's fixed size
and no more. When the log drops an event that a reader has not had, its connection is closed. It may
come back with Last-Event-ID and gets what is left, after an event `lost` when some are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from aiohttp import web

MAX_EVENTS = 4096
MAX_BYTES = 2 * 2**20  # of a client's log
MAX_STREAMS = 8  # of one client
KEEPALIVE_SECONDS = 15.0  # a comment, so that both sides notice when the other is gone
RETRY_MILLISECONDS = 1000


class EventLog:
    """The last events of one client, and its streams. Belongs to the loop's thread."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        # From the clock, so that numbers also grow over a restart of the server: an old
        # Last-Event-ID stays old.
        self.number = time.time_ns() // 1_000_000
        self.streams: list[Stream] = []
        self.is_closed = False

    def append(self, name: str, values: dict[str, Any]) -> None:
        """One more event; the oldest go when there are too many."""
        self.number += 1
        data = _frame(name, values, self.number)
        self._events.append((self.number, data))
        self._bytes += len(data)
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._events.popleft()[1])
        for stream in self.streams:
            stream.stir()

    def add(self, stream: Stream) -> None:
        """One more reader. Of too many the first, likely an abandoned page, is closed."""
        self.streams.append(stream)
        if len(self.streams) > MAX_STREAMS:
            self.streams[0].end()

    @property
    def oldest(self) -> int:
        """The number of the oldest event that is kept, or of the next one."""
        return self._events[0][0] if self._events else self.number + 1

    def after(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Kept events that are newer."""
        return (event for event in self._events if event[0] > number)

    def close(self) -> None:
        """The server stops: streams end."""
        self.is_closed = True
        for stream in self.streams:
            stream.stir()


class Stream:
    """One connection that listens. `seen`: the number of the last event that it has."""

    def __init__(
        self, log: EventLog, request: web.Request, response: web.StreamResponse, seen: int
    ) -> None:
        self._log, self._request, self._response, self._seen = log, request, response, seen
        self._news = asyncio.Event()

    def stir(self) -> None:
        """There is news. A reader whose next event the log has dropped is cut off."""
        if self._seen < self._log.oldest - 1:
            self.end()
        self._news.set()

    async def run(self) -> None:
        """Write events until one side ends it."""
        greeting = f"retry: {RETRY_MILLISECONDS}\n\n".encode() + self._skip_lost()
        self._log.add(self)
        try:
            await self._write(greeting)
            while not self._log.is_closed:
                await self._write_news()
                await self._wait()
        finally:
            self._log.streams.remove(self)

    def end(self) -> None:
        """Close the connection, whatever is on its way."""
        if self._request.transport:
            self._request.transport.abort()

    def _skip_lost(self) -> bytes:
        """Skip events that the log has dropped. Returns the event that says so, if any."""
        if self._seen >= self._log.oldest - 1:
            return b""
        after, self._seen = self._seen, self._log.oldest - 1
        return _frame("lost", {"after": after}, self._seen) if after else b""

    async def _write_news(self) -> None:
        self._news.clear()
        for number, data in list(self._log.after(self._seen)):
            await self._write(data)
            self._seen = number

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), KEEPALIVE_SECONDS)
        except asyncio.TimeoutError:
            await self._write(b":\n\n")

    async def _write(self, data: bytes) -> None:
        await self._response.write(data)


def _frame(name: str, values: dict[str, Any], number: int) -> bytes:
    """One event on the wire. JSON has no raw line ends, so one data line is enough."""
    return (
        f"event: {name}\nid: {number}\ndata: {json.dumps(values, ensure_ascii=False)}\n\n".encode(
            "utf-8", "replace"
        )
    )


async def serve(log: EventLog, request: web.Request, since: int) -> web.StreamResponse:
    """Answer with events: those after number `since` that are kept (0: all), then what comes."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # the reader has gone
        await Stream(log, request, response, min(since, log.number)).run()
    return response
