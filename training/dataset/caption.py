"""Captions from a template: the clip's tempo and key, and the user's words.

A caption that people wrote (NAME.txt, or a list's text) is kept as the tag `words`. So captioning
again changes tempo, key and trigger, and never doubles anything.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.dataset import layouts
from training.dataset.clips import Clip, DataError, samples_of, write_list, write_text

TEMPLATES = ("{words}, {bpm} BPM, {key}",)
PLACES = ("words", "bpm", "key", "genre", "moods", "instrument")
LONGEST_SECONDS = 30.0
TEMPO_OR_KEY = re.compile(r"\d+ BPM|[A-G]#? (?:major|minor)")


@dataclass(frozen=True)
class Settings:
    words: str = ""  # where a clip has none of its own
    templates: Sequence[str] = TEMPLATES  # several: each clip gets one of them, always the same
    trigger: str = ""  # a rare word that will call the style
    position: str = "prepend"  # append, replace
    hear: bool = True  # tempo and key, where the list does not say them


def caption(
    folder: Path, settings: Settings = Settings(), advance: Callable[[], None] = lambda: None
) -> list[Clip]:
    """The folder's list and NAME.txt files, written anew. DataError."""
    _check(settings)
    clips, _ = layouts.read(folder)
    captioned = []
    for clip in clips:
        captioned.append(describe(clip, settings))
        advance()
    if bare := [clip.path.name for clip in captioned if not clip.tags.get("words")]:
        raise DataError(
            "no_words", f"{len(bare)} clips have no words, {bare[0]} for one: say them with --words"
        )
    for clip in captioned:
        write_text(clip.path.with_suffix(".txt"), clip.text + "\n")
    write_list(captioned, folder)
    return captioned


def describe(clip: Clip, settings: Settings) -> Clip:
    """The clip with its caption, and what the caption was made of as tags."""
    tags = dict(clip.tags)
    # a caption of ours that nobody has touched
    written = clip.text if clip.text != tags.get("captioned") else ""
    tags["words"] = written or tags.get("words") or settings.words
    if settings.hear and not ("bpm" in tags and "key" in tags):
        tags = {**estimate_tags(clip), **tags}
    template = settings.templates[_lot(clip) % len(settings.templates)]
    text = layouts.with_trigger(_fill(template, tags), settings.trigger, settings.position)
    return replace(clip, text=text, tags={**tags, "captioned": text})


def estimate_tags(clip: Clip) -> dict[str, str]:
    """`bpm` and `key` of a clip, each only where there is one."""
    from evaluation.metrics.sound import Sound

    samples, rate_hz = samples_of(clip)
    sound = Sound(samples[: int(LONGEST_SECONDS * rate_hz)].mean(axis=1), rate_hz)
    found = {}
    if np.isfinite(sound.tempo_bpm) and sound.tempo_bpm > 0:
        found["bpm"] = str(round(sound.tempo_bpm))
    return {**found, "key": sound.key_name} if sound.key else found


def without_tempo_and_key(text: str) -> str:
    """A caption without tempo and key, for models that hear the region itself."""
    return ", ".join(
        part
        for part in map(str.strip, text.split(","))
        if part and not TEMPO_OR_KEY.fullmatch(part)
    )


def most_common_sound(captions: Sequence[str]) -> str:
    """What most of these captions call their sound."""
    return Counter(map(without_tempo_and_key, captions)).most_common(1)[0][0]


def _fill(template: str, tags: dict[str, str]) -> str:
    """Parts between commas whose places have nothing to say are left out."""
    parts = [part.strip() for part in template.split(",")]
    spoken = [
        part.format_map(tags) for part in parts if all(tags.get(place) for place in _places(part))
    ]
    return ", ".join(filter(None, spoken))


def _places(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]


def _lot(clip: Clip) -> int:
    return int.from_bytes(hashlib.sha256(clip.path.name.encode()).digest()[:4], "big")


def _check(settings: Settings) -> None:
    for template in settings.templates:
        if unknown := set(_places(template)) - set(PLACES):
            known = ", ".join(PLACES)
            raise DataError(
                "bad_template", f"{template!r}: {{{unknown.pop()}}} is unknown; there are {known}"
            )
