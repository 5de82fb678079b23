"""The kinds of adapters that change a torch module, for training and for playing.

lora        peft's LoRA, rsLoRA, DoRA        W x + w s B A x, exact for several at once
bottleneck  small networks after blocks      h + w up(relu(down(h)))
prefix      learned states before the words  softmax(q [k_prefix, k]), log w on its scores
full        all weights                      W0 + w (W1 - W0)
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from engine.errors import EngineError

LORA_SETTINGS = (
    "r",
    "lora_alpha",
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
)
# how diffusers and transformers call what is attended to
CONTEXTS = ("encoder_hidden_states", "key_value_states")

Tensors = Mapping[str, "np.ndarray | Tensor"]  # by name, as a file holds them


class Adapter(Protocol):
    """One adapter on a module. Its weight is 1 when it is new."""

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by its name in the file."""

    def load(self, tensors: Tensors) -> None:
        """Take all of a file's tensors. EngineError bad_preset."""

    def set_weight(self, weight: float) -> None: ...

    def remove(self) -> None:
        """Leave the module as it was."""


class Lora:
    """peft's layers in a module. `settings` are peft's."""

    def __init__(
        self, module: nn.Module, settings: Mapping[str, Any], name: str, dropout: float = 0.0
    ) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        known = {key: settings[key] for key in LORA_SETTINGS if settings.get(key) is not None}
        config = LoraConfig(**known, lora_dropout=dropout)
        try:
            inject_adapter_in_model(config, module, adapter_name=name)
        except ValueError as error:  # no layer is called so
            wanted = str(known.get("target_modules"))[:120]
            message = f"LoRA: no layer of this model is called {wanted}: {error}"
            raise EngineError("bad_preset", message) from error
        self._layers = {
            path: layer for path, layer in _lora_layers(module) if name in layer.scaling
        }
        self.name = name
        self._scales = {path: layer.scaling[name] for path, layer in self._layers.items()}
        self.set_weight(1.0)

    def parameters(self) -> dict[str, nn.Parameter]:
        found = {}
        for path, layer in self._layers.items():
            for part in ("lora_A", "lora_B"):
                found[f"{path}.{part}.weight"] = getattr(layer, part)[self.name].weight
            if self.name in getattr(layer, "lora_magnitude_vector", {}):
                found[f"{path}.lora_magnitude_vector"] = layer.lora_magnitude_vector[
                    self.name
                ].weight
        return found

    def load(self, tensors: Tensors) -> None:
        copy_all(self.parameters(), tensors, "LoRA")

    def set_weight(self, weight: float) -> None:
        for path, layer in self._layers.items():
            layer.scaling[self.name] = self._scales[path] * weight
            others = [name for name in layer.active_adapters if name != self.name]
            layer._active_adapter = [*others, self.name] if weight else others

    def remove(self) -> None:
        for layer in self._layers.values():
            others = [name for name in layer.active_adapters if name != self.name]
            layer.delete_adapter(self.name)
            layer._active_adapter = others


def _lora_layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return ((path, layer) for path, layer in module.named_modules() if isinstance(layer, LoraLayer))


class _Hooked(ABC):
    """Small modules of our own, one for each site (a module of the model), called by hooks."""

    method: ClassVar[str]

    def __init__(self, module: nn.Module, settings: Mapping[str, Any]) -> None:
        self.weight = 1.0
        self._own: dict[str, nn.Module] = {}
        self._handles = []
        for path, site in module.named_modules():
            if re.fullmatch(settings["sites"], path):
                own = self.build(site, settings).to(_device_of(site))
                self._own[path] = own
                self._handles.append(self.hook(site, own))
        if not self._own:
            raise EngineError(
                "bad_preset", f"{self.method}: no part of this model is called {settings['sites']}"
            )

    @abstractmethod
    def build(self, site: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
        """The small module for one site."""

    @abstractmethod
    def hook(self, site: nn.Module, own: nn.Module) -> Any:
        """Let the site call it; returns the hook's handle."""

    def parameters(self) -> dict[str, nn.Parameter]:
        return {
            f"{path}.{name}": value
            for path, own in self._own.items()
            for name, value in own.named_parameters()
        }

    def load(self, tensors: Tensors) -> None:
        copy_all(self.parameters(), tensors, self.method)

    def set_weight(self, weight: float) -> None:
        self.weight = weight

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


class Bottleneck(_Hooked):
    """Houlsby's adapters, which begin as nothing; settings: `sites`, `size` of the narrow part."""

    method = "bottleneck"

    def build(self, site: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
        width = _width_of(site)
        down, up = nn.Linear(width, settings["size"]), nn.Linear(settings["size"], width)
        nn.init.zeros_(up.weight)
        nn.init.zeros_(up.bias)
        return nn.ModuleDict({"down": down, "up": up})

    def hook(self, site: nn.Module, own: nn.Module) -> Any:
        def after(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            if not self.weight:
                return output
            narrow = functional.relu(own["down"](output.to(own["down"].weight.dtype)))
            return output + self.weight * own["up"](narrow).to(output.dtype)

        return site.register_forward_hook(after)


class Prefix(_Hooked):
    """Learned states [length, width] before what a cross-attention reads.

    Settings: `sites`, `length`.
    """

    method = "prefix"

    def build(self, site: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
        width = (site.to_k if hasattr(site, "to_k") else site.k_proj).in_features
        own = nn.Module()
        own.states = nn.Parameter(torch.randn(settings["length"], width) * 0.02)
        return own

    def hook(self, site: nn.Module, own: nn.Module) -> Any:
        def before(
            _: nn.Module, arguments: tuple, named: dict[str, Any]
        ) -> tuple[tuple, dict[str, Any]]:
            context = next((name for name in CONTEXTS if named.get(name) is not None), None)
            if not self.weight or context is None:
                return arguments, named
            words = named[context]
            states = own.states.to(words.dtype).expand(len(words), -1, -1)
            mask = _longer(named.get("attention_mask"), words, states.shape[1], self.weight)
            return arguments, {
                **named,
                context: torch.cat([states, words], dim=1),
                "attention_mask": mask,
            }

        return site.register_forward_pre_hook(before, with_kwargs=True)


def _longer(mask: Tensor | None, words: Tensor, count: int, weight: float) -> Tensor:
    """An additive mask [..., count + L]: the weight's log for the prefix, then the words' own."""
    if mask is None:
        mask = words.new_zeros((len(words), 1, words.shape[1]))
    bias = math.log(weight) if weight > 0 else -1e4
    return torch.cat([mask.new_full((*mask.shape[:-1], count), bias), mask], dim=-1)


class Full:
    """Every parameter of the module: weight 0 is the base, 1 what was learned. No settings."""

    def __init__(self, module: nn.Module, settings: Mapping[str, Any] = {}) -> None:
        self._live = dict(module.named_parameters())
        self._base: Mapping[str, Tensor] = {}
        self._learned: Mapping[str, Tensor] = {}

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._live)

    def keep_base(self) -> None:
        """Copy what weight 0 goes back to, before anything is learned or loaded."""
        self._base = self._base or {
            name: value.detach().cpu().clone() for name, value in self._live.items()
        }

    def load(self, tensors: Tensors) -> None:
        self.keep_base()
        copy_all(self._live, tensors, "full")
        self._learned = {
            name: torch.as_tensor(values).detach().clone() for name, values in tensors.items()
        }

    @torch.no_grad()
    def set_weight(self, weight: float) -> None:
        for name, live in self._live.items():
            learned = self._learned[name].to(live)
            live.copy_(
                learned if weight == 1 else torch.lerp(self._base[name].to(live), learned, weight)
            )

    @torch.no_grad()
    def remove(self) -> None:
        for name, base in self._base.items():
            self._live[name].copy_(base)


def copy_all(own: Mapping[str, Tensor], tensors: Tensors, kind: str) -> None:
    """Copy every tensor into its place.

    EngineError bad_preset where names or shapes differ; then nothing has changed.
    """
    if not set(own) & set(tensors):
        first = next(iter(tensors), "nothing")
        message = (
            f"{kind}: none of the file's {len(tensors)} tensors has a place in this model, "
            f"{first} for one; it was made for another model"
        )
        raise EngineError("bad_preset", message)
    for name in sorted(set(own) ^ set(tensors)):
        where = "is missing in the file" if name in own else "has no place in this model"
        raise EngineError("bad_preset", f"{kind}: {name} {where}; it was made for another model")
    for name, place in own.items():
        if tuple(place.shape) != tuple(tensors[name].shape):
            found = f"expected {tuple(place.shape)}, got {tuple(tensors[name].shape)}"
            message = f"{kind}: {name}: {found}; it was made for another size of the model"
            raise EngineError("bad_preset", message)
    with torch.no_grad():
        for name, place in own.items():
            place.copy_(torch.as_tensor(tensors[name]))


def _device_of(site: nn.Module) -> torch.device:
    return next((parameter.device for parameter in site.parameters()), torch.device("cpu"))


def _width_of(site: nn.Module) -> int:
    """Of a site's output: its last linear layer's."""
    layers = [layer for layer in site.modules() if hasattr(layer, "out_features")]
    return layers[-1].out_features
