"""Audio that clients fetch over the wire because they cannot see our disk.

The state machine is osc_protocol's UploadSender. It reads the file and computes its checksum, which
may block: so it runs in the file threads, one call after another. A task for each download keeps
its time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from osc_protocol import TCP_CHUNK_BYTES, UDP_CHUNK_BYTES, Request, UploadSender
from server.errors import RequestError
from server.files.headers import HeaderError, read_header
from server.files.sandbox import AudioFile
from server.tasks import BackgroundTasks
from server.threads import SerialExecutor
from server.wire.sessions import Peer

MAX_DOWNLOADS = 32
FORMATS = {".wav": "wav", ".flac": "flac", ".aif": "aiff", ".aiff": "aiff"}


class FileBytes:
    """The bytes of an open file, read where they are asked for.

    Not mapped: when somebody truncates a mapped file, reading it kills the whole process (SIGBUS).
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size_bytes = file, os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size_bytes

    def __getitem__(self, part: slice) -> bytes:
        """The slice. Raises OSError where the file has become shorter."""
        start, end, _ = part.indices(self._size_bytes)
        self._file.seek(start)
        data = self._file.read(end - start)
        if len(data) < end - start:
            raise OSError(errno.EIO, "the file became shorter while it was sent")
        return data


class Download:
    """One file on its way out; `close` lets it go."""

    def __init__(self, identity: int | str, source: AudioFile, peer: Peer) -> None:
        self.identity, self.peer = identity, peer
        with ExitStack() as stack:
            file = stack.enter_context(source.open())
            data = FileBytes(file)
            if not len(data):
                raise ValueError("it is empty")
            try:
                header = read_header(file)
            except HeaderError:
                header = None
            self.close = stack.pop_all().close
        self.sender = UploadSender(
            identity,
            data,
            rate_hz=header.rate_hz if header else 0,
            channels=header.channels if header else 0,
            frames=header.frames if header else 0,
            format=FORMATS.get(Path(source.path).suffix.lower(), "wav"),
            most_chunk_bytes=TCP_CHUNK_BYTES if peer.link.is_stream else UDP_CHUNK_BYTES,
        )
        self.error = ""  # why the file cannot be read any further
        self.step_lock = asyncio.Lock()
        self.has_news = asyncio.Event()


class Downloads:
    """All downloads, by client and id. `fail` tells a peer how one went wrong."""

    def __init__(
        self, file_threads: SerialExecutor, fail: Callable[[Peer, int | str, str, str], None]
    ) -> None:
        self._file_threads, self._fail = file_threads, fail
        self._downloads: dict[tuple[str, int | str], Download] = {}
        self._tasks = BackgroundTasks()

    async def begin(self, peer: Peer, identity: int | str, source: AudioFile) -> None:
        """Send a file; the same id again begins anew. Raises RequestError."""
        key = (peer.session.client, identity)
        if len(self._downloads) >= MAX_DOWNLOADS and key not in self._downloads:
            raise RequestError(
                "queue_full", f"{MAX_DOWNLOADS} downloads are under way; wait for one to end"
            )
        try:
            download = await self._file_threads(Download, identity, source, peer)
        except (OSError, ValueError) as error:
            raise RequestError("bad_audio", f"{source.path} cannot be read: {error}") from error
        self._downloads[key] = download
        self._tasks.spawn(self._run(key, download), f"download {identity}")

    async def on_reply(self, peer: Peer, request: Request) -> bool:
        """Take what the client says about a download. Returns whether there is one."""
        download = self._downloads.get((peer.session.client, request.job_id))
        if download is None:
            return False
        await self._step(download, download.sender.on_reply, request)
        download.has_news.set()
        return True

    async def close(self) -> None:
        """Stop sending."""
        await self._tasks.cancel()

    async def _run(self, key: tuple[str, int | str], download: Download) -> None:
        sender = download.sender
        try:
            await self._step(download, sender.start)
            while not (sender.is_over or download.error) and self._downloads.get(key) is download:
                download.has_news.clear()
                wait = max(0.0, (sender.next_tick or 0.0) - time.monotonic())
                try:
                    await asyncio.wait_for(download.has_news.wait(), wait)
                except asyncio.TimeoutError:
                    await self._step(download, sender.on_tick)
            code, reason = sender.error
            if download.error:
                self._fail(download.peer, download.identity, "bad_audio", download.error)
            elif sender.state == "failed" and code != "cancelled":
                self._fail(download.peer, download.identity, code, reason)
        finally:
            async with download.step_lock:
                download.close()
            if self._downloads.get(key) is download:
                del self._downloads[key]

    async def _step(
        self, download: Download, step: Callable[..., list[bytes]], *arguments: Any
    ) -> None:
        async with download.step_lock:
            try:
                packets = await self._file_threads(step, *arguments, time.monotonic())
            except OSError as error:
                download.error = f"{error.strerror or error}; send the request again"
                return
            for packet in packets:
                download.peer.link.send(packet)
