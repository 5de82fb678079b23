"""Which real recordings are examined? The sound files of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluation.metrics.sound import Sound

RATE_HZ = 32_000
LONGEST_SECONDS = 20.0
SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg")


def read_recordings(folder: Path) -> Iterator[tuple[str, Sound]]:
    """(name, sound): mono at 32 kHz, at most 20 s, in the order of names."""
    import soundfile
    import soxr

    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        with soundfile.SoundFile(path) as file:
            frames = int(LONGEST_SECONDS * file.samplerate)
            samples = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
            yield path.stem, Sound(soxr.resample(samples, file.samplerate, RATE_HZ), RATE_HZ)
