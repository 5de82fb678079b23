"""Audio that clients fetch over the wire because they cannot see our disk.

The state machine is osc_protocol's UploadSender. It reads a mapped file and computes its checksum,
which may block: so it runs in the file threads, one call after another. A task for each download
keeps its time.
"""

from __future__ import annotations

import asyncio
import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osc_protocol import TCP_CHUNK_BYTES, UDP_CHUNK_BYTES, Request, UploadSender
from server.errors import RequestError
from server.files.headers import HeaderError, read_header
from server.files.sandbox import AudioFile
from server.tasks import BackgroundTasks
from server.threads import SerialExecutor
from server.wire.sessions import Peer

MAX_DOWNLOADS = 32
FORMATS = {".wav": "wav", ".flac": "flac", ".aif": "aiff", ".aiff": "aiff"}


class Download:
    """One file on its way out."""

    def __init__(self, identity: int | str, source: AudioFile, peer: Peer) -> None:
        self.identity, self.peer = identity, peer
        with source.open() as file:
            # raises ValueError for an empty file
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            try:
                header = read_header(file)
            except HeaderError:
                header = None
        self.sender = UploadSender(
            identity,
            data,
            rate_hz=header.rate_hz if header else 0,
            channels=header.channels if header else 0,
            frames=header.frames if header else 0,
            format=FORMATS.get(Path(source.path).suffix.lower(), "wav"),
            most_chunk_bytes=TCP_CHUNK_BYTES if peer.link.is_stream else UDP_CHUNK_BYTES,
        )
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
            while not sender.is_over and self._downloads.get(key) is download:
                download.has_news.clear()
                wait = max(0.0, (sender.next_tick or 0.0) - time.monotonic())
                try:
                    await asyncio.wait_for(download.has_news.wait(), wait)
                except asyncio.TimeoutError:
                    await self._step(download, sender.on_tick)
            if sender.state == "failed" and sender.error[0] != "cancelled":
                self._fail(download.peer, download.identity, *sender.error)
        finally:
            if self._downloads.get(key) is download:
                del self._downloads[key]

    async def _step(
        self, download: Download, step: Callable[..., list[bytes]], *arguments: Any
    ) -> None:
        async with download.step_lock:
            for packet in await self._file_threads(step, *arguments, time.monotonic()):
                download.peer.link.send(packet)
