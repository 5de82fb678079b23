"""What a replica holds of a style: the tensors that its preset brings; the model is the worker's.

They come by the object store, once, and lie on the replica's disk by their hash until the style
makes room for another.

    server:   preset {path, sha256} -> object store
    replica:  object store -> <folder of the style>/<sha256>.safetensors -> worker
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from engine.errors import EngineError
from presets.style import ResolvedStyle, StyleTensor


class StyleFolder:
    """The token by which Ray Serve's router knows what lies where.

    `forget` is called once, when it ends.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget
        self._folder = tempfile.TemporaryDirectory(prefix="retimbre-style-")

    async def localize(
        self, style: ResolvedStyle, tensors: Mapping[str, Awaitable[bytes]]
    ) -> ResolvedStyle:
        """The style with paths of this machine.

        `tensors`: sha256 -> bytes, awaited only where they are new here.
        """
        for file in style.tensors:
            path = self._path(file)
            if not path.exists():
                await asyncio.to_thread(_write, path, await tensors[file.sha256])
        return replace(
            style,
            adapters=tuple(map(self._move, style.adapters)),
            soft_prompts=tuple(map(self._move, style.soft_prompts)),
        )

    def _move(self, file: StyleTensor) -> StyleTensor:
        return replace(file, path=str(self._path(file)))

    def _path(self, file: StyleTensor) -> Path:
        return Path(self._folder.name) / f"{file.sha256}.safetensors"

    def __del__(self) -> None:  # called by Serve, and again by Python
        if forget := self.__dict__.pop("_forget", None):
            forget()
            self._folder.cleanup()


def tensor_bytes(path: str, sha256: str) -> bytes:
    """A file that a preset names.

    EngineError bad_preset: it is not what was checked when the preset was read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise EngineError(
            "bad_preset", f"{path} cannot be read: {error.strerror or error}; put it back"
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise EngineError(
            "bad_preset", f"{path} has changed since its preset was read; put its new sha256 there"
        )
    return data


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_bytes(data)
    temporary.replace(path)
