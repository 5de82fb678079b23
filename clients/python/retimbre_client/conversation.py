"""What is said over one connection? A state machine without sockets or clocks.

    you       begin(exchange)    hear(packet)    reopen()    tick()      each with `now`
    it        take() -> packets to send, next_tick -> when to call tick;
              exchanges end by their own `on_end`

It opens with an introduction (password, name), and makes it again whenever the server may have
forgotten us: after a restart, a lost connection, or an /auth failure. Then every exchange that is
not over is said once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import osc_protocol
from osc_protocol import ROOT, ReplyMessage
from retimbre_client.exchange import DONE, FAIL, Exchange
from retimbre_client.job_exchange import JOB_COMMANDS, JobExchange
from retimbre_client.questions import Question

NEWS = frozenset(f"{ROOT}/{name}" for name in ("ready", "state", "preset/changed", "live/state"))
PLAYING = "live/playing"  # the answer to /live/play, and news when a captured stem starts by itself
LOG = f"{ROOT}/log"


class Conversation:
    """`introduce(is_first)` makes the questions that open it."""

    def __init__(
        self,
        introduce: Callable[[bool], list[Question]],
        on_log: Callable[[int, str], None],
        on_news: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._introduce, self._on_log, self._on_news = introduce, on_log, on_news
        self._opening: list[Question] = []  # what is left of the introduction
        self._exchanges: list[Exchange] = []
        self._out: list[bytes] = []
        self.was_answered = False  # an introduction has been completed

    def open(self, now: float) -> Exchange:
        """Introduce ourselves. Returns the last of it: when it ends well, the server knows us."""
        self._opening = self._introduce(not self.was_answered)
        self._out += self._opening[0].start(now)
        return self._opening[-1]

    def begin(self, exchange: Exchange, now: float) -> None:
        """Say something, and go on saying it until it is over."""
        self._exchanges.append(exchange)
        self._send(exchange.start(now))

    def _has_job(self, id: int | str) -> bool:
        """Whether the job of that id is not over."""
        return any(isinstance(each, JobExchange) and each.id == id for each in self._exchanges)

    def reopen(self, now: float) -> None:
        """The server may have forgotten us: introduce ourselves, then say everything again."""
        if not self._opening:
            self.open(now)

    def give_up(self, error: Exception) -> None:
        """Nothing more can be said: everything ends with `error`."""
        for exchange in [*self._opening, *self._exchanges]:
            exchange.end(error=error)
        self._opening, self._exchanges = [], []

    def hear(self, packet: bytes, now: float) -> None:
        """Take one packet from the server."""
        try:
            message = osc_protocol.decode_reply(packet)
        except osc_protocol.ProtocolError as error:  # a newer server may say more than we know
            self._on_log(1, f"left unread: {error}")
            return
        if message.address == LOG:
            self._on_log(message.values["level"], message.values["text"])
        elif message.address in NEWS:
            self._on_news(message.address[len(ROOT) + 1 :], message.values)
        elif self._opening and self._opening[0].concerns(message):
            self._hear_opening(message, now)
        else:
            self._hear_answer(message, now)

    def tick(self, now: float) -> None:
        """Repeat what is due, give up what was silent for too long. Early calls do no harm."""
        for exchange in list(self._exchanges):
            self._send(exchange.tick(now))
        if self._opening:
            first = self._opening[0]
            self._out += first.tick(now)
            if first.error:
                self.give_up(first.error)
        self._drop_ended()

    @property
    def next_tick(self) -> float:
        """When `tick` will have something to do; infinite when nothing is under way."""
        return min(
            (each.next_tick for each in [*self._opening[:1], *self._exchanges]), default=math.inf
        )

    def take(self) -> list[bytes]:
        """The packets that are to be sent now."""
        packets, self._out = self._out, []
        return packets

    def _hear_opening(self, message: ReplyMessage, now: float) -> None:
        first = self._opening[0]
        self._out += first.hear(message, now)
        if first.error:
            self.give_up(first.error)
        elif first.is_over:
            self._opening.pop(0)
            self._go_on(now)

    def _go_on(self, now: float) -> None:
        if self._opening:
            self._out += self._opening[0].start(now)
            return
        self.was_answered = True
        for exchange in self._exchanges:
            self._out += exchange.repeat(now)

    def _hear_answer(self, message: ReplyMessage, now: float) -> None:
        concerned = [each for each in self._exchanges if each.concerns(message)]
        if not concerned and message.address == f"{ROOT}/{PLAYING}":
            self._on_news(PLAYING, message.values)
        for exchange in concerned:
            if _is_stranger(message) and not exchange.was_doubted:
                exchange.was_doubted = True
                self.reopen(now)
                return
            self._send(exchange.hear(message, now))
        self._drop_ended()
        # repeats, too: the first /got may be lost
        if _ends_a_job(message) and not self._has_job(message.values["id"]):
            self._out.append(
                osc_protocol.encode(f"{ROOT}/got", message.values["id"], message.values["serial"])
            )

    def _send(self, packets: list[bytes]) -> None:
        if not self._opening:  # what is said before the server knows us is said again when it does
            self._out += packets

    def _drop_ended(self) -> None:
        self._exchanges = [each for each in self._exchanges if not each.is_over]


def _is_stranger(message: ReplyMessage) -> bool:
    return message.address == FAIL and message.values["code"] == "auth"


def _ends_a_job(message: ReplyMessage) -> bool:
    values = message.values
    return (
        message.address in (DONE, FAIL)
        and values["command"] in JOB_COMMANDS
        and bool(values.get("serial"))
    )
