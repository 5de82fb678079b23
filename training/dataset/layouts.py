"""Other people's folders of sounds and words, each read as clips.

A layout is a row: how it is recognised and how it is read. The first that is recognised is taken;
the last one takes any folder. Whatever the layout, a NAME.txt beside NAME.wav wins over the list's
caption: there people correct.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from training.dataset.clips import LIST, SPLITS, SUFFIXES, Clip, DataError, clip_of_row

CSV_LIST = "metadata.csv"
# as `python -m audiocraft.data.audio_dataset` writes them
MANIFESTS = ("data.jsonl", "data.jsonl.gz")
# ACE-Step 1: NAME.mp3, NAME_prompt.txt, NAME_lyrics.txt
PROMPT, LYRICS = "_prompt.txt", "_lyrics.txt"
SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "evaluation": "test",
}
OUR_NAMES = {
    "keyscale": "key",
    "timesignature": "metre",
    "signature": "metre",
    "description": "text",
    "caption": "text",
}
# of Side-Step
SIDECAR_KEYS = ("caption", "genre", "bpm", "key", "signature", "lyrics", "custom_tag", "repeat")
WORDS_OF_TAGS = ("genre", "moods", "instrument", "keywords")  # a caption, where there is no better


class Layout(NamedTuple):
    name: str
    form: str  # what it looks like, for messages
    is_here: Callable[[Path], bool]
    read: Callable[[Path], Iterable[Clip]]


def read(folder: Path) -> tuple[list[Clip], str]:
    """Every clip of a folder, and its layout's name. DataError no_folder, no_sounds, bad_list."""
    if not folder.is_dir():
        raise DataError("no_folder", f"{folder} is not a folder")
    layout = next(layout for layout in LAYOUTS if layout.is_here(folder))
    try:
        clips = [_correct(clip) for clip in layout.read(folder)]
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        csv.Error,
        TypeError,
        AttributeError,
    ) as error:
        raise DataError(
            "bad_list", f"{folder}: expected {layout.form}, but it cannot be read: {error}"
        ) from error
    if not clips:
        raise DataError(
            "no_sounds", f"no sounds in {folder}: {_what_lies_there(folder)}; expected {_forms()}"
        )
    return clips, layout.name


def sounds_below(folder: Path) -> list[Path]:
    """Every sound file by name, without hidden ones (macOS writes ._NAME.wav)."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not path.name.startswith("."))


def _correct(clip: Clip) -> Clip:
    """With the words of its own text file, if there is one."""
    sidecar = clip.path.with_suffix(".txt")
    words, tags = _sidecar(sidecar) if sidecar.is_file() else ("", {})
    return replace(clip, text=words or clip.text, tags={**clip.tags, **tags})


def _sidecar(path: Path) -> tuple[str, dict[str, str]]:
    """Words and tags: the whole text is the caption, or each line says `key: value`."""
    text = path.read_text(encoding="utf-8-sig").strip()
    pairs = [line.partition(":")[::2] for line in text.splitlines() if line.strip()]
    if not pairs or any(key.strip().lower() not in SIDECAR_KEYS for key, _ in pairs):
        return " ".join(text.split()), {}
    tags = _tags({key.strip().lower(): value.strip() for key, value in pairs})
    return tags.pop("text", ""), tags


# -- one reader a layout --


def _lists(folder: Path) -> Iterator[tuple[Path, str]]:
    """The lists of a folder and of its sub-folders, each with the split that the name says."""
    places = {folder: "", **{folder / name: split for name, split in SPLIT_FOLDERS.items()}}
    for place, split in places.items():
        for name in (LIST, CSV_LIST):
            if (place / name).is_file():
                yield place / name, split
                break


def _audiofolder(folder: Path) -> Iterator[Clip]:
    for path, split in _lists(folder):
        for row in _rows(path):
            yield clip_of_row(
                {OUR_NAMES.get(key, key): value for key, value in row.items()}, path.parent, split
            )


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="", encoding="utf-8-sig") as stream:
        yield from (
            csv.DictReader(stream)
            if path.suffix == ".csv"
            else map(json.loads, filter(str.strip, stream))
        )


def _audiocraft(folder: Path) -> Iterator[Clip]:
    """Paths of the manifest are absolute or relative to it; attributes lie in NAME.json."""
    manifest = next(folder / name for name in MANIFESTS if (folder / name).is_file())
    for row in _rows(manifest):
        path = folder / row["path"]
        about = path.with_suffix(".json")
        yield _describe(
            path, json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
        )


def _ace_json_in(folder: Path) -> Path | None:
    """The dataset of ACE-Step 1.5: an object with `samples`."""
    for path in sorted(folder.glob("*.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            continue  # some other program's; the layout is known by a file that can be read
        if isinstance(found, dict) and isinstance(found.get("samples"), list):
            return path
    return None


def _ace_json(folder: Path) -> Iterator[Clip]:
    path = _ace_json_in(folder)
    assert path is not None
    data = json.loads(path.read_text(encoding="utf-8"))
    about = data.get("metadata") or {}
    for sample in data["samples"]:
        path = folder / (sample.get("audio_path") or sample["filename"])
        clip = _describe(
            path, {**sample, "caption": sample.get("prompt_override") or sample.get("caption")}
        )
        tag = sample.get("custom_tag") or about.get("custom_tag") or ""
        yield replace(
            clip, text=with_trigger(clip.text, tag, about.get("tag_position") or "prepend")
        )


def _ace_triples(folder: Path) -> Iterator[Clip]:
    for path in sounds_below(folder):
        prompt, lyrics = (path.with_name(path.stem + ending) for ending in (PROMPT, LYRICS))
        words = _one_line(lyrics)
        yield Clip(path, _one_line(prompt), tags={"lyrics": words} if words else {})


def _one_line(path: Path) -> str:
    """A text file's words; nothing where there is no file."""
    return " ".join(path.read_text(encoding="utf-8-sig").split()) if path.is_file() else ""


def _beside(folder: Path) -> Iterator[Clip]:
    return map(Clip, sounds_below(folder))


def _describe(path: Path, about: Mapping[str, Any]) -> Clip:
    """A clip from attributes under any of their names; tags stand in for a missing caption."""
    tags = _tags(about)
    text = tags.pop("text", "") or ", ".join(tags[name] for name in WORDS_OF_TAGS if name in tags)
    kept = {
        key: tags[key] for key in ("bpm", "key", "metre", "lyrics", *WORDS_OF_TAGS) if key in tags
    }
    return Clip(path, text, artist=tags.get("artist", ""), tags=kept)


def _tags(about: Mapping[str, Any]) -> dict[str, str]:
    """Text by our names for things; lists are joined, what says nothing is left out."""
    plain = lambda value: ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # noqa: E731
    said = {
        key: plain(value).strip()
        for key, value in about.items()
        if value not in (None, "", [], "N/A", False)
    }
    return {OUR_NAMES.get(key, key): value for key, value in said.items() if value}


def with_trigger(text: str, trigger: str, position: str) -> str:
    """A caption with a trigger word; `position` is ACE-Step's tag_position."""
    if not trigger or (position != "replace" and trigger in text):
        return text
    parts = {"prepend": (trigger, text), "append": (text, trigger), "replace": (trigger,)}[position]
    return ", ".join(filter(None, parts))


LAYOUTS = (
    Layout(
        "audiofolder",
        f"{LIST} or {CSV_LIST} (file_name, text)",
        lambda folder: any(_lists(folder)),
        _audiofolder,
    ),
    Layout(
        "audiocraft",
        f"{MANIFESTS[0]} (path, duration) with NAME.json beside NAME.wav",
        lambda folder: any((folder / name).is_file() for name in MANIFESTS),
        _audiocraft,
    ),
    Layout(
        "ace_step",
        "a JSON file with samples [{audio_path, caption, …}]",
        lambda folder: _ace_json_in(folder) is not None,
        _ace_json,
    ),
    Layout(
        "ace_step_1",
        f"NAME.mp3 with NAME{PROMPT}",
        lambda folder: any(folder.rglob(f"*{PROMPT}")),
        _ace_triples,
    ),
    Layout(
        "files",
        f"sounds ({', '.join(SUFFIXES)}) with NAME.txt beside them",
        lambda folder: True,
        _beside,
    ),
)


def _forms() -> str:
    return "; or ".join(layout.form for layout in LAYOUTS)


def _what_lies_there(folder: Path) -> str:
    kinds = Counter(
        path.suffix.lower() or path.name for path in folder.rglob("*") if path.is_file()
    )
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(6)) or "it is empty"


assert set(SPLIT_FOLDERS.values()) == set(SPLITS)
