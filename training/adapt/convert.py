"""LoRA files in the forms that circulate, and several LoRA merged into one file.

    peft       FOLDER/adapter_config.json, adapter_model.safetensors
               base_model.model.<path>.lora_A.weight
    diffusers  FOLDER/pytorch_lora_weights.safetensors, settings in its header
               unet.<path>.lora_A.weight
    kohya      one file, alpha as tensors
               lora_unet_<path with _ for .>.lora_down.weight, .alpha
    comfyui    one file, alpha as tensors
               diffusion_model.<path>.lora_down.weight, .alpha

`engine.adapters.lora` reads them all. Forms without rank stabilisation get the alpha that plays as
loud; our own header beside it brings the exact settings back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.adapters.files import (
    HEADER,
    AdapterFileError,
    read_metadata,
    save_tensors,
    write_adapter_file,
)
from engine.adapters.lora import (
    DIFFUSERS_FILE,
    PEFT_FILE,
    Factors,
    LoraFile,
    peft_tensors,
    read_lora,
    to_adapter_file,
)
from engine.adapters.lora_settings import PEFT_CONFIG
from engine.adapters.names import COMFYUI_PREFIX, KOHYA_PREFIX, PEFT_PREFIX, ModelLayers
from training.adapt.config import TrainError


def read(place: Path, layers: ModelLayers | None = None) -> LoraFile:
    """Read a file, or a folder of peft's or diffusers', in any form.

    Without `layers` the model's weights are not at hand, and only playing tells whether it fits.
    TrainError bad_file, no_lora, no_match.
    """
    try:
        return read_lora(_file_in(place), layers)
    except AdapterFileError as error:
        raise TrainError(error.reason, error.message) from error


def prefix_of(path: Path) -> str:
    """The part of the model that a file of ours names, such as `unet`."""
    said = json.loads(read_metadata(path).get(HEADER, "{}"))
    return str(said.get("prefix", "")).rstrip(".")


def _file_in(place: Path) -> Path:
    if not place.is_dir():
        return place
    for name in (PEFT_FILE, DIFFUSERS_FILE):
        if (place / name).is_file():
            return place / name
    only = sorted(place.glob("*.safetensors"))
    if len(only) != 1:
        message = (
            f"{place}: expected {PEFT_FILE}, {DIFFUSERS_FILE} or one safetensors file, found "
            f"{len(only)}"
        )
        raise TrainError("bad_file", message)
    return only[0]


def write(lora: LoraFile, target: Path, form: str, prefix: str = "unet") -> Path:
    """One of FORMS: a folder for peft and diffusers, a file for the others. Nothing is overwritten.

    TrainError bad_setting, exists.
    """
    if form not in FORMS:
        raise TrainError("bad_setting", f"form: expected one of {', '.join(FORMS)}, got {form!r}")
    if target.exists():
        raise TrainError("exists", f"{target} is there already; nothing is overwritten")
    return FORMS[form](lora, target, prefix)


def _write_peft(lora: LoraFile, folder: Path, prefix: str) -> Path:
    folder.mkdir(parents=True)
    settings = {
        **to_adapter_file(lora).settings,
        "peft_type": "LORA",
        "task_type": None,
        "bias": "none",
        "lora_dropout": 0.0,
        "base_model_name_or_path": lora.notes.get("base", ""),
    }
    (folder / PEFT_CONFIG).write_text(json.dumps(settings, indent=2), encoding="utf-8")
    tensors = {PEFT_PREFIX + name: values for name, values in peft_tensors(lora).items()}
    _save(tensors, folder / PEFT_FILE, lora)
    return folder


def _write_diffusers(lora: LoraFile, folder: Path, prefix: str) -> Path:
    folder.mkdir(parents=True)
    write_adapter_file(folder / DIFFUSERS_FILE, to_adapter_file(lora), prefix)
    return folder


def _write_kohya(lora: LoraFile, path: Path, prefix: str) -> Path:
    ranks = {factors.rank for factors in lora.layers.values()}
    alphas = {_plain_alpha(lora, factors) for factors in lora.layers.values()}
    more = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(ranks.pop()) if len(ranks) == 1 else "Dynamic",
        "ss_network_alpha": str(alphas.pop()) if len(alphas) == 1 else "Dynamic",
    }
    tensors = _with_alphas(lora, lambda name: KOHYA_PREFIX + name.replace(".", "_"))
    return _save(tensors, path, lora, more)


def _write_comfyui(lora: LoraFile, path: Path, prefix: str) -> Path:
    return _save(_with_alphas(lora, lambda name: COMFYUI_PREFIX + name), path, lora)


def _plain_alpha(lora: LoraFile, factors: Factors) -> float:
    """The alpha that plays as loud when divided by the rank (ComfyUI pull request 8094)."""
    return factors.scale(lora.is_stabilised) * factors.rank


def _with_alphas(lora: LoraFile, name_of: Callable[[str], str]) -> dict[str, np.ndarray]:
    found = {}
    for path, factors in lora.layers.items():
        name = name_of(path)
        found[f"{name}.lora_down.weight"] = factors.down
        found[f"{name}.lora_up.weight"] = factors.up
        found[f"{name}.alpha"] = np.array(_plain_alpha(lora, factors), np.float32)
        if factors.magnitude is not None:
            axes = (-1, *[1] * (factors.down.ndim - 1))
            found[f"{name}.dora_scale"] = factors.magnitude.reshape(axes)
    return found


def _save(
    tensors: Mapping[str, np.ndarray], path: Path, lora: LoraFile, more: Mapping[str, str] = {}
) -> Path:
    settings = dict(to_adapter_file(lora).settings)
    header = json.dumps({"method": "lora", "settings": settings, "prefix": ""})
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_tensors(path, tensors, {**lora.notes, **more, HEADER: header})


FORMS: Mapping[str, Callable[[LoraFile, Path, str], Path]] = {
    "peft": _write_peft,
    "diffusers": _write_diffusers,
    "kohya": _write_kohya,
    "comfyui": _write_comfyui,
}


def merge(parts: Sequence[tuple[LoraFile, float]]) -> LoraFile:
    """One LoRA that is exactly the weighted sum: ranks in a row, alpha their sum.

    TrainError unsupported for DoRA, bad_setting for nothing to merge.
    """
    heard = [(lora, weight) for lora, weight in parts if weight]
    if not heard:
        raise TrainError("bad_setting", "expected at least one style with a weight other than 0")
    if any(lora.is_dora for lora, _ in heard):
        raise TrainError("unsupported", "a DoRA cannot be merged with others: its change is no sum")
    layers = {}
    for path in dict.fromkeys(path for lora, _ in heard for path in lora.layers):
        own = [(lora, weight) for lora, weight in heard if path in lora.layers]
        down = np.concatenate([_floats(lora.layers[path].down) for lora, _ in own])
        ups = [
            np.float32(lora.layers[path].scale(lora.is_stabilised) * weight)
            * _floats(lora.layers[path].up)
            for lora, weight in own
        ]
        layers[path] = Factors(down, np.concatenate(ups, axis=1), float(len(down)))
    recipe = " + ".join(f"{weight:g} {lora.notes.get('name', 'style')}" for lora, weight in heard)
    licences = dict.fromkeys(lora.notes["licence"] for lora, _ in heard if "licence" in lora.notes)
    notes = {"merged": recipe, **({"licence": ", ".join(licences)} if licences else {})}
    return LoraFile(layers, False, notes)


def _floats(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
