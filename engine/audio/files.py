"""Audio on disk and in memory: regions read to the frame, stems written whole or not at all.

Axis convention of the whole repository: samples are float32 [frames, channels]; mono signals inside
the models are [samples]. An input file is only ever read. A result is written under a temporary
name, flushed to the disk and renamed; an existing file is never replaced.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from engine.audio.identity import FileIdentity, open_without_waiting
from engine.audio.loudness import loudness, peak
from engine.errors import EngineError

if TYPE_CHECKING:
    from soundfile import SoundFile

__all__ = [
    "Audio",
    "FileInfo",
    "RegionAudio",
    "RegionBounds",
    "StemFormat",
    "file_info",
    "locate_region",
    "loudness",
    "not_written",
    "opened",
    "peak",
    "read_audio",
    "read_located",
    "read_region",
    "resample",
    "sha256_of",
    "stem_format",
    "write_audio",
]

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000
MAX_CHANNELS = 64
# of one region, 2 GiB: ten minutes of 8 channels at 96 kHz fit; a small FLAC may promise more
MAX_SAMPLES = 1 << 29
FLAC_MAX_CHANNELS = 8
FULL_BYTES = 10**6  # a disk with less room is full: no stem fits
ABSURD = 1e6  # +120 dBFS: no recording, a broken file
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
class Audio:
    """Samples float32 [frames, channels] and their rate."""

    samples: np.ndarray
    rate_hz: int

    @property
    def frames(self) -> int:
        return self.samples.shape[0]

    @property
    def channels(self) -> int:
        return self.samples.shape[1]


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


@dataclass(frozen=True)
class RegionBounds:
    """Where a region lies in its file: frames [start_frame, end_frame)."""

    info: FileInfo
    start_frame: int
    end_frame: int
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        return self.end_frame - self.start_frame


@dataclass(frozen=True)
class RegionAudio:
    """A region with the real audio around it.

    samples:  | lead_frames of context | frames: the region | context |      [.., channels]
    """

    info: FileInfo
    start_frame: int
    frames: int
    lead_frames: int
    samples: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def region(self) -> np.ndarray:
        """The region alone [frames, channels] (a view)."""
        return self.samples[self.lead_frames : self.lead_frames + self.frames]


@dataclass(frozen=True)
class StemFormat:
    """Container and sample format of a stem, and what had to differ from what was asked."""

    container: str  # key of CONTAINERS
    subtype: str
    notes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        return CONTAINERS[self.container][1]


def file_info(path: str | Path, expected: FileIdentity | None = None) -> FileInfo:
    """Header of an audio file, which must be the `expected` one if that is given.

    EngineError: no_file, bad_audio.
    """
    path = Path(path)
    with opened(path, expected) as stream, _decoded(stream, path) as sound:
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
def opened(path: str | Path, expected: FileIdentity | None = None) -> Iterator[BinaryIO]:
    """A regular file to read, compared after it was opened: then no swap of names can change it any
    more.

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
def _decoded(stream: BinaryIO, path: Path) -> Iterator[SoundFile]:
    """libsndfile on an open file.

    On Windows by name, which nobody can change there while the file is open.
    """
    import soundfile

    try:
        source = str(path) if os.name == "nt" else stream.fileno()
        with soundfile.SoundFile(source, closefd=False) as sound:
            yield sound
    except (soundfile.SoundFileError, OSError) as error:
        raise EngineError("bad_audio", _unreadable(path, error)) from error


def read_audio(path: str | Path) -> Audio:
    """A whole file."""
    region = read_region(path)
    return Audio(region.samples, region.info.rate_hz)


def read_region(
    path: str | Path,
    start_seconds: float | None = None,
    length_seconds: float | None = None,
    context_seconds: float = 0.0,
    expected: FileIdentity | None = None,
) -> RegionAudio:
    """`locate_region`, then `read_located`."""
    return read_located(
        locate_region(path, start_seconds, length_seconds, expected), context_seconds
    )


def locate_region(
    path: str | Path,
    start_seconds: float | None = None,
    length_seconds: float | None = None,
    expected: FileIdentity | None = None,
) -> RegionBounds:
    """The region that starts at the frame nearest to `start_seconds`.

    None: from the beginning, to the end. A region that runs past the end of the file ends there,
    with a note. EngineError: no_file, bad_audio (also: not the `expected` file), bad_args,
    too_short.
    """
    info = file_info(path, expected)
    start_seconds = start_seconds or 0.0
    if not np.isfinite(start_seconds) or start_seconds < 0:
        raise EngineError("bad_args", f"start: expected seconds from 0, got {start_seconds}")
    if length_seconds is not None and (not np.isfinite(length_seconds) or length_seconds <= 0):
        raise EngineError("bad_args", f"length: expected more than 0 seconds, got {length_seconds}")
    start = round(start_seconds * info.rate_hz)
    if start >= info.frames:
        raise EngineError(
            "too_short",
            f"the region starts at {start_seconds:.3f} s, the file ends at {info.seconds:.3f} s: "
            f"{info.path}",
        )
    if length_seconds is None:
        return RegionBounds(info, start, info.frames)
    end = start + max(1, round(length_seconds * info.rate_hz))
    if end <= info.frames:
        return RegionBounds(info, start, end)
    beyond = (end - info.frames) / info.rate_hz
    note = f"region: ends {beyond:.3f} s after the file; the stem ends with the file"
    return RegionBounds(info, start, info.frames, (note,))


def read_located(bounds: RegionBounds, context_seconds: float = 0.0) -> RegionAudio:
    """The samples of a region, with up to `context_seconds` on either side.

    Samples that are not numbers become 0, with a note. EngineError: no_file, bad_audio (also: the
    file was written to or swapped since it was located), too_long.
    """
    info = bounds.info
    context_frames = round(context_seconds * info.rate_hz)
    first = max(0, bounds.start_frame - context_frames)
    samples = _read_frames(info, first, min(info.frames, bounds.end_frame + context_frames))
    notes = (*bounds.notes, *_clean(samples))
    return RegionAudio(
        info, bounds.start_frame, bounds.frames, bounds.start_frame - first, samples, notes
    )


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Samples [n] or [n, channels] at another rate; sample 0 stays sample 0 (linear phase, delay
    compensated).
    """
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(np.ascontiguousarray(samples, np.float32), from_hz, to_hz, quality="HQ")


def stem_format(
    info: FileInfo, container: str | None = None, bits: str | None = None
) -> StemFormat:
    """Where a stem of this input goes: as the input, unless asked otherwise or the container cannot
    hold it.
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
        message = f"format: flac holds {FLAC_MAX_CHANNELS} channels, the region has {info.channels}; ask for wav"
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
    """Write `audio`, then rename into place; returns the real path: `name-2.wav` where `name.wav`
    exists.

    Integers are rounded, not dithered: what was read from 16 bits is written back bit by bit.
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
        message = f"no room for {path} ({free_bytes / 1e6:.1f} MB are free); make room, then send the job again"
        return EngineError("disk_full", message)
    return EngineError(
        "write_failed",
        f"could not write {path}: {error}; may the server write to this folder, and is "
        "it still there?",
    )


def publish(temporary: Path, path: Path) -> Path:
    """Give a finished file its name, or the next free one (`name-2`, `name-3` ...); never replaces
    a file.
    """
    for number in range(1, 10_000):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            _rename_to_free_name(temporary, target)
        except FileExistsError:
            continue
        _sync_folder(target.parent)
        return target
    raise EngineError("write_failed", f"10,000 files named like {path} exist; empty the folder")


def sha256_of(path: str | Path, expected: FileIdentity | None = None) -> str:
    """Hex digest of a file's bytes.

    EngineError: no_file; bad_audio where it is not the `expected` file.
    """
    digest = hashlib.sha256()
    with opened(path, expected) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_frames(info: FileInfo, first: int, last: int) -> np.ndarray:
    """Frames [first, last) as float32 [frames, channels]."""
    if (last - first) * info.channels > MAX_SAMPLES:
        raise EngineError(
            "too_long",
            f"{last - first} frames of {info.channels} channels are more than {MAX_SAMPLES} "
            "samples; select less, or render fewer channels",
        )
    with opened(info.path, info.identity) as stream, _decoded(stream, info.path) as sound:
        sound.seek(first)
        samples = sound.read(last - first, dtype="float32", always_2d=True)
    if len(samples) != last - first:
        message = f"the header promises {info.frames} frames, {first + len(samples)} are there: {info.path} is cut off"
        raise EngineError("bad_audio", f"{message}; wait until it is written, or export it again")
    return samples


def _clean(samples: np.ndarray) -> list[str]:
    """Set samples that are no sound to 0, in place; a note if there were any."""
    if np.isfinite(peak(samples)) and peak(samples) < ABSURD:
        return []
    broken = ~(np.abs(samples) < ABSURD)  # also true for NaN
    samples[broken] = 0.0
    return [
        f"input: {int(broken.sum())} samples were not numbers (NaN, infinite or above 1e6); read as 0"
    ]


def _write_blocks(stream, audio: Audio, container: str, subtype: str) -> None:
    import soundfile

    with soundfile.SoundFile(
        stream, "w", audio.rate_hz, audio.channels, subtype=subtype, format=container, closefd=False
    ) as target:
        for first in range(0, audio.frames, BLOCK_FRAMES):
            target.write(_quantised(audio.samples[first : first + BLOCK_FRAMES], subtype))


def _quantised(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Integers for the integer formats: libsndfile scales up by 2^n - 1 and down by 2^n, which is
    not the identity.
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


def _clear_time_stamp(stream) -> None:
    """Zero the time in libsndfile's PEAK chunk (id, size, version, time): equal audio gives equal
    files.
    """
    stream.seek(0)
    at = stream.read(256).find(b"PEAK")
    if at >= 0:
        stream.seek(at + 12)
        stream.write(b"\0\0\0\0")


def _rename_to_free_name(temporary: Path, target: Path) -> None:
    """Rename unless `target` exists (FileExistsError).

    A hard link is the rename that refuses, where links exist.
    """
    if os.name == "nt":
        os.rename(temporary, target)  # refuses by itself on Windows
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # exFAT and some network drives have no hard links: reserve the name, then replace our own
        # file
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    """The new name itself must survive a power cut (POSIX only)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse to flush a folder; the file itself is safe
        return
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: Exception) -> str:
    return f"expected WAV, AIFF, FLAC or another format that libsndfile reads, {path} is not: {error}; export it again"
