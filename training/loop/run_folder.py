"""A whole model that learns in a folder of its own.

    last.pt       everything that is needed to go on
    log.jsonl     one line every LOG_EVERY steps
    config.json   the schedule

Started again on the same folder, a run goes on from `last.pt`, bit for bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from training.loop.checkpoints import Part, StateFile, part_of
from training.loop.logs import Log, ProgressBar
from training.loop.loop import Callback, Loop, Losses
from training.loop.optimisation import Optimisation, Schedule, WeightAverage, make_optimisers

LOG_EVERY, SAVE_EVERY = 20, 100
LAST, LOG, CONFIG = "last.pt", "log.jsonl", "config.json"

Module = TypeVar("Module", bound=nn.Module)
Batch = TypeVar("Batch")


def run(
    folder: Path,
    module: Module,
    batches: Iterator[Batch],
    loss_of: Callable[[Module, Batch], Losses],
    schedule: Schedule,
    *,
    average_decay: float = 0.995,
    clip_norm: float = 1.0,
    muon: bool = True,
    accumulate: int = 1,
    optimisers: list[torch.optim.Optimizer] | None = None,
) -> None:
    """Train until `schedule.steps`; `loss_of` gives named losses, of which `loss` is minimised.

    A step is the mean over `accumulate` batches. `optimisers` stand in for those of
    `make_optimisers`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimisers = optimisers or make_optimisers(module, schedule.learning_rate, muon)
    optimisation = Optimisation(module.parameters(), optimisers, schedule.factor, clip_norm)
    average = WeightAverage(module, average_decay)
    checkpoint = StateFile(folder / LAST, _parts(module, optimisation, average), SAVE_EVERY)
    begun = time.monotonic()
    log = Log(folder / LOG, LOG_EVERY, lambda _: {"seconds": round(time.monotonic() - begun, 1)})
    loop = Loop(lambda _: loss_of(module, next(batches)), optimisation, schedule.steps, accumulate)
    loop.progress.step = checkpoint.load()
    log.forget_after(loop.progress.step)
    (folder / CONFIG).write_text(json.dumps(asdict(schedule)))
    module.train()
    with ProgressBar(folder.name, loop) as bar:
        update: Callback = lambda _: average.update(module)  # noqa: E731
        loop.callbacks = (update, bar, log, checkpoint)
        loop.run()


def _parts(
    module: nn.Module, optimisation: Optimisation, average: WeightAverage
) -> dict[str, Part]:
    return {
        "module": part_of(module),
        "average": Part(lambda: average.values, lambda found: setattr(average, "values", found)),
        "average_count": Part(
            lambda: average.count, lambda found: setattr(average, "count", found)
        ),
        "optimisers": Part(optimisation.state_dicts, optimisation.load_state_dicts),
        "random": Part(torch.get_rng_state, torch.set_rng_state),
    }


def steps_done(folder: Path) -> int:
    """How far the run in a folder has come; 0 if it has not begun."""
    last = folder / LAST
    return torch.load(last, weights_only=True, mmap=True)["step"] if last.exists() else 0


def load_average(folder: Path, module: Module) -> Module:
    """A module with the averaged weights of a run, ready to use."""
    module.load_state_dict(torch.load(folder / LAST, weights_only=True)["average"])
    module.eval()
    return module
