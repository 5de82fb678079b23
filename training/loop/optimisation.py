"""Optimisers, learning rates by step, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to a hundredth."""

    steps: int
    learning_rate: float
    warmup_steps: int = 100

    def factor(self, step: int) -> float:
        """The share of the learning rate at a step."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))


class Constant(Schedule):
    """The same rate from the first step to the last."""

    def factor(self, step: int) -> float:
        return 1.0


def cosine_after_warmup(steps: int, warmup: int, last: float) -> Callable[[int], float]:
    """A linear rise from 0, then half a cosine from 1 to `last`, which is kept."""

    def factor(step: int) -> float:
        if step < warmup:
            return step / max(1, warmup)
        turn = (step - warmup) / max(1, steps - warmup)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * turn)) * (1 - last) + last)

    return factor


class WeightAverage:
    """Exponential average of parameters and buffers, with a short memory at the start."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)


class Optimisation:
    """One step of the weights: gradients clipped, rates set, optimisers run.

    `factor(step)` is the share of each optimiser's own learning rate; without it the rates are left
    alone. A step whose gradients are not finite is left out.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimisers: Sequence[Optimizer],
        factor: Callable[[int], float] | None = None,
        clip_norm: float | None = None,
    ) -> None:
        self.parameters, self.optimisers = list(parameters), optimisers
        self.factor, self.clip_norm = factor, clip_norm
        self._keep_base_rates()

    def step(self, step: int) -> Tensor | None:
        """The norm of the gradients before they are clipped, if they are."""
        norm = None
        if self.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self._set_rates(step)
        for optimiser in self.optimisers:
            if norm is None or torch.isfinite(norm):
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return norm

    def state_dicts(self) -> list[dict]:
        return [optimiser.state_dict() for optimiser in self.optimisers]

    def load_state_dicts(self, states: Sequence[dict]) -> None:
        for optimiser, state in zip(self.optimisers, states, strict=True):
            optimiser.load_state_dict(state)
        self._keep_base_rates()

    def _keep_base_rates(self) -> None:
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                # checkpoints of torch's own schedulers call it initial_lr
                group.setdefault("base_lr", group.get("initial_lr", group["lr"]))

    def _set_rates(self, step: int) -> None:
        if self.factor is None:
            return
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * self.factor(step)


def make_optimisers(
    module: nn.Module, learning_rate: float, muon: bool = True
) -> list[torch.optim.Optimizer]:
    """Muon (Jordan 2024) for the hidden matrices, AdamW for the rest; without `muon`, AdamW alone.

    Muon's cost is the same whatever the batch, so it is worth it for large batches only.
    """
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        is_hidden_matrix = (
            muon
            and parameter.ndim == 2
            and min(parameter.shape) >= 128
            and not name.endswith("modulation")
            and "time." not in name
        )
        (matrices if is_hidden_matrix else rest).append(parameter)
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    ]
    if matrices:
        optimisers.append(
            torch.optim.Muon(
                matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimisers
