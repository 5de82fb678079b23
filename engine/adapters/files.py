"""A style's file: safetensors, with what it is in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.errors import EngineError

HEADER = "retimbre"  # {"method", "settings", "prefix"} as JSON
# a LoRA's settings once more, where diffusers looks for them
DIFFUSERS_HEADER = "lora_adapter_metadata"


@dataclass(frozen=True)
class Style:
    """What a file holds. `notes`: base, licence, trigger and the like, for people."""

    method: str
    settings: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]


def write_style(path: Path, style: Style, prefix: str = "") -> Path:
    """`prefix`: the part of the model, as `unet`, before each name; diffusers wants it."""
    from safetensors.torch import save_file

    dotted = f"{prefix}." if prefix else ""
    header = {
        HEADER: json.dumps(
            {"method": style.method, "settings": dict(style.settings), "prefix": dotted}
        )
    }
    if style.method == "lora":
        header[DIFFUSERS_HEADER] = json.dumps(
            {dotted + key: value for key, value in style.settings.items()}
        )
    tensors = {
        dotted + name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in style.tensors.items()
    }
    save_file(tensors, str(path), {"format": "pt", **style.notes, **header})
    return path


def is_style(path: Path) -> bool:
    """Whether a safetensors file is one of ours, or a LoRA that diffusers wrote.

    EngineError bad_preset.
    """
    return bool({HEADER, DIFFUSERS_HEADER} & set(_opened(path)[0]))


def read_style(path: Path) -> Style:
    """EngineError bad_preset."""
    metadata, tensors = _opened(path)
    notes = {
        key: text
        for key, text in metadata.items()
        if key not in (HEADER, DIFFUSERS_HEADER, "format")
    }
    if HEADER in metadata:
        said = json.loads(metadata[HEADER])
        return Style(
            said["method"], said["settings"], _without(tensors, said.get("prefix", "")), notes
        )
    if DIFFUSERS_HEADER in metadata:
        settings = json.loads(metadata[DIFFUSERS_HEADER])
        prefix = _common_prefix(settings)
        return Style("lora", _without(settings, prefix), _without(tensors, prefix), notes)
    message = f'{path} does not say what it is; bring it in with: retimbre train import "{path}" --family …'
    raise EngineError("bad_preset", message)


def _opened(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise EngineError("bad_preset", f"{path} cannot be read as safetensors: {error}") from error


def _common_prefix(settings: Mapping[str, Any]) -> str:
    """`unet.` of {"unet.r": 8, …}."""
    key = next(key for key in settings if key.rpartition(".")[2] == "r")
    return key[:-1]


def _without(rows: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in rows.items()}
