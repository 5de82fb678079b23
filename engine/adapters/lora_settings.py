"""What do a LoRA file's header, and what lies beside it, say of its rank and alpha?"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.adapters.files import DIFFUSERS_HEADER, HEADER, AdapterFileError, read_metadata

PEFT_CONFIG = "adapter_config.json"
ALPHA_KEYS = ("lora_alpha", "alpha", "ss_network_alpha")  # in metadata, as text


def base_of(path: Path) -> str:
    """The checkpoint that a file says it was trained on, such as facebook/musicgen-small."""
    metadata = read_metadata(path)
    config = {} if {HEADER, DIFFUSERS_HEADER} & set(metadata) else _config_beside(path)
    return str(config.get("base_model_name_or_path") or metadata.get("base", ""))


def read_settings(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What is said of rank and alpha, as peft calls them."""
    try:
        if HEADER in metadata:
            said = json.loads(metadata[HEADER])
            check_method(said["method"])
            return dict(said["settings"])
        if DIFFUSERS_HEADER in metadata:
            said = json.loads(metadata[DIFFUSERS_HEADER])
            return {key.rpartition(".")[2]: value for key, value in said.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: its header cannot be read: {error!r}"
        raise AdapterFileError("bad_file", message) from error
    if config := _config_beside(path):
        check_method(str(config.get("peft_type", "LORA")).lower())
        if "r" not in config:
            beside = path.with_name(PEFT_CONFIG)
            message = f"{beside}: expected peft's configuration with r and lora_alpha"
            raise AdapterFileError("bad_file", message)
        return config
    alphas = [_number(metadata[key]) for key in ALPHA_KEYS if key in metadata]
    return {"lora_alpha": alphas[0]} if alphas and alphas[0] is not None else {}


def _number(text: str) -> float | None:
    """A number in kohya's metadata, where None and Dynamic stand, too."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _config_beside(path: Path) -> dict[str, Any]:
    """peft's configuration; empty where there is none."""
    beside = path.with_name(PEFT_CONFIG)
    if not beside.is_file():
        return {}
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterFileError("bad_file", f"{beside} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise AdapterFileError("bad_file", f"{beside}: expected peft's configuration")
    return found


def check_method(method: str) -> None:
    if method != "lora":
        message = (
            f"this adapter is {method}; only a LoRA has other forms, plays on exported graphs and "
            "on musicgen (DoRA and rsLoRA are LoRA)"
        )
        raise AdapterFileError("no_lora", message)


def value_of_pattern(patterns: Mapping[str, float] | None, names: Iterable[str]) -> float | None:
    """The first that fits, as peft takes them."""
    for key, value in (patterns or {}).items():
        if any(re.match(rf"(?:.*\.)?(?:{key})$", name) for name in names):
            return value
    return None
