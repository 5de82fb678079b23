"""The model under examination, behind the two calls that an examination needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from evaluation.metrics import Sound

RATE_HZ = 32_000


class Subject(Protocol):
    """Mono sounds at 32 kHz in and out, the same length."""

    def stem(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound: ...

    def codec(self, sound: Sound) -> Sound: ...

    def describe(self) -> dict[str, Any]: ...


class Nano:
    """The embedded model as the engine serves it: what is judged is what users get."""

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Raises EngineError if there are no weights."""
        from engine.nano import NanoFamily

        self._family = NanoFamily.load(folder, threads)
        self._folder = folder

    def stem(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound:
        samples = self._family.transfer(sound.at(RATE_HZ), text, dict(knobs), progress=_ignore, cancelled=_never)
        return Sound(samples, RATE_HZ)

    def codec(self, sound: Sound) -> Sound:
        """The sound through encoder and decoder: no stem can be nearer than this."""
        return Sound(self._family.reconstruct(sound.at(RATE_HZ)), RATE_HZ)

    def describe(self) -> dict[str, Any]:
        folder = self._folder or _shipped_folder()
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return {"name": "nano", "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}}


def _shipped_folder() -> Path:
    import engine.nano

    return Path(engine.nano.__file__).parent / "weights"


def _ignore(*_: object, **__: object) -> None:
    """No progress is shown for one stem."""


def _never() -> bool:
    return False
