"""LoRA styles on a loaded MusicGen: read with their own alpha, several at a time with weights, taken off again.

    W x + sum of w_i s_i B_i A_i x            s = alpha / rank (its root where rank-stabilised)

The blend is exact and ranks may differ. A file is what peft saves (adapter_model.safetensors with adapter_config.json
beside it), or one file whose metadata holds that configuration (`lora_adapter_metadata`). A tensor that finds no place
is an error: a style that plays at no strength, or at another one, is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine.errors import EngineError

CONFIG_FILE, CONFIG_KEY = "adapter_config.json", "lora_adapter_metadata"
PEFT_PREFIX = "base_model.model."
MOST_KEPT = 4  # adapters that stay in memory; those of a style that is played now are never dropped


class Adapters:
    """The LoRA styles in one model. One thread at a time."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._names: dict[str, str] = {}  # what it is -> its name in peft, oldest first
        self._count = 0

    def play(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Exactly these play, with their weights: rows of a preset's `adapters`. EngineError bad_preset."""
        wanted = {_identity(row): row for row in rows if row.get("weight", 1.0)}
        for layer in self._layers():
            layer.enable_adapters(False)
        for identity, row in wanted.items():
            name = self._names.pop(identity, None) or self._taken(Path(row["path"]))
            self._names[identity] = name
        self._forget(len(wanted))
        weights = {self._names[identity]: float(row.get("weight", 1.0)) for identity, row in wanted.items()}
        for layer in self._layers():
            if names := [name for name in weights if name in layer.scaling]:
                layer.enable_adapters(True)
                layer.set_adapter(names)
                for name in names:
                    layer.set_scale(name, weights[name])
        self._model.requires_grad_(False)  # peft opens what it sets

    def _layers(self) -> list[LoraLayer]:
        return [module for module in self._model.modules() if isinstance(module, LoraLayer)]

    def _taken(self, path: Path) -> str:
        """Read a file into the model. EngineError bad_preset: nothing of it stays."""
        config, tensors = _read(path)
        named = _placed(path, tensors, self._model)
        self._count += 1
        name = f"style{self._count}"
        try:
            inject_adapter_in_model(config, self._model, name, state_dict=named)
            found = set_peft_model_state_dict(self._model, dict(named), name)
        except (KeyError, RuntimeError, ValueError) as error:
            self._remove(name)
            message = f"{path} is no LoRA for this size of MusicGen; choose the checkpoint it was trained on"
            raise EngineError("bad_preset", f"{message}: {str(error):.300}") from error
        finally:
            vars(self._model).pop("peft_config", None)  # peft's own note, of the last file alone; it warns of it
        lost = [key for key in found.missing_keys if f".{name}" in key] + list(found.unexpected_keys)
        if lost:
            self._remove(name)
            raise EngineError("bad_preset", f"{path}: {len(lost)} of {len(named)} tensors find no place, {lost[0]} for "
                              "one; choose the checkpoint it was trained on")
        return name

    def _forget(self, playing: int) -> None:
        while len(self._names) > max(playing, MOST_KEPT):
            self._remove(self._names.pop(next(iter(self._names))))

    def _remove(self, name: str) -> None:
        for layer in self._layers():
            if name in layer.scaling:
                layer.delete_adapter(name)


def base_of(row: Mapping[str, Any]) -> str:
    """The checkpoint that an adapter says it was trained on, such as facebook/musicgen-small; or nothing."""
    return str(_read_config(Path(row["path"])).get("base_model_name_or_path") or "")


def _identity(row: Mapping[str, Any]) -> str:
    return f"{row['path']} {row.get('sha256', '')}"


def _read_config(path: Path) -> Mapping[str, Any]:
    """EngineError bad_preset where there is none: without its alpha nobody knows how loud a LoRA is."""
    try:
        beside = path.with_name(CONFIG_FILE)
        if beside.is_file():
            return json.loads(beside.read_text(encoding="utf-8"))
        with safe_open(str(path), "pt") as file:
            text = (file.metadata() or {}).get(CONFIG_KEY)
        found = json.loads(text) if text else None
    except (OSError, ValueError, SafetensorError) as error:
        raise EngineError("bad_preset", f"{path} cannot be read as a LoRA: {error}") from error
    if not isinstance(found, dict):
        raise EngineError("bad_preset", f"{path}: expected {CONFIG_FILE} beside it (rank, alpha), or {CONFIG_KEY} in "
                          "its metadata; copy the whole folder that peft saved")
    return found


def _read(path: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Configuration and tensors of a LoRA. EngineError bad_preset."""
    values = _read_config(path)
    if values.get("peft_type", "LORA") != "LORA":
        raise EngineError("bad_preset", f"{path} is {values['peft_type']}, expected LORA (DoRA and rsLoRA are too)")
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
        known = {key: value for key, value in values.items() if key in LoraConfig.__dataclass_fields__}
        return LoraConfig(**{**known, "inference_mode": True}), tensors
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        raise EngineError("bad_preset", f"{path} cannot be read as a LoRA: {error}") from error


def _placed(path: Path, tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Tensors under the names of the whole model; a LoRA of the decoder alone names the decoder's layers."""
    bare = {name.removeprefix(PEFT_PREFIX): tensor for name, tensor in tensors.items()}
    modules = {name for name, _ in model.named_modules()}
    for prefix in ("", "decoder."):
        if bare and all(f"{prefix}{name.partition('.lora_')[0]}" in modules for name in bare):
            return {f"{prefix}{name}": tensor for name, tensor in bare.items()}
    shown = next(iter(bare), "nothing")
    raise EngineError("bad_preset", f"{path}: expected LoRA tensors of MusicGen's layers, found {shown}")
