"""How are regions read, to the frame?

Axis convention of the whole repository: samples are float32 [frames, channels]; mono signals inside
the models are [samples].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.audio.files import FileInfo, decode, file_info, open_audio
from engine.audio.identity import FileIdentity
from engine.audio.loudness import peak
from engine.errors import EngineError

# of one region, 2 GiB: ten minutes of 8 channels at 96 kHz fit; a small FLAC may promise more
MAX_SAMPLES = 1 << 29
ABSURD = 1e6  # +120 dBFS: no recording, a broken file


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


def _read_frames(info: FileInfo, first: int, last: int) -> np.ndarray:
    """Frames [first, last) as float32 [frames, channels]."""
    if (last - first) * info.channels > MAX_SAMPLES:
        raise EngineError(
            "too_long",
            f"{last - first} frames of {info.channels} channels are more than {MAX_SAMPLES} "
            "samples; select less, or render fewer channels",
        )
    with open_audio(info.path, info.identity) as stream, decode(stream, info.path) as sound:
        sound.seek(first)
        samples = sound.read(last - first, dtype="float32", always_2d=True)
    if len(samples) != last - first:
        message = (
            f"the header promises {info.frames} frames, {first + len(samples)} are there: "
            f"{info.path} is cut off"
        )
        raise EngineError("bad_audio", f"{message}; wait until it is written, or export it again")
    return samples


def _clean(samples: np.ndarray) -> list[str]:
    """Set samples that are no sound to 0, in place; a note if there were any."""
    if np.isfinite(peak(samples)) and peak(samples) < ABSURD:
        return []
    broken = ~(np.abs(samples) < ABSURD)  # also true for NaN
    samples[broken] = 0.0
    count = int(broken.sum())
    return [f"input: {count} samples were not numbers (NaN, infinite or above 1e6); read as 0"]


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Samples [n] or [n, channels] at another rate; sample 0 stays sample 0 (linear phase)."""
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(np.ascontiguousarray(samples, np.float32), from_hz, to_hz, quality="HQ")
