"""Which sounds a folder holds, and their captions."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
LISTS = ("metadata.jsonl", "metadata.csv")


class DataError(ValueError):
    """What is wrong with a folder of recordings, file by file."""


@dataclass(frozen=True)
class CaptionedSound:
    """A sound file and its caption."""

    path: Path
    text: str


def read_captioned(folder: Path) -> list[CaptionedSound]:
    """Every sound of a folder with its caption. DataError lists what has none, or is not there."""
    list_path = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    sounds, problems = _read_list(list_path) if list_path else _read_files(folder)
    if problems:
        more = f" (and {len(problems) - 8} more)" if len(problems) > 8 else ""
        raise DataError("; ".join(problems[:8]) + more)
    if not sounds:
        raise DataError(
            f"no sounds in {folder}; expected {', '.join(SUFFIXES)} with NAME.txt, "
            f"or {' or '.join(LISTS)}"
        )
    return sounds


def _read_list(path: Path) -> tuple[list[CaptionedSound], list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        rows = (
            map(json.loads, filter(str.strip, stream))
            if path.suffix == ".jsonl"
            else csv.DictReader(stream)
        )
        sounds = [
            CaptionedSound(
                path.parent / (row.get("file_name") or ""), (row.get("text") or "").strip()
            )
            for row in rows
        ]
    problems = [f"{sound.path} is not there" for sound in sounds if not sound.path.is_file()]
    return sounds, problems + [f"{sound.path} has no text" for sound in sounds if not sound.text]


def _read_files(folder: Path) -> tuple[list[CaptionedSound], list[str]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    problems = [
        f"{path} has no caption {path.stem}.txt"
        for path in paths
        if not path.with_suffix(".txt").is_file()
    ]
    if problems:
        return [], problems
    sounds = [
        CaptionedSound(path, path.with_suffix(".txt").read_text(encoding="utf-8").strip())
        for path in paths
    ]
    return sounds, [f"{sound.path} has an empty caption" for sound in sounds if not sound.text]
