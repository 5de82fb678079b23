"""What every training shares: one loop with resume, weight average, log and progress bar.

A run folder holds `last.pt` (everything needed to go on), `log.jsonl` (one line every `LOG_EVERY`
steps) and `config.json`. Started again on the same folder, a run continues from `last.pt`.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

LOG_EVERY, SAVE_EVERY = 20, 100


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to a hundredth."""

    steps: int
    learning_rate: float
    warmup_steps: int = 100

    def factor(self, step: int) -> float:
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))


class Constant(Schedule):
    """The same rate from the first step to the last."""

    def factor(self, step: int) -> float:
        return 1.0


class WeightAverage:
    """Exponential average of parameters and buffers, with a short memory at the start."""

    def __init__(self, module: nn.Module, decay: float):
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


def run(
    folder: Path,
    module: nn.Module,
    batches: Iterator,
    loss_of: Callable[[nn.Module, object], dict[str, Tensor]],
    schedule: Schedule,
    *,
    average_decay: float = 0.995,
    clip_norm: float = 1.0,
    muon: bool = True,
    accumulate: int = 1,
    optimisers: list[torch.optim.Optimizer] | None = None,
) -> None:
    """Train until `schedule.steps`; `loss_of` returns named losses of which `loss` is minimised.

    A step is the mean over `accumulate` batches. `optimisers`: other ones than `make_optimisers`
    makes.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    optimisers = optimisers or make_optimisers(module, schedule.learning_rate, muon)
    for group in (group for optimiser in optimisers for group in optimiser.param_groups):
        group.setdefault("base_lr", group["lr"])
    average = WeightAverage(module, average_decay)
    step = resume(folder, module, optimisers, average)
    (folder / "config.json").write_text(json.dumps(asdict(schedule)))
    bar = tqdm(total=schedule.steps, initial=step, desc=folder.name, unit="step", smoothing=0.05)
    module.train()
    sums: dict[str, float] = {}
    begun = time.monotonic()
    while step < schedule.steps:
        losses: dict[str, Tensor] = {}
        for _ in range(accumulate):
            for name, value in loss_of(module, next(batches)).items():
                losses[name] = losses.get(name, 0) + value.detach() / accumulate
                if name == "loss":
                    (value / accumulate).backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * schedule.factor(step)
            if torch.isfinite(norm):
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        average.update(module)
        step += 1
        for name, value in {**losses, "gradient_norm": norm}.items():
            sums[name] = sums.get(name, 0.0) + float(value) / LOG_EVERY
        if step % LOG_EVERY == 0:
            row = {
                "step": step,
                "seconds": round(time.monotonic() - begun, 1),
                **{k: round(v, 5) for k, v in sums.items()},
            }
            with open(folder / "log.jsonl", "a") as log:
                log.write(json.dumps(row) + "\n")
            bar.set_postfix({k: f"{v:.3f}" for k, v in sums.items()})
            sums = {}
        if step % SAVE_EVERY == 0 or step == schedule.steps:
            save(folder, module, optimisers, average, step)
        bar.update()
    bar.close()


def make_optimisers(
    module: nn.Module, learning_rate: float, muon: bool = True
) -> list[torch.optim.Optimizer]:
    """Muon (Jordan 2024) for the hidden matrices, AdamW for the rest; without `muon`, AdamW for
    all.

    Muon costs about 0.6 s a step for the transformer's matrices on one core, whatever the batch:
    worth it for large batches only.
    """
    matrices, rest = [], []
    for name, parameter in module.named_parameters():
        inner = (
            muon
            and parameter.ndim == 2
            and min(parameter.shape) >= 128
            and not name.endswith("modulation")
            and "time." not in name
        )
        (matrices if inner else rest).append(parameter)
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    ]
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            )
        )
    return made


def save(folder: Path, module, optimisers, average: WeightAverage, step: int) -> None:
    state = {
        "step": step,
        "module": module.state_dict(),
        "average": average.values,
        "average_count": average.count,
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "random": torch.get_rng_state(),
    }
    partial = folder / "last.pt.partial"
    torch.save(state, partial)
    os.replace(partial, folder / "last.pt")


def resume(folder: Path, module, optimisers, average: WeightAverage) -> int:
    """Load `last.pt` if there is one; the step to go on from."""
    if not (folder / "last.pt").exists():
        return 0
    state = torch.load(folder / "last.pt", weights_only=True)
    module.load_state_dict(state["module"])
    average.values, average.count = state["average"], state["average_count"]
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    torch.set_rng_state(state["random"])
    return state["step"]


def steps_done(folder: Path) -> int:
    """How far the run in `folder` has come; 0 if it has not begun."""
    last = folder / "last.pt"
    return torch.load(last, weights_only=True, mmap=True)["step"] if last.exists() else 0


def load_average(folder: Path, module: nn.Module) -> nn.Module:
    """The averaged weights of a run, ready to use."""
    module.load_state_dict(torch.load(folder / "last.pt", weights_only=True)["average"])
    return module.eval()
