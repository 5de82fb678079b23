"""Adapter files: safetensors whose header says what they hold. Reading needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import EngineError

if TYPE_CHECKING:
    from torch import Tensor

HEADER = "retimbre"  # {"method", "settings", "prefix"} as JSON
# a LoRA's settings once more, where diffusers looks for them
DIFFUSERS_HEADER = "lora_adapter_metadata"
SOFT_PROMPT, PLACEHOLDER = "soft_prompt", "placeholder"  # a tensor, and a key of its metadata
PLAIN_FLOATS = ("F64", "F32", "F16", "BF16")
WHOLE_NUMBERS = ("I64", "I32", "I16", "I8", "U8")  # a few tools store alpha as one


class AdapterFileError(EngineError):
    """An adapter file that cannot be used; `reason` is bad_file, no_lora or no_match."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("bad_preset", message)
        self.reason = reason


@dataclass(frozen=True)
class AdapterFile:
    """What one of our files holds. `notes`: base, licence, trigger and the like, for people."""

    method: str
    settings: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray | Tensor]
    notes: Mapping[str, str]


def write_adapter_file(path: Path, adapter: AdapterFile, prefix: str = "") -> Path:
    """Write a file; `prefix`: the part of the model, such as `unet`, as diffusers names it."""
    dotted = f"{prefix}." if prefix else ""
    said = {"method": adapter.method, "settings": dict(adapter.settings), "prefix": dotted}
    header = {HEADER: json.dumps(said)}
    if adapter.method == "lora":
        settings = {dotted + key: value for key, value in adapter.settings.items()}
        header[DIFFUSERS_HEADER] = json.dumps(settings)
    tensors = {dotted + name: values for name, values in adapter.tensors.items()}
    return save_tensors(path, tensors, {**adapter.notes, **header})


def save_tensors(
    path: Path, tensors: Mapping[str, np.ndarray | Tensor], metadata: Mapping[str, str]
) -> Path:
    """Write tensors of numpy or torch as safetensors."""
    from safetensors.numpy import save_file

    arrays = {name: _array(values) for name, values in tensors.items()}
    save_file(arrays, str(path), {"format": "pt", **metadata})
    return path


def read_adapter_file(path: Path) -> AdapterFile:
    """Read one of our files, or a LoRA that diffusers wrote. Raises AdapterFileError."""
    metadata = read_metadata(path)
    if HEADER in metadata:
        said = json.loads(metadata[HEADER])
        tensors = _without(read_tensors(path), said.get("prefix", ""))
        return AdapterFile(said["method"], said["settings"], tensors, notes_of(metadata))
    if DIFFUSERS_HEADER in metadata:
        settings = json.loads(metadata[DIFFUSERS_HEADER])
        prefix = next(key for key in settings if key.rpartition(".")[2] == "r")[:-1]
        tensors = _without(read_tensors(path), prefix)
        return AdapterFile("lora", _without(settings, prefix), tensors, notes_of(metadata))
    raise AdapterFileError(
        "bad_file",
        f'{path} does not say what it is; bring it in with: retimbre train import "{path}" '
        "--family …",
    )


def read_soft_prompt(path: Path, width: int) -> tuple[np.ndarray, str]:
    """Vectors [length, width] in float32, and the word that they stand for, if any.

    Raises AdapterFileError: no such tensor, or made for another text encoder.
    """
    vectors, metadata = read_tensors(path).get(SOFT_PROMPT), read_metadata(path)
    if vectors is None or vectors.ndim != 2 or vectors.shape[1] != width:
        found = "no such tensor" if vectors is None else list(vectors.shape)
        message = f"{path}: expected `{SOFT_PROMPT}` [any, {width}] for this model, found {found}"
        raise AdapterFileError("bad_file", message)
    return vectors.astype(np.float32), metadata.get(PLACEHOLDER, "")


def notes_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a header says to people."""
    machine = (HEADER, DIFFUSERS_HEADER, "format")
    return {key: text for key, text in metadata.items() if key not in machine}


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in a header. Raises AdapterFileError."""
    return {str(key): str(text) for key, text in _header(path).get("__metadata__", {}).items()}


def tensor_names(path: Path) -> list[str]:
    """Raises AdapterFileError."""
    return [name for name in _header(path) if name != "__metadata__"]


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors; bfloat16 becomes float32, which holds each of its numbers.

    Raises AdapterFileError for other types than floats and for numbers that are not finite.
    """
    from safetensors import SafetensorError, safe_open

    header = _header(path)
    kinds = {name: row["dtype"] for name, row in header.items() if name != "__metadata__"}
    if odd := next(
        (each for each in kinds.items() if each[1] not in PLAIN_FLOATS + WHOLE_NUMBERS), None
    ):
        message = f"{path}: {odd[0]} is {odd[1]}; expected {', '.join(PLAIN_FLOATS)}: save it anew"
        raise AdapterFileError("bad_file", message)
    halves = [name for name, kind in kinds.items() if kind == "BF16"]
    try:
        with safe_open(str(path), framework="np") as file:
            tensors = {name: file.get_tensor(name) for name in kinds if name not in halves}
        tensors |= _read_bfloat16(path, {name: header[name] for name in halves})
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            message = f"{path}: {name} holds numbers that are not finite; the file is damaged"
            raise AdapterFileError("bad_file", message)
    return tensors


def _header(path: Path) -> dict[str, Any]:
    """Name -> {"dtype", "shape", "data_offsets"}, and the metadata."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np"):  # checks sizes and offsets
            pass
        with open(path, "rb") as file:
            return dict(json.loads(file.read(int.from_bytes(file.read(8), "little"))))
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _read_bfloat16(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """numpy has no bfloat16: its bits are the upper half of a float32's."""
    found = {}
    with open(path, "rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        for name, row in rows.items():
            first, last = row["data_offsets"]
            file.seek(begin + first)
            bits = np.frombuffer(file.read(last - first), "<u2").astype(np.uint32) << 16
            found[name] = bits.view(np.float32).reshape(row["shape"])
    return found


def _unreadable(path: Path, error: Exception) -> AdapterFileError:
    message = f"{path} cannot be read as safetensors: {error}; pickles are never loaded"
    return AdapterFileError("bad_file", message)


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    if not isinstance(values, np.ndarray):
        values = values.detach().cpu()
        values = (values.float() if "bfloat16" in str(values.dtype) else values).numpy()
    return np.array(values, order="C")


def _without(rows: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in rows.items()}
