"""How are stems written? Whole or not at all.

A result is written under a temporary name, flushed to the disk and renamed; an existing file is
never replaced.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engine.audio.files import FileInfo
from engine.audio.publishing import publish
from engine.audio.reading import Audio
from engine.errors import EngineError

FLAC_MAX_CHANNELS = 8
FULL_BYTES = 10**6  # a disk with less room is full: no stem fits
BLOCK_FRAMES = 1 << 18

# container: (libsndfile's name, suffix, sample formats it holds, best first)
CONTAINERS = {
    "wav": ("WAV", ".wav", ("PCM_24", "PCM_16", "PCM_32", "FLOAT", "DOUBLE")),
    "flac": ("FLAC", ".flac", ("PCM_24", "PCM_16")),
    "aiff": ("AIFF", ".aiff", ("PCM_24", "PCM_16", "PCM_32", "FLOAT", "DOUBLE")),
}
SAME_CONTAINER = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "wav",
    "FLAC": "flac",
    "AIFF": "aiff",
}
BITS = {"f32": "FLOAT", "s24": "PCM_24", "s16": "PCM_16"}
INTEGER_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


@dataclass(frozen=True)
class StemFormat:
    """Container and sample format of a stem, and what had to differ from what was asked."""

    container: str  # key of CONTAINERS
    subtype: str
    notes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        return CONTAINERS[self.container][1]


def stem_format(
    info: FileInfo, container: str | None = None, bits: str | None = None
) -> StemFormat:
    """Container and sample format of a stem: the input's, unless another is asked for or needed.

    EngineError bad_args.
    """
    notes: list[str] = []
    if container in (None, "same"):
        container = SAME_CONTAINER.get(info.container)
        if container is None:
            container = "wav"
            notes.append(
                f"format: {info.container} input, WAV stem (stems are written without loss)"
            )
    elif container not in CONTAINERS:
        raise EngineError(
            "bad_args", f"format: expected one of {', '.join(CONTAINERS)}, got {container!r}"
        )
    if container == "flac" and info.channels > FLAC_MAX_CHANNELS:
        message = (
            f"format: flac holds {FLAC_MAX_CHANNELS} channels, the region has {info.channels}; "
            "ask for wav"
        )
        raise EngineError("bad_args", message)
    if bits not in (None, "same", *BITS):
        raise EngineError(
            "bad_args", f"bits: expected one of same, {', '.join(BITS)}, got {bits!r}"
        )
    wanted = BITS.get(bits or "same", info.subtype)
    held = CONTAINERS[container][2]
    if wanted in held:
        return StemFormat(container, wanted, tuple(notes))
    notes.append(f"bits: {wanted} is not written to {container}, the stem has {held[0]}")
    return StemFormat(container, held[0], tuple(notes))


def write_audio(
    path: str | Path, audio: Audio, container: str = "wav", subtype: str = "FLOAT"
) -> Path:
    """Write `audio` and rename it into place, as `name-2.wav` where `name.wav` exists. The path.

    Integers are rounded, not dithered: what was read from 16 bits is written back bit by bit.
    EngineError disk_full, write_failed.
    """
    import soundfile

    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb+") as stream:
            _write_blocks(stream, audio, CONTAINERS[container][0], subtype)
            _clear_time_stamp(stream)
            stream.flush()
            os.fsync(stream.fileno())
        return publish(temporary, path)
    except (soundfile.SoundFileError, OSError, AssertionError) as error:
        # its assert: fewer frames went out than came
        raise not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def not_written(path: Path, error: Exception) -> EngineError:
    """Why a file could not be written.

    libsndfile does not say that a disk is full, so the disk is asked.
    """
    try:
        free_bytes = shutil.disk_usage(path.parent).free
    except OSError:
        free_bytes = FULL_BYTES
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or free_bytes < FULL_BYTES:
        message = (
            f"no room for {path} ({free_bytes / 1e6:.1f} MB are free); make room, then send the "
            "job again"
        )
        return EngineError("disk_full", message)
    return EngineError(
        "write_failed",
        f"could not write {path}: {error}; may the server write to this folder, and is "
        "it still there?",
    )


def _write_blocks(stream: BinaryIO, audio: Audio, container: str, subtype: str) -> None:
    import soundfile

    with soundfile.SoundFile(
        stream, "w", audio.rate_hz, audio.channels, subtype=subtype, format=container, closefd=False
    ) as target:
        for first in range(0, audio.frames, BLOCK_FRAMES):
            target.write(_quantise(audio.samples[first : first + BLOCK_FRAMES], subtype))


def _quantise(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Integers for the integer formats.

    libsndfile would scale up by 2^n - 1 and down by 2^n, which is not the identity.
    """
    bits = INTEGER_BITS.get(subtype)
    if bits is None:
        return samples
    full = 2.0 ** (bits - 1)
    whole = np.clip(np.rint(samples * np.float64(full)), -full, full - 1)
    return (
        whole.astype(np.int16)
        if bits == 16
        else (whole.astype(np.int64) << (32 - bits)).astype(np.int32)
    )


def _clear_time_stamp(stream: BinaryIO) -> None:
    """Zero the time in libsndfile's PEAK chunk (id, size, version, time).

    So equal audio gives equal files.
    """
    stream.seek(0)
    at = stream.read(256).find(b"PEAK")
    if at >= 0:
        stream.seek(at + 12)
        stream.write(b"\0\0\0\0")
