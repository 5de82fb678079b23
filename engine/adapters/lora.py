"""The one reader of LoRA files, whoever wrote them; both backends play what it returns.

A layer changes by alpha / rank * up down, or alpha / sqrt(rank) where the file is rank-stabilised.
The settings come from our own header, diffusers' header, peft's adapter_config.json beside the
file, or kohya's metadata, in this order. Alpha tensors count before all but our own header. Where
nothing says an alpha it is the rank, as in diffusers, and a remark says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.adapters.files import (
    HEADER,
    AdapterFile,
    AdapterFileError,
    notes_of,
    read_metadata,
    read_tensors,
    tensor_names,
)
from engine.adapters.lora_settings import PEFT_CONFIG, check_method, read_settings, value_of_pattern
from engine.adapters.lycoris import Reductions, kind_of, lycoris_change, rank_of
from engine.adapters.names import KOHYA_PREFIXES, PEFT_PREFIX, ModelLayers, bare_name, split_name

PEFT_FILE, DIFFUSERS_FILE = "adapter_model.safetensors", "pytorch_lora_weights.safetensors"

Rows = Mapping[str, Mapping[str, np.ndarray]]  # the file's name for a layer -> factor -> tensor


@dataclass(frozen=True)
class Factors:
    """The change of one layer: down [rank, fan_in], up [fan_out, rank], more axes for convolutions.

    `magnitude` [fan_out]: DoRA's lengths.
    """

    down: np.ndarray
    up: np.ndarray
    alpha: float
    magnitude: np.ndarray | None = None

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @property
    def is_pointwise(self) -> bool:
        """Whether the change is a matrix: of a linear layer, or of a 1x1 convolution."""
        return set(self.down.shape[2:] + self.up.shape[2:]) <= {1}

    def scale(self, is_stabilised: bool) -> float:
        return self.alpha / (math.sqrt(self.rank) if is_stabilised else self.rank)


@dataclass(frozen=True)
class LoraFile:
    """A LoRA in nobody's form. `notes`: for people; `remarks`: what reading it had to assume."""

    layers: Mapping[str, Factors]
    is_stabilised: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def change(self, path: str) -> np.ndarray:
        """What is added to a layer's weight [fan_out, fan_in], DoRA left aside."""
        factors = self.layers[path]
        up, down = as_matrix(factors.up), as_matrix(factors.down)
        return np.float32(factors.scale(self.is_stabilised)) * (up @ down)

    @property
    def is_dora(self) -> bool:
        return any(factors.magnitude is not None for factors in self.layers.values())


def as_matrix(values: np.ndarray) -> np.ndarray:
    """float32, without the last two axes of a 1x1 convolution."""
    return values.reshape(values.shape[:2]).astype(np.float32)


def is_lora(path: Path) -> bool:
    """Whether any tensor is called as a LoRA's are. Raises AdapterFileError."""
    return any(split_name(name)[1] for name in tensor_names(path))


def read_lora(path: Path, layers: ModelLayers | None) -> LoraFile:
    """Read a file for a model; without `layers` names stay as they are, less a program's prefix.

    Raises AdapterFileError: bad_file, no_lora for another kind of adapter, no_match.
    """
    metadata = read_metadata(path)
    settings = read_settings(path, metadata)
    rows = _rows(path, read_tensors(path))
    if not settings and any(name.startswith(PEFT_PREFIX) for name in rows):
        message = (
            f"{path} is peft's and {PEFT_CONFIG} is not beside it: without it nobody knows how "
            "loud it is; copy both"
        )
        raise AdapterFileError("bad_file", message)
    return _lora(path.name, rows, settings, layers, notes_of(metadata), HEADER in metadata)


def lora_of(adapter: AdapterFile) -> LoraFile:
    """A LoRA that is in memory. Raises AdapterFileError no_lora."""
    check_method(adapter.method)
    rows = _rows(Path("this adapter"), adapter.tensors)
    return _lora("this adapter", rows, adapter.settings, None, adapter.notes, True)


def to_adapter_file(lora: LoraFile) -> AdapterFile:
    """As our files hold it: settings say every layer's rank and alpha."""
    first = next(iter(lora.layers.values()))
    ranks = {path: each.rank for path, each in lora.layers.items()}
    alphas = {path: each.alpha for path, each in lora.layers.items()}
    settings = {
        "r": first.rank,
        "lora_alpha": first.alpha,
        "use_rslora": lora.is_stabilised,
        "use_dora": first.magnitude is not None,
        "target_modules": sorted(lora.layers),
        "rank_pattern": {path: rank for path, rank in ranks.items() if rank != first.rank},
        "alpha_pattern": {path: alpha for path, alpha in alphas.items() if alpha != first.alpha},
    }
    return AdapterFile("lora", settings, peft_tensors(lora), lora.notes)


def peft_tensors(lora: LoraFile) -> dict[str, np.ndarray]:
    """Under peft's names, without its prefix."""
    found = {}
    for path, factors in lora.layers.items():
        found[f"{path}.lora_A.weight"], found[f"{path}.lora_B.weight"] = factors.down, factors.up
        if factors.magnitude is not None:
            axes = (1, -1, *[1] * (factors.down.ndim - 2)) if factors.down.ndim > 2 else -1
            found[f"{path}.lora_magnitude_vector"] = factors.magnitude.reshape(axes)
    return found


def _rows(path: Path, tensors: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    rows: dict[str, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        layer, factor = split_name(name)
        if not factor:
            message = (
                f"{path.name}: expected LoRA factors, found {name}; known are LoRA, LoHa, LoKr and "
                "DoRA"
            )
            raise AdapterFileError("no_match", message)
        rows.setdefault(layer, {})[factor] = np.asarray(values)
    if not rows:
        raise AdapterFileError("no_match", f"{path.name} holds no tensors at all")
    return rows


def _lora(
    file: str,
    rows: Rows,
    settings: Mapping[str, Any],
    layers: ModelLayers | None,
    notes: Mapping[str, str],
    is_ours: bool,
) -> LoraFile:
    says_alpha = any(settings.get(key) is not None for key in ("lora_alpha", "alpha"))
    has_alpha_tensors = any("alpha" in row for row in rows.values())
    if has_alpha_tensors and not (is_ours and says_alpha):
        # whoever stores them has put the root of a rank-stabilised file into them
        settings = {**settings, "use_rslora": False}
    else:
        rows = {name: _without_alpha(row) for name, row in rows.items()}
    found: dict[str, Factors] = {}
    reductions = Reductions()
    for name, row in rows.items():
        kind = kind_of(name, row)
        path = _place(file, name, layers)
        factors = _factors(file, (name, path), kind, row, settings, reductions)
        found[path] = _fit(file, name, factors, layers.shapes[path] if layers else ())
    is_unsaid = not says_alpha and not has_alpha_tensors
    unsaid = [f"adapter: {file} says no alpha; its rank was taken"] * is_unsaid
    is_stabilised = bool(settings.get("use_rslora"))
    return LoraFile(found, is_stabilised, dict(notes), (*unsaid, *reductions.remarks()))


def _without_alpha(row: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {factor: values for factor, values in row.items() if factor != "alpha"}


def _place(file: str, name: str, layers: ModelLayers | None) -> str:
    """The model's path of a layer."""
    if layers is None:
        if name.startswith(KOHYA_PREFIXES):
            message = (
                f"{name}: no layer of this model is called so as far as can be seen; say the "
                "--family that it is for, with its weights in the models folder"
            )
            raise AdapterFileError("no_match", message)
        return bare_name(name)
    if path := layers.find(name):
        return path
    known = ", ".join([*layers.shapes][:2]) or "none"
    message = (
        f"{file}: no layer of this model is called {bare_name(name)}; expected some of "
        f"{len(layers.shapes)} layers such as {known}. {layers.cure}"
    )
    raise AdapterFileError("no_match", message)


def _factors(
    file: str,
    names: tuple[str, str],
    kind: str,
    row: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    reductions: Reductions,
) -> Factors:
    """`names`: the layer's in the file, and its path in the model; patterns may say either."""
    rank = rank_of(kind, row)
    alpha = value_of_pattern(settings.get("alpha_pattern"), names)
    if alpha is None:
        alpha = settings.get("lora_alpha", settings.get("alpha"))
    alpha = float(row["alpha"].flat[0] if "alpha" in row else rank if alpha is None else alpha)
    if kind != "LoRA":
        scale = 1.0
        if rank:
            scale = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
        down, up = reductions.reduce(kind, names[0], scale * lycoris_change(kind, names[0], row))
        return Factors(down, up, len(down) ** 0.5 if settings.get("use_rslora") else len(down))
    factors = Factors(row["lora_A"], row["lora_B"], alpha, _magnitude(names[0], row))
    said = value_of_pattern(settings.get("rank_pattern"), names) or settings.get("r")
    ranks = {factors.rank, *factors.up.shape[1:2], *([said] if said else [])}
    if len(ranks) > 1 or min(factors.down.ndim, factors.up.ndim) < 2:
        shapes = f"{list(factors.down.shape)} and {list(factors.up.shape)}"
        message = (
            f"{file}: {names[0]}: expected factors of rank {said or factors.rank}, got {shapes}"
        )
        raise AdapterFileError(
            "bad_file", f"{message}; the file is damaged or was made for another model"
        )
    return factors


def _magnitude(name: str, row: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """DoRA's lengths of the neurons; LyCORIS can take lengths over inputs, which nobody plays."""
    values = row.get("lora_magnitude_vector")
    if values is None:
        return None
    if (
        values.size != row["lora_B"].shape[0]
        or values.ndim == 2
        and values.shape[0] == 1 < values.size
    ):
        message = (
            f"{name}: expected DoRA's magnitude of {row['lora_B'].shape[0]} neurons, got "
            f"{list(values.shape)}"
        )
        raise AdapterFileError("bad_file", message)
    return values.reshape(-1)


def _fit(file: str, name: str, factors: Factors, shape: tuple[int, ...]) -> Factors:
    """Factors in the axes of the layer's weight: a 1x1 convolution is a linear layer."""
    down, up = factors.down, factors.up
    if not shape:
        return factors
    if factors.is_pointwise and set(shape[2:]) <= {1}:
        more = (1,) * len(shape[2:])
        down, up = down.reshape(*down.shape[:2], *more), up.reshape(*up.shape[:2], *more)
    if (up.shape[0], *down.shape[1:]) != shape or set(up.shape[2:]) - {1}:
        message = (
            f"{file}: {name}: expected a layer of {list(shape)}, got factors "
            f"{list(factors.down.shape)} and {list(factors.up.shape)}; it was made for another "
            "size of the model"
        )
        raise AdapterFileError("no_match", message)
    return Factors(down, up, factors.alpha, factors.magnitude)
