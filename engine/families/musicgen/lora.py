"""A LoRA's file as `engine.adapters` puts it on: under the names of the whole model, with its own
alpha.

Read: what `retimbre train` writes, and what peft saves (adapter_model.safetensors with
adapter_config.json beside it, or one file with that configuration in its metadata), trained on the
whole model or on its decoder alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.adapters import Style, is_style, read_style
from engine.errors import EngineError

CONFIG_FILE = "adapter_config.json"
PEFT_PREFIX = "base_model.model."


def read_lora(path: Path, model: nn.Module) -> Style:
    """EngineError bad_preset: no LoRA, one without its alpha, or one that was made for something
    else.
    """
    style = _read(path)
    if style.method != "lora":
        raise EngineError(
            "bad_preset", f"{path} is {style.method}, musicgen plays lora (DoRA and rsLoRA are too)"
        )
    return Style("lora", style.settings, _placed(path, style.tensors, model), style.notes)


def base_of(path: Path) -> str:
    """The checkpoint that a file says it was trained on, such as facebook/musicgen-small; or
    nothing.
    """
    beside = _config_beside(path)
    return (
        str(beside.get("base_model_name_or_path") or "")
        if beside
        else _read(path).notes.get("base", "")
    )


def _read(path: Path) -> Style:
    """Without its alpha nobody knows how loud a LoRA is, so a file that does not say it is refused."""
    config = _config_beside(path)
    if config is None:
        return read_style(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return Style(str(config.get("peft_type", "LORA")).lower(), config, load_file(path), {})
    except (OSError, SafetensorError) as error:
        raise EngineError("bad_preset", f"{path} cannot be read as safetensors: {error}") from error


def _config_beside(path: Path) -> Mapping[str, Any] | None:
    """What peft saved beside a file; None: nothing, or the file speaks for itself."""
    beside = path.with_name(CONFIG_FILE)
    if not beside.is_file() or is_style(path):
        return None
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError("bad_preset", f"{beside} cannot be read: {error}") from error
    if not isinstance(found, dict) or "r" not in found and found.get("peft_type", "LORA") == "LORA":
        raise EngineError(
            "bad_preset", f"{beside}: expected peft's configuration with r and lora_alpha"
        )
    return found


def _placed(path: Path, tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Tensors under the names of the whole model; a LoRA of the decoder alone names the decoder's
    layers.
    """
    bare = {name.removeprefix(PEFT_PREFIX): tensor for name, tensor in tensors.items()}
    modules = {name for name, _ in model.named_modules()}
    for prefix in ("", "decoder."):
        if bare and all(f"{prefix}{name.partition('.lora_')[0]}" in modules for name in bare):
            return {f"{prefix}{name}": tensor for name, tensor in bare.items()}
    shown = next(iter(bare), "nothing")
    raise EngineError(
        "bad_preset",
        f"{path}: expected a LoRA of MusicGen's layers, found {shown}; choose the "
        "checkpoint it was trained on",
    )
