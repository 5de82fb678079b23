"""What do the first bytes of an audio file promise? Rate, channels, frames and its end.

Only headers are read, so that a file that a DAW is still writing is recognised before a model opens
it. Formats other than WAV, AIFF and FLAC are left to the engine: their header is None.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

UNKNOWN_SIZE = 0xFFFFFFFF  # what streaming writers put where they cannot seek back
MAX_CHUNKS = 1000


@dataclass(frozen=True)
class AudioHeader:
    """What the header says; 0 where it does not."""

    rate_hz: int
    channels: int
    frames: int
    end_bytes: int = 0  # the file is complete when it has at least so many bytes

    @property
    def seconds(self) -> float:
        """Duration; 0 for a rate of 0."""
        return self.frames / self.rate_hz if self.rate_hz else 0.0


class HeaderError(ValueError):
    """The file says that it is WAV, AIFF or FLAC, but its header is cut short or makes no sense."""


def read_header(file: BinaryIO) -> AudioHeader | None:
    """The header of a WAV (also RF64), AIFF or FLAC file that is open at its beginning.

    None for any other file. Raises HeaderError, OSError.
    """
    magic = file.read(12)
    reader = _READERS.get((magic[:4], magic[8:12])) or _READERS.get((magic[:4], b""))
    if reader is None:
        if not magic:
            raise HeaderError("the file is empty")
        return None
    try:
        return reader(file)
    except struct.error as error:
        raise HeaderError("the header is cut short") from error


def _read_wav(file: BinaryIO) -> AudioHeader:
    rate_hz = channels = frame_bytes = 0
    wide_bytes = None  # RF64 keeps 64 bit sizes in a ds64 chunk before the others
    for name, size, start in _chunks(file, "<"):
        if name == b"ds64":
            wide_bytes = struct.unpack("<QQ", file.read(16))[1]
        elif name == b"fmt ":
            _, channels, rate_hz, _, frame_bytes, _ = struct.unpack("<HHIIHH", file.read(16))
        elif name == b"data":
            if size == UNKNOWN_SIZE:
                if wide_bytes is None:
                    return AudioHeader(rate_hz, channels, 0)
                size = wide_bytes
            return _pcm(rate_hz, channels, size // max(frame_bytes, 1), start + size)
    raise HeaderError("no data chunk yet")


def _read_aiff(file: BinaryIO) -> AudioHeader:
    header = None
    end_bytes = 0
    for name, size, start in _chunks(file, ">"):
        if name == b"COMM":
            channels, frames, _ = struct.unpack(">hIh", file.read(8))
            header = _pcm(_int_from_extended(file.read(10)), channels, frames, 0)
        elif name == b"SSND":
            end_bytes = start + size
        if header and end_bytes:
            return AudioHeader(header.rate_hz, header.channels, header.frames, end_bytes)
    raise HeaderError("no sound chunk yet")


def _read_flac(file: BinaryIO) -> AudioHeader:
    file.seek(8)  # "fLaC", then the four byte header of STREAMINFO, which always comes first
    block = file.read(34)
    if len(block) < 34:
        raise HeaderError("the header is cut short")
    # 20 bits rate, 3 bits channels - 1, 5 bits sample size - 1, 36 bits frames (0: unknown)
    packed = int.from_bytes(block[10:18], "big")
    return AudioHeader(packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1)


_READERS = {
    (b"RIFF", b"WAVE"): _read_wav,
    (b"RF64", b"WAVE"): _read_wav,
    (b"FORM", b"AIFF"): _read_aiff,
    (b"FORM", b"AIFC"): _read_aiff,
    (b"fLaC", b""): _read_flac,
}


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, bytes, offset of the content) of each chunk; contents are padded to even lengths."""
    position = 12
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        yield name, size, position + 8
        position += 8 + size + size % 2


def _pcm(rate_hz: int, channels: int, frames: int, end_bytes: int) -> AudioHeader:
    if rate_hz <= 0 or channels <= 0:
        raise HeaderError(f"the header says {rate_hz} Hz and {channels} channels")
    return AudioHeader(rate_hz, channels, frames, end_bytes)


def _int_from_extended(data: bytes) -> int:
    """80 bit IEEE extended, which AIFF uses for the rate, as an integer."""
    exponent, mantissa = struct.unpack(">HQ", data)
    shift = 16383 + 63 - (exponent & 0x7FFF)
    return mantissa >> shift if 0 <= shift < 64 else 0
