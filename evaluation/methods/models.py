"""Which models can be examined? What an examination asks of one, and the embedded model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from evaluation.metrics.sound import Sound

RATE_HZ = 32_000


class Model(Protocol):
    """Mono sounds at 32 kHz in and out, of the same length."""

    def reconstruct(self, sound: Sound) -> Sound: ...

    def describe(self) -> dict[str, Any]: ...


class EditingModel(Model, Protocol):
    """One stem from one region."""

    def edit(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound: ...


class ArrangingModel(Model, Protocol):
    """Several stems from one region, by name."""

    def arrange(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> dict[str, Sound]: ...


class Nano:
    """The embedded model as the engine serves it: what is examined is what users get."""

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Raises EngineError if there are no weights."""
        from engine.families.nano.family import NanoFamily

        self._family = NanoFamily.load(folder, threads)

    def edit(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound:
        return Sound(self._family.transfer(sound.at(RATE_HZ), text, knobs), RATE_HZ)

    def arrange(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> dict[str, Sound]:
        """The stems that the words ask for: accompaniment, or a genre."""
        stems = self._family.edit(sound.at(RATE_HZ), text, knobs)
        return {name: Sound(stem, RATE_HZ) for name, stem in stems.items()}

    def reconstruct(self, sound: Sound) -> Sound:
        """The sound through encoder and decoder: no stem can come nearer than this."""
        return Sound(self._family.editor.reconstruct(sound.at(RATE_HZ)), RATE_HZ)

    def describe(self) -> dict[str, Any]:
        files = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in self._family.files().items()
        }
        return {"name": "nano", "files": files}
