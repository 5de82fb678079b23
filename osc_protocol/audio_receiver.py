"""The side that wants the audio: the server's end of an upload, the client's end of a download."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from osc_protocol.addresses.constants import MISSING_AT_MOST
from osc_protocol.audio_transfer import (
    ACK,
    CANCEL,
    CLOSE,
    DATA,
    DONE,
    FAIL,
    MISSING,
    OPEN,
    READY,
    UDP_CHUNK_BYTES,
    WINDOW,
    AnyMessage,
)
from osc_protocol.messages import encode

EXPIRES_SECONDS = 60.0  # a silent upload is forgotten
# What may wait behind a gap; later chunks are not acknowledged, so they come again. Counted too:
# tiny ones cost more than their bytes.
EARLY_BYTES = 4 << 20
EARLY_CHUNKS = 4096

Values = Mapping[str, Any]  # of a message, by the names in the table


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
        answers: dict[str, Callable[[Values], list[bytes]]] = {
            OPEN: self._on_open,
            DATA: self._on_data,
            CLOSE: self._on_close,
        }
        return answers[message.address](message.values)

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

    def _on_open(self, values: Values) -> list[bytes]:
        return [encode(READY, self.id, self.chunk_bytes, self.window, self.handle)]

    def _on_data(self, values: Values) -> list[bytes]:
        index, chunk = values["index"], values["bytes"]
        if index < self._next or index in self._early:
            return [encode(ACK, self.id, index, self.received)]  # our ack was lost
        if self.state != "open":
            return self._refuse(
                DATA, "stale_chunk", f"chunk {index} came after the end of this transfer"
            )
        if len(chunk) > self.chunk_bytes:
            return self._refuse(
                DATA,
                "bad_args",
                f"bytes: at most {self.chunk_bytes} as /audio/ready said, {len(chunk)} came",
            )
        if self.size_bytes + len(chunk) > self.limit_bytes:
            self.state = "failed"
            return self._refuse(DATA, "too_large", f"at most {self.limit_bytes} bytes are taken")
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

    def _on_close(self, values: Values) -> list[bytes]:
        chunks, expected = values["chunks"], f"{self._crc32:08x}"
        missing = self.missing(chunks)
        if missing:
            return [encode(MISSING, self.id, *missing)]
        if chunks != self.received or values["crc32"].lower() != expected:
            self.state = "failed"
            return self._refuse(
                CLOSE,
                "bad_audio",
                f"{self.received} chunks with crc32 {expected} came, "
                f"/audio/close says {chunks} with {values['crc32']}; send it again under a new id",
            )
        self.state = "done"
        return self._answer_end()

    def _answer_end(self) -> list[bytes]:
        return [encode(DONE, CLOSE, self.id, self.handle)]

    def _refuse(self, command: str, code: str, message: str) -> list[bytes]:
        return [encode(FAIL, command, self.id, code, message)]


class DownloadReceiver(UploadReceiver):
    """The client's end of one download: it ends with messages that a client may send."""

    def _answer_end(self) -> list[bytes]:
        return [encode(MISSING, self.id)]

    def _refuse(self, command: str, code: str, message: str) -> list[bytes]:
        return [encode(CANCEL, self.id)]
