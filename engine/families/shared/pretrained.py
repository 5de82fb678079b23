"""How is a repository in diffusers' or transformers' layout read, part by part, from disk alone?"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import Cancelled, EngineError
from engine.progress import Advance, IsCancelled, ignore_advance, never_cancelled


@dataclass(frozen=True)
class PretrainedPart:
    """A folder of a repository. `half`: runs in half precision on a graphics card."""

    field: str
    folder: str
    read: Callable[..., Any]  # (folder, **what from_pretrained takes)
    half: bool = False


def model(package: str, name: str) -> Callable[..., Any]:
    """A reader of a model of the real class; a tensor that the file lacks is an error."""

    def read(folder: Path, **options: Any) -> Any:
        kind = getattr(importlib.import_module(package), name)
        return read_model(kind, folder, **options)

    return read


def read_model(kind: Any, folder: Path, **options: Any) -> Any:
    """A model of a class of transformers or diffusers. Raises ValueError for missing tensors."""
    found, info = kind.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, **options
    )
    # the libraries would fill them with random numbers
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{len(missing)} tensors are not in the file, {missing[0]} for one")
    return found


def tokenizer(name: str) -> Callable[..., Any]:
    """A reader of a tokenizer of transformers."""

    def read(folder: Path) -> Any:
        kind = getattr(importlib.import_module("transformers"), name)
        return kind.from_pretrained(folder, local_files_only=True)

    return read


def scheduler_config(name: str) -> Callable[..., Any]:
    """A reader of the configuration of a scheduler of diffusers."""

    def read(folder: Path) -> Mapping[str, Any]:
        kind = getattr(importlib.import_module("diffusers"), name)
        return kind.load_config(folder, local_files_only=True)

    return read


def read_parts(
    title: str,
    parts: Iterable[PretrainedPart],
    folder: Path,
    advance: Advance = ignore_advance,
    cancelled: IsCancelled = never_cancelled,
    half: Any = None,
) -> dict[str, Any]:
    """Every part by its field, on the CPU, in evaluation mode and without gradients.

    `half`: dtype of the parts that run in half precision.

    EngineError missing_weights: a part is not there or cannot be read. Raises Cancelled between two
    parts.
    """
    found: dict[str, Any] = {}
    parts = tuple(parts)
    for index, part in enumerate(parts):
        if cancelled():
            raise Cancelled
        with quiet_libraries():
            found[part.field] = _read(title, part, folder / part.folder, half)
        advance((index + 1) / len(parts))
    for each in found.values():
        if hasattr(each, "requires_grad_"):
            each.eval().requires_grad_(False)
    return found


def _read(title: str, part: PretrainedPart, folder: Path, half: Any) -> Any:
    try:
        return part.read(folder, **({"torch_dtype": half} if half and part.half else {}))
    except (OSError, ValueError, KeyError) as error:
        # what the libraries raise for absent, foreign or broken files
        message = (
            f"expected {title}'s {part.field} in {folder}: {error}; fetch the repository again"
        )
        raise EngineError("missing_weights", message) from error


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without transformers' progress bars and its warnings about tensors left out on purpose."""
    from transformers.utils import logging

    before, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bar:
            logging.enable_progress_bar()
