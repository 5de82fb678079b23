"""Adapters on a torch module: several at once, exchanged while the module stays loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from engine.adapters.files import (
    HEADER,
    AdapterFile,
    AdapterFileError,
    read_adapter_file,
    read_metadata,
)
from engine.adapters.kinds import Adapter, Bottleneck, Full, Lora, Prefix
from engine.adapters.lora import LoraFile, lora_of, peft_tensors, read_lora, to_adapter_file
from engine.adapters.manager import ActiveAdapters, blend_error, key_of, notes_on
from engine.adapters.names import ModelLayers
from presets.style import StyleTensor

METHODS = ("lora", "bottleneck", "prefix", "full")
Content = AdapterFile | LoraFile


class ModuleAdapterManager:
    """The adapters of one module.

    Those that no longer play stay in the module, switched off, so that a change back is one of
    flags. `renames`: ends of the authors' layer names, and the module's own; `methods`: kinds of
    adapters that are taken.
    """

    def __init__(
        self,
        module: nn.Module,
        renames: Mapping[str, str] = {},
        methods: Sequence[str] = METHODS,
        kept: int = 8,
    ) -> None:
        self._module, self._methods, self._kept = module, methods, kept
        self._layers = ModelLayers.of_module(module, renames)  # before anything is added to it
        self._contents: dict[str, Content] = {}  # of the files that play
        self._added: dict[str, Adapter] = {}  # by key, the last played at the end
        self._count = 0
        self.active = ActiveAdapters()

    def set_adapters(self, adapters: Sequence[StyleTensor]) -> ActiveAdapters:
        """See AdapterManager."""
        contents = {
            key_of(each): self._contents.get(key_of(each)) or self._read(Path(each.path))
            for each in adapters
        }
        self.activate([(key_of(each), contents[key_of(each)], each.weight) for each in adapters])
        self._contents = contents
        remarks = [
            remark
            for content in contents.values()
            if isinstance(content, LoraFile)
            for remark in content.remarks
        ]
        self.active = ActiveAdapters(tuple(adapters), notes_on(adapters, remarks))
        return self.active

    def activate(self, adapters: Sequence[tuple[str, Content, float]]) -> None:
        """Play exactly these (key, content, weight), whatever file they come from.

        Raises EngineError bad_preset; what played before stays.
        """
        heard = [row for row in adapters if row[2]]
        contents = {key: content for key, content, _ in heard}
        _check_blend(list(contents.values()))
        if any(_is_full(each) for each in contents.values()) or self._has_full():
            # a whole model knows nothing of layers that were added to it
            self._forget(set(contents), 0)
        for key, content in contents.items():
            if key in self._added:
                self._added[key] = self._added.pop(key)
            else:
                self._count += 1
                self._added[key] = add(self._module, content, f"style{self._count}")
        for key, adapter in self._added.items():
            adapter.set_weight(sum(weight for other, _, weight in heard if other == key))
        self._forget(set(contents), self._kept)

    def _read(self, path: Path) -> Content:
        if HEADER in read_metadata(path):
            found = read_adapter_file(path)
            if found.method != "lora" and found.method in self._methods:
                return found
        return read_lora(path, self._layers)

    def _has_full(self) -> bool:
        return any(isinstance(adapter, Full) for adapter in self._added.values())

    def _forget(self, needed: set[str], kept: int) -> None:
        """Remove those that have not played for longest, until no more than `kept` are left."""
        for key in [key for key in self._added if key not in needed]:
            if len(self._added) <= kept:
                return
            self._added.pop(key).remove()


def add(module: nn.Module, content: Content, name: str) -> Adapter:
    """An adapter on a module, with weight 1. Raises EngineError bad_preset."""
    if isinstance(content, AdapterFile) and content.method == "lora":
        content = lora_of(content)
    if isinstance(content, LoraFile):
        adapter: Adapter = Lora(module, _settings(content), name)
        tensors: Mapping[str, Any] = peft_tensors(content)
    else:
        kinds = {"bottleneck": Bottleneck, "prefix": Prefix, "full": Full}
        if content.method not in kinds:
            known = ", ".join(METHODS)
            message = f"this file is a {content.method}; on a model's weights go {known}"
            raise AdapterFileError("bad_file", message)
        adapter = kinds[content.method](module, content.settings)
        tensors = content.tensors
    try:
        adapter.load(tensors)
    except Exception:
        adapter.remove()
        raise
    return adapter


def _settings(lora: LoraFile) -> dict[str, Any]:
    """peft's, with names that fit one layer each and not what merely ends like it."""
    settings = dict(to_adapter_file(lora).settings)
    for pattern in ("rank_pattern", "alpha_pattern"):
        settings[pattern] = {
            f"^{re.escape(path)}": value for path, value in settings[pattern].items()
        }
    return {**settings, "target_modules": "|".join(map(re.escape, sorted(lora.layers)))}


def _is_full(content: Content) -> bool:
    return isinstance(content, AdapterFile) and content.method == "full"


def _check_blend(contents: Sequence[Content]) -> None:
    """Sums are exact for everything but DoRA and whole models, which play alone."""
    kinds = ["a full model" for each in contents if _is_full(each)]
    kinds += ["DoRA" for each in contents if _is_dora(each)]
    if kinds and len(contents) > 1:
        raise blend_error(kinds[0])


def _is_dora(content: Content) -> bool:
    if isinstance(content, LoraFile):
        return content.is_dora
    return bool(content.settings.get("use_dora"))
