"""What learns, the steps, and the preset that comes of them.

The loss is training.nano.transformer's; LoRA is peft's, through engine.adapters, so the file is one that
the server reads. Two recordings are not learned from: the style is kept at the step at which their
loss was lowest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
import yaml
from torch import Tensor, nn

from engine.adapters.files import AdapterFile, write_adapter_file
from engine.adapters.kinds import Lora
from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
from engine.families.nano.exporting import LORA_LAYERS
from engine.families.nano.family import NanoFamily
from engine.families.nano.model import Denoiser
from presets.loader import file_sha256, load_preset
from training.nano.transformer import flow_loss
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
    advance: Callable[[int, float], None] = lambda step, loss: None,
) -> Learned:
    """The style's file at `path`; the denoiser is as before. Deterministic from the seed."""
    torch.manual_seed(seed)
    pairs = Pairs(train, family, phrase, seed)
    lora = _lora(denoiser, method) if method.name == "lora" else None
    said = family.editor.encode_text(((phrase, 1.0),))
    words = None if lora else SoftPrompt(first_words(said, method.length))
    own = lora.parameters() if lora else dict(words.named_parameters())
    write = (
        (lambda: _write_lora(path, method, own))
        if lora
        else (lambda: write_soft_prompt(path, words))
    )  # noqa: E731
    vectors = words.vectors if words else None
    optimiser = torch.optim.AdamW(own.values(), lr=method.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step, method.steps))
    losses, looks, every = [], [], max(1, method.steps // method.looks)
    for step in range(method.steps + 1):
        if step % every == 0 or step == method.steps:
            looks.append((step, _look(denoiser, Pairs(held, family, phrase, seed), vectors, seed)))
            if looks[-1][1] == min(loss for _, loss in looks):
                write()
        if step == method.steps:
            break
        loss = _loss(denoiser, pairs.batch(method.style, method.prior, vectors))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(own.values(), CLIP_NORM)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        advance(step, losses[-1])
    if lora:
        lora.remove()
    return Learned(path, losses, looks, sum(parameter.numel() for parameter in own.values()))


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


def _lora(denoiser: Denoiser, method: Method) -> Lora:
    lora = Lora(denoiser, _settings(method), "learned")
    for parameter in lora.parameters().values():
        parameter.requires_grad_(True)
    return lora


def _write_lora(path: Path, method: Method, parameters: dict[str, nn.Parameter]) -> Path:
    adapter = AdapterFile("lora", _settings(method), parameters, {"base": "nano"})
    return write_adapter_file(path, adapter, "denoiser")


def _share(step: int, steps: int) -> float:
    """Of the rate: a short rise, then a cosine."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    return rise * float(0.5 + 0.5 * torch.cos(torch.tensor(torch.pi * step / max(1, steps))))


def _loss(denoiser: Denoiser, batch: dict[str, Tensor]) -> Tensor:
    return flow_loss(SimpleNamespace(audio_encoder=nn.Identity(), denoiser=denoiser), batch)["loss"]


@torch.no_grad()
def _look(denoiser: Denoiser, pairs: Pairs, learned: Tensor | None, seed: int) -> float:
    """Loss on recordings that are not learned from; leaves the random numbers of the steps alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rows = [_loss(denoiser, pairs.batch(4, 0, learned, drops=False)) for _ in range(LOOK_DRAWS)]
    return float(torch.stack(rows).mean())
