"""What is said until it is answered? An exchange: a question, a job, an upload, a download.

Rule 1: there are no sockets and no clock here. Methods return the packets to send; `now` is any
        clock that goes forward, in seconds.
Rule 2: every packet may be lost, doubled or late. An exchange repeats itself until it is over. That
        is always safe, because the server never starts a second job for the same id.
Rule 3: a job has no total time-out, only a silence: every message about it feeds the watchdog.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

from osc_protocol import ROOT, ProtocolError, ReplyMessage, encode
from retimbre_client.values import Refused

RESEND_SECONDS = 0.25  # loopback answers within milliseconds, Wi-Fi within tens
RESEND_AT_MOST_SECONDS = 2.0
DONE, FAIL = f"{ROOT}/done", f"{ROOT}/fail"


class Exchange(abc.ABC):
    """`on_end` is called once, when `outcome` or `error` stands."""

    was_doubted = False  # an /auth failure was answered by introducing ourselves again

    def __init__(self) -> None:
        self.is_over = False
        self.outcome: Any = None
        self.error: Exception | None = None
        self.on_end: Callable[[Exchange], None] = lambda exchange: None

    @abc.abstractmethod
    def start(self, now: float) -> list[bytes]:
        """Say it."""

    def repeat(self, now: float) -> list[bytes]:
        """The server may have forgotten what it was told: say it again."""
        return []

    @abc.abstractmethod
    def concerns(self, message: ReplyMessage) -> bool:
        """Whether this message answers us."""

    @abc.abstractmethod
    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        """Take a message that concerns us."""

    @abc.abstractmethod
    def tick(self, now: float) -> list[bytes]:
        """Repeat what has waited too long, or give up."""

    @property
    @abc.abstractmethod
    def next_tick(self) -> float:
        """When `tick` will have something to do."""

    def end(self, outcome: Any = None, error: Exception | None = None) -> list[bytes]:
        """Over. Returns no packets, so that a handler may end with it."""
        if not self.is_over:
            self.is_over, self.outcome, self.error = True, outcome, error
            self.on_end(self)
        return []


class Repeats:
    """When to say it again: after a first pause, then after twice as long each time, up to 2 s."""

    def __init__(self, pause_seconds: float = RESEND_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self.due_at = math.inf

    def schedule(self, now: float) -> None:
        """It is said now: set the time of the next repeat."""
        self.due_at = now + self._pause_seconds
        self._pause_seconds = max(
            self._pause_seconds, min(2 * self._pause_seconds, RESEND_AT_MOST_SECONDS)
        )


def request(name: str, *args: Any, **keys: Any) -> bytes:
    """The packet for one request. Raises Refused when the protocol does not allow it."""
    try:
        return encode(f"{ROOT}/{name}", *args, **keys)
    except ProtocolError as error:
        raise Refused("bad_args", str(error)) from error


def to_error(message: ReplyMessage) -> Refused:
    """The error that a /fail stands for."""
    return Refused(message.values["code"], message.values["message"])
