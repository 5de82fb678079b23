"""Over which connection does audio go, and how? TCP where it can be had, for it loses nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from osc_protocol import TCP_CHUNK_BYTES, UDP_CHUNK_BYTES
from retimbre_client.connection import Connection
from retimbre_client.transfers import Download, FileData, Upload
from retimbre_client.values import NoServer, Refused

UPLOAD_FORMATS = {".wav": "wav", ".flac": "flac", ".aiff": "aiff", ".aif": "aiff"}


class AudioLink:
    """Uploads and downloads over a connection of their own, opened when the first one needs it."""

    def __init__(
        self,
        requests: Connection,
        connect: Callable[[], Connection] | None,
        connect_seconds: float,
        silence_seconds: float,
        on_log: Callable[[int, str], None],
    ) -> None:
        """`connect` makes the connection for audio; None: audio goes over that of the requests."""
        self._requests, self._connect, self._on_log = requests, connect, on_log
        self._connect_seconds, self._silence_seconds = connect_seconds, silence_seconds
        self._opening: asyncio.Task[Connection] | None = None

    async def upload(self, path: Path, on_fraction: Callable[[float], None]) -> str:
        """Send a whole audio file. Returns the handle that stands for it on the server."""
        format = UPLOAD_FORMATS.get(path.suffix.lower())
        if format is None:
            raise Refused(
                "bad_audio", f"{path}: expected a name that ends with {', '.join(UPLOAD_FORMATS)}"
            )
        connection = await self._connection()
        try:
            with open(path, "rb") as file:
                data = FileData(file)
                upload = Upload(new_id(), data, format, self._silence_seconds, on_fraction)
                try:
                    return await connection.ask(upload)
                finally:
                    upload.end()  # a caller that stops waiting stops the sending
        except OSError as error:
            raise unreadable(path, error) from error

    async def download(self, path: Path, write: Callable[[bytes], object]) -> None:
        """Bring a file that the server made; `write` gets its pieces in order."""
        connection = await self._connection()
        chunk_bytes = TCP_CHUNK_BYTES if connection.transport == "tcp" else UDP_CHUNK_BYTES
        await connection.ask(
            Download(new_id(), path.as_posix(), chunk_bytes, self._silence_seconds, write)
        )

    async def close(self) -> None:
        """Close the connection for audio, if there is one."""
        if self._opening:
            self._opening.cancel()
            await asyncio.wait([self._opening])
            if not self._opening.cancelled() and not self._opening.exception():
                self._opening.result().close()

    async def _connection(self) -> Connection:
        if self._connect is None:
            return self._requests
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(self._connect()))
        return await asyncio.shield(self._opening)

    async def _open(self, connection: Connection) -> Connection:
        try:
            await connection.open(self._connect_seconds)
        except NoServer as error:
            connection.close()
            self._on_log(1, f"audio goes over {self._requests.transport}, for {error.message}")
            return self._requests
        except BaseException:
            connection.close()
            raise
        return connection


def new_id() -> str:
    """An id that no other client is using."""
    return os.urandom(6).hex()


def unreadable(path: Path, error: OSError) -> Refused:
    return Refused("no_file", f"{path} cannot be read: {error.strerror or error}")
