"""A style is learned by one method, and becomes a preset.

LoRA is peft's, through engine.adapters, so the file is one that the server reads. Some recordings
are not learned from: the style is kept at the step at which their loss was lowest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn

from engine.adapters.files import AdapterFile, write_adapter_file
from engine.adapters.kinds import Lora
from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
from engine.families.nano.exporting import LORA_LAYERS
from engine.families.nano.family import NanoFamily
from engine.families.nano.model import Denoiser
from presets.files import file_sha256
from presets.loader import load_preset
from training.loop import Loop, Optimisation, Progress, Validation
from training.nano.flow import flow_loss
from training.worked_example.pairs import Pairs, Recording, first_words

WARMUP_STEPS = 10
CLIP_NORM = 1.0
LOOK_DRAWS = 6  # batches of held-out windows, the same noise at every look


@dataclass(frozen=True)
class Method:
    """How much is learned, and how fast.

    `prior` rows of a batch remind the model of its other words.
    """

    name: str
    rate: float
    steps: int = 120
    style: int = 4
    prior: int = 0
    rank: int = 16
    alpha: float = 16.0
    length: int = 16
    looks: int = 6


LORA = Method("lora", rate=2e-3, prior=2)
WORDS = Method("words", rate=2e-2)  # touches no weight: other words need no reminder


@dataclass(frozen=True)
class Learned:
    """`losses`: of every step; `looks`: (step, held-out loss); step 0 is the base."""

    path: Path
    losses: list[float]
    looks: list[tuple[int, float]]
    numbers: int


def learn(
    method: Method,
    denoiser: Denoiser,
    family: NanoFamily,
    train: Sequence[Recording],
    held: Sequence[Recording],
    phrase: str,
    path: Path,
    seed: int,
    advance: Callable[[Progress], None] = lambda progress: None,
) -> Learned:
    """The style's file at `path`; the denoiser is as before. Deterministic from the seed."""
    torch.manual_seed(seed)
    pairs = Pairs(train, family, phrase, seed)
    trainee = (
        _add_lora(denoiser, method) if method.name == "lora" else _add_words(family, phrase, method)
    )
    vectors = trainee.words.vectors if trainee.words else None
    parameters = trainee.parameters.values()
    optimiser = torch.optim.AdamW(parameters, lr=method.rate, weight_decay=0.0)
    loop = Loop(
        lambda _: flow_loss(denoiser, pairs.batch(method.style, method.prior, vectors)),
        Optimisation(
            parameters, [optimiser], lambda step: _rate_factor(step, method.steps), CLIP_NORM
        ),
        method.steps,
    )
    looks: list[tuple[int, float]] = []
    validation = Validation(
        lambda: _validation_loss(denoiser, Pairs(held, family, phrase, seed), vectors, seed),
        lambda: trainee.write(path),
        max(1, method.steps // method.looks),
        report=lambda progress, loss: looks.append((progress.step, loss)),
    )
    validation.validate(loop.progress)
    loop.callbacks = (lambda loop: advance(loop.progress), validation)
    loop.run()
    trainee.remove()
    numbers = sum(parameter.numel() for parameter in parameters)
    return Learned(path, loop.progress.losses["loss"], looks, numbers)


@dataclass(frozen=True)
class _Trainee:
    """What learns: its parameters, how it is written, and how it is taken off again."""

    parameters: Mapping[str, nn.Parameter]
    write: Callable[[Path], object]
    remove: Callable[[], None] = lambda: None
    words: SoftPrompt | None = None


def _add_lora(denoiser: Denoiser, method: Method) -> _Trainee:
    lora = Lora(denoiser, _settings(method), "learned")
    parameters = lora.parameters()
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    style = AdapterFile("lora", _settings(method), parameters, {"base": "nano"})
    return _Trainee(
        parameters, lambda path: write_adapter_file(path, style, "denoiser"), lora.remove
    )


def _add_words(family: NanoFamily, phrase: str, method: Method) -> _Trainee:
    words = SoftPrompt(first_words(family.editor.encode_text(((phrase, 1.0),)), method.length))
    parameters = dict(words.named_parameters())
    return _Trainee(parameters, lambda path: write_soft_prompt(path, words), words=words)


def write_preset(
    name: str, learned: Learned, method: Method, phrase: str, folder: Path, licence: str
) -> Path:
    """`folder`/NAME/NAME.yaml with its tensors beside it, checked, and moved into place whole."""
    partial, final = folder / f".{name}.partial", folder / name
    partial.mkdir(parents=True)
    tensors = partial / f"{name}.safetensors"
    os.replace(learned.path, tensors)
    row = {"path": tensors.name, "sha256": file_sha256(tensors)}
    brings = {"adapters": [row]} if method.name == "lora" else {"soft_prompt": row}
    values = {
        "name": name,
        "title": f"{phrase} ({method.name})",
        "description": f"learned from recordings of {phrase}",
        "model": "nano",
        "prompts": [{"text": phrase}],
        **brings,
        "licence": licence,
    }
    (partial / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    load_preset(partial / f"{name}.yaml")
    os.replace(partial, final)
    return final / f"{name}.yaml"


def _settings(method: Method) -> dict[str, object]:
    return {
        "r": method.rank,
        "lora_alpha": method.alpha,
        "target_modules": rf"blocks\.\d+\.{LORA_LAYERS}",
    }


def _rate_factor(step: int, steps: int) -> float:
    """Of the rate: a short rise, then a cosine."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    return rise * float(0.5 + 0.5 * torch.cos(torch.tensor(torch.pi * step / max(1, steps))))


@torch.no_grad()
def _validation_loss(denoiser: Denoiser, pairs: Pairs, learned: Tensor | None, seed: int) -> float:
    """The loss on held-back recordings; the random numbers of the steps are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rows = [
            flow_loss(denoiser, pairs.batch(4, 0, learned, drops=False))["loss"]
            for _ in range(LOOK_DRAWS)
        ]
    return float(torch.stack(rows).mean())
