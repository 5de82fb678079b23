"""What has one answer? A question, a listing, and a command that is only answered when it fails."""

from __future__ import annotations

import math
from typing import Any

from osc_protocol import ADDRESSES, ROOT, ReplyMessage
from retimbre_client.exchange import (
    DONE,
    FAIL,
    RESEND_SECONDS,
    Exchange,
    Repeats,
    request,
    to_error,
)
from retimbre_client.values import NoServer

ANSWER_SECONDS = 5.0  # for anything but jobs
REPEATS_IN_TIME = 20  # what has 45 s to be answered is repeated after 2.25 s
# arguments that a reply repeats: they tell whose answer it is
ECHOED = ("id", "name", "key", "n", "echo")
BUNDLE_HEAD = b"#bundle\0" + bytes(7) + b"\1"  # time tag: at once


class Question(Exchange):
    """A request with one reply, whose values are the outcome; slow ones are repeated rarely."""

    def __init__(
        self,
        name: str,
        args: tuple[Any, ...],
        reply: str,
        seconds: float,
        pause_seconds: float | None = None,
        packet: bytes = b"",
    ) -> None:
        super().__init__()
        self.address, self._reply, self._seconds = f"{ROOT}/{name}", f"{ROOT}/{reply}", seconds
        self._packet = packet or request(name, *args)
        self._asked = {
            arg.name: args[at:] if arg.rest else args[at]
            for at, arg in enumerate(ADDRESSES[self.address].args[: len(args)])
        }
        if pause_seconds is None:
            pause_seconds = (
                RESEND_SECONDS
                if seconds == math.inf
                else max(RESEND_SECONDS, seconds / REPEATS_IN_TIME)
            )
        self._repeats = Repeats(pause_seconds)
        self._ends_at = math.inf

    def start(self, now: float) -> list[bytes]:
        self._ends_at = now + self._seconds
        return self.repeat(now)

    def repeat(self, now: float) -> list[bytes]:
        self._repeats.schedule(now)
        return [self._packet]

    def concerns(self, message: ReplyMessage) -> bool:
        if message.address in (DONE, FAIL):
            is_ours = message.values["command"] == self.address and message.values[
                "id"
            ] == self._asked.get("id", 0)
            return is_ours and message.address in (FAIL, self._reply)
        return message.address == self._reply and self._is_echo(message)

    def _is_echo(self, message: ReplyMessage) -> bool:
        values = message.values
        return all(
            values.get(name, self._asked.get(name)) == self._asked.get(name, values.get(name))
            for name in ECHOED
        )

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        if message.address == FAIL:
            return self.end(error=to_error(message))
        return self._take_answer(message)

    def _take_answer(self, message: ReplyMessage) -> list[bytes]:
        return self.end(message.values)

    def tick(self, now: float) -> list[bytes]:
        if now >= self._ends_at:
            return self.end(
                error=NoServer(
                    "timed_out",
                    f"no answer to {self.address} within {self._seconds:g} s; "
                    "is a server running there? start one: retimbre serve",
                )
            )
        return self.repeat(now) if now >= self._repeats.due_at else []

    @property
    def next_tick(self) -> float:
        return min(self._ends_at, self._repeats.due_at)


class Listing(Question):
    """A request that is answered with items and an end; the outcome is their values, in order."""

    def __init__(
        self, name: str, args: tuple[Any, ...], item: str, end: str, seconds: float
    ) -> None:
        super().__init__(name, args, end, seconds)
        self._item = f"{ROOT}/{item}"
        # by all arguments: a repeated answer adds nothing
        self._items: dict[tuple[Any, ...], dict[str, Any]] = {}

    def concerns(self, message: ReplyMessage) -> bool:
        if message.address == self._item:
            return "name" not in self._asked or message.values.get("name") == self._asked["name"]
        return super().concerns(message)

    def _take_answer(self, message: ReplyMessage) -> list[bytes]:
        if message.address == self._item:
            self._items[message.args] = message.values
            return []
        # some were lost: the repeat brings all of them
        if len(self._items) < message.values["count"]:
            return []
        return self.end(list(self._items.values()))


class Command(Question):
    """A request that is answered only when it fails; a /sync in the same bundle confirms it."""

    def __init__(self, name: str, packet: bytes, barrier: int) -> None:
        bundle = _bundle(packet, request("sync", barrier))
        super().__init__("sync", (barrier,), "synced", ANSWER_SECONDS, packet=bundle)
        self._command = f"{ROOT}/{name}"

    def concerns(self, message: ReplyMessage) -> bool:
        return message.values.get("command") == self._command or super().concerns(message)


def _bundle(*packets: bytes) -> bytes:
    return BUNDLE_HEAD + b"".join(len(packet).to_bytes(4, "big") + packet for packet in packets)
