"""How does audio cross the wire? An upload and a download, chunk by chunk."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import BinaryIO

from osc_protocol import ROOT, DownloadReceiver, ReplyMessage, Sliceable, UploadSender
from retimbre_client.exchange import FAIL, Exchange, Repeats, request, to_error
from retimbre_client.values import NoServer, Refused

REPORT_STEP = 0.01  # of an upload: a minute of audio has thousands of chunks
DOWNLOAD_LIMIT_BYTES = 4 << 30  # a WAV file holds no more
TRANSFERS = frozenset(f"{ROOT}/audio/{name}" for name in ("open", "data", "close"))


class FileData:
    """The bytes of an open file, read where they are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size_bytes = file, file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size_bytes

    def __getitem__(self, part: slice) -> bytes:
        first, last, _ = part.indices(self._size_bytes)
        self._file.seek(first)
        data = self._file.read(last - first)
        if len(data) < last - first:
            raise OSError(f"{self._file.name} became shorter while it was sent")
        return data


class Upload(Exchange):
    """An audio file on its way to the server; the outcome is its handle there."""

    def __init__(
        self,
        id: str,
        data: Sliceable,
        format: str,
        silence_seconds: float,
        on_fraction: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._sender = UploadSender(id, data, format=format)
        self._silence_seconds, self._on_fraction = silence_seconds, on_fraction
        self._heard_at = math.inf
        self._reported = -1.0  # the fraction that was last reported

    def start(self, now: float) -> list[bytes]:
        self._heard_at = now
        return self._sender.start(now)

    def concerns(self, message: ReplyMessage) -> bool:
        return message.values.get("id") == self._sender.id

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        self._heard_at = now
        return self._advance(lambda: self._sender.on_reply(message, now))

    def tick(self, now: float) -> list[bytes]:
        if now >= self._heard_at + self._silence_seconds:
            return self.end(
                error=NoServer(
                    "timed_out", "the server takes no more of the upload; is it running?"
                )
            )
        return self._advance(lambda: self._sender.on_tick(now))

    def _advance(self, step: Callable[[], list[bytes]]) -> list[bytes]:
        if self.is_over:  # nobody waits for it any more, and its file is closed
            return []
        try:
            packets = step()
        except OSError as error:
            return self.end(error=Refused("no_file", f"{error}; send it again"))
        fraction = self._sender.fraction
        if fraction >= self._reported + REPORT_STEP or fraction == 1.0 > self._reported:
            self._reported = fraction
            self._on_fraction(fraction)
        if self._sender.state == "done":
            self.end(self._sender.handle)
        elif self._sender.state == "failed":
            code, message = self._sender.error
            self.end(error=(NoServer if code == "timed_out" else Refused)(code, message))
        return packets

    @property
    def next_tick(self) -> float:
        silent_at = self._heard_at + self._silence_seconds
        return (
            silent_at if self._sender.next_tick is None else min(silent_at, self._sender.next_tick)
        )


class Download(Exchange):
    """A file on its way here, handed to `write` piece by piece and in order."""

    def __init__(
        self,
        id: str,
        path: str,
        chunk_bytes: int,
        silence_seconds: float,
        write: Callable[[bytes], object],
    ) -> None:
        super().__init__()
        self._id, self._path, self._write, self._silence_seconds = id, path, write, silence_seconds
        self._packet = request("audio/get", id, path)
        self._receiver = DownloadReceiver(
            id, "", now=0.0, limit_bytes=DOWNLOAD_LIMIT_BYTES, chunk_bytes=chunk_bytes
        )
        self._heard_at = math.inf
        self._repeats = Repeats()

    def start(self, now: float) -> list[bytes]:
        self._heard_at = now
        return self.repeat(now)

    def repeat(self, now: float) -> list[bytes]:
        """Ask again, which begins anew, while nothing has come; then the server repeats."""
        if self._receiver.received:
            return []
        self._repeats.schedule(now)
        return [self._packet]

    def concerns(self, message: ReplyMessage) -> bool:
        return message.values.get("id") == self._id and message.address in (*TRANSFERS, FAIL)

    def hear(self, message: ReplyMessage, now: float) -> list[bytes]:
        self._heard_at = now
        if message.address == FAIL:
            return self.end(error=to_error(message))
        packets = self._receiver.on_message(message, now)
        self._write(self._receiver.take())
        if self._receiver.state == "done":
            self.end()
        elif self._receiver.state == "failed":
            self.end(error=Refused("bad_audio", f"{self._path} arrived damaged; fetch it again"))
        return packets

    def tick(self, now: float) -> list[bytes]:
        if now >= self._heard_at + self._silence_seconds:
            return self.end(error=NoServer("timed_out", f"the server stopped sending {self._path}"))
        return self.repeat(now) if now >= self._due_at else []

    @property
    def _due_at(self) -> float:
        return math.inf if self._receiver.received else self._repeats.due_at

    @property
    def next_tick(self) -> float:
        return min(self._heard_at + self._silence_seconds, self._due_at)
