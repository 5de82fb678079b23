"""What does a tensor's name mean: which layer of the model, and which factor of its change?

peft       base_model.model.<path>.lora_A.weight
diffusers  unet.<path>.lora_A.weight; older: unet.<path>.lora.down.weight
kohya      lora_unet_<path with _ for .>.lora_down.weight
ComfyUI    diffusion_model.<path>.lora_down.weight
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PEFT_PREFIX, KOHYA_PREFIX, COMFYUI_PREFIX = "base_model.model.", "lora_unet_", "diffusion_model."
PROGRAMS = (PEFT_PREFIX, COMFYUI_PREFIX, "transformer.", "unet.", "denoiser.")
PREFIXES = (*PROGRAMS, "model.", "decoder.")  # authors train on the part that is called so
KOHYA_PREFIXES = (KOHYA_PREFIX, "lora_transformer_")
FACTOR = re.compile(
    r"\.(lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|alpha|dora_scale|lora_magnitude_vector"
    r"|hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2)(?:\.default)?(?:\.weight)?$"
)
PEFT_FACTORS = {
    "lora_down": "lora_A",
    "lora.down": "lora_A",
    "lora_up": "lora_B",
    "lora.up": "lora_B",
    "dora_scale": "lora_magnitude_vector",
}
# as diffusers wrote them when a layer's factors belonged to the attention's processor
OF_PROCESSOR = re.compile(r"\.processor\.(to_[qkv]|to_out)_lora\.(down|up)\.weight$")


def split_name(name: str) -> tuple[str, str]:
    """Layer and factor, the factor as peft calls it; an empty factor where the name has none."""
    if old := OF_PROCESSOR.search(name):
        layer = "to_out.0" if old[1] == "to_out" else old[1]
        return f"{name[: old.start()]}.{layer}", {"down": "lora_A", "up": "lora_B"}[old[2]]
    if found := FACTOR.search(name):
        return name[: found.start()], PEFT_FACTORS.get(found[1], found[1])
    return name, ""


def bare_name(name: str) -> str:
    """A layer's name without what programs put before it."""
    for prefix in PROGRAMS:
        name = name.removeprefix(prefix)
    return name


class ModelLayers:
    """The layers of one model that can be changed, by path, with the shapes of their weights.

    `shapes`: [fan_out, fan_in] or more axes for a convolution, () where unknown; `renames`: ends of
    the authors' layer names, and the model's own; `cure`: what to say where a name is not found.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        renames: Mapping[str, str] = {},
        cure: str = "It was made for another model",
    ) -> None:
        self.shapes, self._renames, self.cure = dict(shapes), renames, cure
        self._flat = {path.replace(".", "_"): path for path in self.shapes}
        self._ends: dict[str, list[str]] = {}  # how paths may be shortened, themselves left out
        for path in self.shapes:
            parts = path.split(".")
            for index in range(1, len(parts)):
                self._ends.setdefault(".".join(parts[index:]), []).append(path)

    @classmethod
    def of_module(cls, module: Any, renames: Mapping[str, str] = {}) -> ModelLayers:
        """Of a torch module without adapters."""
        shapes = {}
        for path, layer in module.named_modules():
            axes = tuple(getattr(getattr(layer, "weight", None), "shape", ()))
            if path and len(axes) > 1:
                shapes[path] = axes
        return cls(shapes, renames)

    def find(self, name: str) -> str:
        """The path that a file's name for a layer means; empty where there is none.

        A file may leave out how the path begins, as that of a decoder alone does, unless several
        layers are then meant.
        """
        for prefix in KOHYA_PREFIXES:
            if name.startswith(prefix):
                return self._find_flat(name.removeprefix(prefix))
        while name:
            if path := self._find_dotted(self._rename(name, ".")):
                return path
            prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), name)
            name = name.removeprefix(prefix)
        return ""

    def _find_dotted(self, name: str) -> str:
        found = [name] if name in self.shapes else self._ends.get(name, [])
        return found[0] if len(found) == 1 else ""

    def _find_flat(self, name: str) -> str:
        name = self._rename(name, "_")
        if name in self._flat:
            return self._flat[name]
        found = [path for flat, path in self._flat.items() if flat.endswith(f"_{name}")]
        return found[0] if len(found) == 1 else ""

    def _rename(self, name: str, point: str) -> str:
        for old, new in self._renames.items():
            if name.endswith(f"{point}{old}"):
                return name.removesuffix(old) + new.replace(".", point)
        return name
