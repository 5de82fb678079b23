"""LoRA files of any make as styles: peft, diffusers, kohya, ComfyUI, and the authors' own names for
the layers.

Their alpha is honoured wherever a format keeps it: `<module>.alpha` tensors (kohya, ComfyUI),
diffusers' metadata, adapter_config.json beside the file (peft). Without any, alpha is the rank, as
diffusers has it, and a note says so. A tensor that finds no place in the model is an error: a style
that silently does nothing is worse than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from presets.style import StyleTensor

if TYPE_CHECKING:
    import torch

    from engine.adapters.files import Style

PREFIXES = ("base_model.model.", "transformer.", "diffusion_model.", "model.", "decoder.")
KOHYA = ("lora_unet_", "lora_transformer_")  # then the module's path, with _ for .
PARTS = (  # endings of a tensor's name, and peft's own
    (re.compile(r"\.lora_A(\.default)?\.weight$"), "lora_A.weight"),
    (re.compile(r"\.lora_B(\.default)?\.weight$"), "lora_B.weight"),
    (re.compile(r"\.lora_down\.weight$"), "lora_A.weight"),
    (re.compile(r"\.lora_up\.weight$"), "lora_B.weight"),
    (re.compile(r"\.lora_magnitude_vector(\.default)?(\.weight)?$"), "lora_magnitude_vector"),
    (re.compile(r"\.alpha$"), "alpha"),
)
CONFIG_FILE, METADATA_KEY, OURS = "adapter_config.json", "lora_adapter_metadata", "retimbre"


class Wardrobe:
    """The styles that a preset brings, on one module.

    `renames`: ends of the authors' module names, and ours.
    """

    def __init__(self, module: torch.nn.Module, renames: Mapping[str, str] = {}) -> None:
        from engine.adapters.manager import Rack

        self._rack, self._renames = Rack(module), renames
        # before anything is put into it
        self._modules = [name for name, _ in module.named_modules() if name]
        self._read: dict[str, tuple[Style, list[str]]] = {}
        self._paths: list[Path] = []

    def files(self) -> dict[str, Path]:
        """What is worn, for the manifest."""
        return {f"adapter {path.name}": path for path in self._paths}

    def wear(self, files: Sequence[StyleTensor]) -> list[str]:
        """Exactly a style's adapters from now on; notes. EngineError bad_preset."""
        keys = [f"{file.path} {file.sha256}" for file in files]
        for key, file in zip(keys, files, strict=True):
            if key not in self._read:
                self._read[key] = read(Path(file.path), self._modules, self._renames)
        self._read = {key: self._read[key] for key in keys}
        weights = [file.weight for file in files]
        self._rack.wear(
            [(key, self._read[key][0], weight) for key, weight in zip(keys, weights, strict=True)]
        )
        self._paths = [Path(file.path) for file in files]
        notes = [
            f"adapter: {path.name}, weight {weight:g}"
            for path, weight in zip(self._paths, weights, strict=True)
        ]
        return notes + [note for _, more in self._read.values() for note in more]


def read(
    path: Path, modules: Iterable[str], renames: Mapping[str, str] = {}
) -> tuple[Style, list[str]]:
    """A file's style for a model with these modules, and what there is to say of it.

    EngineError bad_preset.
    """
    from safetensors import SafetensorError, safe_open

    from engine.adapters.files import Style, read_style

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = _config(path, metadata)
    except (OSError, SafetensorError, ValueError) as error:
        raise EngineError("bad_preset", f"{path} cannot be read as a LoRA file: {error}") from error
    if OURS in metadata:
        return read_style(path), []
    found = _placed(path, tensors, _Places(modules, renames))
    alphas, notes = _alphas(path, found, config)
    ranks = {module: parts["lora_A.weight"].shape[0] for module, parts in found.items()}
    exact = {module: rf"^{re.escape(module)}" for module in found}
    settings = {
        "r": max(ranks.values()),
        "lora_alpha": max(ranks.values()),
        "rank_pattern": {exact[module]: rank for module, rank in ranks.items()},
        "alpha_pattern": {exact[module]: alpha for module, alpha in alphas.items()},
        "use_rslora": bool(config.get("use_rslora")),
        "use_dora": any("lora_magnitude_vector" in parts for parts in found.values()),
    }
    named = {
        f"{module}.{part}": tensor
        for module, parts in found.items()
        for part, tensor in parts.items()
    }
    return Style("lora", settings, named, {}), notes


def _placed(path: Path, tensors: Mapping[str, Any], places: _Places) -> dict[str, dict[str, Any]]:
    """Module -> part -> tensor. EngineError bad_preset."""
    found: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        module, part = places.of(name, path)
        found.setdefault(module, {})[part] = tensor
    if not found:
        raise EngineError("bad_preset", f"{path.name} holds no LoRA tensors")
    for module, parts in found.items():
        if not {"lora_A.weight", "lora_B.weight"} <= set(parts):
            raise EngineError(
                "bad_preset", f"{path.name}: {module} has not both of lora_A and lora_B"
            )
    return found


class _Places:
    """Which module of the model a tensor's name means."""

    def __init__(self, modules: Iterable[str], renames: Mapping[str, str]) -> None:
        self._modules = set(modules)
        self._flat = {name.replace(".", "_"): name for name in self._modules}
        self._renames = renames

    def of(self, name: str, path: Path) -> tuple[str, str]:
        """Module and part. EngineError bad_preset."""
        for pattern, part in PARTS:
            if pattern.search(name):
                if module := self._module(pattern.sub("", name)):
                    return module, part
                message = (
                    f"{path.name}: {name} has no place in this model; it was made for another one"
                )
                raise EngineError("bad_preset", message)
        raise EngineError(
            "bad_preset", f"{path.name}: expected LoRA tensors, got {name}; convert the file first"
        )

    def _module(self, name: str) -> str:
        for prefix in KOHYA:
            if name.startswith(prefix):
                return self._flat.get(self._renamed(name.removeprefix(prefix), "_"), "")
        while name:
            if (renamed := self._renamed(name, ".")) in self._modules:
                return renamed
            name = next(
                (name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), ""
            )
        return ""

    def _renamed(self, name: str, point: str) -> str:
        for old, new in self._renames.items():
            if name.endswith(f"{point}{old}"):
                return name.removesuffix(old) + new.replace(".", point)
        return name


def _config(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """r, lora_alpha and the like, as peft calls them; empty where the file's format says nothing."""
    if METADATA_KEY in metadata:
        values = json.loads(metadata[METADATA_KEY])
        return {name.removeprefix("transformer."): value for name, value in values.items()}
    if (beside := path.with_name(CONFIG_FILE)).is_file():
        return json.loads(beside.read_text(encoding="utf-8"))
    alpha = next(
        (
            metadata[name]
            for name in ("lora_alpha", "alpha", "ss_network_alpha")
            if name in metadata
        ),
        None,
    )
    return {"lora_alpha": float(alpha)} if alpha else {}


def _alphas(
    path: Path, found: dict[str, dict[str, Any]], config: Mapping[str, Any]
) -> tuple[dict, list[str]]:
    """The alpha of every module, taken out of `found`; and a note where nobody says it."""
    from peft.utils.other import get_pattern_key

    alphas, silent, pattern = {}, 0, config.get("alpha_pattern") or {}
    for module, parts in found.items():
        if "alpha" in parts:
            alphas[module] = float(parts.pop("alpha"))
        elif "lora_alpha" in config:
            alphas[module] = float(
                pattern.get(get_pattern_key(pattern.keys(), module), config["lora_alpha"])
            )
        else:
            alphas[module] = float(parts["lora_A.weight"].shape[0])
            silent += 1
    return alphas, [f"adapter: {path.name} says no alpha; its rank was taken"] if silent else []
