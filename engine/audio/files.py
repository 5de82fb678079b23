"""Which audio file is this, and what does its header say? An input file is only ever read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.audio.identity import FileIdentity, open_without_waiting
from engine.errors import EngineError

if TYPE_CHECKING:
    from soundfile import SoundFile

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
MAX_CHANNELS = 64


@dataclass(frozen=True)
class FileInfo:
    """What a file's header says."""

    path: Path
    rate_hz: int
    channels: int
    frames: int
    container: str  # libsndfile's name, for example WAV
    subtype: str  # for example PCM_24
    identity: FileIdentity | None = None  # None: any file of that name will do

    @property
    def seconds(self) -> float:
        return self.frames / self.rate_hz


def file_info(path: str | Path, expected: FileIdentity | None = None) -> FileInfo:
    """Header of an audio file, which must be the `expected` one if that is given.

    EngineError: no_file, bad_audio.
    """
    path = Path(path)
    with open_audio(path, expected) as stream, decode(stream, path) as sound:
        info = FileInfo(
            path,
            sound.samplerate,
            sound.channels,
            sound.frames,
            sound.format,
            sound.subtype,
            FileIdentity.from_status(os.fstat(stream.fileno())),
        )
    if not MIN_RATE_HZ <= info.rate_hz <= MAX_RATE_HZ:
        raise EngineError(
            "bad_audio", f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, {path} has {info.rate_hz} Hz"
        )
    if not 1 <= info.channels <= MAX_CHANNELS:
        raise EngineError(
            "bad_audio", f"expected 1 to {MAX_CHANNELS} channels, {path} has {info.channels}"
        )
    return info


@contextmanager
def open_audio(path: str | Path, expected: FileIdentity | None = None) -> Iterator[BinaryIO]:
    """A regular file to read, compared after it was opened: no swap of names changes it then.

    EngineError: no_file; bad_audio where it is not the `expected` one.
    """
    try:
        stream = open(path, "rb", opener=open_without_waiting)  # noqa: SIM115 - closed below, in every case
    except OSError as error:
        raise EngineError(
            "no_file", f"expected an audio file at {path}: {error.strerror or error}"
        ) from error
    with stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise EngineError("no_file", f"expected an audio file, found none at {path}")
        if expected is not None and FileIdentity.from_status(status) != expected:
            raise EngineError(
                "bad_audio",
                f"{path} is not the file that was asked for any more: it was written to or "
                "swapped; render each region to a file of its own, and send the job again",
            )
        yield stream


@contextmanager
def decode(stream: BinaryIO, path: Path) -> Iterator[SoundFile]:
    """libsndfile on an open file. EngineError bad_audio.

    On Windows it opens the file by name, which nobody can change while the file is open.
    """
    import soundfile

    try:
        source = str(path) if os.name == "nt" else stream.fileno()
        with soundfile.SoundFile(source, closefd=False) as sound:
            yield sound
    except (soundfile.SoundFileError, OSError) as error:
        raise EngineError("bad_audio", _unreadable(path, error)) from error


def sha256_of(path: str | Path, expected: FileIdentity | None = None) -> str:
    """Hex digest of a file's bytes.

    EngineError: no_file; bad_audio where it is not the `expected` file.
    """
    digest = hashlib.sha256()
    with open_audio(path, expected) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unreadable(path: Path, error: Exception) -> str:
    return (
        "expected WAV, AIFF, FLAC or another format that libsndfile reads, "
        f"{path} is not: {error}; export it again"
    )
