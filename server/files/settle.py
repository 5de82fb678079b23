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
from server.files.headers import AudioHeader, HeaderError, header_of
from server.files.sandbox import FileIdentity, opened
from server.threads import SerialExecutor

QUIET_SECONDS = 0.2
POLL_SECONDS = 0.08
PATIENCE_SECONDS = 2.0


async def settled(
    path: str, executor: SerialExecutor, quiet_seconds: float = QUIET_SECONDS
) -> tuple[FileIdentity, AudioHeader | None]:
    """Wait until `path` is complete, PATIENCE_SECONDS at most.

    Looks in a file thread, waits in none.

    `quiet_seconds`: how long nobody may have written to it; 0 for files that are known to be
    closed. Raises RequestError(bad_audio | no_file | no_handles).
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    identity = await executor(_identity, path)
    quiet_since = time.monotonic() - _age_seconds(identity)
    while True:
        header, complaint = await executor(_look, identity)
        if not complaint and time.monotonic() - quiet_since >= quiet_seconds:
            return identity, header
        if time.monotonic() >= give_up:
            raise RequestError(
                "bad_audio",
                complaint
                or f"{path} kept growing for {PATIENCE_SECONDS:.0f} s; "
                "send the message when the file is closed",
            )
        await asyncio.sleep(POLL_SECONDS)
        now = await executor(_identity, path)
        if now != identity:
            identity, quiet_since = now, time.monotonic()


def _age_seconds(identity: FileIdentity) -> float:
    """Since the last write; 0 when the clock of the file system is ahead of ours."""
    return max(0.0, time.time() - identity.modified_ns / 1e9)


def _identity(path: str) -> FileIdentity:
    try:
        return FileIdentity.of(path)
    except OSError as error:
        raise unreadable(error, "no_file", f"{path}: {error.strerror or error}") from error


def _look(identity: FileIdentity) -> tuple[AudioHeader | None, str]:
    """The header, and what speaks against the file (empty: nothing)."""
    try:
        with opened(identity) as file:
            header = header_of(file)
    except HeaderError as error:
        return None, f"{identity.path}: {error}; is it still being written?"
    except RequestError as refusal:  # renamed over: the next look is at the new one
        return None, refusal.message
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise to_error(error, f"{identity.path} cannot be opened") from error
        return None, f"{identity.path} cannot be read: {error.strerror or error}"
    if header and header.end_bytes > identity.size_bytes:
        return None, (
            f"{identity.path}: its header promises {header.end_bytes} bytes, the file has "
            f"{identity.size_bytes}; is it still being written?"
        )
    if header and header.end_bytes and header.frames == 0:
        return None, f"{identity.path} holds no audio (0 frames)"
    return header, ""
