"""Audio in chunks, acknowledged and windowed, as two state machines without sockets or clocks.

      the side that has the audio                     the side that wants it
      ---------------------------                     ----------------------
      /audio/open  id rate channels frames format ->
                                                  <-  /audio/ready   id chunk_bytes window handle
      /audio/data  id index bytes                 ->                                                 } at most `window`
                                                  <-  /audio/ack     id index received               } without their ack
      /audio/close id chunks crc32                ->
                                                  <-  /audio/missing id index…      until none is

An upload ends with /done /audio/close id handle, or /fail; a download with an empty /audio/missing,
or /cancel.

Rule 1: methods return the packets to send; `now` is any clock that goes forward, in seconds.
Rule 2: every message may be lost, doubled or late. The sender repeats, the receiver answers each
repeat again.

Why windows: 1000 datagrams of 8000 bytes sent unpaced over loopback, 15 arrive.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from osc_protocol.addresses import CHUNK_BYTES, MISSING_AT_MOST
from osc_protocol.messages import ReplyMessage, Request, encode
from osc_protocol.rows import ROOT

# its packet stays under 4 KB, the smallest buffer met in OSC libraries
UDP_CHUNK_BYTES = 3840
TCP_CHUNK_BYTES = CHUNK_BYTES
WINDOW = 8
EXPIRES_SECONDS = 60.0  # a silent upload is forgotten
# What may wait behind a gap; later chunks are not acknowledged, so they come again. Counted too:
# tiny ones cost more than their bytes.
EARLY_BYTES = 4 << 20
EARLY_CHUNKS = 4096

PATIENCE_SECONDS = 10.0  # silence means the other side is gone (the protocol's watchdog)
# bounds of the wait for an answer; measured round trips choose within
RESEND_SECONDS = (0.02, 1.0)
# acks of chunks sent later: by then it is lost, not late (TCP's fast retransmit)
OVERTAKEN_BY = 3

AnyMessage = Request | ReplyMessage


def _address(name: str) -> str:
    return f"{ROOT}/audio/{name}"


OPEN, DATA, CLOSE = _address("open"), _address("data"), _address("close")
READY, ACK, MISSING = _address("ready"), _address("ack"), _address("missing")
DONE, FAIL, CANCEL = f"{ROOT}/done", f"{ROOT}/fail", f"{ROOT}/cancel"


class Sliceable(Protocol):
    """Bytes that need not be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...


class UploadReceiver:
    """The server's end of one upload. Call `take` after each message and store what it returns."""

    def __init__(
        self,
        id: int | str,
        handle: str,
        *,
        now: float,
        limit_bytes: int,
        chunk_bytes: int = UDP_CHUNK_BYTES,
        window: int = WINDOW,
    ) -> None:
        self.id, self.handle = id, handle
        self.chunk_bytes, self.window, self.limit_bytes = chunk_bytes, window, limit_bytes
        self.state = "open"  # open, done, failed
        self.received = 0  # different chunks
        self.size_bytes = 0  # their bytes
        # the first chunk that is not here: all before are in order
        self._next = 0
        self._early: dict[int, bytes] = {}  # chunks behind a gap
        self._early_bytes = 0
        self._ordered: list[bytes] = []  # not yet taken
        self._crc32 = 0  # of all bytes before _next
        self._heard_at = now

    def on_message(self, message: AnyMessage, now: float) -> list[bytes]:
        """Answer /audio/open, data or close. One that repeats is answered again."""
        self._heard_at = now
        answer = {OPEN: self._on_open, DATA: self._on_data, CLOSE: self._on_close}[message.address]
        return answer(message.values)

    def take(self) -> bytes:
        """The bytes that have come into order since the last call: append them to the file."""
        taken = b"".join(self._ordered)
        self._ordered.clear()
        return taken

    def is_expired(self, now: float) -> bool:
        """Nothing was heard for a minute."""
        return now - self._heard_at > EXPIRES_SECONDS

    def missing(self, chunks: int) -> list[int]:
        """The first indexes below `chunks` that are not here, as many as one message may name."""
        gaps = (index for index in range(self._next, chunks) if index not in self._early)
        return list(islice(gaps, MISSING_AT_MOST))

    def _on_open(self, values: dict) -> list[bytes]:
        return [encode(READY, self.id, self.chunk_bytes, self.window, self.handle)]

    def _on_data(self, values: dict) -> list[bytes]:
        index, chunk = values["index"], values["bytes"]
        if index < self._next or index in self._early:
            return [encode(ACK, self.id, index, self.received)]  # our ack was lost
        if self.state != "open":
            return self._failed(
                DATA, "stale_chunk", f"chunk {index} came after the end of this transfer"
            )
        if len(chunk) > self.chunk_bytes:
            return self._failed(
                DATA,
                "bad_args",
                f"bytes: at most {self.chunk_bytes} as /audio/ready said, {len(chunk)} came",
            )
        if self.size_bytes + len(chunk) > self.limit_bytes:
            self.state = "failed"
            return self._failed(DATA, "too_large", f"at most {self.limit_bytes} bytes are taken")
        if index > self._next and self._has_no_room(len(chunk)):
            return []
        return self._keep(index, chunk)

    def _has_no_room(self, size_bytes: int) -> bool:
        return self._early_bytes + size_bytes > EARLY_BYTES or len(self._early) >= EARLY_CHUNKS

    def _keep(self, index: int, chunk: bytes) -> list[bytes]:
        self._early[index] = chunk
        self._early_bytes += len(chunk)
        self.size_bytes += len(chunk)
        self.received += 1
        while self._next in self._early:
            self._in_order(self._early.pop(self._next))
        return [encode(ACK, self.id, index, self.received)]

    def _in_order(self, chunk: bytes) -> None:
        self._next += 1
        self._early_bytes -= len(chunk)
        self._crc32 = zlib.crc32(chunk, self._crc32)
        self._ordered.append(chunk)

    def _on_close(self, values: dict) -> list[bytes]:
        chunks, expected = values["chunks"], f"{self._crc32:08x}"
        missing = self.missing(chunks)
        if missing:
            return [encode(MISSING, self.id, *missing)]
        if chunks != self.received or values["crc32"].lower() != expected:
            self.state = "failed"
            return self._failed(
                CLOSE,
                "bad_audio",
                f"{self.received} chunks with crc32 {expected} came, "
                f"/audio/close says {chunks} with {values['crc32']}; send it again under a new id",
            )
        self.state = "done"
        return self._completed()

    def _completed(self) -> list[bytes]:
        return [encode(DONE, CLOSE, self.id, self.handle)]

    def _failed(self, command: str, code: str, message: str) -> list[bytes]:
        return [encode(FAIL, command, self.id, code, message)]


class DownloadReceiver(UploadReceiver):
    """The client's end of one download: it ends with messages that a client may send."""

    def _completed(self) -> list[bytes]:
        return [encode(MISSING, self.id)]

    def _failed(self, command: str, code: str, message: str) -> list[bytes]:
        return [encode(CANCEL, self.id)]


@dataclass
class _Flight:
    """A chunk on its way."""

    sent_at: float
    order: int  # counts all sendings, so that overtaking can be seen
    is_repeat: bool  # its ack may answer either sending, so it measures no round trip (Karn)


class UploadSender:
    """The end that has the audio, client or server: `start`, then `on_reply` for each answer and
    `on_tick` in between.

    `data` has a length and slices of bytes: bytes, a memory map, or what reads a file where it is
    asked to. It is read once, in order, but for what must be sent again. `state` goes through
    opening, sending, closing to done or failed.
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
        """Repeat what has waited too long. Call it at `next_tick`; calling more often does no harm."""
        if self.is_over or self.state == "new":
            return []
        if now - self._heard_at > PATIENCE_SECONDS:
            return self._fail(
                "timed_out",
                f"nothing was heard for {PATIENCE_SECONDS:g} s; is the other side running?",
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

    def _on_ready(self, values: dict, now: float) -> list[bytes]:
        if self.state != "opening":
            return []
        self.state, self.handle = "sending", values["handle"]
        self.chunk_bytes = min(self.chunk_bytes, values["chunk_bytes"])
        self.window = values["window"]
        self._wait.measure(now - self._asked_at)
        return self._fill(now)

    def _on_ack(self, values: dict, now: float) -> list[bytes]:
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

    def _on_missing(self, values: dict, now: float) -> list[bytes]:
        if not values["indexes"]:
            self.state = "done"
        if self.state != "closing":
            return []
        self.state = "sending"
        self._acked.difference_update(values["indexes"])
        self._again.extend(index for index in values["indexes"] if index < self.chunks)
        return self._fill(now)

    def _on_done(self, values: dict, now: float) -> list[bytes]:
        if values["command"] == CLOSE:
            self.state, self.handle = "done", values.get("handle", self.handle)
        return []

    def _on_fail(self, values: dict, now: float) -> list[bytes]:
        return (
            self._fail(values["code"], values["message"])
            if values["command"].startswith(_address(""))
            else []
        )

    def _on_cancel(self, values: dict, now: float) -> list[bytes]:
        return self._fail("cancelled", "the other side gave this transfer up")

    _ANSWERS: dict[str, Callable] = {
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
        """/audio/open or /audio/close: the two that wait for an answer before anything else goes
        on.
        """
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
    """How long to wait for an answer: TCP's estimate (RFC 6298), the mean round trip and four mean
    deviations.
    """

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
