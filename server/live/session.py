"""The server's side of live audio: the child process, what state it is in, and who asks it what.

Belongs to the event loop's thread. A child that dies, or says that its device is gone, leaves the
state `lost` with a reason, and every open question is answered with a RequestError; /live/start begins
anew.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from server.compute.local import ending, own_group
from server.errors import RequestError

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "server.live.process")
OFF, STARTING, RUNNING, LOST = "off", "starting", "running", "lost"
PATIENCE_SECONDS = 10.0
START_PATIENCE_SECONDS = 40.0  # an operating system may ask its user whether we may listen
# a sound server hates clients that vanish, but a driver may hang while it closes
CLOSE_PATIENCE_SECONDS = 3.0
LINE_BYTES = 2**20


class Child:
    """One process and its pipe.

    `on_event` gets what is no answer, `on_end` the reason when it is gone.
    """

    def __init__(
        self,
        on_event: Callable[[dict[str, Any]], None] = lambda event: None,
        on_end: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._on_event, self._on_end = on_event, on_end
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future] = {}
        self._last_words: deque[str] = deque(maxlen=3)

    async def open(self, command: tuple[str, ...] = COMMAND) -> Child:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=LINE_BYTES,
            **own_group(),
        )
        self._reader = asyncio.create_task(self._read(), name="live audio")
        return self

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def tell(self, op: str, **values: Any) -> asyncio.Future:
        """Send a request. The future has its answer or a RequestError; nobody need wait for it."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._process.stdin.write(json.dumps({"op": op, "n": number, **values}).encode() + b"\n")
        return answer

    async def ask(
        self, op: str, patience_seconds: float = PATIENCE_SECONDS, **values: Any
    ) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises RequestError; a child that is silent is ended."""
        try:
            return await asyncio.wait_for(self.tell(op, **values), patience_seconds)
        except asyncio.TimeoutError:
            self.kill()
            raise RequestError(
                "timed_out",
                f"the sound driver did not answer within {patience_seconds:g} s and was ended; "
                "send /retimbre/live/start",
            ) from None

    async def close(self) -> None:
        """End it, hearing no more of it."""
        self._on_event, self._on_end = lambda event: None, lambda reason: None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._reader), CLOSE_PATIENCE_SECONDS)
        except asyncio.TimeoutError:
            self.kill()
            await self._reader

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def _read(self) -> None:
        await asyncio.gather(self._read_events(), self._read_log())
        reason = ending(await self._process.wait(), self._last_words, "the live audio process")
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(
                    RequestError("not_live", f"{reason}; send /retimbre/live/start")
                )
        self._on_end(reason)

    async def _read_events(self) -> None:
        async for line in self._process.stdout:
            event = json.loads(line)
            answer = self._asked.pop(event.get("n"), None)
            if answer is None:
                self._on_event(event)
            elif not answer.done():
                _settle(answer, event)

    async def _read_log(self) -> None:
        async for line in self._process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            self._last_words.append(text)
            log.info("live audio says", extra={"said": text})


def _settle(answer: asyncio.Future, event: dict[str, Any]) -> None:
    if event["event"] == "refused":
        answer.set_exception(RequestError(event["code"], event["message"]))
    else:
        answer.set_result(
            {name: value for name, value in event.items() if name not in ("event", "n")}
        )


class LiveAudio:
    """At most one input and output at a time.

    `push(state, reason, xruns)` is called when one of them changes.
    """

    def __init__(self, push: Callable[[str, str, int], None]) -> None:
        self._push = push
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        self._options: dict[str, Any] = {}
        self._opened: dict[str, Any] = {}
        self._position: dict[str, Any] = {}
        self.state, self.reason, self.xruns = OFF, "", 0

    @property
    def is_running(self) -> bool:
        """Whether there is somebody to `ask`."""
        return self.state == RUNNING

    async def start(self, options: dict[str, Any]) -> dict[str, Any]:
        """Open the devices, or say again how they were opened. Raises RequestError."""
        async with self._turn:
            if self.is_running:
                if options != self._options:
                    raise RequestError(
                        "busy",
                        "live audio runs already, with other devices or settings; "
                        "/retimbre/live/stop ends it",
                    )
                return self._opened
            await self._close(STARTING)
            try:
                self._child = await Child(self._on_event, self._on_end).open()
                opened = await self._child.ask("start", START_PATIENCE_SECONDS, **options)
            except (RequestError, OSError) as error:
                await self._close(OFF)
                raise (
                    error
                    if isinstance(error, RequestError)
                    else RequestError("internal", str(error))
                ) from error
            self._options, self._opened = options, opened
            if self._position:
                self._child.tell("transport", **self._position)
            self._change(RUNNING)
            return opened

    async def stop(self) -> None:
        """Close the devices and forget what was heard.

        A start that still waits for its driver is cut short.
        """
        if self.state == STARTING and self._child:
            self._child.kill()
        async with self._turn:
            await self._close(OFF)

    def ask(self, op: str, **values: Any) -> Any:
        """Await this: a request to the running child. Raises RequestError."""
        if not self.is_running:
            raise RequestError(
                "not_live",
                f"live audio is {self.state}{self.reason and f' ({self.reason})'}; send "
                "/retimbre/live/start [input] [output]",
            )
        return self._child.ask(op, **values)

    def transport(self, position: dict[str, Any]) -> None:
        """The DAW is here now. Also remembered for a later start. Never waits."""
        self._position = {**position, "at": time.perf_counter()}
        if self.is_running:
            self._child.tell("transport", **self._position)

    async def devices(self) -> list[dict[str, Any]]:
        """What is there now, seen by a process that has just begun. Raises RequestError."""
        child = await Child().open()
        try:
            return (await child.ask("devices"))["devices"]
        finally:
            await child.close()

    async def _close(self, state: str) -> None:
        child, self._child = self._child, None
        if child:
            await child.close()
        self._change(state)

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "xruns":
            self.xruns = event["count"]
            self._push(self.state, self.reason, self.xruns)
        elif event["event"] == "lost":
            self._change(LOST, event["message"])

    def _on_end(self, reason: str) -> None:
        if self.is_running:
            self._change(LOST, f"{reason}; send /retimbre/live/start")

    def _change(self, state: str, reason: str = "") -> None:
        self.xruns = 0 if state == STARTING else self.xruns
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._push(state, reason, self.xruns)
