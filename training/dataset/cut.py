"""Clips of one length out of recordings, cut where it hurts least.

|--------- recording ---------------------------------------|
|== clip ==|== clip ==|== clip ==|== clip ==|=rest=|

Cuts move back to the last silence or beat, by a fifth of the length at most. A rest below 80 % is
left out, because models that learn from half-empty clips learn to fall silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.dataset import layouts
from training.dataset.clips import LIST, Clip, DataError, level_db, samples_of, write_list

FULL = 0.8  # least share of a clip's length (AudioCraft's min_segment_ratio)
FRAME_SECONDS = 0.05  # in which silence is looked for
SHORTEST_PAUSE_SECONDS = 0.1
PEAK_DB = -1.0
LOUDNESS_BLOCK_SECONDS = 0.4  # of BS.1770: shorter sounds have no loudness


@dataclass(frozen=True)
class Settings:
    seconds: float = 10.0  # 10 for AudioLDM2, 30 for MusicGen
    by: str = "silence"  # of CUTS
    overlap_seconds: float = 0.0
    gate_db: float = -50.0  # quieter clips are left out, quieter frames are pauses
    loudness_lufs: float | None = -16.0  # None: levels stay as they are


@dataclass(frozen=True)
class Result:
    clips: Sequence[Clip]
    notes: Sequence[str]  # what was left out, what was not done
    seconds_in: float
    seconds_out: float


def cut(
    source: Path,
    target: Path,
    settings: Settings = Settings(),
    advance: Callable[[], None] = lambda: None,
) -> Result:
    """FLAC clips and their list in `target`, a folder that has no list yet. DataError."""
    recordings, _ = layouts.read(source)
    _check_names(recordings, source, target)
    target.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    notes: list[str] = []
    seconds_in = seconds_out = 0.0
    for recording in recordings:
        samples, rate_hz = samples_of(recording)
        seconds_in += len(samples) / rate_hz
        samples, note = _at_loudness(samples, rate_hz, settings.loudness_lufs)
        parts, left_out = _parts(samples, rate_hz, settings)
        notes += [f"{recording.path.name}: {text}" for text in (note, left_out) if text]
        for index, (first, last) in enumerate(parts):
            path = target / f"{_stem(recording, source)}_{index:03d}.flac"
            _write(path, samples[first:last], rate_hz)
            seconds_out += (last - first) / rate_hz
            tags = {**recording.tags, "start_seconds": f"{first / rate_hz:.3f}"}
            clips.append(replace(recording, path=path, track=recording.track, tags=tags))
        advance()
    if not clips:
        raise DataError(
            "no_clips",
            f"nothing of {len(recordings)} recordings fills {settings.seconds:g} s by "
            f"{FULL:.0%}: ask for shorter clips with --seconds; " + "; ".join(notes[:4]),
        )
    write_list(clips, target)
    return Result(clips, notes, seconds_in, seconds_out)


def _check_names(recordings: Sequence[Clip], source: Path, target: Path) -> None:
    """Nothing is overwritten. DataError exists, same_name."""
    if (target / LIST).exists():
        raise DataError(
            "exists",
            f"{target / LIST} is there already; nothing is overwritten: name another folder",
        )
    counts = Counter(_stem(clip, source) for clip in recordings)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise DataError(
            "same_name", f"{twice[0]}: two recordings would give clips of one name: rename one"
        )


def boundaries(
    length: int, size: int, overlap: int, places: Sequence[int], start: int = 0
) -> list[tuple[int, int]]:
    """Clips [first, last) of at most `size`, which end at a place in their last fifth if one is."""
    found, first = [], start
    while length - first >= FULL * size:
        last = min(first + size, length)
        fitting = [place for place in places if first + FULL * size <= place <= last]
        last = max(fitting) if fitting else last
        found.append((first, last))
        first = last - overlap
    return found


def silences(samples: np.ndarray, rate_hz: int, gate_db: float) -> list[int]:
    """Middles of the pauses, in frames."""
    size = max(1, int(FRAME_SECONDS * rate_hz))
    quiet = _levels_db(samples, size) < gate_db
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    pauses = edges.reshape(-1, 2)
    least = SHORTEST_PAUSE_SECONDS / FRAME_SECONDS
    return [int((begin + end) / 2 * size) for begin, end in pauses if end - begin >= least]


def beats(samples: np.ndarray, rate_hz: int, gate_db: float) -> list[int]:
    """Beats, in frames."""
    from evaluation.metrics.sound import Sound

    return [
        int(seconds * rate_hz) for seconds in Sound(samples.mean(axis=1), rate_hz).beats_seconds
    ]


CUTS: Mapping[str, Callable[[np.ndarray, int, float], list[int]]] = {
    "silence": silences,
    "beat": beats,
    "fixed": lambda samples, rate_hz, gate_db: [],
}


def _parts(
    samples: np.ndarray, rate_hz: int, settings: Settings
) -> tuple[list[tuple[int, int]], str]:
    """The clips' frames, and what was left out in words."""
    loud = np.flatnonzero(
        _levels_db(samples, frame := max(1, int(FRAME_SECONDS * rate_hz))) >= settings.gate_db
    )
    if not len(loud):
        return [], f"silent below {settings.gate_db:g} dBFS"
    start, end = int(loud[0]) * frame, min(len(samples), (int(loud[-1]) + 1) * frame)
    places = CUTS[settings.by](samples, rate_hz, settings.gate_db)
    size, overlap = int(settings.seconds * rate_hz), int(settings.overlap_seconds * rate_hz)
    found = boundaries(end, size, overlap, places, start)
    kept = [part for part in found if level_db(samples[slice(*part)]) >= settings.gate_db]
    rest = (len(samples) - sum(last - first for first, last in kept)) / rate_hz
    return kept, f"{rest:.1f} of {len(samples) / rate_hz:.1f} s left out" if rest > 0.1 else ""


def _levels_db(samples: np.ndarray, size: int) -> np.ndarray:
    """RMS of each frame of `size`, in dBFS."""
    whole = samples[: len(samples) // size * size].reshape(-1, size, samples.shape[1])
    return 10 * np.log10(np.maximum(np.square(whole, dtype=np.float64).mean(axis=(1, 2)), 1e-12))


def _at_loudness(samples: np.ndarray, rate_hz: int, lufs: float | None) -> tuple[np.ndarray, str]:
    """One gain for the whole recording, and a note where it could not all be given."""
    if lufs is None:
        return samples, ""
    if len(samples) < LOUDNESS_BLOCK_SECONDS * rate_hz:
        return samples, "too short to have a loudness; its level stays"
    import pyloudnorm

    now = pyloudnorm.Meter(rate_hz).integrated_loudness(samples.astype(np.float64))
    if not np.isfinite(now):
        return samples, "silent; its level stays"
    peak_db = 20 * float(np.log10(max(float(np.abs(samples).max()), 1e-9)))
    gain_db = min(lufs - now, PEAK_DB - peak_db)
    short = lufs - now - gain_db
    note = f"{short:.1f} dB below {lufs:g} LUFS, or its peaks would clip" if short > 0.5 else ""
    return samples * np.float32(10 ** (gain_db / 20)), note


def _stem(clip: Clip, source: Path) -> str:
    """A name for the clips: the recording's own, and the folder below `source` that it lies in."""
    inside = (
        clip.path.relative_to(source) if clip.path.is_relative_to(source) else Path(clip.path.name)
    )
    return "_".join(inside.with_suffix("").parts)


def _write(path: Path, samples: np.ndarray, rate_hz: int) -> None:
    import soundfile

    if path.exists():
        raise DataError(
            "exists", f"{path} is there already; nothing is overwritten: name another folder"
        )
    soundfile.write(path, samples, rate_hz, subtype="PCM_24")
