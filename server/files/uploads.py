"""Audio that clients send over the wire, on its way into the spool.

The state machine is osc_protocol's; this adds the file, the limits and the forgetting. A finished
upload is named by its handle, a relative path under the spool, which may stand wherever a path may.
Belongs to the event loop's thread; writing happens in the file threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from osc_protocol import TCP_CHUNK_BYTES, UDP_CHUNK_BYTES, Request, UploadReceiver
from server.errors import RequestError, to_error
from server.files.settle import QUIET_SECONDS
from server.threads import SerialExecutor

log = logging.getLogger(__name__)

FOLDER = "uploads"  # under the spool
REGIONS_FOLDER = "regions"  # beside it: for clients that see this machine's files, see /folder
MAX_OPEN = 64
MAX_OPEN_PER_CLIENT = 16
MAX_REMEMBERED = 1024  # finished ones too: their last answer may have to be repeated for a minute
# chunks of UDP are gathered: each hop to the file threads costs more than a chunk
WRITE_BYTES = 2**18
KEEP_SECONDS = 24 * 3600.0  # of a finished upload that no living job needs
# for which it is seen by our own time: a clock that is set forward makes everything old
SEEN_SECONDS = 3600.0
SPARE_BYTES = 256 * 2**20  # is left free on the disk

# format on the wire -> (WAV format tag, bits): raw samples get a header
RAW_FORMATS = {"f32le": (3, 32), "s24le": (1, 24), "s16le": (1, 16)}
WAV_HEADER_BYTES = 44


class Upload:
    """One transfer and its file."""

    def __init__(self, request: Request, folder: Path, limit_bytes: int, is_stream: bool) -> None:
        values = request.values
        self.format, self.rate_hz, self.channels = (
            values["format"],
            values["rate"],
            values["channels"],
        )
        suffix = "wav" if self.format in RAW_FORMATS else self.format
        self.path = folder / f"{secrets.token_hex(8)}.{suffix}"
        self.part = self.path.with_suffix(".part")
        self._file: BinaryIO | None = None
        self.pending: list[bytes] = []
        self.pending_bytes = self.written_bytes = 0
        self.write_lock = asyncio.Lock()
        self.receiver = UploadReceiver(
            request.job_id,
            f"{FOLDER}/{self.path.name}",
            now=time.monotonic(),
            limit_bytes=limit_bytes,
            chunk_bytes=TCP_CHUNK_BYTES if is_stream else UDP_CHUNK_BYTES,
        )

    def open(self) -> None:
        """Make the file. Blocks."""
        self._file = open(self.part, "xb")  # noqa: SIM115 - closed by finish or discard
        if self.format in RAW_FORMATS:
            self._file.write(b"\0" * WAV_HEADER_BYTES)

    def write(self, data: bytes) -> None:
        """Append. Blocks."""
        if self._file:
            self._file.write(data)
            self.written_bytes += len(data)

    def finish(self) -> None:
        """Write the header and give the file its name: all bytes are here. Blocks."""
        assert self._file, "open comes first"
        if self.format in RAW_FORMATS:
            self._file.seek(0)
            self._file.write(
                wav_header(self.format, self.rate_hz, self.channels, self.written_bytes)
            )
        self._file.close()
        os.rename(self.part, self.path)

    def discard(self) -> None:
        """Delete what came. Blocks."""
        if self._file:
            self._file.close()
        self.part.unlink(missing_ok=True)


class Uploads:
    """All transfers into the spool, by client and id."""

    def __init__(self, spool: Path, limit_bytes: int, file_threads: SerialExecutor) -> None:
        self.folder, self.regions = spool / FOLDER, spool / REGIONS_FOLDER
        self._real_folder = os.path.realpath(self.folder) + os.sep
        self._limit_bytes, self._file_threads = limit_bytes, file_threads
        self._uploads: dict[tuple[str, int | str], Upload] = {}
        self.has_new = asyncio.Event()  # the task that waits for uploads clears it
        self.received_bytes = 0  # since the start
        # finished files, and when (monotonic) the sweep first saw them
        self._seen: dict[Path, float] = {}

    @property
    def limit_bytes(self) -> int:
        """Of one upload."""
        return self._limit_bytes

    def quiet_seconds(self, path: str) -> float:
        """How long nobody may have written to a file before it is read; uploads are closed."""
        return 0.0 if path.startswith(self._real_folder) else QUIET_SECONDS

    @property
    def open_count(self) -> int:
        """How many transfers are not finished."""
        return sum(upload.receiver.state == "open" for upload in self._uploads.values())

    async def prepare(self, needed: Iterable[str]) -> None:
        """Make the folders, and delete what an earlier run left, but for files that jobs need."""
        await self._file_threads(self._sweep, frozenset(needed), True)

    async def on_open(self, client: str, request: Request, is_stream: bool) -> list[bytes]:
        """Begin a transfer, or answer an /audio/open that came twice."""
        upload = self._uploads.get((client, request.job_id))
        if upload is None or upload.receiver.state != "open":
            upload = await self._begin(client, request, is_stream)
        return upload.receiver.on_message(request, time.monotonic())

    async def on_data(self, client: str, request: Request) -> list[bytes]:
        """Take one chunk."""
        upload = self._find(client, request)
        packets = upload.receiver.on_message(request, time.monotonic())
        chunk = upload.receiver.take()
        if chunk:
            upload.pending.append(chunk)
            upload.pending_bytes += len(chunk)
            self.received_bytes += len(chunk)
        if upload.pending_bytes >= WRITE_BYTES:
            await self._flush(client, request, upload)
        if upload.receiver.state == "failed":
            await self.drop(client, request.job_id)
        return packets

    async def on_close(self, client: str, request: Request) -> list[bytes]:
        """The client has sent all. The answer is for when the file is complete."""
        upload = self._find(client, request)
        was_open = upload.receiver.state == "open"
        packets = upload.receiver.on_message(request, time.monotonic())
        if was_open and upload.receiver.state == "done":
            await self._flush(client, request, upload)
            try:
                await self._file_threads(upload.finish)
            except OSError as error:
                await self.drop(client, request.job_id)
                raise to_error(error, "the upload cannot be written") from error
            log.info(
                "an upload is complete", extra={"client": client, "bytes": upload.written_bytes}
            )
        elif upload.receiver.state == "failed":
            await self.drop(client, request.job_id)
        return packets

    async def expire(self, needed: Iterable[str], now: float | None = None) -> None:
        """Forget transfers that are silent at `now` (monotonic), and delete old finished files.

        Files in `needed` stay.
        """
        now = time.monotonic() if now is None else now
        for (client, identity), upload in list(self._uploads.items()):
            if upload.receiver.is_expired(now):
                log.info("an upload has expired", extra={"client": client, "id": identity})
                await self.drop(client, identity)
        await self._file_threads(self._sweep, frozenset(needed), False)

    async def close(self) -> None:
        """Drop what is unfinished."""
        for client, identity in list(self._uploads):
            await self.drop(client, identity)

    async def _begin(self, client: str, request: Request, is_stream: bool) -> Upload:
        self._check(client, request)
        upload = Upload(request, self.folder, self._limit_bytes, is_stream)
        self._forget_finished()
        self._uploads[client, request.job_id] = upload
        self.has_new.set()
        try:
            await self._file_threads(self._check_disk)
            await self._file_threads(upload.open)
        except BaseException:
            del self._uploads[client, request.job_id]
            raise
        return upload

    def _check(self, client: str, request: Request) -> None:
        values = request.values
        if values["format"] in RAW_FORMATS and not (values["rate"] and values["channels"]):
            raise RequestError(
                "bad_args",
                f"format {values['format']} is raw samples: rate and channels must be given, "
                f"came {values['rate']} and {values['channels']}",
            )
        unfinished = [
            owner for (owner, _), upload in self._uploads.items() if upload.receiver.state == "open"
        ]
        if len(unfinished) >= MAX_OPEN or unfinished.count(client) >= MAX_OPEN_PER_CLIENT:
            raise RequestError(
                "queue_full",
                f"{len(unfinished)} uploads are open, {unfinished.count(client)} of them "
                "yours; close one, or wait a minute until silent ones expire",
            )

    def _check_disk(self) -> None:
        free_bytes = shutil.disk_usage(self.folder).free
        if free_bytes < SPARE_BYTES:
            raise RequestError(
                "disk_full",
                f"{free_bytes / 1e6:.0f} MB are free at {self.folder}; "
                f"{SPARE_BYTES / 1e6:.0f} MB must be. Make room, or choose another --data-dir",
            )

    def _find(self, client: str, request: Request) -> Upload:
        try:
            return self._uploads[client, request.job_id]
        except KeyError:
            raise RequestError(
                "unknown_upload",
                f"no upload of yours is called {request.id!r}; it expires after a minute "
                "of silence. Begin with /retimbre/audio/open",
            ) from None

    async def _flush(self, client: str, request: Request, upload: Upload) -> None:
        async with upload.write_lock:
            data = b"".join(upload.pending)
            upload.pending.clear()
            upload.pending_bytes = 0
            try:
                await self._file_threads(upload.write, data)
            except OSError as error:
                await self.drop(client, request.job_id)
                raise to_error(error, "the upload cannot be written") from error

    def _forget_finished(self) -> None:
        """Forget the oldest, where there are too many; their files stay."""
        finished = [key for key, upload in self._uploads.items() if upload.receiver.state != "open"]
        for key in finished[: max(0, len(self._uploads) - MAX_REMEMBERED + 1)]:
            del self._uploads[key]

    async def drop(self, client: str, identity: int | str) -> None:
        """Forget a transfer; what it has not finished is deleted."""
        upload = self._uploads.pop((client, identity), None)
        if upload:
            await self._file_threads(upload.discard)

    def _sweep(self, needed: frozenset[str], is_start: bool) -> None:
        before, self._seen = self._seen, {}
        for folder in (self.folder, self.regions):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                # finished, or taken away, while we look
                with contextlib.suppress(FileNotFoundError):
                    is_needed = os.path.realpath(path) in needed
                    if self._is_over(path, before, is_start) and not is_needed:
                        path.unlink()

    def _is_over(self, path: Path, before: dict[Path, float], is_start: bool) -> bool:
        """Whether a file was left by an earlier run, or is old."""
        if path.suffix == ".part" or not path.is_file():
            return is_start and path.suffix == ".part"
        seen = self._seen[path] = before.get(path, time.monotonic())
        return (
            time.time() - path.stat().st_mtime > KEEP_SECONDS
            and time.monotonic() - seen >= SEEN_SECONDS
        )


def wav_header(format: str, rate_hz: int, channels: int, data_bytes: int) -> bytes:
    """The 44 bytes before raw samples.

    RIFF size WAVE | fmt 16 tag channels rate bytes/s bytes/frame bits | data size
    """
    tag, bits = RAW_FORMATS[format]
    frame_bytes = channels * bits // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        min(data_bytes + 36, 2**32 - 1),
        b"WAVE",
        b"fmt ",
        16,
        tag,
        channels,
        rate_hz,
        rate_hz * frame_bytes,
        frame_bytes,
        bits,
        b"data",
        min(data_bytes, 2**32 - 1),
    )
