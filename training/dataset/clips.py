"""A clip and its caption, and the list that a data folder keeps of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff")
LIST = "metadata.jsonl"  # one row a clip, as Hugging Face's audiofolder has it
SPLITS = ("train", "validation", "test")
MOST_LISTED = 8  # problems in one message


class DataError(ValueError):
    """What is wrong with a folder of recordings, file by file; `code` is symbolic."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class Clip:
    """One sound file with words.

    `track` names the recording it comes from: clips of one track stay together.
    """

    path: Path
    text: str = ""
    track: str = ""
    artist: str = ""
    split: str = ""  # of SPLITS; empty: not decided
    tags: Mapping[str, str] = field(default_factory=dict)  # bpm, key, genre, words …

    def __post_init__(self) -> None:
        object.__setattr__(self, "track", self.track or self.path.stem)

    def row(self, folder: Path) -> dict[str, Any]:
        """As LIST has it; the path is relative to the folder, with / on every system."""
        known = {"text": self.text, "track": self.track, "artist": self.artist, "split": self.split}
        name = Path(os.path.relpath(self.path, folder)).as_posix()
        return {
            "file_name": name,
            **{key: value for key, value in known.items() if value},
            **self.tags,
        }


def clip_of_row(row: Mapping[str, Any], folder: Path, split: str = "") -> Clip:
    """The clip of a list's row; unknown columns become tags."""
    words = {
        key: str(value).strip()
        for key, value in row.items()
        if value not in (None, "") and key != "file_name"
    }
    known = {name: words.pop(name, "") for name in ("text", "track", "artist", "split")}
    clip = Clip(folder / str(row.get("file_name") or ""), **known, tags=words)
    return clip if clip.split or not split else replace(clip, split=split)


def write_list(clips: Iterable[Clip], folder: Path) -> Path:
    """The list of a folder, whole or not at all."""
    lines = [json.dumps(clip.row(folder), ensure_ascii=False) for clip in clips]
    return write_text(folder / LIST, "\n".join(lines) + "\n")


def write_text(path: Path, text: str) -> Path:
    """A text file that is there whole or as it was before."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path


def samples_of(clip: Clip) -> tuple[np.ndarray, int]:
    """Float samples [frames, channels] and their rate. DataError unreadable, empty."""
    import soundfile

    try:
        samples, rate_hz = soundfile.read(clip.path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(
            "unreadable", f"{clip.path} cannot be read: {error}; replace it or take it out"
        ) from error
    if not len(samples):
        raise DataError("empty", f"{clip.path} holds no sound; take it out of the folder")
    return samples, rate_hz


def summarise(problems: Sequence[str]) -> str:
    """The first few of many problems, in one line."""
    more = f" (and {len(problems) - MOST_LISTED} more)" if len(problems) > MOST_LISTED else ""
    return "; ".join(problems[:MOST_LISTED]) + more


def level_db(samples: np.ndarray) -> float:
    """RMS in dBFS; -inf for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")
