"""What is trained, put on a subject: one function a method, all with the same answer.

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
from training.adapt.families import Subject

NAME = "learned"  # of the adapter in peft; no dot, no part of "lora_"
SMALL_NOISE = 0.02
# nearly all there is; what leads in and out stays whole (Dettmers et al. 2023)
IN_FOUR_BITS = ("attention", "mlp")


@dataclass
class Learner:
    """What learns. `style` writes it; `words` are set where a method learns words."""

    method: str
    parameters: Mapping[str, nn.Parameter]
    adapter: Adapter | None = None
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
        if self.adapter is not None:
            self.adapter.set_weight(float(is_active))

    def write(self, path: Path, prefix: str, notes: Mapping[str, str]) -> Path:
        """The style's file, whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        if self.words is not None:
            write_soft_prompt(partial, self.words, notes)
        else:
            adapter = AdapterFile(self.method, self.settings or {}, self.parameters, notes)
            write_adapter_file(partial, adapter, prefix)
        os.replace(partial, path)
        return path


def made(subject: Subject, config: Config) -> Learner:
    """The subject frozen, and on it what learns. TrainError, EngineError."""
    subject.module.requires_grad_(False)
    subject.module.eval()
    return _MAKERS[config.inner if config.method == "dreambooth" else config.method](
        subject, config
    )


def _lora(subject: Subject, config: Config) -> Learner:
    settings = {
        "r": config.rank,
        "lora_alpha": config.scale,
        "use_rslora": config.rslora,
        "use_dora": config.dora,
        "target_modules": "|".join(
            subject.sites[site] for site in config.targets if site in subject.sites
        ),
    }
    adapter = Lora(subject.module, settings, NAME, config.dropout)
    for parameter in adapter.parameters().values():
        parameter.data = parameter.data.float()
    return _learner("lora", adapter, settings)


def _qlora(subject: Subject, config: Config) -> Learner:
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
        subject.module,
        "|".join(subject.sites[site] for site in IN_FOUR_BITS if site in subject.sites),
    )
    return _lora(subject, config)


def quantise(module: nn.Module, pattern: str) -> int:
    """Linear layers whose names match, in NF4 with double quantisation; the number of them. CUDA
    only.
    """
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


def _bottleneck(subject: Subject, config: Config) -> Learner:
    settings = {"sites": subject.sites["block"], "size": config.size}
    return _learner("bottleneck", Bottleneck(subject.module, settings), settings)


def _prefix(subject: Subject, config: Config) -> Learner:
    settings = {"sites": subject.sites["context"], "length": config.length}
    return _learner("prefix", Prefix(subject.module, settings), settings)


def _full(subject: Subject, config: Config) -> Learner:
    subject.module.requires_grad_(True)
    adapter = Full(subject.module)
    adapter.keep_base()
    return _learner("full", adapter, {})


def _learner(method: str, adapter: Adapter, settings: Mapping[str, object]) -> Learner:
    parameters = adapter.parameters()
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    return Learner(method, parameters, adapter, settings=settings)


def first_words(embedding: nn.Embedding, ids: Sequence[int], count: int) -> Tensor:
    """Rows of an embedding, again and again, [count, width]: of a text without the sign of its end."""
    repeated = (list(ids) * -(-count // len(ids)))[:count]
    return embedding(torch.tensor(repeated, device=embedding.weight.device)).detach().cpu()


def _soft_prompt(subject: Subject, config: Config) -> Learner:
    return _words(subject, config, "")


def _textual_inversion(subject: Subject, config: Config) -> Learner:
    return _words(subject, config, config.placeholder)


def _words(subject: Subject, config: Config, placeholder: str) -> Learner:
    """Noise, as the soft prompts' authors begin, or the user's words again and again: quicker."""
    if config.begin:
        vectors = subject.first_words(config.begin, config.length)
    else:
        vectors = torch.randn(config.length, subject.word_width) * (
            1.0 if not placeholder else SMALL_NOISE
        )
    words = SoftPrompt(vectors, placeholder).to(next(subject.module.parameters()).device)
    return Learner("soft_prompt", {SOFT_PROMPT: words.vectors}, words=words)


_MAKERS: Mapping[str, Callable[[Subject, Config], Learner]] = {
    "lora": _lora,
    "qlora": _qlora,
    "bottleneck": _bottleneck,
    "prefix": _prefix,
    "full": _full,
    "soft_prompt": _soft_prompt,
    "textual_inversion": _textual_inversion,
}
