"""The model under examination, behind the two calls that an examination needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from evaluation.metrics.similarity import Sound

RATE_HZ = 32_000


class Subject(Protocol):
    """Mono sounds at 32 kHz in and out, the same length."""

    def stem(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound: ...

    def codec(self, sound: Sound) -> Sound: ...

    def describe(self) -> dict[str, Any]: ...


class Band(Protocol):
    """Several stems from one region: name -> mono sound at 32 kHz, as long as the region."""

    def perform(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> dict[str, Sound]: ...

    def codec(self, sound: Sound) -> Sound: ...

    def describe(self) -> dict[str, Any]: ...


class Nano:
    """The embedded model as the engine serves it: what is judged is what users get."""

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Raises EngineError if there are no weights."""
        from engine.families.nano.family import NanoFamily

        self._family = NanoFamily.load(folder, threads)

    def stem(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound:
        return Sound(self._family.transfer(sound.at(RATE_HZ), text, knobs), RATE_HZ)

    def perform(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> dict[str, Sound]:
        """The stems that the words ask for: accompaniment, or a genre."""
        stems = self._family.edit(sound.at(RATE_HZ), text, knobs)
        return {name: Sound(stem, RATE_HZ) for name, stem in stems.items()}

    def codec(self, sound: Sound) -> Sound:
        """The sound through encoder and decoder: no stem can be nearer than this."""
        return Sound(self._family.reconstruct(sound.at(RATE_HZ)), RATE_HZ)

    def describe(self) -> dict[str, Any]:
        files = self._family.files()
        return {
            "name": "nano",
            "files": {
                name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
            },
        }
