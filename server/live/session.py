"""The server's side of live audio: the child process, its state, and what is asked of it.

Belongs to the event loop's thread. When the process ends, or says that its device is gone, the
state is `lost` with a reason, and every open question is answered with a RequestError. /live/start
begins anew.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from server.child import ChildProcess, Event
from server.errors import RequestError

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "server.live.process")
OFF, STARTING, RUNNING, LOST = "off", "starting", "running", "lost"
ANSWER_TIMEOUT_SECONDS = 10.0
START_TIMEOUT_SECONDS = 40.0  # an operating system may ask its user whether we may listen
# a sound server hates clients that vanish, but a driver may hang while it closes
CLOSE_TIMEOUT_SECONDS = 3.0


class LiveProcess:
    """The child process as something that can be asked.

    `on_event` gets what is no answer, `on_end` the reason when the process is gone.
    """

    def __init__(
        self,
        on_event: Callable[[Event], None] = lambda event: None,
        on_end: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._on_event, self._on_end = on_event, on_end
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._child = ChildProcess("the live audio process", self._receive, log)

    async def open(self) -> None:
        """Start the process. Raises OSError."""
        await self._child.start(COMMAND)
        self._reader = asyncio.create_task(self._run(), name="live audio")

    @property
    def pid(self) -> int | None:
        """None where it does not run."""
        return self._child.pid

    def send(self, op: str, **values: Any) -> asyncio.Future[dict[str, Any]]:
        """Send a request. The future has its answer or a RequestError; nobody need wait for it."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._child.send({"op": op, "n": number, **values})
        return answer

    async def ask(
        self, op: str, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS, **values: Any
    ) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises RequestError. A process that does not answer in time is ended.
        """
        try:
            return await asyncio.wait_for(self.send(op, **values), timeout_seconds)
        except asyncio.TimeoutError:
            self._child.kill()
            raise RequestError(
                "timed_out",
                f"the sound driver did not answer within {timeout_seconds:g} s and was ended; "
                "send /retimbre/live/start",
            ) from None

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()

    async def close(self) -> None:
        """End it without passing on what it still says."""
        self._on_event, self._on_end = lambda event: None, lambda reason: None
        self._child.close_input()
        try:
            await asyncio.wait_for(asyncio.shield(self._reader), CLOSE_TIMEOUT_SECONDS)
        except asyncio.TimeoutError:
            self._child.kill()
            await self._reader

    async def _run(self) -> None:
        reason = await self._child.run()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(
                    RequestError("not_live", f"{reason}; send /retimbre/live/start")
                )
        self._on_end(reason)

    def _receive(self, event: Event) -> None:
        answer = self._answers.pop(event.get("n", 0), None)
        if answer is None:
            self._on_event(event)
        elif answer.done():
            return
        elif event["event"] == "refused":
            answer.set_exception(RequestError(event["code"], event["message"]))
        else:
            answer.set_result(
                {name: value for name, value in event.items() if name not in ("event", "n")}
            )


class LiveAudio:
    """Live audio of one server: at most one input and output at a time.

    `push(state, reason, xruns)` is called when one of the three changes.
    """

    def __init__(self, push: Callable[[str, str, int], None]) -> None:
        self._push = push
        self._process: LiveProcess | None = None
        self._turn = asyncio.Lock()
        self._options: dict[str, Any] = {}
        self._opened: dict[str, Any] = {}
        self._position: dict[str, Any] = {}
        self.state, self.reason, self.xruns = OFF, "", 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process to `ask`."""
        return self.state == RUNNING

    async def start(self, options: dict[str, Any]) -> dict[str, Any]:
        """Open the devices. Returns how they are open. Raises RequestError.

        When they are open already: the same again, or busy where the options differ.
        """
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
                process = LiveProcess(self._on_event, self._on_end)
                await process.open()
                self._process = process
                opened = await process.ask("start", START_TIMEOUT_SECONDS, **options)
            except OSError as error:
                await self._close(OFF)
                raise RequestError("internal", str(error)) from error
            except RequestError:
                await self._close(OFF)
                raise
            self._options, self._opened = options, opened
            if self._position:
                process.send("transport", **self._position)
            self._set_state(RUNNING)
            return opened

    async def stop(self) -> None:
        """Close the devices and forget what was recorded.

        A start that still waits for its driver is cut short.
        """
        if self.state == STARTING and self._process:
            self._process.kill()
        async with self._turn:
            await self._close(OFF)

    async def ask(self, op: str, **values: Any) -> dict[str, Any]:
        """Send a request to the running process. Raises RequestError."""
        if not self.is_running or self._process is None:
            raise RequestError(
                "not_live",
                f"live audio is {self.state}{self.reason and f' ({self.reason})'}; send "
                "/retimbre/live/start [input] [output]",
            )
        return await self._process.ask(op, **values)

    def transport(self, position: dict[str, Any]) -> None:
        """Take the position of the DAW, also for a later start. Never waits."""
        self._position = {**position, "at": time.perf_counter()}
        if self.is_running and self._process:
            self._process.send("transport", **self._position)

    async def devices(self) -> list[dict[str, Any]]:
        """The devices that a new process sees. Raises RequestError."""
        process = LiveProcess()
        await process.open()
        try:
            return (await process.ask("devices"))["devices"]
        finally:
            await process.close()

    async def _close(self, state: str) -> None:
        process, self._process = self._process, None
        if process:
            await process.close()
        self._set_state(state)

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "xruns":
            self.xruns = event["count"]
            self._push(self.state, self.reason, self.xruns)
        elif event["event"] == "lost":
            self._set_state(LOST, event["message"])

    def _on_end(self, reason: str) -> None:
        if self.is_running:
            self._set_state(LOST, f"{reason}; send /retimbre/live/start")

    def _set_state(self, state: str, reason: str = "") -> None:
        self.xruns = 0 if state == STARTING else self.xruns
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._push(state, reason, self.xruns)
