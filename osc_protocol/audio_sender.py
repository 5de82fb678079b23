"""The side that has the audio: opens, sends, repeats what was lost, and closes."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from osc_protocol.addresses.constants import CHUNK_BYTES
from osc_protocol.audio_transfer import (
    ACK,
    AUDIO,
    CANCEL,
    CLOSE,
    DATA,
    DONE,
    FAIL,
    MISSING,
    OPEN,
    READY,
    AnyMessage,
    Sliceable,
)
from osc_protocol.messages import encode

SILENCE_SECONDS = 10.0  # then the other side is gone (the protocol's watchdog)
# bounds of the wait for an answer; measured round trips choose within
RESEND_SECONDS = (0.02, 1.0)
# acks of chunks sent later: by then it is lost, not late (TCP's fast retransmit)
OVERTAKEN_BY = 3

Values = Mapping[str, Any]  # of a message, by the names in the table


@dataclass
class _Flight:
    """A chunk on its way."""

    sent_at: float
    order: int  # counts all sendings, so that overtaking can be seen
    is_repeat: bool  # its ack may answer either sending, so it measures no round trip (Karn)


class UploadSender:
    """The end that has the audio, client or server.

    Call `start`, then `on_reply` for each answer and `on_tick` in between. `data` has a length and
    slices of bytes: bytes, a memory map, or an object that reads a file where it is asked to. It is
    read once, in order, apart from what must be sent again. `state` goes through opening, sending,
    closing to done or failed.
    """

    def __init__(
        self,
        id: int | str,
        data: Sliceable,
        format: str = "wav",
        *,
        rate_hz: int = 0,
        channels: int = 0,
        frames: int = 0,
        most_chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.id, self.data = id, data
        self.open_args = (rate_hz, channels, frames, format)
        self.state = "new"
        self.handle = ""  # the other side's name for it, from /audio/ready
        self.error = ("", "")  # code and message, when failed
        self.chunk_bytes = most_chunk_bytes
        self.window = 1
        self.sent = 0  # chunk messages, repeats too
        self._heard_at = self._asked_at = 0.0
        self._next = 0  # the first chunk that was never sent
        self._crc32 = 0  # of all before it
        self._again: deque[int] = deque()
        self._flights: dict[int, _Flight] = {}
        self._acked: set[int] = set()
        self._wait = _Wait()

    @property
    def is_over(self) -> bool:
        """Nothing more will be sent."""
        return self.state in ("done", "failed")

    @property
    def chunks(self) -> int:
        """How many chunks the data makes, at the size that the other side asked for."""
        return -(-len(self.data) // self.chunk_bytes)

    @property
    def fraction(self) -> float:
        """How much of it has arrived, 0 to 1."""
        return 1.0 if self.state == "done" else len(self._acked) / max(1, self.chunks)

    def start(self, now: float) -> list[bytes]:
        """Open the transfer."""
        self.state, self._heard_at = "opening", now
        return self._ask(now)

    def on_reply(self, message: AnyMessage, now: float) -> list[bytes]:
        """Take one answer, return what to send next. Messages about other things are ignored."""
        if message.address not in self._ANSWERS or message.values["id"] != self.id or self.is_over:
            return []
        self._heard_at = now
        return self._ANSWERS[message.address](self, message.values, now)

    def on_tick(self, now: float) -> list[bytes]:
        """Repeat what has waited too long. Call it at `next_tick`; more often does no harm."""
        if self.is_over or self.state == "new":
            return []
        if now - self._heard_at > SILENCE_SECONDS:
            return self._fail(
                "timed_out",
                f"nothing was heard for {SILENCE_SECONDS:g} s; is the other side running?",
            )
        if self.state == "sending":
            return self._repeat_late(now)
        return self._repeat_question(now)

    @property
    def next_tick(self) -> float | None:
        """When on_tick will have something to do; None when over."""
        if self.is_over:
            return None
        oldest = min((flight.sent_at for flight in self._flights.values()), default=self._asked_at)
        return oldest + self._wait.seconds

    # ---- answers

    def _on_ready(self, values: Values, now: float) -> list[bytes]:
        if self.state != "opening":
            return []
        self.state, self.handle = "sending", values["handle"]
        self.chunk_bytes = min(self.chunk_bytes, values["chunk_bytes"])
        self.window = values["window"]
        self._wait.measure(now - self._asked_at)
        return self._fill(now)

    def _on_ack(self, values: Values, now: float) -> list[bytes]:
        flight = self._flights.pop(values["index"], None)
        if flight is None:
            return []
        self._acked.add(values["index"])
        if not flight.is_repeat:
            self._wait.measure(now - flight.sent_at)
        overtaken = [
            i for i, other in self._flights.items() if other.order + OVERTAKEN_BY <= flight.order
        ]
        return self._send_again(overtaken, now) + self._fill(now)

    def _on_missing(self, values: Values, now: float) -> list[bytes]:
        if not values["indexes"]:
            self.state = "done"
        if self.state != "closing":
            return []
        self.state = "sending"
        self._acked.difference_update(values["indexes"])
        self._again.extend(index for index in values["indexes"] if index < self.chunks)
        return self._fill(now)

    def _on_done(self, values: Values, now: float) -> list[bytes]:
        if values["command"] == CLOSE:
            self.state, self.handle = "done", values.get("handle", self.handle)
        return []

    def _on_fail(self, values: Values, now: float) -> list[bytes]:
        return (
            self._fail(values["code"], values["message"])
            if values["command"].startswith(AUDIO)
            else []
        )

    def _on_cancel(self, values: Values, now: float) -> list[bytes]:
        return self._fail("cancelled", "the other side gave this transfer up")

    _ANSWERS: ClassVar[Mapping[str, Callable[[UploadSender, Values, float], list[bytes]]]] = {
        READY: _on_ready,
        ACK: _on_ack,
        MISSING: _on_missing,
        DONE: _on_done,
        FAIL: _on_fail,
        CANCEL: _on_cancel,
    }

    # ---- sending

    def _fail(self, code: str, message: str) -> list[bytes]:
        self.state, self.error = "failed", (code, message)
        return []

    def _ask(self, now: float) -> list[bytes]:
        """Send /audio/open or /audio/close: nothing goes on before they are answered."""
        self._asked_at = now
        if self.state == "opening":
            return [encode(OPEN, self.id, *self.open_args)]
        return [encode(CLOSE, self.id, self.chunks, f"{self._crc32:08x}")]

    def _fill(self, now: float) -> list[bytes]:
        packets = []
        while len(self._flights) < self.window and (self._again or self._next < self.chunks):
            index = self._again.popleft() if self._again else self._next
            packets += self._send(index, now, is_repeat=index < self._next)
        if not packets and not self._flights and self.state == "sending":
            self.state = "closing"
            return self._ask(now)
        return packets

    def _send(self, index: int, now: float, is_repeat: bool) -> list[bytes]:
        self.sent += 1
        self._flights[index] = _Flight(now, self.sent, is_repeat)
        start = index * self.chunk_bytes
        chunk = bytes(self.data[start : start + self.chunk_bytes])
        if index == self._next:
            self._next, self._crc32 = index + 1, zlib.crc32(chunk, self._crc32)
        return [encode(DATA, self.id, index, chunk)]

    def _send_again(self, indexes: list[int], now: float) -> list[bytes]:
        return [packet for index in indexes for packet in self._send(index, now, is_repeat=True)]

    def _repeat_late(self, now: float) -> list[bytes]:
        # The same sum as in next_tick: a difference could round to just below the wait, and never
        # be late.
        late = [
            index
            for index, flight in self._flights.items()
            if now >= flight.sent_at + self._wait.seconds
        ]
        if late:
            self._wait.back_off()
        return self._send_again(late, now)

    def _repeat_question(self, now: float) -> list[bytes]:
        if now < self._asked_at + self._wait.seconds:
            return []
        self._wait.back_off()
        return self._ask(now)


class _Wait:
    """How long to wait for an answer: the mean round trip and four mean deviations (RFC 6298)."""

    def __init__(self) -> None:
        self.seconds = 0.25
        self._mean: float | None = None
        self._deviation = 0.0

    def measure(self, round_trip_seconds: float) -> None:
        """An answer came after so long."""
        if self._mean is None:
            self._mean, self._deviation = round_trip_seconds, round_trip_seconds / 2
        self._deviation += (abs(round_trip_seconds - self._mean) - self._deviation) / 4
        self._mean += (round_trip_seconds - self._mean) / 8
        self._set(self._mean + 4 * self._deviation)

    def back_off(self) -> None:
        """No answer came: wait twice as long next time."""
        self._set(2 * self.seconds)

    def _set(self, seconds: float) -> None:
        low, high = RESEND_SECONDS
        self.seconds = min(max(seconds, low), high)
