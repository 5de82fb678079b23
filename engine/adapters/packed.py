"""LoRA files of any origin become the packed inputs of an exported graph; several styles become
one.

    W + sum of w_i s_i A_i B_i  =  W + [A_1 | A_2 | ...] [w_1 s_1 B_1; w_2 s_2 B_2; ...]          exact, ranks add

Read: peft's, diffusers' and kohya's keys, with alpha per file, per layer or rank-stabilised. LoHa
and LoKr become the nearest factors of a bounded rank, DoRA too where the base weights are at hand;
their error is stated. What remains (convolutions, layers that the graph keeps closed) is refused
with the reason. Needs numpy and safetensors, no torch: `engine.adapters.lora` puts the same files on a torch
module.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.lora_inputs import RANK_AXIS, LoraLayer, ports

MOST_RANK = 64  # to which foreign kinds are reduced
WANTED_ERROR, MOST_ERROR = 0.01, 0.1  # of a reduced layer, relative to its own change

_KEY = re.compile(
    r"(?P<path>.+?)\.(?P<part>lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|alpha|dora_scale|"
    r"lora_magnitude_vector|hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2)(?:\.default)?(?:\.weight)?"
)
_SAME = {
    "lora_down": "lora_A",
    "lora.down": "lora_A",
    "lora_up": "lora_B",
    "lora.up": "lora_B",
    "lora_magnitude_vector": "dora_scale",
}
_PREFIXES = re.compile(
    r"^(?:base_model\.model\.|unet\.|transformer\.|denoiser\.|lora_unet_|lora_transformer_)+"
)

BaseWeight = Callable[[str], "np.ndarray | None"]  # layer path -> W [fan_in, fan_out]


class LoraError(ValueError):
    """A style that this graph cannot wear; the text says why and what to do."""


@dataclass(frozen=True)
class Factors:
    """The change of one layer: down [fan_in, R] times up [R, fan_out], its scale folded into `up`."""

    down: np.ndarray
    up: np.ndarray

    @property
    def rank(self) -> int:
        return self.down.shape[1]


@dataclass(frozen=True)
class Lora:
    """One style's changes by layer path, and what has to be said about them."""

    name: str
    layers: Mapping[str, Factors]
    notes: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        return max((factors.rank for factors in self.layers.values()), default=0)


@dataclass(frozen=True)
class PackedStyle:
    """Inputs of an exported graph, ready to be handed in."""

    arrays: Mapping[str, np.ndarray]
    rank: int


def is_lora(path: Path) -> bool:
    """Whether the tensors of a safetensors file are called as a LoRA's are. Raises LoraError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            return any(_KEY.fullmatch(name) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise LoraError(f"{path} cannot be read as safetensors: {error}") from error


def read(path: Path, layers: Sequence[LoraLayer], base: BaseWeight = lambda path: None) -> Lora:
    """A LoRA file for the open layers of a graph. Raises LoraError."""
    tensors, settings = _tensors(path)
    rows: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for name, values in tensors.items():
        if not (match := _KEY.fullmatch(name)):
            raise LoraError(
                f"{path.name}: expected LoRA factors, found {name}; known are LoRA, LoHa, LoKr and DoRA"
            )
        rows[match["path"]][_SAME.get(match["part"], match["part"])] = values
    found, errors = {}, defaultdict(list)
    for name, parts in rows.items():
        layer = _open_layer(name, layers, path.name)
        found[layer.path] = _factors(name, parts, settings, layer, base, errors)
    says_alpha = (
        "lora_alpha" in settings
        or "alpha" in settings
        or any("alpha" in parts for parts in rows.values())
    )
    notes = () if says_alpha else (f"adapter: {path.name} says no alpha; its rank was taken",)
    return Lora(path.stem, found, (*notes, *_conversions(errors)))


def pack(
    layers: Sequence[LoraLayer], styles: Iterable[tuple[Lora, float]], rank: int = 0
) -> PackedStyle:
    """Styles with their weights as one: ranks in a row. `rank`: pad to this one with zeros, for
    graphs of fixed shape. A style's layers that are not among `layers` lie in another graph of
    the same model.

    Raises LoraError where the ranks do not fit.
    """
    kept = [(style, np.float32(weight)) for style, weight in styles if weight]
    total = sum(style.rank for style, _ in kept)
    if rank and total > rank:
        raise LoraError(
            f"the styles' ranks add to {total}, this graph takes {rank}; blend fewer, or export with more"
        )
    rank = rank or total
    arrays = {
        name: np.zeros([rank if axis == RANK_AXIS else axis for axis in axes], np.float32)
        for name, axes in ports(tuple(layers)).items()
    }
    by_path, first = {layer.path: layer for layer in layers}, 0
    for style, weight in kept:
        for path in style.layers.keys() & by_path.keys():
            layer, factors = by_path[path], style.layers[path]
            last = first + factors.rank
            arrays[layer.a][layer.a_index, :, first:last] = factors.down
            arrays[layer.b][layer.b_index, first:last] = weight * factors.up
        first += style.rank
    return PackedStyle(arrays, rank)


def reduced(change: np.ndarray, most_rank: int = MOST_RANK) -> tuple[Factors, float]:
    """The factors nearest to a change [fan_in, fan_out], of the lowest rank that is near enough,
    and their error.
    """
    left, sizes, right = np.linalg.svd(change, full_matrices=False)
    # energy that rank 0, 1, 2, ... leaves out
    rest = np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0)
    errors = np.sqrt(rest / max(float(rest[0]), 1e-30))
    rank = min(int(np.argmax(errors <= WANTED_ERROR)), most_rank)
    return Factors(left[:, :rank] * sizes[:rank], right[:rank]), float(errors[rank])


def _tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors as float32, and the settings: adapter_config.json beside the file, or the file's
    own metadata.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
        beside = path.with_name("adapter_config.json")
        own = metadata.get("lora_adapter_metadata", "{}")
        settings = json.loads(beside.read_text(encoding="utf-8") if beside.is_file() else own)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        # TypeError: numpy has no bfloat16
        raise LoraError(
            f"{path.name} cannot be read: {error}; save it as float32 or float16 safetensors"
        ) from error
    return tensors, {name.rpartition(".")[2]: value for name, value in settings.items()}


def _open_layer(name: str, layers: Sequence[LoraLayer], file: str) -> LoraLayer:
    """The layer of the graph that a style's layer means: the one whose path ends like it."""
    bare = _PREFIXES.sub("", name)
    point = "." if "." in bare else "_"
    for layer in layers:
        if f"{point}{layer.path.replace('.', point)}".endswith(f"{point}{bare}"):
            return layer
    shown = ", ".join(layer.path for layer in layers[:2]) or "none"
    raise LoraError(
        f"{file} changes {bare}, which this graph keeps closed; open are {len(layers)} layers such as {shown}. Train "
        "the style on those alone"
    )


def _factors(
    name: str,
    parts: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    layer: LoraLayer,
    base: BaseWeight,
    errors: dict[str, list[tuple[float, int]]],
) -> Factors:
    if any(values.ndim > 2 for values in parts.values()) or {"hada_t1", "lokr_t2"} & set(parts):
        raise LoraError(
            f"{name} is a convolution's; only linear layers are open. Train the style without convolutions"
        )
    kind, change = _change(name, parts, settings)
    if isinstance(change, Factors) and "dora_scale" not in parts:
        return _fitting(name, change, layer)
    if "dora_scale" in parts:
        kind, change = "DoRA", _dora(name, change, parts["dora_scale"], base(layer.path))
    factors, error = reduced(change)
    if error > MOST_ERROR:
        raise LoraError(
            f"{name}: as a LoRA of rank {factors.rank} this {kind} is {error:.0%} off, {MOST_ERROR:.0%} are allowed; "
            "train it as a LoRA"
        )
    errors[kind].append((error, factors.rank))
    return _fitting(name, factors, layer)


def _conversions(errors: Mapping[str, list[tuple[float, int]]]) -> list[str]:
    return [
        f"adapter: {kind} in {len(rows)} layers became LoRA of rank {max(rank for _, rank in rows)} at most, the worst "
        f"is {max(error for error, _ in rows):.1%} off"
        for kind, rows in errors.items()
    ]


def _change(
    name: str, parts: Mapping[str, np.ndarray], settings: Mapping[str, Any]
) -> tuple[str, Any]:
    """Kind, and the change: Factors, or a matrix [fan_in, fan_out] where it has no small rank by
    itself.
    """
    if {"lora_A", "lora_B"} <= set(parts):
        down, up = parts["lora_A"].T, parts["lora_B"].T
        return "LoRA", Factors(down, up * _scale(name, parts, settings, down.shape[1]))
    if {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} <= set(parts):
        product = (parts["hada_w1_a"] @ parts["hada_w1_b"]) * (
            parts["hada_w2_a"] @ parts["hada_w2_b"]
        )
        return "LoHa", product.T * _scale(name, parts, settings, parts["hada_w1_b"].shape[0])
    if (one := _half(parts, "lokr_w1")) is not None and (
        two := _half(parts, "lokr_w2")
    ) is not None:
        inner = [parts[key].shape[0] for key in ("lokr_w2_b", "lokr_w1_b") if key in parts]
        # as LyCORIS and peft do
        scale = _scale(name, parts, settings, inner[0]) if inner else np.float32(1)
        return "LoKr", np.kron(one, two).T * scale
    raise LoraError(
        f"{name}: expected both factors of a LoRA, LoHa or LoKr, found {', '.join(sorted(parts))}"
    )


def _half(parts: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    if name in parts:
        return parts[name]
    if f"{name}_a" in parts and f"{name}_b" in parts:
        return parts[f"{name}_a"] @ parts[f"{name}_b"]
    return None


def _scale(
    name: str, parts: Mapping[str, np.ndarray], settings: Mapping[str, Any], rank: int
) -> np.float32:
    """alpha / rank, or alpha / sqrt(rank) where rank-stabilised; a file that names no alpha means
    alpha = rank.
    """
    patterns = settings.get("alpha_pattern") or {}
    own = next(
        (value for key, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?{key}", name)), None
    )
    alpha = (
        parts["alpha"].item()
        if "alpha" in parts
        else own or settings.get("lora_alpha") or settings.get("alpha")
    )
    return np.float32(
        1 if alpha is None else alpha / (rank**0.5 if settings.get("use_rslora") else rank)
    )


def _dora(
    name: str, factors: Factors, magnitude: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """m (W + A B) / |W + A B| - W, the length taken over a neuron's inputs (Liu et al.

    2024, equation 5).
    """
    if weight is None:
        raise LoraError(
            f"{name} is a DoRA: its change depends on the weights that it was trained on, which are not at hand here; "
            "train a LoRA, or merge it into the model and extract one"
        )
    moved = weight + factors.down @ factors.up
    lengths = np.sqrt(np.square(moved).sum(axis=0, keepdims=True))
    return moved * (magnitude.reshape(1, -1) / np.maximum(lengths, 1e-12)) - weight


def _fitting(name: str, factors: Factors, layer: LoraLayer) -> Factors:
    expected, found = (layer.fan_in, layer.fan_out), (factors.down.shape[0], factors.up.shape[1])
    if expected != found:
        raise LoraError(
            f"{name}: expected a layer of {expected[0]} by {expected[1]}, got {found[0]} by {found[1]}; it was made "
            "for another size of this model"
        )
    return factors
