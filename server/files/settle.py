"""Is the file that a client named complete, or is somebody still writing it?

A DAW or a patch sends its message as soon as it has asked for a render, which may be before the
last block is on disk. A file counts as settled when its header agrees with its size and the size
has not changed for a while; one that was last touched longer ago than that needs no waiting at all.
"""

from __future__ import annotations

import asyncio
import errno
import time

from server.errors import RequestError, to_error, unreadable
from server.files.headers import AudioHeader, HeaderError, read_header
from server.files.sandbox import AudioFile
from server.threads import SerialExecutor

QUIET_SECONDS = 0.2
POLL_SECONDS = 0.08
TIMEOUT_SECONDS = 2.0


async def wait_until_settled(
    path: str, file_threads: SerialExecutor, quiet_seconds: float = QUIET_SECONDS
) -> tuple[AudioFile, AudioHeader | None]:
    """Wait until a file is complete, TIMEOUT_SECONDS at most. Returns it and its header.

    `quiet_seconds`: how long nobody may have written to it; 0 for files that are known to be
    closed. Looks in a file thread, waits in none. Raises RequestError(bad_audio | no_file |
    no_handles).
    """
    gives_up_at = time.monotonic() + TIMEOUT_SECONDS
    file = await file_threads(_find, path)
    quiet_since = time.monotonic() - _age_seconds(file)
    while True:
        header, problem = await file_threads(_inspect, file)
        if not problem and time.monotonic() - quiet_since >= quiet_seconds:
            return file, header
        if time.monotonic() >= gives_up_at:
            raise RequestError(
                "bad_audio",
                problem
                or f"{path} kept growing for {TIMEOUT_SECONDS:.0f} s; "
                "send the message when the file is closed",
            )
        await asyncio.sleep(POLL_SECONDS)
        newer = await file_threads(_find, path)
        if newer != file:
            file, quiet_since = newer, time.monotonic()


def _age_seconds(file: AudioFile) -> float:
    """Since the last write; 0 when the clock of the file system is ahead of ours."""
    return max(0.0, time.time() - file.identity.modified_ns / 1e9)


def _find(path: str) -> AudioFile:
    try:
        return AudioFile.at(path)
    except OSError as error:
        raise unreadable(error, "no_file", f"{path}: {error.strerror or error}") from error


def _inspect(file: AudioFile) -> tuple[AudioHeader | None, str]:
    """The header, and what speaks against the file (empty: nothing)."""
    try:
        with file.open() as stream:
            header = read_header(stream)
    except HeaderError as error:
        return None, f"{file.path}: {error}; is it still being written?"
    except RequestError as error:  # renamed over: the next look is at the new one
        return None, error.message
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise to_error(error, f"{file.path} cannot be opened") from error
        return None, f"{file.path} cannot be read: {error.strerror or error}"
    size_bytes = file.identity.size_bytes
    if header and header.end_bytes > size_bytes:
        return None, (
            f"{file.path}: its header promises {header.end_bytes} bytes, the file has "
            f"{size_bytes}; is it still being written?"
        )
    if header and header.end_bytes and header.frames == 0:
        return None, f"{file.path} holds no audio (0 frames)"
    return header, ""
