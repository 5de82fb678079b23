"""LoRA files in the forms that circulate, in and out, with alpha and rank; and several styles
merged to one file.

    peft       FOLDER/adapter_config.json + adapter_model.safetensors     base_model.model.<path>.lora_A.weight
    diffusers  pytorch_lora_weights.safetensors, settings in the header   unet.<path>.lora_A.weight
    kohya      one file, names with underscores, alpha as tensors         lora_unet_<path>.lora_down.weight, .alpha
    comfyui    one file, names with dots, alpha as tensors            diffusion_model.<path>.lora_down.weight, .alpha

A layer's change is alpha / rank B A (alpha / sqrt(rank) where rank-stabilised). Forms without that
switch get the alpha that plays as loud; our own header beside it brings the exact settings back.
LyCORIS kinds are refused by name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.adapters.files import DIFFUSERS_HEADER, HEADER, Style, read_style, write_style
from engine.errors import EngineError
from training.adapt.config import TrainError

PEFT_PREFIX, PEFT_CONFIG, PEFT_FILE = (
    "base_model.model.",
    "adapter_config.json",
    "adapter_model.safetensors",
)
DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
KOHYA_PREFIX, COMFY_PREFIX = "lora_unet_", "diffusion_model."
KNOWN_PREFIXES = (PEFT_PREFIX, COMFY_PREFIX, "transformer.", "unet.", "denoiser.")
PARTS = {
    "lora_A.weight": "a",
    "lora_B.weight": "b",
    "lora_down.weight": "a",
    "lora_up.weight": "b",
    "alpha": "alpha",
    "lora_magnitude_vector": "dora",
    "lora_magnitude_vector.weight": "dora",
    "dora_scale": "dora",
    "lora.down.weight": "a",
    "lora.up.weight": "b",
}
FOREIGN = re.compile(r"\.(hada_|lokr_|oft_|glora_|lora_mid)")


class Layer(NamedTuple):
    """Of one linear layer: a [rank, fan_in], b [fan_out, rank], and DoRA's lengths [fan_out]."""

    a: Tensor
    b: Tensor
    alpha: float
    dora: Tensor | None = None

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    def scale(self, is_stabilised: bool) -> float:
        return self.alpha / (math.sqrt(self.rank) if is_stabilised else self.rank)


@dataclass(frozen=True)
class LoraFile:
    """A LoRA in no one's form: layers by their path in the model."""

    layers: Mapping[str, Layer]
    is_stabilised: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)

    def change(self, path: str) -> Tensor:
        """What is added to a layer's weight, DoRA left aside."""
        layer = self.layers[path]
        return layer.scale(self.is_stabilised) * layer.b.float() @ layer.a.float()


def of_style(style: Style) -> LoraFile:
    """TrainError no_lora."""
    if style.method != "lora":
        raise TrainError("no_lora", f"this style is a {style.method}; only a LoRA has other forms")
    return _of_tensors(style.tensors, style.settings, style.notes)


def to_style(lora: LoraFile) -> Style:
    """As the engine reads it: settings say every layer's rank and alpha."""
    first = next(iter(lora.layers.values()))
    settings = {
        "r": first.rank,
        "lora_alpha": first.alpha,
        "use_rslora": lora.is_stabilised,
        "use_dora": first.dora is not None,
        "target_modules": sorted(lora.layers),
        "rank_pattern": {
            path: each.rank for path, each in lora.layers.items() if each.rank != first.rank
        },
        "alpha_pattern": {
            path: each.alpha for path, each in lora.layers.items() if each.alpha != first.alpha
        },
    }
    return Style("lora", settings, _peft_names(lora), lora.notes)


# -- reading --


def read(place: Path, paths: Iterable[str] = ()) -> LoraFile:
    """Any of the forms, recognised by its names.

    `paths`: of the model's layers, to undo kohya's underscores.

    TrainError bad_file, no_lora; nothing matched is an error.
    """
    path = _file_of(place)
    metadata, tensors = _opened(path)
    if foreign := next(filter(FOREIGN.search, tensors), None):
        raise TrainError(
            "bad_file",
            f"{path} is no plain LoRA ({foreign}): LoHa, LoKr, OFT and Tucker forms are not "
            "taken; convert it to LoRA where it was trained",
        )
    if HEADER in metadata:  # ours, in whatever form: its settings are exact
        said = json.loads(metadata[HEADER])
        if said.get("method") != "lora":
            raise TrainError(
                "no_lora", f"{path} is a {said.get('method')}; only a LoRA has other forms"
            )
        settings = said["settings"]
    elif path.with_name(PEFT_CONFIG).is_file():
        settings = json.loads(path.with_name(PEFT_CONFIG).read_text(encoding="utf-8"))
    else:
        found = json.loads(metadata.get(DIFFUSERS_HEADER, "{}"))
        settings = {key.rpartition(".")[2]: value for key, value in found.items()}
    if any(name.startswith(PEFT_PREFIX) for name in tensors) and not settings:
        raise TrainError(
            "bad_file",
            f"{path} is peft's and {PEFT_CONFIG} is not beside it: without it nobody knows "
            "how loud it is; copy both",
        )
    notes = {
        key: text
        for key, text in metadata.items()
        if key not in (HEADER, DIFFUSERS_HEADER, "format")
    }
    return _of_tensors(
        {_plain_name(name, paths): tensor for name, tensor in tensors.items()}, settings, notes
    )


def placed(lora: LoraFile, paths: Iterable[str], renames: Mapping[str, str] = {}) -> LoraFile:
    """Layers under the model's own paths; a file of one half of the model lacks that half's name.
    `renames`: ends of the authors' paths, and the model's. TrainError no_match: nothing is ever
    brought in by half.
    """
    known, layers = set(paths), {}
    for name, layer in lora.layers.items():
        own = next(
            (
                name.removesuffix(old) + new
                for old, new in renames.items()
                if name.endswith(f".{old}")
            ),
            name,
        )
        path = next((path for path in (own, f"decoder.{own}") if path in known), None)
        if path is None:
            raise TrainError(
                "no_match",
                f"{name}: no layer of this model is called so; it was made for another model",
            )
        layers[path] = layer
    return LoraFile(layers, lora.is_stabilised, lora.notes)


def _file_of(place: Path) -> Path:
    if not place.is_dir():
        return place
    for name in (PEFT_FILE, DIFFUSERS_FILE):
        if (place / name).is_file():
            return place / name
    only = sorted(place.glob("*.safetensors"))
    if len(only) != 1:
        raise TrainError(
            "bad_file",
            f"{place}: expected {PEFT_FILE}, {DIFFUSERS_FILE} or one safetensors file, found "
            f"{len(only)}",
        )
    return only[0]


def _opened(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        message = f"{path} cannot be read as safetensors: {error}; pickles are never loaded"
        raise TrainError("bad_file", message) from error


def _plain_name(name: str, paths: Iterable[str]) -> str:
    """The model's own dots, without a program's prefix."""
    if name.startswith(KOHYA_PREFIX):
        stem, _, part = name.removeprefix(KOHYA_PREFIX).partition(".")
        known = {path.replace(".", "_"): path for path in paths}
        if stem not in known:
            raise TrainError(
                "no_match",
                f"{name}: no layer of this model is called so; say the --family that it is "
                "for, or it was made for another model",
            )
        return f"{known[stem]}.{part}"
    for prefix in KNOWN_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _of_tensors(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], notes: Mapping[str, str]
) -> LoraFile:
    rows: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        ending = next(
            (
                ending
                for ending in sorted(PARTS, key=len, reverse=True)
                if name.endswith("." + ending)
            ),
            None,
        )
        if ending is None:
            raise TrainError("no_match", f"expected LoRA factors, found {name}")
        rows.setdefault(name[: -len(ending) - 1], {})[PARTS[ending]] = tensor
    if not rows:
        raise TrainError("no_match", "the file holds no tensors at all")
    layers = {path: _layer(path, row, settings) for path, row in rows.items()}
    return LoraFile(layers, bool(settings.get("use_rslora")), dict(notes))


def _layer(path: str, row: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Layer:
    if "a" not in row or "b" not in row:
        raise TrainError("bad_file", f"{path}: expected both factors, found {', '.join(row)}")
    if row["a"].ndim != 2:
        raise TrainError("bad_file", f"{path} is a convolution's; only linear layers are taken")
    patterns = settings.get("alpha_pattern") or {}
    # as peft
    own = next(
        (value for key, value in patterns.items() if re.match(rf"(?:.*\.)?(?:{key})$", path)), None
    )
    rank = row["a"].shape[0]
    if settings.get("lora_alpha") is not None:
        alpha = settings["lora_alpha"] if own is None else own
    else:
        # no alpha at all means that of the rank
        alpha = row["alpha"].item() if "alpha" in row else rank
    dora = row["dora"].flatten() if "dora" in row else None
    return Layer(row["a"], row["b"], float(alpha), dora)


# -- writing --


def write(lora: LoraFile, target: Path, form: str, prefix: str = "unet") -> Path:
    """One of FORMS; a folder for peft and diffusers, a file for the others. Nothing is overwritten.
    TrainError.
    """
    if form not in FORMS:
        raise TrainError("bad_setting", f"form: expected one of {', '.join(FORMS)}, got {form!r}")
    if target.exists():
        raise TrainError("exists", f"{target} is there already; nothing is overwritten")
    return FORMS[form](lora, target, prefix)


def _write_peft(lora: LoraFile, folder: Path, prefix: str) -> Path:
    folder.mkdir(parents=True)
    settings = {
        **to_style(lora).settings,
        "peft_type": "LORA",
        "task_type": None,
        "bias": "none",
        "lora_dropout": 0.0,
        "base_model_name_or_path": lora.notes.get("base", ""),
    }
    (folder / PEFT_CONFIG).write_text(json.dumps(settings, indent=2), encoding="utf-8")
    _save(
        {PEFT_PREFIX + name: tensor for name, tensor in _peft_names(lora).items()},
        folder / PEFT_FILE,
        lora,
    )
    return folder


def _write_diffusers(lora: LoraFile, folder: Path, prefix: str) -> Path:
    folder.mkdir(parents=True)
    write_style(folder / DIFFUSERS_FILE, to_style(lora), prefix)
    return folder


def _write_kohya(lora: LoraFile, path: Path, prefix: str) -> Path:
    ranks = {layer.rank for layer in lora.layers.values()}
    alphas = {_loudness(lora, layer) for layer in lora.layers.values()}
    more = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(ranks.pop()) if len(ranks) == 1 else "Dynamic",
        "ss_network_alpha": str(alphas.pop()) if len(alphas) == 1 else "Dynamic",
    }
    return _save(
        _with_alphas(lora, lambda name: KOHYA_PREFIX + name.replace(".", "_")), path, lora, more
    )


def _write_comfyui(lora: LoraFile, path: Path, prefix: str) -> Path:
    return _save(_with_alphas(lora, lambda name: COMFY_PREFIX + name), path, lora)


def _loudness(lora: LoraFile, layer: Layer) -> float:
    """The alpha that plays as loud when divided by the rank (ComfyUI pull request 8094)."""
    return layer.scale(lora.is_stabilised) * layer.rank


def _with_alphas(lora: LoraFile, named: Callable[[str], str]) -> dict[str, Tensor]:
    found = {}
    for path, layer in lora.layers.items():
        name = named(path)
        found[f"{name}.lora_down.weight"], found[f"{name}.lora_up.weight"] = layer.a, layer.b
        found[f"{name}.alpha"] = torch.tensor(_loudness(lora, layer))
        if layer.dora is not None:
            found[f"{name}.dora_scale"] = layer.dora[:, None]
    return found


def _peft_names(lora: LoraFile) -> dict[str, Tensor]:
    found = {}
    for path, layer in lora.layers.items():
        found[f"{path}.lora_A.weight"], found[f"{path}.lora_B.weight"] = layer.a, layer.b
        if layer.dora is not None:
            found[f"{path}.lora_magnitude_vector"] = layer.dora
    return found


def _save(
    tensors: Mapping[str, Tensor], path: Path, lora: LoraFile, more: Mapping[str, str] = {}
) -> Path:
    from safetensors.torch import save_file

    header = json.dumps({"method": "lora", "settings": dict(to_style(lora).settings), "prefix": ""})
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(kept, str(path), {"format": "pt", **lora.notes, **more, HEADER: header})
    return path


FORMS: Mapping[str, Callable[[LoraFile, Path, str], Path]] = {
    "peft": _write_peft,
    "diffusers": _write_diffusers,
    "kohya": _write_kohya,
    "comfyui": _write_comfyui,
}


# -- merging --


def merged(parts: Sequence[tuple[LoraFile, float]]) -> LoraFile:
    """One LoRA that is exactly the weighted sum: ranks in a row, alpha their sum. TrainError for
    DoRA, or nothing.
    """
    worn = [(lora, weight) for lora, weight in parts if weight]
    if not worn:
        raise TrainError("bad_setting", "expected at least one style with a weight other than 0")
    if any(layer.dora is not None for lora, _ in worn for layer in lora.layers.values()):
        raise TrainError("unsupported", "a DoRA cannot be merged with others: its change is no sum")
    layers = {}
    for path in dict.fromkeys(path for lora, _ in worn for path in lora.layers):
        own = [
            (lora.layers[path], lora.layers[path].scale(lora.is_stabilised) * weight)
            for lora, weight in worn
            if path in lora.layers
        ]
        a = torch.cat([layer.a.float() for layer, _ in own])
        b = torch.cat([factor * layer.b.float() for layer, factor in own], dim=1)
        layers[path] = Layer(a, b, float(len(a)))
    recipe = " + ".join(f"{weight:g} {lora.notes.get('name', 'style')}" for lora, weight in worn)
    licences = ", ".join(
        dict.fromkeys(lora.notes["licence"] for lora, _ in worn if "licence" in lora.notes)
    )
    return LoraFile(
        layers, False, {"merged": recipe, **({"licence": licences} if licences else {})}
    )


def read_lora_style(path: Path) -> LoraFile:
    """Of a style's own file. TrainError."""
    try:
        return of_style(read_style(path))
    except EngineError as error:
        raise TrainError("bad_file", error.message) from error


def prefix_of(path: Path) -> str:
    """The part of the model that a style's file names, such as `unet`."""
    metadata, _ = _opened(path)
    return json.loads(metadata.get(HEADER, "{}")).get("prefix", "").rstrip(".")
