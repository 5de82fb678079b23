"""What is trained, put on a model: one function for each method.

peft makes the LoRA layers (Hu et al. 2021; DoRA, rsLoRA) and bitsandbytes the four bits (Dettmers
et al. 2023); learned words are our own, because peft's prompt tuning does nothing or fails on these
models (docs/training.md).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.adapters.files import SOFT_PROMPT, AdapterFile, write_adapter_file
from engine.adapters.kinds import Adapter, Bottleneck, Full, Lora, Prefix, Tensors, copy_all
from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
from training.adapt.config import Config, TrainError
from training.adapt.families import TrainableModel

NAME = "learned"  # of the adapter in peft; no dot, no part of "lora_"
SMALL_NOISE = 0.02
# nearly all there is; what leads in and out stays whole (Dettmers et al. 2023)
IN_FOUR_BITS = ("attention", "mlp")


@dataclass
class TrainableAdapter:
    """What learns; `words` are set where a method learns words."""

    method: str
    parameters: Mapping[str, nn.Parameter]
    module_adapter: Adapter | None = None
    words: SoftPrompt | None = None
    settings: Mapping[str, object] | None = None

    @property
    def count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters.values())

    def load(self, tensors: Tensors) -> None:
        """EngineError bad_preset where anything does not fit: never a silent nothing."""
        copy_all(self.parameters, tensors, self.method)

    def set_active(self, is_active: bool) -> None:
        """Off: the base plays, for comparison."""
        if self.module_adapter is not None:
            self.module_adapter.set_weight(float(is_active))

    def write(self, path: Path, prefix: str, notes: Mapping[str, str]) -> Path:
        """The style's file, whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        if self.words is not None:
            write_soft_prompt(partial, self.words, notes)
        else:
            file = AdapterFile(self.method, self.settings or {}, self.parameters, notes)
            write_adapter_file(partial, file, prefix)
        os.replace(partial, path)
        return path


def make_adapter(model: TrainableModel, config: Config) -> TrainableAdapter:
    """The model frozen, and on it what learns. TrainError, EngineError."""
    model.module.requires_grad_(False)
    model.module.eval()
    return _MAKERS[config.inner if config.method == "dreambooth" else config.method](model, config)


def _lora(model: TrainableModel, config: Config) -> TrainableAdapter:
    settings = {
        "r": config.rank,
        "lora_alpha": config.scale,
        "use_rslora": config.rslora,
        "use_dora": config.dora,
        "target_modules": "|".join(
            model.sites[site] for site in config.targets if site in model.sites
        ),
    }
    adapter = Lora(model.module, settings, NAME, config.dropout)
    for parameter in adapter.parameters().values():
        parameter.data = parameter.data.float()
    return _to_train("lora", adapter, settings)


def _qlora(model: TrainableModel, config: Config) -> TrainableAdapter:
    if not torch.cuda.is_available():
        raise TrainError(
            "unsupported",
            "qlora needs a CUDA graphics card, and there is none; use --method lora, with "
            "--batch 1 --accumulate 8 --checkpointing where memory is short",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainError(
            "missing_extra",
            'qlora needs bitsandbytes 0.46.1 or later; run: pip install "bitsandbytes >= '
            '0.46.1", or use --method lora',
        )
    if config.dora:
        raise TrainError("unsupported", "qlora and dora do not go together here: use one of them")
    quantise(
        model.module, "|".join(model.sites[site] for site in IN_FOUR_BITS if site in model.sites)
    )
    return _lora(model, config)


def quantise(module: nn.Module, pattern: str) -> int:
    """Put the linear layers whose names match into NF4, doubly quantised; how many. CUDA only."""
    import re

    import bitsandbytes

    found = [
        (path, layer)
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and re.fullmatch(pattern, path)
    ]
    for path, layer in found:
        small = bitsandbytes.nn.Linear4bit(
            layer.in_features,
            layer.out_features,
            layer.bias is not None,
            compute_dtype=torch.bfloat16,
            compress_statistics=True,
            quant_type="nf4",
        )
        weight = layer.weight.data
        small.weight = bitsandbytes.nn.Params4bit(
            weight.cpu(), requires_grad=False, quant_type="nf4"
        )
        small.bias = layer.bias
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, small.to(weight.device))
    return len(found)


def _bottleneck(model: TrainableModel, config: Config) -> TrainableAdapter:
    settings = {"sites": model.sites["block"], "size": config.size}
    return _to_train("bottleneck", Bottleneck(model.module, settings), settings)


def _prefix(model: TrainableModel, config: Config) -> TrainableAdapter:
    settings = {"sites": model.sites["context"], "length": config.length}
    return _to_train("prefix", Prefix(model.module, settings), settings)


def _full(model: TrainableModel, config: Config) -> TrainableAdapter:
    model.module.requires_grad_(True)
    adapter = Full(model.module)
    adapter.keep_base()
    return _to_train("full", adapter, {})


def _to_train(method: str, adapter: Adapter, settings: Mapping[str, object]) -> TrainableAdapter:
    parameters = adapter.parameters()
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    return TrainableAdapter(method, parameters, adapter, settings=settings)


def first_words(embedding: nn.Embedding, ids: Sequence[int], count: int) -> Tensor:
    """Rows of an embedding [count, width], again and again, without the end-of-text token."""
    repeated = (list(ids) * -(-count // len(ids)))[:count]
    return embedding(torch.tensor(repeated, device=embedding.weight.device)).detach().cpu()


def _soft_prompt(model: TrainableModel, config: Config) -> TrainableAdapter:
    return _words(model, config, "")


def _textual_inversion(model: TrainableModel, config: Config) -> TrainableAdapter:
    return _words(model, config, config.placeholder)


def _words(model: TrainableModel, config: Config, placeholder: str) -> TrainableAdapter:
    """Noise, as the soft prompts' authors begin, or the user's words again and again: quicker."""
    if config.begin:
        vectors = model.first_words(config.begin, config.length)
    else:
        vectors = torch.randn(config.length, model.word_width) * (
            1.0 if not placeholder else SMALL_NOISE
        )
    words = SoftPrompt(vectors, placeholder).to(next(model.module.parameters()).device)
    return TrainableAdapter("soft_prompt", {SOFT_PROMPT: words.vectors}, words=words)


_MAKERS: Mapping[str, Callable[[TrainableModel, Config], TrainableAdapter]] = {
    "lora": _lora,
    "qlora": _qlora,
    "bottleneck": _bottleneck,
    "prefix": _prefix,
    "full": _full,
    "soft_prompt": _soft_prompt,
    "textual_inversion": _textual_inversion,
}
